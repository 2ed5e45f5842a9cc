import ForetokenSpeculation
import ForetokenTestSupport
import Testing

/// The adaptive policy on machines that do not exist: costs and acceptance are given, so the best choice is known.
@Suite struct DraftPolicyTests {
    /// What steps cost, in nanoseconds.
    struct Machine: Sendable {
        /// One undrafted step.
        var step = 100_000.0
        /// Each further row of a step.
        var row = 10_000.0
        /// Each draft.
        var draft = 7_000.0
        /// A row's confidence is this high with probability `easyShare`, else `hard`. Drafts hold as often as they say.
        var easy: Float = 0.97
        var hard: Float = 0.4
        var easyShare: Float = 0.8
        /// Relative spread of all times; one in fifty takes ten times as long.
        var noise: Float = 0.1
    }

    /// Nanoseconds for `tokens` tokens.
    private func run(_ mode: DraftMode, _ machine: Machine, tokens: Int, seed: UInt64) -> Double {
        var random = SeededGenerator(seed: seed)
        var policy = DraftPolicy(mode, limit: 8)
        func jitter() -> Double {
            random.uniform() < 0.02 ? 10 : 1 + Double(machine.noise * (random.uniform() - 0.5))
        }
        var emitted = 0
        var total = 0.0
        while emitted < tokens {
            let limit = policy.begin(room: tokens - emitted - 1)
            var times = RoundTimes()
            var drafts: [Float] = []
            var made = 0
            loop: while made < limit {
                let confidence = random.uniform() < machine.easyShare ? machine.easy : machine.hard
                made += 1
                let cost = Int64(machine.draft * jitter())
                times.drafting += cost
                if made > 1 {
                    times.laterDrafts += cost
                    times.laterDraftCount += 1
                }
                switch policy.judge(confidence: confidence, limit: limit) {
                case .extend: drafts.append(confidence)
                case .finish:
                    drafts.append(confidence)
                    break loop
                case .drop: break loop
                }
            }
            times.verifying = Int64((machine.step + Double(drafts.count) * machine.row) * jitter())
            let accepted = drafts.firstIndex { random.uniform() >= $0 } ?? drafts.count
            policy.record(drafted: drafts.count, accepted: accepted, limit: limit, times: times)
            total += Double(times.drafting + times.verifying)
            emitted += accepted + 1
        }
        return total / Double(emitted)
    }

    /// Median over seeds of time per token against another mode's.
    private func ratio(_ mode: DraftMode, to other: DraftMode, _ machine: Machine, tokens: Int = 512) -> Double {
        let ratios = (0..<31 as Range<UInt64>).map {
            run(mode, machine, tokens: tokens, seed: $0) / run(other, machine, tokens: tokens, seed: $0)
        }
        return ratios.sorted()[15]
    }

    @Test func draftsWhereItPays() {
        // Bandwidth-bound: rows and drafts are cheap.
        let machine = Machine()
        let best = (1...8).map { ratio(.fixed($0), to: .off, machine) }.min()!
        let auto = ratio(.auto, to: .off, machine)
        #expect(auto < 0.6)
        #expect(auto < best * 1.08)
    }

    @Test func choosesDepthByCost() {
        // Like a large mixture of experts: each further row wakes other experts.
        let machine = Machine(row: 45_000, draft: 7_000)
        let best = (1...8).map { ratio(.fixed($0), to: .off, machine) }.min()!
        #expect(ratio(.auto, to: .off, machine) < min(0.98, best * 1.06))
    }

    @Test(arguments: [
        // Rows as dear as steps; good drafts cannot help.
        Machine(row: 95_000, draft: 30_000),
        // Cheap rows, but drafts that never hold.
        Machine(row: 30_000, draft: 40_000, easy: 0.1, hard: 0.05, easyShare: 0.5),
    ])
    func neverMuchSlowerWhereItLoses(machine: Machine) {
        #expect(ratio(.auto, to: .off, machine, tokens: 256) < 1.03)
        #expect(ratio(.auto, to: .off, machine, tokens: 2048) < 1.02)
    }

    @Test func fixedLengthsAreObeyed() {
        var policy = DraftPolicy(.fixed(3), limit: 8)
        #expect(policy.begin(room: 10) == 3)
        #expect(policy.judge(confidence: 0, limit: 3) == .extend)
        #expect(policy.judge(confidence: 0, limit: 3) == .extend)
        #expect(policy.judge(confidence: 0, limit: 3) == .finish)
        #expect(policy.begin(room: 2) == 2)
        #expect(policy.begin(room: 0) == 0)
        var off = DraftPolicy(.auto, limit: 0)
        #expect(off.begin(room: 10) == 0)
    }
}
