import ForetokenModel

/// How many tokens a round drafts.
public enum DraftMode: Sendable, Equatable {
    /// None: plain decoding.
    case off
    /// Always this many (1...8), unless fewer can still be emitted.
    case fixed(Int)
    /// What measured times and measured acceptance make fastest, draft by draft; zero is a choice.
    case auto
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

/// Decides draft by draft whether guessing on pays, from what steps cost here and how often guesses of that confidence
/// have held. It decides speed alone: the output is the same whatever it says.
///
/// An accepted draft saves one undrafted step. So a draft earns its verify row while (chance that it and all before it
/// hold) · (undrafted step) exceeds what the row adds to the step, and the next one is made while that also covers
/// making it. Whether to draft at all follows from what whole rounds are expected to save.
package struct DraftPolicy {
    private let mode: DraftMode
    private let limit: Int
    private var costs = RoundCosts()
    private var calibration = Calibration()
    /// Mean expected saving of a drafting round against undrafted steps, in nanoseconds.
    private var gain = 0.0
    private var rounds = 0
    private var draftingRounds = 0
    /// Tokens expected of the trial's drafting rounds.
    private var trialTokens = 0.0
    /// Rounds since the last excursion to the other kind.
    private var steadyRounds = 0
    /// Share of elapsed time that the next probe may lose.
    private var probeShare = firstProbeBudget
    /// Rounds to go of a probe, or of a refreshed baseline.
    private var excursionLeft = 0
    /// Whether the round is of another kind than the one before: its times tell of cold caches, not of the kind.
    private var hasTurned = false
    private var wasDrafting = false
    /// Buckets of this round's drafts, and the chance that all of them hold.
    private var buckets = SIMD8<Int32>(repeating: 0)
    private var made = 0
    private var chance = 1.0
    private var expectedTokens = 1.0

    package init(_ mode: DraftMode, limit: Int) {
        self.limit = limit
        self.mode = limit == 0 ? .off : mode
    }

    /// Whether hidden rows have to be kept for drafting at all.
    package var mayDraft: Bool { mode != .off }

    /// Whether `judge` looks at confidences.
    package var wantsConfidence: Bool { mode == .auto }

    /// Most drafts of the next round, at most `room`.
    package mutating func begin(room: Int) -> Int {
        made = 0
        chance = 1
        expectedTokens = 1
        switch mode {
        case .off: return 0
        case .fixed(let length): return max(0, min(length, room, limit))
        case .auto: return shouldDraft() ? max(0, min(limit, room)) : 0
        }
    }

    /// First rounds, whose times are not believed: caches and workers are still waking up.
    private static let warmupRounds = 2
    /// Drafting rounds, and all rounds, before anything is decided.
    private static let trialDrafting = 4
    private static let trialRounds = 7
    /// Rounds of a probe while drafting is off, or of a refreshed baseline while it is on.
    private static let excursionRounds = 3
    /// Share of elapsed time that probes may lose.
    private static let probeBudget = 0.004
    /// Fewest drafting rounds between two baselines, and undrafted ones between two probes.
    private static let baselineGap = 64.0
    private static let probeGap = 32.0
    /// Share of elapsed time that the first probe may lose; every probe that fails halves the share, down to the budget.
    /// The beginning of a text says little about the rest of it.
    private static let firstProbeBudget = 0.008

    private mutating func shouldDraft() -> Bool {
        rounds += 1
        let drafts = isDraftingRound()
        hasTurned = drafts != wasDrafting
        wasDrafting = drafts
        return drafts
    }

    private mutating func isDraftingRound() -> Bool {
        if rounds <= Self.trialRounds { return rounds <= Self.trialDrafting }
        if excursionLeft > 0 {
            excursionLeft -= 1
            return wasDrafting
        }
        let pays = gain > 0
        steadyRounds += 1
        if pays { probeShare = Self.firstProbeBudget }
        // A baseline costs what drafting would have saved meanwhile, a probe what it loses.
        let share = pays ? Self.probeBudget : probeShare
        let gap = Double(Self.excursionRounds) * abs(gain) / (share * max(1, costs.verify(0)))
        guard Double(steadyRounds) > max(pays ? Self.baselineGap : Self.probeGap, gap) else { return pays }
        steadyRounds = 0
        excursionLeft = Self.excursionRounds - 1
        if !pays {
            probeShare = max(Self.probeBudget, probeShare / 2)
            // What the probe finds counts for more than what was found before.
            draftingRounds = min(draftingRounds, 2)
        }
        return !pays
    }

    /// Judges the draft just made.
    ///
    /// - Parameters:
    ///   - confidence: the draft's own probability.
    ///   - limit: most drafts of this round.
    package mutating func judge(confidence: Float, limit: Int) -> DraftVerdict {
        guard mode == .auto else {
            made += 1
            return made < limit ? .extend : .finish
        }
        let bucket = Calibration.bucket(confidence)
        buckets[made] = Int32(bucket)
        chance *= calibration.acceptance(bucket)
        let saved = costs.verify(0)
        // The trial and probes are there to learn: what is known may be old, so they verify a draft in any case.
        guard rounds > Self.trialRounds, gain > 0 else {
            made += 1
            expectedTokens += chance
            return .finish
        }
        guard chance * saved > costs.verify(made + 1) - costs.verify(made) else { return .drop }
        made += 1
        expectedTokens += chance
        guard made < limit else { return .finish }
        let nextRow = costs.verify(made + 1) - costs.verify(made)
        return chance * calibration.following(bucket) * saved > nextRow + costs.nextDraft ? .extend : .finish
    }

    /// Takes what the round took and brought.
    ///
    /// - Parameters:
    ///   - drafted: drafts verified.
    ///   - accepted: drafts that held.
    ///   - limit: what `begin` said.
    package mutating func record(drafted: Int, accepted: Int, limit: Int, times: RoundTimes) {
        guard mode == .auto else { return }
        let isTypical = rounds > Self.warmupRounds && !hasTurned
        if isTypical { costs.record(drafted: drafted, times) }
        guard limit > 0 else {
            if rounds == Self.trialRounds { settleTrial() }
            return
        }
        for draft in 0..<min(drafted, accepted + 1) {
            calibration.record(
                Int(buckets[draft]), held: draft < accepted, after: draft > 0 ? Int(buckets[draft - 1]) : nil)
        }
        if rounds <= Self.trialRounds { trialTokens += expectedTokens }
        guard isTypical, costs.verify(0) > 0 else { return }
        // Expected tokens and typical times: a round's real ones are too noisy to tell a few percent.
        draftingRounds += 1
        let spent = costs.verify(drafted) + costs.drafting(times.laterDraftCount)
        let saving = expectedTokens * costs.verify(0) - spent
        gain += (saving - gain) / Double(min(draftingRounds, 8))
    }
}

extension DraftPolicy {
    /// The first estimate of what drafting saves, once both kinds of rounds have been timed.
    private mutating func settleTrial() {
        let tokens = trialTokens / Double(Self.trialDrafting)
        gain = tokens * costs.verify(0) - costs.verify(1) - costs.drafting(0)
        draftingRounds = 2
    }
}

/// What the parts of one round took, in nanoseconds.
package struct RoundTimes {
    /// Catch-up and all drafts.
    package var drafting: Int64 = 0
    /// Of that, the drafts after the first.
    package var laterDrafts: Int64 = 0
    /// How many drafts after the first were made.
    package var laterDraftCount = 0
    /// The verify step.
    package var verifying: Int64 = 0

    package init() {}
}

/// What steps typically cost: medians of the newest samples, which a preempted step does not move.
private struct RoundCosts {
    /// Verify steps by number of drafts.
    private var steps = [Recent](repeating: Recent(), count: MTPHead.maximumDrafts + 1)
    private var firstDraft = Recent()
    private var laterDraft = Recent()

    /// Nanoseconds of a verify step with `drafts` drafts; 0 before any is measured. An unmeasured width costs as much
    /// more than its neighbour as the neighbour did than its own.
    func verify(_ drafts: Int) -> Double {
        var time = steps[0].median
        var increment = 0.3 * time
        for width in 1..<max(1, min(drafts, MTPHead.maximumDrafts) + 1) {
            let measured = steps[width].median
            let next = measured > 0 ? measured : time + increment
            increment = max(0, next - time)
            time = next
        }
        return time
    }

    /// Nanoseconds of making one more draft.
    var nextDraft: Double { laterDraft.median > 0 ? laterDraft.median : firstDraft.median }

    /// Nanoseconds of catch-up, the first draft and `later` more.
    func drafting(_ later: Int) -> Double { firstDraft.median + Double(later) * nextDraft }

    mutating func record(drafted: Int, _ times: RoundTimes) {
        steps[drafted].add(Double(times.verifying))
        if times.drafting > 0 { firstDraft.add(Double(times.drafting - times.laterDrafts)) }
        if times.laterDraftCount > 0 { laterDraft.add(Double(times.laterDrafts) / Double(times.laterDraftCount)) }
    }
}

/// The newest five samples of something.
private struct Recent {
    private var samples = SIMD8<Double>(repeating: .infinity)
    private var next = 0
    private var count = 0
    /// The middle sample, the lower one of two; 0 without samples.
    private(set) var median = 0.0

    private static let capacity = 5

    mutating func add(_ sample: Double) {
        samples[next] = sample
        next = (next + 1) % Self.capacity
        count = min(count + 1, Self.capacity)
        var sorted = samples
        for i in 1..<count {
            var j = i
            while j > 0 && sorted[j] < sorted[j - 1] {
                (sorted[j], sorted[j - 1]) = (sorted[j - 1], sorted[j])
                j -= 1
            }
        }
        median = sorted[(count - 1) / 2]
    }
}

/// How often drafts of a given confidence hold, learnt while running.
private struct Calibration {
    static let bucketCount = 8
    private var held = SIMD8<Double>(0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.85, 0.96)
    /// How often the draft after one of that confidence holds, given that that one held.
    private var next = SIMD8<Double>(0.4, 0.4, 0.5, 0.5, 0.6, 0.65, 0.7, 0.8)

    /// Confidences bunch near 1, so the buckets narrow towards it.
    static func bucket(_ confidence: Float) -> Int {
        switch confidence {
        case ..<0.15: 0
        case ..<0.3: 1
        case ..<0.45: 2
        case ..<0.6: 3
        case ..<0.75: 4
        case ..<0.88: 5
        case ..<0.97: 6
        default: 7
        }
    }

    func acceptance(_ bucket: Int) -> Double { held[bucket] }

    func following(_ bucket: Int) -> Double { next[bucket] }

    mutating func record(_ bucket: Int, held: Bool, after previous: Int?) {
        let hit = held ? 1.0 : 0.0
        self.held[bucket] += (hit - self.held[bucket]) / 16
        if let previous { next[previous] += (hit - next[previous]) / 24 }
    }
}
