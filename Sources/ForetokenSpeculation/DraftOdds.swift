/// How often drafts hold, and how sure the next one will be: learnt while running, by the drafts' own probability.
struct DraftOdds {
    /// What was last seen before a draft is made.
    enum Situation: Int {
        /// A round without drafts.
        case idle = 8
        /// A round whose first draft was not worth verifying, or wrong.
        case missed
        /// A round of which some drafts held.
        case partlyHeld
        /// A round all of whose drafts held.
        case held
    }

    static let bucketCount = 8
    /// Share of drafts that hold, by bucket, where all before them do.
    private(set) var acceptance: SIMD8<Double>
    private var acceptanceCounts = SIMD8<Double>(repeating: 0)
    /// Shares of the next draft's buckets, by the bucket of the draft before it in the round or by situation.
    private var following: InlineArray<12, SIMD8<Double>>
    private var followingCounts = InlineArray<12, Double>(repeating: 0)

    /// - Parameter greedy: whether tokens are the likeliest rather than drawn: a module's doubts matter less then.
    init(greedy: Bool) {
        if greedy {
            acceptance = SIMD8(0.30, 0.60, 0.78, 0.86, 0.94, 0.97, 0.99, 0.998)
            following = .init(repeating: SIMD8(0.18, 0.20, 0.16, 0.12, 0.13, 0.07, 0.05, 0.09))
        } else {
            acceptance = SIMD8(0.35, 0.48, 0.55, 0.62, 0.72, 0.80, 0.87, 0.97)
            following = .init(repeating: SIMD8(0.40, 0.13, 0.09, 0.07, 0.08, 0.07, 0.06, 0.10))
        }
    }

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

    /// Shares of the next draft's buckets.
    /// - Parameter before: the bucket of the draft before it, or a situation's raw value.
    func next(after before: Int) -> SIMD8<Double> { following[before] }

    /// A draft whose predecessors all held.
    mutating func record(_ bucket: Int, held: Bool) {
        acceptance[bucket] += ((held ? 1 : 0) - acceptance[bucket]) / min(64, acceptanceCounts[bucket] + 5)
        acceptanceCounts[bucket] += 1
    }

    mutating func record(_ bucket: Int, after before: Int) {
        var seen = SIMD8<Double>(repeating: 0)
        seen[bucket] = 1
        following[before] += (seen - following[before]) / min(40, followingCounts[before] + 4)
        followingCounts[before] += 1
    }
}
