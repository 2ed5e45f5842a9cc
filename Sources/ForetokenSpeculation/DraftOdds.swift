/// How often drafts hold, and how decided the next one will be: learnt while running, by the drafts' leads.
///
/// A draft's lead is the difference between the two best scores it was chosen by, sampling noise included. Under shared
/// noise the verifier chooses otherwise only where its scores differ from the draft's by more than that (or a filter takes
/// the token away), so the lead foretells far better than the draft's probability whether it will hold, and means much the
/// same at every temperature.
struct DraftOdds {
    static let bucketCount = 8
    /// Share of drafts that hold where all before them do, by bucket.
    private var held: SIMD8<Double>
    private var heldCounts = SIMD8<Double>(repeating: 0)
    /// Shares of the buckets among drafts.
    private(set) var shares: SIMD8<Double>
    private var shareCount = 0.0
    /// Drafts that held lately, and how many `held` had foretold.
    private var lately = (held: 0.0, foretold: 0.0)

    /// - Parameter greedy: whether tokens are the likeliest rather than drawn.
    init(greedy: Bool) {
        if greedy {
            held = SIMD8(0.35, 0.42, 0.54, 0.67, 0.84, 0.94, 0.97, 0.99)
            shares = SIMD8(0.07, 0.09, 0.08, 0.11, 0.12, 0.16, 0.15, 0.22)
        } else {
            held = SIMD8(0.31, 0.38, 0.44, 0.55, 0.65, 0.76, 0.87, 0.95)
            shares = SIMD8(0.11, 0.12, 0.13, 0.17, 0.14, 0.13, 0.09, 0.11)
        }
    }

    /// What was seen in earlier runs counts for no more, so that what is seen now soon does.
    private static let keptWeight = 24.0
    private static let keptShareWeight = 48.0

    /// Begins with what earlier runs learnt.
    mutating func recall(_ odds: DraftKnowledge.Odds) {
        for bucket in 0..<Self.bucketCount {
            held[bucket] = odds.modulesHeld[bucket]
            heldCounts[bucket] = min(Self.keptWeight, odds.modulesSeen[bucket])
            shares[bucket] = odds.leads[bucket]
        }
        shareCount = min(Self.keptShareWeight, odds.leadsSeen)
    }

    /// What later runs are to know: see `DraftKnowledge.Odds`.
    var knowledge: (held: [Double], seen: [Double], leads: [Double], leadsSeen: Double) {
        let buckets = 0..<Self.bucketCount
        return (
            buckets.map { held[$0] }, buckets.map { min(Self.keptWeight, heldCounts[$0]) }, buckets.map { shares[$0] },
            min(Self.keptShareWeight, shareCount)
        )
    }

    /// Buckets of leads widen with them.
    static func bucket(lead: Float) -> Int {
        switch lead {
        case 3.2...: 7
        case 2.2...: 6
        case 1.5...: 5
        case 1.0...: 4
        case 0.6...: 3
        case 0.35...: 2
        case 0.15...: 1
        default: 0
        }
    }

    /// Chance that a draft holds where all before it do, by bucket: its bucket's past, times how all buckets have done
    /// lately against theirs.
    var acceptance: SIMD8<Double> {
        let trust = (lately.held + Self.faith) / (lately.foretold + Self.faith)
        return pointwiseMin(held * trust, SIMD8(repeating: 1))
    }

    /// Drafts as foretold that are assumed before any is seen.
    private static let faith = 2.0
    private static let memory = 31.0 / 32

    /// A draft whose predecessors all held.
    mutating func record(_ bucket: Int, held isHeld: Bool) {
        let outcome = isHeld ? 1.0 : 0
        lately.held = lately.held * Self.memory + outcome
        lately.foretold = lately.foretold * Self.memory + held[bucket]
        held[bucket] += (outcome - held[bucket]) / min(64, heldCounts[bucket] + 8)
        heldCounts[bucket] += 1
        var seen = SIMD8<Double>(repeating: 0)
        seen[bucket] = 1
        shares += (seen - shares) / min(64, shareCount + 16)
        shareCount += 1
    }
}
