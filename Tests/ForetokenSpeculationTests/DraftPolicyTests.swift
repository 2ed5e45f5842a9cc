import ForetokenSpeculation
import Glibc
import ForetokenTestSupport
import Testing

/// The adaptive policy on machines and texts that do not exist: costs and acceptance are given, so the best fixed draft
/// length is known.
@Suite struct DraftPolicyTests {
    /// What steps cost, in nanoseconds.
    struct Machine: Sendable {
        /// An undrafted step.
        var step = 1_000_000.0
        /// Each further row of a step, in undrafted steps.
        var row = 0.08
        /// Each draft, in undrafted steps.
        var draft = 0.07
        /// Uniform relative spread of all times; one in a hundred takes five times as long.
        var spread = 0.06

        /// Weights stream from memory, and one pass serves all rows.
        static let bandwidthBound = Machine()
        /// A mixture of experts: each further row wakes others.
        static let expertBound = Machine(row: 0.35, draft: 0.1)
        /// Weights that fit in the cache.
        static let computeBound = Machine(row: 0.55, draft: 0.3)
    }

    /// Drafts of a text: stretches of one kind or the other, whose confidences lie around two values.
    struct Text: Sendable {
        /// Share of predictable tokens, by how far the text has come (0..<1).
        var predictable: @Sendable (Double) -> Double
        /// Mean tokens of a stretch.
        var stretch = 12.0
        var sure: ClosedRange<Double> = 0.75...0.99
        var unsure: ClosedRange<Double> = 0.02...0.5
        /// How often a draft of a confidence holds.
        var held: @Sendable (Double) -> Double = { $0 }

        static let easy = Text { _ in 0.8 }
        static let hard = Text(predictable: { _ in 0 }, unsure: 0.01...0.3, held: { $0 / 2 })
        static let turningHard = Text { $0 < 0.5 ? 0.9 : 0.05 }
        static let turningEasy = Text { $0 < 0.5 ? 0.05 : 0.9 }
        /// As measured of a trained module at temperature 0.
        static let doubting = Text(predictable: { _ in 0.3 }, unsure: 0.05...0.6, held: { min(1, 0.3 + 1.2 * $0) })
    }

    /// One text generated in some mode.
    private struct Simulation {
        let machine: Machine
        let text: Text
        var random: SeededGenerator
        var isPredictable = false

        private mutating func time(_ steps: Double) -> Int64 {
            let spread = machine.spread * (Double(random.uniform()) - 0.5)
            return Int64(machine.step * steps * (random.uniform() < 0.01 ? 5 : 1 + spread))
        }

        /// Lead of a draft for the token at `progress`, and whether it is right.
        private mutating func draft(_ progress: Double) -> (lead: Float, isRight: Bool) {
            if Double(random.uniform()) < 1 / text.stretch {
                isPredictable = Double(random.uniform()) < text.predictable(progress)
            }
            let range = isPredictable ? text.sure : text.unsure
            let confidence = range.lowerBound + Double(random.uniform()) * (range.upperBound - range.lowerBound)
            return (Float(-log(1 - confidence)), Double(random.uniform()) < text.held(confidence))
        }

        /// Nanoseconds spent; the tokens' drafts are the same in every mode.
        mutating func run(_ policy: inout DraftPolicy, tokens: Int) -> Double {
            let guesses = (0..<tokens + 9).map { draft(Double($0) / Double(tokens)) }
            var (emitted, total) = (0, 0.0)
            while emitted < tokens {
                let limit = policy.begin(room: tokens - emitted - 1)
                var times = RoundTimes()
                var (made, length) = (0, 0)
                var verdict = DraftVerdict.extend
                while made < limit && verdict == .extend {
                    let cost = time(machine.draft)
                    times.drafting += cost
                    if made > 0 {
                        times.laterDrafts += cost
                        times.laterDraftCount += 1
                    }
                    verdict = policy.judge(lead: guesses[emitted + made].lead, limit: limit)
                    made += 1
                    if verdict != .drop { length = made }
                }
                times.verifying = time(1 + Double(length) * machine.row)
                let held = guesses[emitted..<emitted + length].prefix { $0.isRight }.count
                let droppedHeld = made > length && held == length ? guesses[emitted + length].isRight : nil
                policy.record(
                    drafted: length, accepted: held, emitted: held + 1, droppedHeld: droppedHeld, times: times)
                total += Double(times.drafting + times.verifying)
                emitted += held + 1
            }
            return total
        }
    }

    /// Speed of `mode` over that of `other`: the median over many generators, each of which serves `requests` texts.
    private func speed(
        _ mode: DraftMode, over other: DraftMode, _ machine: Machine, _ text: Text, tokens: Int, requests: Int = 1
    ) -> Double {
        func time(_ mode: DraftMode, seed: UInt64) -> Double {
            let experience = DraftExperience()
            return (0..<requests).reduce(0) { total, request in
                var policy = DraftPolicy(mode, limit: 8, isGreedy: true, experience)
                var simulation = Simulation(
                    machine: machine, text: text, random: SeededGenerator(seed: seed * 1000 + UInt64(request)))
                return total + simulation.run(&policy, tokens: tokens)
            }
        }
        return (0..<41 as Range<UInt64>).map { time(other, seed: $0) / time(mode, seed: $0) }.sorted()[20]
    }

    /// Speed over off of the fixed length that suits best.
    private func best(_ machine: Machine, _ text: Text, tokens: Int, requests: Int = 1) -> Double {
        (1...8).map { speed(.fixed($0), over: .off, machine, text, tokens: tokens, requests: requests) }
            .reduce(1, max)
    }

    @Test(arguments: [Text.easy, .turningHard, .turningEasy, .doubting])
    func asFastAsTheBestLengthWhereRowsAreCheap(text: Text) {
        for machine in [Machine.bandwidthBound, .expertBound] {
            let auto = speed(.auto, over: .off, machine, text, tokens: 1024)
            let best = best(machine, text, tokens: 1024)
            #expect(auto > 0.97 * best, "\(machine): \(auto), best \(best)")
        }
    }

    @Test(arguments: [Text.easy, .turningHard, .turningEasy, .doubting])
    func asFastAsPlainDecodingWhereRowsAreDear(text: Text) {
        let machine = Machine.computeBound
        let auto = speed(.auto, over: .off, machine, text, tokens: 256)
        #expect(auto > 0.985, "\(auto)")
    }

    @Test(arguments: [Machine.bandwidthBound, .expertBound, .computeBound])
    func losesLittleWhereDraftsFail(machine: Machine) {
        for tokens in [256, 2048] {
            let auto = speed(.auto, over: .off, machine, .hard, tokens: tokens)
            #expect(auto > 0.98, "\(tokens) tokens: \(auto)")
        }
    }

    @Test func shortAnswersShareWhatWasLearnt() {
        let failing = speed(.auto, over: .off, .computeBound, .hard, tokens: 48, requests: 40)
        #expect(failing > 0.985, "\(failing)")
        let paying = speed(.auto, over: .off, .expertBound, .easy, tokens: 48, requests: 40)
        let best = best(.expertBound, .easy, tokens: 48, requests: 40)
        #expect(paying > 0.97 * best, "\(paying), best \(best)")
    }

    @Test func aLaterRequestDraftsAtOnce() {
        var policy = DraftPolicy(.auto, limit: 8, isGreedy: true)
        #expect(policy.begin(room: 100) == 0)
        var simulation = Simulation(machine: .bandwidthBound, text: .easy, random: SeededGenerator(seed: 3))
        _ = simulation.run(&policy, tokens: 256)
        var later = DraftPolicy(.auto, limit: 8, isGreedy: true, policy.experience)
        #expect(later.begin(room: 100) > 0)
    }

    @Test func fixedLengthsAreObeyed() {
        var policy = DraftPolicy(.fixed(3), limit: 8, isGreedy: true)
        #expect(policy.begin(room: 10) == 3)
        #expect(policy.judge(lead: 0, limit: 3) == .extend)
        #expect(policy.judge(lead: 0, limit: 3) == .extend)
        #expect(policy.judge(lead: 0, limit: 3) == .finish)
        #expect(policy.begin(room: 2) == 2)
        #expect(policy.begin(room: 0) == 0)
        var off = DraftPolicy(.auto, limit: 0, isGreedy: true)
        #expect(off.begin(room: 10) == 0)
    }
}
