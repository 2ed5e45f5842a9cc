import Glibc

/// How often drafts from look-up hold, by what speaks for them: how long the match is, whether its token has followed more
/// than once in succession, and whether the MTP module says the same. Learnt from every token of the output, drafted or
/// not, as far as the module is not needed for it.
package struct LookupOdds {
    /// Least tokens of the matches that are told apart. Fewer than three count only behind a difference in what had been
    /// the same.
    package static let lengths = [0, 3, 5, 8, 16, 32]
    /// Kinds of evidence without the module's.
    private static let kinds = 16
    static let bucketCount = 2 * kinds
    /// What was seen in earlier runs counts for no more, so that what is seen now soon does.
    private static let keptWeight = 16.0
    private var held: InlineArray<32, Double>
    private var counts = InlineArray<32, Double>(repeating: 0)

    /// - Parameter greedy: whether tokens are the likeliest rather than drawn.
    init(greedy: Bool) {
        held =
            greedy
            ? [
                0.4, 0.5, 0.2, 0.4, 0.35, 0.55, 0.55, 0.75, 0.75, 0.88, 0.85, 0.94, 0.55, 0.65, 0.65, 0.75,
                0.7, 0.75, 0.75, 0.8, 0.8, 0.85, 0.88, 0.92, 0.93, 0.96, 0.95, 0.97, 0.8, 0.85, 0.88, 0.9,
            ]
            : [
                0.3, 0.35, 0.15, 0.3, 0.25, 0.45, 0.4, 0.6, 0.6, 0.75, 0.7, 0.85, 0.4, 0.45, 0.45, 0.5,
                0.55, 0.6, 0.6, 0.65, 0.65, 0.7, 0.72, 0.8, 0.8, 0.86, 0.85, 0.9, 0.65, 0.7, 0.7, 0.75,
            ]
    }

    /// Begins with what earlier runs learnt.
    mutating func recall(_ odds: DraftKnowledge.Odds) {
        for bucket in 0..<Self.bucketCount {
            held[bucket] = odds.lookupHeld[bucket]
            counts[bucket] = min(Self.keptWeight, odds.lookupSeen[bucket])
        }
    }

    /// What later runs are to know: see `DraftKnowledge.Odds`.
    var knowledge: (held: [Double], seen: [Double]) {
        (held.indices.map { held[$0] }, counts.indices.map { min(Self.keptWeight, counts[$0]) })
    }

    /// Each of the `lengths` begins two kinds: seen once, and more often. Behind a difference there are four: no token since
    /// then the same, one or two, three or four, and five to seven.
    static func bucket(length: Int, timesSeen: Int, isResumed: Bool, agreed: Bool) -> Int {
        let kind =
            switch length {
            case 32...: 10
            case 16...: 8
            case 8...: 6
            case 5...: isResumed ? 14 : 4
            case 3...: isResumed ? 12 : 2
            case 1...: 1
            default: 0
            }
        return (agreed ? kinds : 0) + kind + (length >= 3 && timesSeen > 1 ? 1 : 0)
    }

    static func bucket(_ match: LookupMatch, agreed: Bool) -> Int {
        bucket(length: match.length, timesSeen: match.timesSeen, isResumed: match.isResumed, agreed: agreed)
    }

    /// Chance that such a draft holds where all before it do.
    ///
    /// - Parameter noise: what is added to its score; nil where nothing is, or where it is not known. A token of probability
    ///   p surpasses all others, whose best is Gumbel at log(1 − p), with probability exp(−e^(−noise) · (1 − p) / p).
    func chance(_ bucket: Int, noise: Float? = nil) -> Double {
        guard let noise else { return held[bucket] }
        let p = max(held[bucket], 0.001)
        return exp(-exp(-Double(noise)) * (1 - p) / p)
    }

    mutating func record(_ bucket: Int, held isHeld: Bool) {
        held[bucket] += ((isHeld ? 1 : 0) - held[bucket]) / min(32, counts[bucket] + 6)
        counts[bucket] += 1
    }
}
