import ForetokenModel

/// How many tokens a round drafts.
public enum DraftMode: Sendable, Equatable {
    /// None: plain decoding.
    case off
    /// Always this many (1...15), unless fewer can still be emitted or no source has more.
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

/// Decides draft by draft whether guessing on pays and who is to guess, from what steps cost here, how often guesses of
/// that lead, or found by such a match, have held and how large leads tend to be. It decides speed alone: the output is the
/// same whatever it says.
///
/// An accepted draft saves what a token costs otherwise. A draft earns its row of the verify window while (chance that
/// it and all before it hold) · (cost of a token) exceeds what the row adds to the step; making one pays while the mean
/// of that over the leads it may turn out to have, further drafts included, exceeds the cost of making it. What look-up
/// finds costs nothing to make and is known beforehand. Once it has given a draft, only it can go on in that round.
package struct DraftPolicy {
    private let mode: DraftMode
    /// Most drafts of a round, of the modules and of all sources.
    private let moduleLimit: Int
    private let limit: Int
    /// Whether drafts are looked up in the text.
    let looksUp: Bool
    let isGreedy: Bool
    package let experience: DraftExperience
    private var tally = Tally()
    /// Rounds since the modules' last draft.
    private var idleRounds = 1
    private var requestRounds = 0
    /// Means over the latest rounds: nanoseconds spent, and tokens brought.
    private var spent = 0.0
    private var brought = 1.0
    /// Drafts made in this round, their buckets, and the chance that all of them hold.
    package private(set) var made = 0
    private var buckets = SIMD16<UInt8>(repeating: 0)
    /// Buckets of look-up's odds that go by what the modules say, one more than that; 0 for other drafts.
    private var agreements = SIMD16<UInt8>(repeating: 0)
    package private(set) var chance = 1.0
    /// How many of them the modules made: the first ones.
    package private(set) var madeByModules = 0
    /// Where the next draft is to come from.
    package private(set) var origin = DraftOrigin.module
    /// Whether the newest module draft was what look-up had found.
    private var agrees = false
    /// What sampling adds to the score of the token found; 0 means nothing where drawing is greedy.
    var noise: Float = 0
    /// Texts of the round, and rows of its step before the newest draft, less one.
    private var texts = 1
    private var before = 0

    /// - Parameters:
    ///   - limit: most drafts that modules can make; 0 where there are none.
    ///   - lookup: most drafts of a round where they are looked up as well, at most 15; 0 where they are not.
    ///   - isGreedy: whether tokens are the likeliest rather than drawn.
    package init(
        _ mode: DraftMode, limit: Int, lookup: Int = 0, isGreedy: Bool,
        _ experience: DraftExperience = DraftExperience()
    ) {
        moduleLimit = limit
        self.limit = max(limit, lookup)
        self.mode = self.limit == 0 ? .off : mode
        looksUp = lookup > 0 && mode != .off
        self.isGreedy = isGreedy
        self.experience = experience
    }

    /// What a request asks for.
    /// - Parameter hasModules: whether modules can draft.
    init(_ request: GenerationRequest, hasModules: Bool, _ experience: DraftExperience) {
        self.init(
            request.draft, limit: hasModules && request.sources.usesModules ? MTPHead.maximumDrafts : 0,
            lookup: request.sources.looksUp ? Step.windowRows - 1 : 0, isGreedy: request.sampling.isGreedy, experience)
    }

    /// Whether hidden rows have to be kept for the modules.
    package var keepsRows: Bool { mode != .off && moduleLimit > 0 }

    private var costs: DraftCosts { _read { yield experience.costs } }

    private var odds: DraftOdds {
        _read { yield isGreedy ? experience.greedyOdds : experience.sampledOdds }
        nonmutating _modify {
            if isGreedy { yield &experience.greedyOdds } else { yield &experience.sampledOdds }
        }
    }

    private var lookupOdds: LookupOdds {
        _read { yield isGreedy ? experience.greedyLookup : experience.sampledLookup }
        nonmutating _modify {
            if isGreedy { yield &experience.greedyLookup } else { yield &experience.sampledLookup }
        }
    }

    /// Takes note whether what was found for a token's place was that token.
    func learn(_ found: LookupMatch, held: Bool) {
        guard learns else { return }
        lookupOdds.record(LookupOdds.bucket(found, agreed: false), held: held)
    }

    /// Whether times are worth recording.
    var learns: Bool { mode == .auto }

    /// Whether the text's first rounds are behind it.
    package var isAwake: Bool { !learns || requestRounds >= Self.warmup }

    /// Whether the modules made no draft in the last round.
    var isIdle: Bool { idleRounds > 0 }

    /// Most drafts of the next round, at most `room`.
    ///
    /// - Parameters:
    ///   - found: what look-up found for the first draft's place.
    ///   - texts: texts of the round.
    package mutating func begin(room: Int, found: LookupMatch? = nil, texts: Int = 1) -> Int {
        made = 0
        madeByModules = 0
        chance = 1
        agreements = .init(repeating: 0)
        agrees = false
        self.texts = texts
        before = texts - 1
        switch mode {
        case .off: return 0
        case .fixed(let length):
            let most = max(0, min(length, room, limit))
            return most > 0 && choose(found) ? most : 0
        case .auto:
            let most = max(0, min(limit, room, costs.reach))
            return most > 0 && shouldDraft(found, most) ? most : 0
        }
    }

    /// Whether the modules can make the next draft.
    private var modulesGoOn: Bool { madeByModules == made && made < moduleLimit }

    /// A match that long is taken before the modules' guess where the number of drafts is fixed.
    private static let longMatch = 16

    /// Chooses where the next of a fixed number of drafts comes from; false where there is no more.
    private mutating func choose(_ found: LookupMatch?) -> Bool {
        guard modulesGoOn || found != nil else { return false }
        origin = modulesGoOn && (found?.length ?? 0) < Self.longMatch ? .module : .lookup
        return true
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
    /// Undrafted steps that looking up may always lose in a round; beyond that it needs savings.
    private static let leastStake = 0.5
    /// Drafts looked ahead; more would change little and cost time.
    private static let foresight = 2

    /// Whether any draft is worth making, and by whom.
    private mutating func shouldDraft(_ found: LookupMatch?, _ most: Int) -> Bool {
        guard !costs.wantsBaseline(texts: texts) else { return false }
        let least = Self.leastGain * plain
        var lookedUp = 0.0
        if experience.lookupPurse > 0 { lookedUp = lookupSaving(found, limit: most) }
        origin = .lookup
        // Undrafted rounds change little; steps of small models are too short to think each time.
        guard moduleLimit > 0, idleRounds < 16 || idleRounds % 8 == 0 else { return lookedUp > least }
        let gain = experience.purse > 0 ? expectedGain : 0
        if lookedUp > max(gain, least) { return true }
        origin = .module
        if gain > least { return true }
        return Double(idleRounds) * Self.probeShare * plain > costs.firstDraft(afterIdle: true)
    }

    /// Nanoseconds that drafts of look-up are expected to save from here on: as many as are best. Each makes the match
    /// longer by one.
    private func lookupSaving(_ found: LookupMatch?, limit: Int) -> Double {
        guard let found else { return 0 }
        let price = tokenCost
        let odds = lookupOdds
        let purse = madeByModules == 0 ? experience.lookupPurse : experience.purse
        let most = costs.step(rows: texts) + max(Self.leastStake, purse) * plain
        var (chance, sum, best) = (self.chance, 0.0, 0.0)
        for draft in 0..<max(0, limit - made) {
            let rows = before + 2 + draft
            // What the round loses if nothing holds has to be there.
            if made + draft > 0 && rows <= Step.windowRows && costs.step(rows: rows) > most { break }
            let bucket = LookupOdds.bucket(
                length: found.length + draft, timesSeen: found.timesSeen, isResumed: found.isResumed, agreed: agrees)
            chance *= odds.chance(bucket, noise: draft == 0 && !isGreedy ? noise : nil)
            sum += chance * price - costs.row(behind: rows - 1)
            best = max(best, sum)
        }
        return best
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
        guard made < moduleLimit else { return 0 }
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

    /// Takes the draft just made, for whose place look-up found that.
    package mutating func take(_ draft: Draft, found: LookupMatch? = nil) {
        defer {
            made += 1
            if draft.origin == .module { madeByModules += 1 }
        }
        guard mode == .auto else { return }
        let noise = isGreedy ? nil : noise
        if draft.origin == .module {
            let bucket = DraftOdds.bucket(lead: draft.lead)
            buckets[made] = UInt8(bucket)
            var held = odds.acceptance[bucket]
            agrees = found?.token == draft.token
            if let found, agrees {
                let agreed = LookupOdds.bucket(found, agreed: true)
                agreements[made] = UInt8(agreed + 1)
                held = max(held, lookupOdds.chance(agreed, noise: noise))
            }
            chance *= held
        } else if let found {
            let bucket = LookupOdds.bucket(found, agreed: agrees)
            if agrees { agreements[made] = UInt8(bucket + 1) }
            chance *= lookupOdds.chance(bucket, noise: noise)
        }
    }

    /// Judges the draft just taken.
    ///
    /// - Parameters:
    ///   - next: what look-up found for the place behind it.
    ///   - limit: most drafts of this round.
    ///   - rows: rows of the step before this draft, all texts'.
    package mutating func judge(next: LookupMatch? = nil, limit: Int, rows: Int) -> DraftVerdict {
        guard mode == .auto else { return made < limit && choose(next) ? .extend : .finish }
        let worth = chance * tokenCost - costs.row(behind: rows)
        before = rows
        var further = 0.0
        if made < limit {
            origin = .lookup
            further = lookupSaving(next, limit: limit)
            if modulesGoOn {
                let made =
                    saving(made: made, chance: chance, foresight: Self.foresight, odds.acceptance, tokenCost)
                    - costs.laterDraft
                if made >= further { (origin, further) = (.module, made) }
            }
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
        for draft in 0..<min(drafted, emitted) { learn(draft, held: draft < accepted) }
        if let droppedHeld { learn(drafted, held: droppedHeld) }
        settle(drafted: drafted, accepted: accepted)
        idleRounds = madeByModules == 0 ? idleRounds + 1 : 0
    }

    private func learn(_ draft: Int, held: Bool) {
        if draft < madeByModules { odds.record(Int(buckets[draft]), held: held) }
        if agreements[draft] > 0 { lookupOdds.record(Int(agreements[draft]) - 1, held: held) }
    }

    /// Keeps the accounts, in typical times: a round's real ones are too noisy to tell a few percent.
    private mutating func settle(drafted: Int, accepted: Int) {
        let plain = plain
        guard costs.hasBaseline(texts: texts) else { return }
        var time = plain + costs.step(rows: texts + drafted) - costs.step(rows: texts)
        if madeByModules > 0 {
            time += costs.firstDraft(afterIdle: idleRounds > 0) + Double(madeByModules - 1) * costs.laterDraft
        }
        if made > 0 { tally.add(accepted: accepted, extraSteps: time / plain - 1) }
        if spent == 0 { spent = plain }
        spent += (time - spent) / 32
        brought += (Double(1 + accepted) - brought) / 32
        let saved = Double(1 + accepted) - time / plain
        let onlyLookedUp = made > 0 && madeByModules == 0
        experience.purse = min(Self.purseLimit, experience.purse + Self.probeShare + (onlyLookedUp ? 0 : saved))
        experience.lookupPurse = min(
            Self.purseLimit, experience.lookupPurse + Self.probeShare + (onlyLookedUp ? saved : 0))
    }
}

extension DraftPolicy {
    /// Counts of one request.
    private struct Tally {
        /// Rounds by number of drafts verified.
        var rounds = InlineArray<16, Int>(repeating: 0)
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
            stepNanoseconds: (1...Step.windowRows).map { costs.measured(rows: $0) },
            firstDraftNanoseconds: costs.measuredFirstDraft, laterDraftNanoseconds: costs.measuredLaterDraft,
            rounds: (0..<Step.windowRows).map { tally.rounds[$0] }, draftingRounds: tally.draftingRounds,
            extraSteps: share.map { $0 * tally.extraSteps }, extraTokens: share.map { $0 * Double(tally.accepted) },
            expectedGain: plain == 0 || moduleLimit == 0 ? nil : expectedGain / plain,
            earlierRuns: experience.earlierRuns)
    }
}
