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
enum DraftVerdict {
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
/// making it. Whether to draft at all follows from the measured net gain of whole rounds.
struct DraftPolicy {
    private let mode: DraftMode
    private let limit: Int
    private var costs = RoundCosts()
    private var calibration = Calibration()
    /// Mean time saved by a drafting round against undrafted steps, in nanoseconds.
    private var gain = 0.0
    private var draftingRounds = 0
    private var undraftedRounds = 0
    private var probeRoundsLeft = 0
    /// Buckets of this round's drafts, and the chance that all of them hold.
    private var buckets = SIMD8<Int32>(repeating: 0)
    private var made = 0
    private var chance = 1.0

    init(_ mode: DraftMode, limit: Int) {
        self.limit = limit
        self.mode = limit == 0 ? .off : mode
    }

    /// Whether hidden rows have to be kept for drafting at all.
    var mayDraft: Bool { mode != .off }

    /// Whether `judge` looks at confidences.
    var wantsConfidence: Bool { mode == .auto }

    /// Most drafts of the next round, at most `room`.
    mutating func begin(room: Int) -> Int {
        made = 0
        chance = 1
        switch mode {
        case .off: return 0
        case .fixed(let length): return max(0, min(length, room, limit))
        case .auto: return shouldDraft() ? max(0, min(limit, room)) : 0
        }
    }

    /// Rounds that draft before anything is decided.
    private static let trialRounds = 8
    /// Rounds of one probe while drafting is off.
    private static let probeRounds = 2
    /// Share of elapsed time that probes may lose.
    private static let probeBudget = 0.008
    /// Drafting rounds between two undrafted ones that keep the baseline current.
    private static let baselineInterval = 64

    private mutating func shouldDraft() -> Bool {
        guard costs.verify(0) > 0 else { return draftingRounds >= 1 ? false : true }
        if draftingRounds < Self.trialRounds { return true }
        if probeRoundsLeft > 0 {
            probeRoundsLeft -= 1
            return true
        }
        if gain > 0 {
            undraftedRounds += 1
            guard undraftedRounds > Self.baselineInterval else { return true }
            undraftedRounds = 0
            return false
        }
        undraftedRounds += 1
        let loss = Double(Self.probeRounds) * -gain
        guard Double(undraftedRounds) > max(32, loss / (Self.probeBudget * costs.verify(0))) else { return false }
        undraftedRounds = 0
        probeRoundsLeft = Self.probeRounds - 1
        return true
    }

    /// Judges draft number `made + 1` of the round.
    /// - Parameter confidence: the draft's own probability.
    mutating func judge(confidence: Float, limit: Int) -> DraftVerdict {
        let bucket = Calibration.bucket(confidence)
        buckets[made] = Int32(bucket)
        guard mode == .auto, costs.verify(0) > 0 else {
            made += 1
            return made < (mode == .auto ? 1 : limit) ? .extend : .finish
        }
        let saved = costs.verify(0)
        chance *= calibration.acceptance(bucket)
        // The very first rounds measure what a row costs.
        guard chance * saved > costs.verify(made + 1) - costs.verify(made) || draftingRounds < 2 else { return .drop }
        made += 1
        guard made < limit else { return .finish }
        let nextRow = costs.verify(made + 1) - costs.verify(made)
        return chance * calibration.following(bucket) * saved > nextRow + costs.nextDraft ? .extend : .finish
    }

    /// Takes what the round took and brought.
    /// - Parameters:
    ///   - drafted: drafts verified.
    ///   - tokens: tokens emitted.
    ///   - limit: what `begin` said.
    mutating func record(drafted: Int, accepted: Int, limit: Int, times: RoundTimes) {
        guard mode == .auto else { return }
        costs.record(drafted: drafted, times)
        guard limit > 0 else { return }
        draftingRounds += 1
        for draft in 0..<min(drafted, accepted + 1) {
            calibration.record(
                Int(buckets[draft]), held: draft < accepted, after: draft > 0 ? Int(buckets[draft - 1]) : nil)
        }
        guard costs.verify(0) > 0 else { return }
        let spent = min(Double(times.drafting + times.verifying), 4 * costs.verify(0))
        let net = Double(accepted + 1) * costs.verify(0) - spent
        gain += (net - gain) / (draftingRounds < 16 ? 4 : 16)
    }
}

/// What the parts of one round took, in nanoseconds.
struct RoundTimes {
    /// Catch-up and all drafts.
    var drafting: Int64 = 0
    /// Of that, the drafts after the first.
    var laterDrafts: Int64 = 0
    /// How many drafts after the first were made.
    var laterDraftCount = 0
    /// The verify step.
    var verifying: Int64 = 0
}

/// Running means of what steps cost.
private struct RoundCosts {
    /// Verify step by number of drafts; 0 while unmeasured.
    private var steps = SIMD16<Double>(repeating: 0)
    /// One draft after the first; 0 while unmeasured.
    private var laterDraft = 0.0
    private var firstDraft = 0.0

    /// Nanoseconds of a verify step with `drafts` drafts. An unmeasured width costs as much more than its neighbour as
    /// the neighbour did than its own.
    func verify(_ drafts: Int) -> Double {
        guard drafts > 0, steps[drafts] == 0 else { return steps[drafts] }
        let below = verify(drafts - 1)
        return below + (drafts > 1 ? max(0, below - verify(drafts - 2)) : 0.3 * below)
    }

    /// Nanoseconds of making one more draft.
    var nextDraft: Double { laterDraft > 0 ? laterDraft : firstDraft }

    mutating func record(drafted: Int, _ times: RoundTimes) {
        let bound = drafted > 1 ? 1.5 * verify(drafted) : .infinity
        Self.blend(&steps[drafted], Double(times.verifying), firstBound: bound)
        if times.laterDraftCount > 0 {
            let each = Double(times.laterDrafts) / Double(times.laterDraftCount)
            Self.blend(&laterDraft, each, firstBound: 1.5 * nextDraft)
        }
        if times.drafting > 0 { Self.blend(&firstDraft, Double(times.drafting - times.laterDrafts), firstBound: .infinity) }
    }

    /// A running mean that one preempted step cannot spoil, not even when it is the first.
    private static func blend(_ mean: inout Double, _ sample: Double, firstBound: Double) {
        mean = mean == 0 ? min(sample, firstBound) : mean + (min(sample, 2 * mean) - mean) / 8
    }
}

/// How often drafts of a given confidence hold, learnt while running.
private struct Calibration {
    static let bucketCount = 8
    private var held = SIMD8<Double>(0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.85, 0.95)
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
        if let previous { next[previous] += (hit - next[previous]) / 16 }
    }
}
