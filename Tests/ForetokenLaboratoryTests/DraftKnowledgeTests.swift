import ForetokenLaboratory
import ForetokenSpeculation
import ForetokenTestSupport
import FoundationEssentials
import Testing

/// What one run knows of an earlier one's drafting.
@Suite struct DraftKnowledgeTests {
    typealias Machine = DraftPolicyTests.Machine
    typealias Text = DraftPolicyTests.Text

    private let lab = DraftPolicyTests()

    /// What is known after texts of 256 tokens.
    private func knowledge(_ machine: Machine, _ text: Text, texts: Int = 4, seed: UInt64 = 1) throws -> DraftKnowledge
    {
        let replay = lab.replay(.auto, machine, seed: seed)
        for number in 0..<texts {
            var random = SeededGenerator(seed: seed * 1000 + UInt64(number))
            try replay.run(lab.record(text, tokens: 256, &random))
        }
        return try #require(replay.experience.knowledge)
    }

    /// Nanoseconds for one text of a run that begins with what is known.
    private func time(
        _ mode: DraftMode, _ machine: Machine, _ text: Text, tokens: Int, _ known: DraftKnowledge? = nil, seed: UInt64
    ) throws -> Double {
        let replay = lab.replay(mode, machine, seed: seed)
        if let known { replay.experience.recall(known) }
        var random = SeededGenerator(seed: seed + 77)
        try replay.run(lab.record(text, tokens: tokens, &random))
        return replay.elapsed
    }

    @Test func itSurvivesBeingWritten() throws {
        let known = try knowledge(.bandwidthBound, .easy)
        #expect(known.fault == nil && known.runs == 1 && known.costs.count == 1)
        let costs = try #require(known.costs.first)
        #expect((1.02...1.15).contains(costs.rows[1]), "two rows take 1.08 steps: \(costs)")
        #expect((0.05...0.1).contains(costs.warmDraft), "a draft takes 0.07 steps: \(costs)")
        let copy = try JSONDecoder().decode(DraftKnowledge.self, from: JSONEncoder().encode(known))
        #expect(copy == known)
        let replay = lab.replay(.auto, .bandwidthBound, seed: 5)
        replay.experience.recall(copy)
        #expect(replay.experience.earlierRuns == 1)
        var random = SeededGenerator(seed: 5)
        try replay.run(lab.record(.easy, tokens: 30, &random))
        #expect(replay.experience.knowledge == nil, "30 tokens teach too little")
        try replay.run(lab.record(.easy, tokens: 400, &random))
        #expect(try #require(replay.experience.knowledge).runs == 2)
    }

    /// Nothing has to be timed first.
    @Test func shortRunsDraftAtOnce() throws {
        let known = try knowledge(.bandwidthBound, .easy)
        func drafted(_ known: DraftKnowledge?) throws -> Int {
            try (0..<20 as Range<UInt64>).reduce(0) { sum, seed in
                let replay = lab.replay(.auto, .bandwidthBound, seed: seed)
                if let known { replay.experience.recall(known) }
                var random = SeededGenerator(seed: seed + 77)
                try replay.run(lab.record(.easy, tokens: 8, &random))
                return sum + replay.telemetry.drafted.reduce(0, +)
            }
        }
        let (fresh, knowing) = (try drafted(nil), try drafted(known))
        #expect(knowing > fresh + fresh / 4, "\(knowing) drafts, \(fresh) without knowledge")
    }

    @Test(arguments: [Machine.bandwidthBound, .expertBound, .computeBound])
    func whatNoLongerHoldsLosesLittle(machine: Machine) throws {
        for known in [try knowledge(.bandwidthBound, .easy), try knowledge(machine, .easy)] {
            let speed = try lab.median { seed in
                try time(.off, machine, .hard, tokens: 256, seed: seed)
                    / time(.auto, machine, .hard, tokens: 256, known, seed: seed)
            }
            #expect(speed > 0.98, "\(speed)")
        }
    }

    /// Drafts that were not worth a row on a slow day are tried again in later runs.
    @Test func badNewsDoesNotLast() throws {
        var known = try knowledge(.computeBound, .hard)
        for _ in 0..<40 {
            let replay = lab.replay(.auto, .bandwidthBound, seed: UInt64(known.runs))
            replay.experience.recall(known)
            var random = SeededGenerator(seed: UInt64(known.runs))
            try replay.run(lab.record(.easy, tokens: 256, &random))
            known = replay.experience.knowledge ?? known
        }
        let loss = try lab.median { seed in
            try time(.auto, .bandwidthBound, .easy, tokens: 256, known, seed: seed)
                / time(.auto, .bandwidthBound, .easy, tokens: 256, seed: seed)
        }
        #expect(loss < 1.01, "\(loss)")
    }

    @Test func impossibleNumbersAreFaults() throws {
        let good = try knowledge(.expertBound, .easy)
        func isFaulty(_ change: (inout DraftKnowledge) -> Void) -> Bool {
            var bad = good
            change(&bad)
            return bad.fault != nil
        }
        #expect(!isFaulty { _ in })
        #expect(isFaulty { $0.version += 1 })
        #expect(isFaulty { $0.runs = 0 })
        #expect(isFaulty { $0.costs[0].span = 10 })
        #expect(isFaulty { $0.costs.append($0.costs[0]) })
        #expect(isFaulty { $0.costs[0].rows.removeLast() })
        #expect(isFaulty { $0.costs[0].rows = [] })
        #expect(isFaulty { $0.costs[0].rows[0] = 0 })
        for number in [-1, 0.5, 1e9, .infinity, .nan] {
            #expect(isFaulty { $0.costs[0].rows[3] = number }, "\(number)")
        }
        for number in [-1, 1e9, .infinity, .nan] {
            #expect(isFaulty { $0.costs[0].laterDraft = number }, "\(number)")
            #expect(isFaulty { $0.greedy.modulesHeld[7] = number }, "\(number)")
            #expect(isFaulty { $0.greedy.modulesSeen[0] = number }, "\(number)")
            #expect(isFaulty { $0.sampled.leads[2] = number }, "\(number)")
            #expect(isFaulty { $0.sampled.leadsSeen = number }, "\(number)")
            #expect(isFaulty { $0.sampled.lookupHeld[19] = number }, "\(number)")
            #expect(isFaulty { $0.sampled.lookupSeen[1] = number }, "\(number)")
        }
        #expect(isFaulty { $0.greedy.leads = .init(repeating: 0, count: 8) })
        #expect(isFaulty { $0.greedy.lookupHeld.append(0.5) })
    }
}
