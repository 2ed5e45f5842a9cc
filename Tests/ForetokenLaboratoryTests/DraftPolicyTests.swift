import ForetokenLaboratory
import ForetokenSpeculation
import ForetokenTestSupport
import Glibc
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

    /// A text of so many tokens behind its prompt, with the drafts that would be made behind each: the same in every mode.
    func record(
        _ text: Text, tokens: Int, prompt: Int = 1, _ random: inout SeededGenerator
    ) -> TextRecord {
        var isPredictable = false
        let depth = 8
        let guesses = (0..<tokens + depth).map { i -> (lead: Float, isRight: Bool) in
            if Double(random.uniform()) < 1 / text.stretch {
                isPredictable = Double(random.uniform()) < text.predictable(Double(i) / Double(tokens))
            }
            let range = isPredictable ? text.sure : text.unsure
            let confidence = range.lowerBound + Double(random.uniform()) * (range.upperBound - range.lowerBound)
            return (Float(-log(1 - confidence)), Double(random.uniform()) < text.held(confidence))
        }
        // Reading the prompt gives one token; the rounds make the others.
        let path = (0..<Int32(tokens + prompt + 1)).map { $0 }
        let chains = (0..<tokens).map { i in
            var chain = Chain(position: i + prompt)
            for d in 0..<depth {
                chain.drafts[d] = guesses[i + d].isRight ? Int32(i + d + prompt + 1) : -1
                chain.leads[d] = guesses[i + d].lead
            }
            return chain
        }
        return TextRecord(
            domain: "", tokens: path, promptCount: prompt, isGiven: false, limit: path.count, depth: depth,
            chains: chains)
    }

    func replay(
        _ mode: DraftMode, _ machine: Machine, looksUp: Bool = false, attention: Double = 0, seed: UInt64
    ) -> PolicyReplay {
        var random = SeededGenerator(seed: seed)
        let draft = machine.step * machine.draft
        let costs = Measurement.StepCosts.made(
            verify: (0..<16).map { machine.step * (1 + Double($0) * machine.row) }, firstDraft: [draft],
            laterDraft: draft, meanContext: 0, bytesPerStep: 0, bandwidth: 0)
        return PolicyReplay(mode, costs, isGreedy: true, looksUp: looksUp, attention: attention) {
            $0 * (random.uniform() < 0.01 ? 5 : 1 + machine.spread * (Double(random.uniform()) - 0.5))
        }
    }

    /// Speed of `mode` over that of `other`: the median over many generators, each of which serves `requests` texts.
    private func speed(
        _ mode: DraftMode, over other: DraftMode, _ machine: Machine, _ text: Text, tokens: Int, requests: Int = 1
    ) throws -> Double {
        func time(_ mode: DraftMode, seed: UInt64) throws -> Double {
            let replay = replay(mode, machine, seed: seed)
            for request in 0..<requests {
                var random = SeededGenerator(seed: seed * 1000 + UInt64(request))
                try replay.run(record(text, tokens: tokens, &random))
            }
            return replay.elapsed
        }
        return try (0..<41 as Range<UInt64>).map { try time(other, seed: $0) / time(mode, seed: $0) }.sorted()[20]
    }

    /// Speed over off of the fixed length that suits best.
    private func best(_ machine: Machine, _ text: Text, tokens: Int, requests: Int = 1) throws -> Double {
        try (1...8).map { try speed(.fixed($0), over: .off, machine, text, tokens: tokens, requests: requests) }
            .reduce(1, max)
    }

    @Test(arguments: [Text.easy, .turningHard, .turningEasy, .doubting])
    func asFastAsTheBestLengthWhereRowsAreCheap(text: Text) throws {
        for machine in [Machine.bandwidthBound, .expertBound] {
            let auto = try speed(.auto, over: .off, machine, text, tokens: 1024)
            let best = try best(machine, text, tokens: 1024)
            #expect(auto > 0.97 * best, "\(machine): \(auto), best \(best)")
        }
    }

    @Test(arguments: [Text.easy, .turningHard, .turningEasy, .doubting])
    func asFastAsPlainDecodingWhereRowsAreDear(text: Text) throws {
        let machine = Machine.computeBound
        let auto = try speed(.auto, over: .off, machine, text, tokens: 256)
        #expect(auto > 0.985, "\(auto)")
    }

    @Test(arguments: [Machine.bandwidthBound, .expertBound, .computeBound])
    func losesLittleWhereDraftsFail(machine: Machine) throws {
        for tokens in [256, 2048] {
            let auto = try speed(.auto, over: .off, machine, .hard, tokens: tokens)
            #expect(auto > 0.98, "\(tokens) tokens: \(auto)")
        }
    }

    /// A text that goes through its prompt again: `copied` of its stretches are the prompt's, the others new.
    private func copy(_ copied: Float, tokens: Int, _ random: inout SeededGenerator) -> TextRecord {
        let prompt = (0..<400).map { _ in Int32.random(in: 0..<3000, using: &random) }
        var path = prompt
        var place = 0
        while path.count < prompt.count + tokens + 2 {
            let length = Int.random(in: 10...60, using: &random)
            if random.uniform() < copied {
                path += (0..<length).map { prompt[(place + $0) % prompt.count] }
                place += length
            } else {
                path += (0..<length).map { _ in Int32.random(in: 0..<3000, using: &random) }
            }
        }
        let depth = 8
        let limit = prompt.count + tokens + 2
        let chains = (prompt.count..<limit - 1).map { position in
            var chain = Chain(position: position)
            for d in 0..<depth where position + d + 1 < limit {
                let confidence = Double(random.uniform())
                chain.leads[d] = Float(-log(1 - confidence))
                if Double(random.uniform()) < confidence { chain.drafts[d] = path[position + d + 1] }
            }
            return chain
        }
        return TextRecord(
            domain: "", tokens: Array(path[..<limit]), promptCount: prompt.count, isGiven: false, limit: limit,
            depth: depth, chains: chains)
    }

    /// Speed over off: the median over many generators.
    private func copySpeed(_ machine: Machine, copied: Float, looksUp: Bool, tokens: Int = 768) throws -> Double {
        func time(_ mode: DraftMode, seed: UInt64) throws -> Double {
            let replay = replay(mode, machine, looksUp: looksUp, seed: seed)
            var random = SeededGenerator(seed: seed)
            try replay.run(copy(copied, tokens: tokens, &random))
            return replay.elapsed
        }
        return try (0..<21 as Range<UInt64>).map { try time(.off, seed: $0) / time(.auto, seed: $0) }.sorted()[10]
    }

    @Test(arguments: [Machine.bandwidthBound, .expertBound, .computeBound])
    func lookUpPaysWhereTextIsCopied(machine: Machine) throws {
        let alone = try copySpeed(machine, copied: 0.9, looksUp: false)
        let both = try copySpeed(machine, copied: 0.9, looksUp: true)
        let most = (1...16).map { Double($0) / (1 + Double($0 - 1) * machine.row) }.reduce(1, max)
        print("copied text: \(alone) without look-up, \(both) with it, at most \(most)")
        #expect(both > 1.05 * alone, "\(both), without look-up \(alone)")
        #expect(both > 0.5 * most, "\(both), at most \(most)")
    }

    @Test(arguments: [Machine.bandwidthBound, .expertBound, .computeBound])
    func lookUpLosesNothingWhereTextIsNew(machine: Machine) throws {
        let alone = try copySpeed(machine, copied: 0, looksUp: false)
        let both = try copySpeed(machine, copied: 0, looksUp: true)
        #expect(both > 0.99 * alone, "\(both), without look-up \(alone)")
    }

    @Test func shortAnswersShareWhatWasLearnt() throws {
        let failing = try speed(.auto, over: .off, .computeBound, .hard, tokens: 48, requests: 40)
        #expect(failing > 0.985, "\(failing)")
        let paying = try speed(.auto, over: .off, .expertBound, .easy, tokens: 48, requests: 40)
        let best = try best(.expertBound, .easy, tokens: 48, requests: 40)
        #expect(paying > 0.97 * best, "\(paying), best \(best)")
    }

    @Test func aLaterRequestDraftsAtOnce() throws {
        let replay = replay(.auto, .bandwidthBound, seed: 3)
        var random = SeededGenerator(seed: 3)
        try replay.run(record(.easy, tokens: 256, &random))
        let undrafted = replay.telemetry.rounds - (replay.telemetry.drafted.first ?? 0)
        #expect(undrafted > 0)
        try replay.run(record(.easy, tokens: 64, &random))
        // The last round may have room for no draft.
        #expect(replay.telemetry.rounds - (replay.telemetry.drafted.first ?? 0) <= undrafted + 1)
    }

    /// Nanoseconds that a generator takes for short texts and texts behind 16,000 tokens in turn, where attention over
    /// these takes a row as long as all else takes a step; or that two generators take, one for each kind.
    private func timeInTurn(
        _ mode: DraftMode, _ machine: Machine, _ text: Text, seed: UInt64, apart: Bool
    ) throws -> Double {
        let attention = machine.step / 16_000
        let generators = (0..<(apart ? 2 : 1)).map { _ in replay(mode, machine, attention: attention, seed: seed) }
        for number in 0..<12 {
            var random = SeededGenerator(seed: seed * 1000 + UInt64(number))
            try generators[number % generators.count].run(
                record(text, tokens: 256, prompt: number % 2 == 0 ? 1 : 16_000, &random))
        }
        return generators.reduce(0) { $0 + $1.elapsed }
    }

    func median(_ ratio: (UInt64) throws -> Double) rethrows -> Double {
        try (0..<11 as Range<UInt64>).map { try ratio($0) }.sorted()[5]
    }

    @Test(arguments: [Machine.bandwidthBound, .expertBound])
    func longAndShortTextsDoNotMisleadEachOther(machine: Machine) throws {
        let speed = try median { seed in
            try timeInTurn(.auto, machine, .easy, seed: seed, apart: true)
                / timeInTurn(.auto, machine, .easy, seed: seed, apart: false)
        }
        #expect(speed > 0.98, "\(speed)")
    }

    @Test(arguments: [Machine.bandwidthBound, .expertBound, .computeBound])
    func textsOfAllLengthsLoseLittleWhereDraftsFail(machine: Machine) throws {
        let speed = try median { seed in
            try timeInTurn(.off, machine, .hard, seed: seed, apart: false)
                / timeInTurn(.auto, machine, .hard, seed: seed, apart: false)
        }
        #expect(speed > 0.985, "\(speed)")
    }

    private func judged(_ policy: inout DraftPolicy, rows: Int) -> DraftVerdict {
        policy.take(Draft(token: 0, lead: 0))
        return policy.judge(limit: 3, rows: rows)
    }

    @Test func fixedLengthsAreObeyed() {
        var policy = DraftPolicy(.fixed(3), limit: 8, isGreedy: true)
        #expect(policy.begin(room: 10) == 3)
        #expect(judged(&policy, rows: 1) == .extend)
        #expect(judged(&policy, rows: 2) == .extend)
        #expect(judged(&policy, rows: 3) == .finish)
        #expect(policy.begin(room: 2) == 2)
        #expect(policy.begin(room: 0) == 0)
        var off = DraftPolicy(.auto, limit: 0, isGreedy: true)
        #expect(off.begin(room: 10) == 0)
    }
}
