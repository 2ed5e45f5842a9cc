import CForetokenKernels
import ForetokenLaboratory
import Glibc
import ForetokenModel
import ForetokenTestSupport
import Testing

/// Intervals, the agreement of two distributions, and the counting of experts, against slow and simple versions.
struct MeasureStatisticsTests {
    @Test func aSinglePromptGetsWilsonsInterval() throws {
        let estimate = try #require(Bootstrap(prompts: 1).ratio([Counts(hits: 8, trials: 10)]))
        #expect(estimate.value == 0.8)
        #expect(abs(estimate.low - 0.4902) < 1e-4)
        #expect(abs(estimate.high - 0.9433) < 1e-4)
        #expect(estimate.count == 10)
        let never = Bootstrap.wilson(0, 20)
        #expect(never.low == 0 && abs(never.high - 0.1611) < 1e-4)
    }

    @Test func promptsThatDisagreeGiveWideIntervals() throws {
        let bootstrap = Bootstrap(prompts: 20)
        let alike = [Counts](repeating: Counts(hits: 50, trials: 100), count: 20)
        // Where nothing varies, resampling is blind: Wilson's interval for 2,000 trials.
        let same = try #require(bootstrap.ratio(alike))
        #expect(same.value == 0.5 && abs(same.low - 0.4781) < 1e-4 && abs(same.high - 0.5219) < 1e-4)
        // Two prompts say little, whatever they say.
        let few = try #require(Bootstrap(prompts: 2).ratio([Counts(hits: 5, trials: 10), Counts(hits: 6, trials: 10)]))
        #expect(few.high - few.low > 0.35)
        let mixed = (0..<20).map { Counts(hits: $0 % 2 == 0 ? 10 : 90, trials: 100) }
        let wide = try #require(bootstrap.ratio(mixed))
        // The mean of 20 prompts whose rates are 0.1 or 0.9 has a deviation of 0.4 / √20.
        #expect(abs(wide.value - 0.5) < 1e-12)
        #expect(abs(wide.low - (0.5 - 1.96 * 0.0894)) < 0.03)
        #expect(abs(wide.high - (0.5 + 1.96 * 0.0894)) < 0.03)
        #expect(bootstrap.ratio(mixed) == wide)
        #expect(bootstrap.ratio([Counts](repeating: Counts(), count: 20)) == nil)
        let tokens = try #require(bootstrap.tokensPerRound(mixed, length: 2))
        #expect(abs(tokens.value - 1.5) < 1e-12)
    }

    @Test func productsOfConditionalShares() throws {
        let rows = [[Counts(hits: 8, trials: 10), Counts(hits: 4, trials: 8)]]
        let estimate = try #require(Bootstrap(prompts: 1).product(rows))
        #expect(abs(estimate.value - 0.4) < 1e-12)
        #expect(estimate.low < 0.4 && estimate.high > 0.4)
    }

    @Test func timesGrowWithTheContext() {
        var samples = TimeSamples()
        for i in 0..<60 { samples.add(1000 + 2 * Double(i * 20) + (i % 7 == 0 ? 5000 : 0), context: Double(i * 20)) }
        let line = samples.line()
        #expect(abs(line.slope - 2) < 0.1 && abs(line.at(600) - 2200) < 60)
        // Contexts that are nearly the same tell of no slope.
        var near = TimeSamples()
        for i in 0..<60 { near.add(1000 + 9 * Double(i), context: Double(i)) }
        #expect(near.line().slope == 0 && near.line().at(10_000) == near.line().at(0))
    }

    private func distribution(_ count: Int, _ random: inout SeededGenerator, zeros: Bool) -> [Double] {
        var values = (0..<count).map { _ in Double.random(in: 0..<1, using: &random) }
        if zeros { for i in values.indices where Bool.random(using: &random) { values[i] = 0 } }
        values[0] += 0.1
        let sum = values.reduce(0, +)
        return values.map { $0 / sum }
    }

    private func agreement(_ p: [Double], _ q: [Double]) -> DistributionAgreement {
        var room: [DistributionAgreement.SharedToken] = []
        return p.withUnsafeBufferPointer { p in
            q.withUnsafeBufferPointer { q in DistributionAgreement(p, q, room: &room) }
        }
    }

    @Test(arguments: [false, true])
    func keyedAgreementIsTheDoubleSum(zeros: Bool) {
        var random = SeededGenerator(seed: 7)
        for count in [1, 2, 5, 40] {
            let p = distribution(count, &random, zeros: zeros)
            let q = distribution(count, &random, zeros: zeros)
            var keyed = 0.0
            for i in 0..<count where p[i] > 0 && q[i] > 0 {
                keyed += 1 / (0..<count).reduce(0) { $0 + max(p[$1] / p[i], q[$1] / q[i]) }
            }
            let found = agreement(p, q)
            #expect(abs(found.keyed - keyed) < 1e-12)
            #expect(abs(found.overlap - zip(p, q).reduce(0) { $0 + min($1.0, $1.1) }) < 1e-12)
            #expect(abs(found.independentDraft - zip(p, q).reduce(0) { $0 + $1.0 * $1.1 }) < 1e-12)
            #expect(found.keyed <= found.overlap + 1e-12)
            #expect(abs(agreement(p, p).keyed - 1) < 1e-12)
        }
    }

    @Test func keyedAgreementIsWhatSharedNoiseDoes() {
        var random = SeededGenerator(seed: 11)
        let p = distribution(30, &random, zeros: true)
        let q = distribution(30, &random, zeros: true)
        func draw(_ shares: [Double], _ key: UInt64) -> Int {
            let scores = shares.enumerated().map { logf(Float($0.element)) + foretoken_gumbel(key, Int32($0.offset)) }
            return scores.indices.max { scores[$0] < scores[$1] }!
        }
        let trials = 20_000
        let same = (0..<trials).count { trial in
            let key = foretoken_noise_key(3, UInt64(trial))
            return draw(p, key) == draw(q, key)
        }
        // Five standard deviations of a share of 20,000.
        #expect(abs(Double(same) / Double(trials) - agreement(p, q).keyed) < 0.018)
    }

    @Test func expertsOfWindowsAreCounted() throws {
        let recorder = OverlapRecorder(layers: 3, experts: 6)
        let chosen: [Int32] = [0, 1, 0, 1, 2, 3, 4, 5]
        // Layer 1 alone routes; its rows come in two steps, the first position being the prompt's.
        chosen.withUnsafeBufferPointer {
            for (first, count) in [(0, 3), (3, 1)] {
                recorder.routed(
                    layer: 1, chosen: $0.baseAddress! + 2 * first, perRow: 2,
                    rows: TextRows(text: 0, firstRow: 0, count: count, firstPosition: first))
            }
        }
        recorder.finish(1..<4)
        let layer = try #require(recorder.layers.first)
        #expect(recorder.layers.count == 1 && layer.layer == 1)
        #expect(layer.distinct == [2, 4, 6])
        #expect(abs(layer.uniform[0] - 2) < 1e-12 && abs(layer.uniform[1] - 6 * (1 - 4.0 / 9)) < 1e-12)
    }
}
