import ForetokenModel

/// How many tokens a round drafts.
public enum DraftMode: Sendable, Equatable {
    /// None: plain decoding.
    case off
    /// Always this many (1...8), unless fewer can still be emitted.
    case fixed(Int)
    /// What measured times and measured acceptance make fastest, draft by draft; zero is a choice.
    case auto

    /// The spelling of the command line.
    public var name: String {
        switch self {
        case .auto: "auto"
        case .off: "off"
        case .fixed(let count): "\(count)"
        }
    }
}

/// What becomes of a draft just made.
package enum DraftVerdict {
    /// Verify it, and make another.
    case extend
    /// Verify it; another would not pay.
    case finish
    /// Not worth a row of the verify window; nor is anything after it.
    case drop
}

/// What has been learnt about drafting, from all texts. It outlives requests, so that only the first has to find out.
package final class DraftExperience {
    fileprivate var costs = DraftCosts()
    fileprivate var greedyOdds = DraftOdds(greedy: true)
    fileprivate var sampledOdds = DraftOdds(greedy: false)
    /// What drafting has really saved lately, in undrafted steps. Drafting stops where it runs out.
    fileprivate var purse = 1.0

    package init() {}

    /// Takes what a round took, before its texts record what it brought.
    ///
    /// - Parameters:
    ///   - rows: rows of the verify step.
    ///   - texts: texts in it.
    package func record(rows: Int, texts: Int, _ times: RoundTimes) {
        costs.record(rows: rows, texts: texts, times)
    }
}

/// Decides draft by draft whether guessing on pays, from what steps cost here, how often guesses of that lead have held
/// and how large leads tend to be. It decides speed alone: the output is the same whatever it says.
///
/// An accepted draft saves what a token costs otherwise. A draft earns its row of the verify window while (chance that
/// it and all before it hold) · (cost of a token) exceeds what the row adds to the step; making one pays while the mean
/// of that over the leads it may turn out to have, further drafts included, exceeds the cost of making it.
package struct DraftPolicy {
    private let mode: DraftMode
    private let limit: Int
    private let isGreedy: Bool
    package let experience: DraftExperience
    private var tally = Tally()
    /// Rounds since the last draft.
    private var idleRounds = 1
    private var requestRounds = 0
    /// Means over the latest rounds: nanoseconds spent, and tokens brought.
    private var spent = 0.0
    private var brought = 1.0
    /// Drafts made in this round, their buckets, and the chance that all of them hold.
    package private(set) var made = 0
    private var buckets = SIMD8<UInt8>(repeating: 0)
    package private(set) var chance = 1.0
    /// Texts of the round, and rows of its step before the newest draft, less one.
    private var texts = 1
    private var before = 0

    /// - Parameters:
    ///   - limit: most drafts that can be made; 0 where nothing can draft.
    ///   - isGreedy: whether tokens are the likeliest rather than drawn.
    package init(_ mode: DraftMode, limit: Int, isGreedy: Bool, _ experience: DraftExperience = DraftExperience()) {
        self.limit = limit
        self.mode = limit == 0 ? .off : mode
        self.isGreedy = isGreedy
        self.experience = experience
    }

    /// Whether hidden rows have to be kept for drafting at all.
    package var mayDraft: Bool { mode != .off }

    private var costs: DraftCosts { _read { yield experience.costs } }

    private var odds: DraftOdds {
        _read { yield isGreedy ? experience.greedyOdds : experience.sampledOdds }
        nonmutating _modify {
            if isGreedy { yield &experience.greedyOdds } else { yield &experience.sampledOdds }
        }
    }

    /// Whether times are worth recording.
    var learns: Bool { mode == .auto }

    /// Whether the text's first rounds are behind it.
    package var isAwake: Bool { !learns || requestRounds >= Self.warmup }

    /// Whether the last round made no draft.
    var isIdle: Bool { idleRounds > 0 }

    /// Most drafts of the next round, at most `room`.
    /// - Parameter texts: texts of the round.
    package mutating func begin(room: Int, texts: Int = 1) -> Int {
        made = 0
        chance = 1
        self.texts = texts
        before = texts - 1
        switch mode {
        case .off: return 0
        case .fixed(let length): return max(0, min(length, room, limit))
        case .auto: return shouldDraft() ? max(0, min(limit, room, costs.reach)) : 0
        }
    }

    /// First rounds of a request, whose times are not believed: caches and workers are waking up.
    private static let warmup = 1
    /// Share of elapsed time that probes may lose.
    private static let probeShare = 0.005
    /// Most steps that past savings allow to be lost again.
    private static let purseLimit = 8.0
    /// Rounds that drafting is thought to go on for once begun: so many share the cost of beginning.
    private static let stretch = 8.0
    /// Undrafted steps that drafting in a round has to be expected to save, at least.
    private static let leastGain = 0.01
    /// Drafts looked ahead; more would change little and cost time.
    private static let foresight = 2

    private func shouldDraft() -> Bool {
        guard !costs.wantsBaseline(texts: texts) else { return false }
        // Undrafted rounds change little; steps of small models are too short to think each time.
        guard idleRounds < 16 || idleRounds % 8 == 0 else { return false }
        if expectedGain > Self.leastGain * plain && experience.purse > 0 { return true }
        return Double(idleRounds) * Self.probeShare * plain > costs.firstDraft(afterIdle: true)
    }

    /// What a token costs without drafts: the text's share of a step.
    private var plain: Double { costs.step(rows: texts) / Double(texts) }

    /// What a token costs without the drafts in question: a share of a step, or less where drafting already pays.
    private var tokenCost: Double { spent == 0 ? plain : min(plain, spent / brought) }

    /// Nanoseconds that drafting in the next round is expected to save.
    private var expectedGain: Double {
        let saving = saving(made: 0, chance: 1, foresight: Self.foresight, odds.acceptance, tokenCost)
        let warm = costs.firstDraft(afterIdle: false)
        guard idleRounds > 0 else { return saving - warm }
        return saving - warm - max(0, costs.firstDraft(afterIdle: true) - warm) / Self.stretch
    }

    /// Nanoseconds that the next draft is expected to save, those behind it included, its own cost not.
    private func saving(
        made: Int, chance: Double, foresight: Int, _ acceptance: SIMD8<Double>, _ tokenCost: Double
    ) -> Double {
        guard made < limit else { return 0 }
        var worth = chance * tokenCost * acceptance - costs.row(behind: before + 1 + made - self.made)
        if foresight > 1 {
            for bucket in 0..<DraftOdds.bucketCount {
                let further = saving(
                    made: made + 1, chance: chance * acceptance[bucket], foresight: foresight - 1, acceptance, tokenCost
                )
                worth[bucket] += max(0, further - costs.laterDraft)
            }
        }
        return (odds.shares * pointwiseMax(worth, SIMD8(repeating: 0))).sum()
    }

    /// Judges the draft just made.
    ///
    /// - Parameters:
    ///   - lead: by how much the draft's score surpasses the second best.
    ///   - limit: most drafts of this round.
    ///   - rows: rows of the step before this draft, all texts'.
    package mutating func judge(lead: Float, limit: Int, rows: Int) -> DraftVerdict {
        guard mode == .auto else {
            made += 1
            return made < limit ? .extend : .finish
        }
        let bucket = DraftOdds.bucket(lead: lead)
        let acceptance = odds.acceptance
        buckets[made] = UInt8(bucket)
        chance *= acceptance[bucket]
        before = rows - 1
        let worth = chance * tokenCost - costs.row(behind: before + 1)
        made += 1
        before += 1
        var further = 0.0
        if made < limit {
            further =
                saving(made: made, chance: chance, foresight: Self.foresight, acceptance, tokenCost) - costs.laterDraft
        }
        guard worth + max(0, further) > 0 else { return .drop }
        return further > 0 ? .extend : .finish
    }

    /// Takes what the round brought.
    ///
    /// - Parameters:
    ///   - drafted: drafts verified.
    ///   - accepted: drafts that held.
    ///   - emitted: tokens the round brought: one more, unless the text ended on an accepted draft. Nobody knows then of the
    ///     next draft.
    ///   - droppedHeld: whether the dropped draft would have held; nil if there is none or nobody knows.
    package mutating func record(drafted: Int, accepted: Int, emitted: Int, droppedHeld: Bool?) {
        guard mode == .auto else { return }
        requestRounds += 1
        tally.rounds[drafted] += 1
        for draft in 0..<min(drafted, emitted) { odds.record(Int(buckets[draft]), held: draft < accepted) }
        if let droppedHeld { odds.record(Int(buckets[drafted]), held: droppedHeld) }
        settle(drafted: drafted, accepted: accepted)
        idleRounds = made == 0 ? idleRounds + 1 : 0
    }

    /// Keeps the accounts, in typical times: a round's real ones are too noisy to tell a few percent.
    private mutating func settle(drafted: Int, accepted: Int) {
        let plain = plain
        guard costs.hasBaseline(texts: texts) else { return }
        var time = plain + costs.step(rows: texts + drafted) - costs.step(rows: texts)
        if made > 0 {
            time += costs.firstDraft(afterIdle: idleRounds > 0) + Double(made - 1) * costs.laterDraft
            tally.add(accepted: accepted, extraSteps: time / plain - 1)
        }
        if spent == 0 { spent = plain }
        spent += (time - spent) / 32
        brought += (Double(1 + accepted) - brought) / 32
        let saved = Double(1 + accepted) - time / plain
        experience.purse = min(Self.purseLimit, experience.purse + saved + Self.probeShare)
    }
}

extension DraftPolicy {
    /// Counts of one request.
    private struct Tally {
        /// Rounds by number of drafts verified.
        var rounds = InlineArray<9, Int>(repeating: 0)
        var draftingRounds = 0
        var accepted = 0
        var extraSteps = 0.0

        mutating func add(accepted: Int, extraSteps: Double) {
            draftingRounds += 1
            self.accepted += accepted
            self.extraSteps += extraSteps
        }
    }

    /// What was found and done so far; nil unless adaptive.
    var report: PolicyReport? {
        guard mode == .auto else { return nil }
        let plain = costs.step(rows: 1)
        let share = tally.draftingRounds == 0 ? nil : 1 / Double(tally.draftingRounds)
        return PolicyReport(
            stepNanoseconds: (1...MTPHead.maximumDrafts + 1).map { costs.measured(rows: $0) },
            firstDraftNanoseconds: costs.measuredFirstDraft, laterDraftNanoseconds: costs.measuredLaterDraft,
            rounds: (0...MTPHead.maximumDrafts).map { tally.rounds[$0] }, draftingRounds: tally.draftingRounds,
            extraSteps: share.map { $0 * tally.extraSteps }, extraTokens: share.map { $0 * Double(tally.accepted) },
            expectedGain: plain == 0 ? nil : expectedGain / plain)
    }
}
