import ForetokenModel
import ForetokenSpeculation
import ForetokenTestSupport
import Testing

/// Penalties, bias and the final distribution against the definitions, written down as plainly as possible.
@Suite struct PenaltyTests {
    private let instructionSet = InstructionSet.available[0]
    private let limit = 200

    /// A setting and a text, drawn at random.
    struct Case {
        var options = SamplingOptions()
        var logits: [Float]
        var context: [Int32]
        var output: [Int32]

        init(seed: UInt64, limit: Int) {
            var random = SeededGenerator(seed: seed)
            func choose<T>(_ values: [T]) -> T { values[Int(random.next() % UInt64(values.count))] }
            logits = (0..<limit).map { _ in 4 * random.normal() }
            // Few ids, so that many appear in both, and often.
            context = (0..<Int(random.next() % 40)).map { _ in Int32(random.next() % 50) }
            output = (0..<Int(random.next() % 40)).map { _ in Int32(20 + random.next() % 50) }
            options.temperature = choose([0, 0.8, 1.5])
            options.topK = choose([0, 0, 1, 7, 60])
            options.topP = choose([1, 1, 0.3, 0.9])
            options.minP = choose([0, 0, 0.1])
            options.repetitionPenalty = choose([1, 1.3, 3, 0.7])
            options.presencePenalty = choose([0, 0.9, -0.5])
            options.frequencyPenalty = choose([0, 0.4, -0.3])
            for _ in 0..<choose([0, 1, 5]) {
                options.logitBias[Int(random.next() % UInt64(limit))] = choose([-100, -2.5, 0, 3, 100])
            }
            options.seed = seed
        }

        /// Logits after penalties and bias.
        var adjusted: [Float] {
            logits.enumerated().map { token, logit in
                var value = logit
                if (context + output).contains(Int32(token)) {
                    value = value > 0 ? value / options.repetitionPenalty : value * options.repetitionPenalty
                }
                let count = output.count { $0 == token }
                if count > 0 { value -= options.presencePenalty + options.frequencyPenalty * Float(count) }
                let bias = options.logitBias[token] ?? 0
                return bias == -100 ? -.infinity : value + bias
            }
        }

        /// The same setting without penalties and bias.
        var filtersAlone: SamplingOptions {
            var options = options
            options.repetitionPenalty = 1
            options.presencePenalty = 0
            options.frequencyPenalty = 0
            options.logitBias = [:]
            return options
        }
    }

    private func sampler(_ options: SamplingOptions, _ context: [Int32], _ output: [Int32]) -> Sampler {
        let sampler = Sampler(options, limit: limit, instructionSet: instructionSet)
        context.withUnsafeBufferPointer { sampler.history.begin($0) }
        for token in output { sampler.history.push(token) }
        return sampler
    }

    private func pick(_ sampler: Sampler, _ logits: inout [Float], position: Int) -> Int32 {
        logits.withUnsafeMutableBufferPointer { sampler.pick($0, position: position) }
    }

    private func distribution(_ sampler: Sampler, _ logits: inout [Float]) -> [Double] {
        var probabilities = [Double](repeating: -1, count: limit + 3)
        probabilities.withUnsafeMutableBufferPointer { room in
            logits.withUnsafeMutableBufferPointer { sampler.distribution($0, into: room) }
        }
        #expect(probabilities[limit...].allSatisfy { $0 == 0 })
        return Array(probabilities.prefix(limit))
    }

    @Test func picksFollowTheDefinition() {
        for seed in 0..<600 as Range<UInt64> {
            let example = Case(seed: seed, limit: limit)
            var (logits, adjusted) = (example.logits, example.adjusted)
            let penalised = sampler(example.options, example.context, example.output)
            let plain = sampler(example.filtersAlone, [], [])
            for position in 0..<5 {
                let expected = pick(plain, &adjusted, position: position)
                #expect(pick(penalised, &logits, position: position) == expected, "case \(seed)")
            }
            #expect(logits == example.logits, "the model's logits are given back")
        }
    }

    @Test func distributionsFollowTheDefinition() {
        for seed in 0..<300 as Range<UInt64> {
            let example = Case(seed: seed, limit: limit)
            var logits = example.logits
            let found = distribution(sampler(example.options, example.context, example.output), &logits)
            let expected = reference(example)
            let worst = zip(found, expected).map { abs($0 - $1) }.max()!
            #expect(worst < 1e-5, "case \(seed)")
            #expect(abs(found.reduce(0, +) - 1) < 1e-12)
            #expect(logits == example.logits)
        }
    }

    /// Temperature, top-k, top-p, min-p on a sorted list.
    private func reference(_ example: Case) -> [Double] {
        let (options, logits) = (example.options, example.adjusted)
        var ranked = logits.indices.sorted { logits[$0] > logits[$1] || (logits[$0] == logits[$1] && $0 < $1) }
        var result = [Double](repeating: 0, count: limit)
        guard options.temperature > 0 else {
            result[ranked[0]] = 1
            return result
        }
        let largest = Double(logits[ranked[0]])
        let weights = logits.map { exponential((Double($0) - largest) / Double(options.temperature)) }
        if options.topK > 0 { ranked = Array(ranked.prefix(options.topK)) }
        if options.topP < 1 {
            let wanted = Double(options.topP) * ranked.reduce(0) { $0 + weights[$1] }
            var sum = 0.0
            let end = ranked.firstIndex {
                sum += weights[$0]
                return sum >= wanted
            }
            ranked = Array(ranked.prefix((end ?? ranked.count) + 1))
        }
        ranked = ranked.filter { weights[$0] >= Double(options.minP) }
        let total = ranked.reduce(0) { $0 + weights[$1] }
        for token in ranked { result[token] = weights[token] / total }
        return result
    }

    private func exponential(_ x: Double) -> Double {
        guard x > -700 else { return 0 }
        let small = x / 4096
        var result = 1 + small * (1 + small / 2 * (1 + small / 3 * (1 + small / 4)))
        for _ in 0..<12 { result *= result }
        return result
    }

    @Test func takenBackTokensLeaveNoTrace() {
        for seed in 0..<200 as Range<UInt64> {
            var example = Case(seed: seed, limit: limit)
            var random = SeededGenerator(seed: seed + 1000)
            let tried = sampler(example.options, example.context, [])
            var output: [Int32] = []
            for _ in 0..<100 {
                if random.uniform() < 0.45, let last = output.popLast() {
                    tried.history.pop(last)
                } else {
                    output.append(Int32(random.next() % 60))
                    tried.history.push(output.last!)
                }
            }
            let fresh = sampler(example.options, example.context, output)
            #expect(distribution(tried, &example.logits) == distribution(fresh, &example.logits))
        }
    }

    @Test func beginningAnewForgets() {
        var example = Case(seed: 3, limit: limit)
        example.options.frequencyPenalty = 1
        let used = sampler(example.options, [5, 6, 7], [1, 2, 3, 3])
        [8, 9].withUnsafeBufferPointer { used.history.begin($0) }
        let fresh = sampler(example.options, [8, 9], [])
        #expect(distribution(used, &example.logits) == distribution(fresh, &example.logits))
    }

    @Test func idsOutsideTheLimitAreOfNoConcern() {
        var options = SamplingOptions()
        options.repetitionPenalty = 2
        options.logitBias = [200: 100, 5000: 3, -4: 1]
        var logits = [Float](repeating: 0, count: limit + 10)
        logits[7] = 1
        let sampler = sampler(options, [-1, 200, 4000], [201])
        #expect(pick(sampler, &logits, position: 0) == 7)
        sampler.history.pop(201)
        #expect(pick(sampler, &logits, position: 0) == 7)
    }

    /// Whatever is allowed gives numbers, also where a tiny temperature divides what a huge penalty made.
    @Test(arguments: [Float.leastNonzeroMagnitude, 1e-30, 1e30, .greatestFiniteMagnitude])
    func extremePenaltiesGiveNumbers(repetition: Float) {
        var example = Case(seed: 9, limit: limit)
        example.options = SamplingOptions()
        example.options.repetitionPenalty = repetition
        example.options.temperature = 1e-6
        #expect(example.options.problem == nil)
        let sum = distribution(sampler(example.options, example.context, example.output), &example.logits).reduce(0, +)
        #expect(abs(sum - 1) < 1e-12)
    }

    @Test func bansHoldAtEveryTemperature() {
        var options = SamplingOptions()
        options.temperature = 1000
        for token in 1..<limit { options.logitBias[token] = -100 }
        var logits = [Float](repeating: 3, count: limit)
        let sampler = sampler(options, [], [])
        #expect((0..<200).allSatisfy { pick(sampler, &logits, position: $0) == 0 })
        #expect(distribution(sampler, &logits)[0] == 1)
    }

    @Test func valuesThatMeanNothingAreNamed() {
        func problem(_ change: (inout SamplingOptions) -> Void) -> String? {
            var options = SamplingOptions()
            change(&options)
            return options.problem
        }
        #expect(problem { _ in } == nil)
        for value in [0, -1, Float.infinity, .nan] {
            #expect(problem { $0.repetitionPenalty = value }?.contains("repetition") == true)
        }
        for value in [-100.5, 101, Float.infinity, .nan] {
            #expect(problem { $0.presencePenalty = value }?.contains("presence") == true)
            #expect(problem { $0.frequencyPenalty = value }?.contains("frequency") == true)
            #expect(problem { $0.logitBias = [4: 1, 17: value] }?.contains("token 17") == true)
        }
        #expect(problem { $0.temperature = .nan }?.contains("temperature") == true)
        #expect(problem { $0.topP = .nan }?.contains("top-p") == true)
        #expect(problem { $0.minP = .nan }?.contains("min-p") == true)
    }
}
