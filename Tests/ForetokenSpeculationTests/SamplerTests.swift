import ForetokenModel
import ForetokenSpeculation
import Testing

@Suite struct SamplerTests {
    private let instructionSet = InstructionSet.available[0]

    private func options(_ change: (inout SamplingOptions) -> Void) -> SamplingOptions {
        var options = SamplingOptions()
        options.temperature = 1
        change(&options)
        return options
    }

    /// How often each token is drawn over `draws` positions.
    private func counts(_ logits: [Float], _ options: SamplingOptions, draws: Int) -> [Int] {
        let sampler = Sampler(options, limit: logits.count, instructionSet: instructionSet)
        var counts = [Int](repeating: 0, count: logits.count)
        var values = logits
        values.withUnsafeMutableBufferPointer { buffer in
            for position in 0..<draws { counts[Int(sampler.pick(buffer, position: position))] += 1 }
        }
        return counts
    }

    private func softmax(_ logits: [Float], temperature: Float = 1) -> [Double] {
        let weights = logits.map { exponential(Double($0 / temperature)) }
        let total = weights.reduce(0, +)
        return weights.map { $0 / total }
    }

    /// e^x by repeated squaring of the series, enough for tests and without a maths library.
    private func exponential(_ x: Double) -> Double {
        let small = x / 1024
        var result = 1 + small * (1 + small / 2 * (1 + small / 3 * (1 + small / 4)))
        for _ in 0..<10 { result *= result }
        return result
    }

    private func chiSquare(_ counts: [Int], _ probabilities: [Double]) -> Double {
        let draws = Double(counts.reduce(0, +))
        return zip(counts, probabilities).reduce(0) {
            let expected = $1.1 * draws
            return expected == 0 ? $0 : $0 + (Double($1.0) - expected) * (Double($1.0) - expected) / expected
        }
    }

    private let logits: [Float] = [2, 1.5, 1, 0.5, 0, -0.5, -1, 1.2, 0.3, -2]

    @Test(arguments: [Float(0.5), 1, 1.7])
    func drawsFollowTheSoftmax(temperature: Float) {
        let drawn = counts(logits, options { $0.temperature = temperature }, draws: 40_000)
        // 9 degrees of freedom: 27.9 is the 0.1 % point.
        #expect(chiSquare(drawn, softmax(logits, temperature: temperature)) < 27.9)
    }

    @Test func topKKeepsTheLikeliest() {
        let drawn = counts(logits, options { $0.topK = 3 }, draws: 20_000)
        let kept: Set<Int> = [0, 1, 7]
        #expect(drawn.indices.allSatisfy { kept.contains($0) == (drawn[$0] > 0) })
        let three = softmax([2, 1.5, 1.2])
        #expect(chiSquare([drawn[0], drawn[1], drawn[7]], three) < 13.8)
    }

    @Test func topPIncludesTheTokenThatCrossesIt() {
        let probabilities = softmax(logits)
        let two = probabilities[0] + probabilities[1]
        let below = counts(logits, options { $0.topP = Float(two) - 0.01 }, draws: 5_000)
        #expect(below.indices.filter { below[$0] > 0 } == [0, 1])
        let above = counts(logits, options { $0.topP = Float(two) + 0.01 }, draws: 5_000)
        #expect(above.indices.filter { above[$0] > 0 } == [0, 1, 7])
        let tiny = counts(logits, options { $0.topP = 1e-6 }, draws: 100)
        #expect(tiny[0] == 100)
    }

    @Test func topPIsRenormalisedAfterTopK() {
        // Of the three kept, two hold more than 0.7 of what is left of the probability.
        let drawn = counts(
            logits,
            options {
                $0.topK = 3
                $0.topP = 0.7
            }, draws: 5_000)
        #expect(drawn.indices.filter { drawn[$0] > 0 } == [0, 1])
    }

    @Test func minPIsRelativeToTheLikeliest() {
        let drawn = counts(logits, options { $0.minP = 0.4 }, draws: 20_000)
        // e^(x − 2) ≥ 0.4 for x ≥ 1.084.
        #expect(drawn.indices.filter { drawn[$0] > 0 } == [0, 1, 7])
    }

    @Test func tiesGoToTheLowerId() {
        let flat = [Float](repeating: 1, count: 50)
        #expect(counts(flat, SamplingOptions(), draws: 3)[0] == 3)
        #expect(counts(flat, options { $0.topK = 1 }, draws: 3)[0] == 3)
    }

    @Test func theSeedAndThePositionDecide() {
        let flat = [Float](repeating: 0, count: 1000)
        func drawn(_ seed: UInt64) -> [Int] {
            let sampler = Sampler(options { $0.seed = seed }, limit: 1000, instructionSet: instructionSet)
            var values = flat
            return values.withUnsafeMutableBufferPointer { buffer in
                (0..<20).map { Int(sampler.pick(buffer, position: $0)) }
            }
        }
        #expect(drawn(1) == drawn(1))
        #expect(drawn(1) != drawn(2))
        #expect(Set(drawn(1)).count > 15)
    }

    @Test func idsWithoutATokenAreNeverDrawn() {
        var values: [Float] = [0, 1, 9, 9]
        let sampler = Sampler(SamplingOptions(), limit: 2, instructionSet: instructionSet)
        #expect(values.withUnsafeMutableBufferPointer { sampler.pick($0, position: 0) } == 1)
    }
}
