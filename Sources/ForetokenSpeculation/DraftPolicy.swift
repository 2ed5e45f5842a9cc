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

/// What a generator has learnt about drafting. It outlives requests, so that only the first has to find out.
package struct DraftExperience {
    fileprivate var costs = DraftCosts()
    fileprivate var greedyOdds = DraftOdds(greedy: true)
    fileprivate var sampledOdds = DraftOdds(greedy: false)
    /// What drafting has really saved lately, in undrafted steps. Drafting stops where it runs out.
    fileprivate var purse = 2.0
    fileprivate var rounds = 0

    package init() {}
}

/// Decides draft by draft whether guessing on pays, from what steps cost here, how often guesses of that confidence have
/// held and how sure the next guess tends to be. It decides speed alone: the output is the same whatever it says.
///
/// An accepted draft saves what a token costs otherwise. A draft earns its row of the verify window while (chance that
/// it and all before it hold) · (cost of a token) exceeds what the row adds to the step; making one pays while the mean
/// of that over the confidences it may turn out to have, further drafts included, exceeds the cost of making it.
package struct DraftPolicy {
    private let mode: DraftMode
    private let limit: Int
    private let isGreedy: Bool
    package private(set) var experience: DraftExperience
    private var tally = Tally()
    private var situation = DraftOdds.Situation.idle
    /// Rounds since the last draft.
    private var idleRounds = 0
    private var requestRounds = 0
    /// Means over the latest rounds: nanoseconds spent, and tokens brought.
    private var spent = 0.0
    private var brought = 1.0
    /// Buckets of this round's drafts, and the chance that all of them hold.
    private var buckets = SIMD8<UInt8>(repeating: 0)
    private var made = 0
    private var chance = 1.0

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

    /// Whether `judge` looks at confidences.
    package var wantsConfidence: Bool { mode == .auto }

    private var costs: DraftCosts { _read { yield experience.costs } }

    private var odds: DraftOdds {
        _read { yield isGreedy ? experience.greedyOdds : experience.sampledOdds }
        _modify {
            if isGreedy { yield &experience.greedyOdds } else { yield &experience.sampledOdds }
        }
    }

    /// Most drafts of the next round, at most `room`.
    package mutating func begin(room: Int) -> Int {
        made = 0
        chance = 1
        switch mode {
        case .off: return 0
        case .fixed(let length): return max(0, min(length, room, limit))
        case .auto: return shouldDraft() ? max(0, min(limit, room, costs.reach)) : 0
        }
    }

    /// First rounds of a generator and of a request, whose times are not believed: caches and workers are waking up.
    private static let warmup = 2
    private static let requestWarmup = 1
    /// Rounds after which undrafted steps are to be timed anew.
    private static let baselineLife = 128
    /// Share of elapsed time that probes may lose.
    private static let probeShare = 0.003
    /// Most steps that past savings allow to be lost again.
    private static let purseLimit = 8.0
    /// Drafts looked ahead; more would change little and cost time.
    private static let foresight = 2

    private func shouldDraft() -> Bool {
        guard costs.hasBaseline, costs.baselineAge < Self.baselineLife else { return false }
        // Undrafted rounds change little; steps of small models are too short to think each time.
        guard idleRounds < 2 || idleRounds % 8 == 0 else { return false }
        let gain = gain(after: situation.rawValue)
        if gain > 0 && experience.purse > 0 { return true }
        // A probe loses at most the making of a draft that is then dropped; where only the purse forbids it, less is likely.
        let first = costs.firstDraft(afterIdle: true)
        let loss = gain > 0 ? first / 3 : min(first, max(-gain, first / 8))
        return Double(idleRounds) * Self.probeShare * costs.step(0) > loss
    }

    /// What a token costs without the drafts in question: a step, or less where drafting already pays.
    private var tokenCost: Double { min(costs.step(0), spent / brought) }

    /// Nanoseconds that making one more draft is expected to save.
    /// - Parameter before: bucket of the draft before it, or a situation's raw value at a round's start.
    private func gain(after before: Int) -> Double {
        gain(after: before, made: made, chance: chance, foresight: Self.foresight, tokenCost: tokenCost)
    }

    private func gain(after before: Int, made: Int, chance: Double, foresight: Int, tokenCost: Double) -> Double {
        guard made < limit else { return 0 }
        var worth = chance * tokenCost * odds.acceptance - costs.row(made)
        if foresight > 1 {
            for bucket in 0..<DraftOdds.bucketCount {
                let chance = chance * odds.acceptance[bucket]
                worth[bucket] += max(
                    0,
                    gain(after: bucket, made: made + 1, chance: chance, foresight: foresight - 1, tokenCost: tokenCost))
            }
        }
        let saving = (odds.next(after: before) * pointwiseMax(worth, SIMD8(repeating: 0))).sum()
        return saving - (made == 0 ? costs.firstDraft(afterIdle: situation == .idle) : costs.laterDraft)
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
        let bucket = DraftOdds.bucket(confidence)
        buckets[made] = UInt8(bucket)
        chance *= odds.acceptance[bucket]
        let worth = chance * tokenCost - costs.row(made)
        made += 1
        let further = made < limit ? gain(after: bucket) : 0
        guard worth + max(0, further) > 0 else { return .drop }
        return further > 0 ? .extend : .finish
    }

    /// Takes what the round took and brought.
    ///
    /// - Parameters:
    ///   - drafted: drafts verified.
    ///   - accepted: drafts that held.
    package mutating func record(drafted: Int, accepted: Int, times: RoundTimes) {
        guard mode == .auto else { return }
        experience.rounds += 1
        requestRounds += 1
        if experience.rounds > Self.warmup && requestRounds > Self.requestWarmup {
            experience.costs.record(drafted: drafted, afterIdle: situation == .idle, times)
        }
        tally.rounds[drafted] += 1
        learn(drafted: drafted, accepted: accepted)
        settle(drafted: drafted, accepted: accepted)
        idleRounds = made == 0 ? idleRounds + 1 : 0
        situation =
            made == 0 ? .idle : accepted == 0 ? .missed : accepted < made ? .partlyHeld : .held
    }

    /// A draft tells something where all before it held, a dropped one nothing of whether it would have.
    private mutating func learn(drafted: Int, accepted: Int) {
        for draft in 0..<min(made, accepted + 1) {
            let bucket = Int(buckets[draft])
            odds.record(bucket, after: draft == 0 ? situation.rawValue : Int(buckets[draft - 1]))
            if draft < drafted { odds.record(bucket, held: draft < accepted) }
        }
    }

    /// Keeps the accounts, in typical times: a round's real ones are too noisy to tell a few percent.
    private mutating func settle(drafted: Int, accepted: Int) {
        let plain = costs.step(0)
        guard costs.hasBaseline else { return }
        var time = costs.step(drafted)
        if made > 0 {
            time += costs.firstDraft(afterIdle: situation == .idle) + Double(made - 1) * costs.laterDraft
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
        let plain = costs.step(0)
        let opening = gain(
            after: situation.rawValue, made: 0, chance: 1, foresight: Self.foresight, tokenCost: tokenCost)
        let share = tally.draftingRounds == 0 ? nil : 1 / Double(tally.draftingRounds)
        return PolicyReport(
            stepNanoseconds: (0...MTPHead.maximumDrafts).map { costs.measured(drafts: $0) },
            firstDraftNanoseconds: costs.measuredFirstDraft, laterDraftNanoseconds: costs.measuredLaterDraft,
            rounds: (0...MTPHead.maximumDrafts).map { tally.rounds[$0] }, draftingRounds: tally.draftingRounds,
            extraSteps: share.map { $0 * tally.extraSteps }, extraTokens: share.map { $0 * Double(tally.accepted) },
            expectedGain: plain == 0 ? nil : opening / plain)
    }
}
