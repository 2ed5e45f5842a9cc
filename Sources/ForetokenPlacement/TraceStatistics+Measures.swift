import FoundationEssentials

#if canImport(Glibc)
    import Glibc
#endif

extension TraceStatistics {
    /// How unequally a layer's experts are loaded.
    public struct Skew: Sendable, Equatable, Encodable {
        /// Load of the hottest expert over the mean of all; 1 when all are equal.
        public let hottest: Double
        /// Gini coefficient of the loads: 0 when all are equal, (n − 1)/n when one has everything.
        public let gini: Double
        /// e to the entropy of the loads: as many equally loaded experts would be as hard to foresee.
        public let effectiveExperts: Double
        /// Share of experts that no row chose.
        public let idle: Double

        /// The skew of loads by expert; nil without any.
        init?(_ loads: [Int]) { self.init(loads.filter { $0 > 0 }, of: loads.count) }

        /// The same where only the loads that are not 0 are given, and how many experts there are.
        init?(_ loads: [Int], of experts: Int) {
            guard !loads.isEmpty else { return nil }
            let (total, count) = (Double(loads.reduce(0, +)), Double(experts))
            let idleCount = experts - loads.count
            let ranked = loads.sorted().enumerated().reduce(0) {
                $0 + Double(idleCount + $1.offset + 1) * Double($1.element)
            }
            hottest = Double(loads.max() ?? 0) * count / total
            gini = 2 * ranked / (count * total) - (count + 1) / count
            effectiveExperts = exp(loads.reduce(0) { $0 - Double($1) / total * log(Double($1) / total) })
            idle = Double(idleCount) / count
        }

        private init(hottest: Double, gini: Double, effectiveExperts: Double, idle: Double) {
            (self.hottest, self.gini) = (hottest, gini)
            (self.effectiveExperts, self.idle) = (effectiveExperts, idle)
        }

        /// The mean of each figure; nil of none.
        static func mean(_ all: [Skew]) -> Skew? {
            guard !all.isEmpty else { return nil }
            return Skew(
                hottest: all.map(\.hottest).mean, gini: all.map(\.gini).mean,
                effectiveExperts: all.map(\.effectiveExperts).mean, idle: all.map(\.idle).mean)
        }
    }

    /// How much the loads changed from the first half of the trace's rows to the second.
    public struct Drift: Sendable, Equatable, Encodable {
        /// Total variation of the two loads: half the sum of the differences of shares, 0...1.
        public let variation: Double
        /// What chance alone would make of it if nothing had changed.
        public let variationByChance: Double
        /// Spearman's rank correlation of the two loads; nil where all experts of a half are loaded equally.
        public let rankCorrelation: Double?

        /// The mean of each figure; nil of none.
        static func mean(_ all: [Drift]) -> Drift? {
            guard !all.isEmpty else { return nil }
            let correlations = all.compactMap(\.rankCorrelation)
            return Drift(
                variation: all.map(\.variation).mean, variationByChance: all.map(\.variationByChance).mean,
                rankCorrelation: correlations.isEmpty ? nil : correlations.mean)
        }
    }

    /// Two experts that rows chose together.
    public struct Pair: Sendable, Equatable, Encodable {
        /// Decoder layer.
        public let layer: Int
        /// The lower id.
        public let first: Int
        /// The higher id.
        public let second: Int
        /// Rows that chose both.
        public let together: Int
        /// How many would have, had every row chosen its experts independently, in proportion to the loads.
        public let expected: Double

        /// By how many standard deviations of a Poisson distribution `together` exceeds `expected`.
        var deviation: Double { (Double(together) - expected) / expected.squareRoot() }

        /// Whether chance explains this pair of the same layer less; of equals the one with lower ids comes first.
        func isMoreStriking(than other: Pair) -> Bool {
            let (own, its) = (deviation, other.deviation)
            return own > its || (own == its && (first, second) < (other.first, other.second))
        }
    }

    /// How many distinct experts of a layer some rows touch together: what a step has to read.
    public struct Overlap: Sendable, Equatable, Encodable {
        /// Rows taken together.
        public let rows: Int
        /// How often such rows were seen.
        public let count: Int
        /// Mean number of distinct experts.
        public let distinct: Double
        /// As many if no expert were chosen twice, and no more than there are.
        public let withoutOverlap: Double
        /// As many if every row chose independently, in proportion to the loads.
        public let independent: Double
    }

    /// Verify steps that so many texts shared. Figures are means.
    public struct Company: Sendable, Equatable, Encodable {
        /// Texts of a step.
        public let texts: Int
        /// Number of such steps.
        public let steps: Int
        /// Rows of a step.
        public let rows: Double
        /// Tokens that a step gave: one for each text, and the drafts that held.
        public let tokens: Double
        /// Distinct experts of a layer that a step reads.
        public let distinct: Double
        /// As many if every text had a step of its own.
        public let apart: Double
    }

    /// What a token has in common with the one before it in the text.
    public struct Reuse: Sendable, Equatable, Encodable {
        /// Pairs of tokens.
        public let count: Int
        /// Mean share of a token's experts that the token before chose as well.
        public let share: Double
        /// The same if both chose independently, in proportion to the loads.
        public let independent: Double
    }

    /// Figures of one layer.
    public struct Layer: Sendable, Equatable, Encodable {
        /// Number of the decoder layer.
        public let layer: Int
        /// Rows that chose each expert.
        public let load: [Int]
        /// How unequal they are; nil without rows.
        public let skew: Skew?
        /// How they changed; nil with fewer than two rows.
        public let drift: Drift?
        /// The pairs that chance explains least, most striking first.
        public let pairs: [Pair]
        /// Share of a token's experts that the token before chose as well; nil where none follows another.
        public let reuse: Double?
    }
}

extension [Double] {
    /// Their mean; NaN of none.
    var mean: Double { reduce(0, +) / Double(count) }
}

/// Loads by expert, of one layer.
struct ExpertLoads {
    var counts: [Int]
    /// Rows that were counted.
    var rows = 0

    /// Half the sum of the differences of shares.
    func variation(from other: ExpertLoads) -> Double {
        let (own, its) = (Double(counts.reduce(0, +)), Double(other.counts.reduce(0, +)))
        return zip(counts, other.counts).reduce(0) { $0 + abs(Double($1.0) / own - Double($1.1) / its) } / 2
    }

    /// Expected variation of two samples of `first` and `second` rows each of which chooses every expert as often as
    /// these rows did: an expert's difference is nearly normal, and of mean √(2/π) σ.
    func variationByChance(_ first: Int, _ second: Int, perToken: Int) -> Double {
        let inverse = 1 / Double(first) + 1 / Double(second)
        return counts.reduce(0) { sum, count in
            if count == 0 { return sum }
            let share = Double(count) / Double(rows)
            return sum + (2 / Double.pi * max(0, share * (1 - share)) * inverse).squareRoot()
        } / Double(2 * perToken)
    }

    /// Spearman's rank correlation, equal loads having the mean of their ranks.
    func rankCorrelation(with other: ExpertLoads) -> Double? {
        let (x, y) = (Self.ranks(counts), Self.ranks(other.counts))
        let mean = Double(counts.count + 1) / 2
        var (xx, yy, xy) = (0.0, 0.0, 0.0)
        for (a, b) in zip(x, y) {
            xx += (a - mean) * (a - mean)
            yy += (b - mean) * (b - mean)
            xy += (a - mean) * (b - mean)
        }
        return xx > 0 && yy > 0 ? xy / (xx * yy).squareRoot() : nil
    }

    private static func ranks(_ values: [Int]) -> [Double] {
        // Most experts may have no load: these come first and need no sorting.
        let order = values.indices.filter { values[$0] > 0 }.sorted { values[$0] < values[$1] }
        let idle = values.count - order.count
        var ranks = [Double](repeating: Double(idle + 1) / 2, count: values.count)
        var first = 0
        while first < order.count {
            let end = order[first...].firstIndex { values[$0] != values[order[first]] } ?? order.count
            for i in first..<end { ranks[order[i]] = Double(idle + first + idle + end + 1) / 2 }
            first = end
        }
        return ranks
    }

    /// Expected distinct experts of `width` rows that choose independently.
    func distinct(width: Int) -> Double {
        counts.reduce(0) { $1 == 0 ? $0 : $0 + 1 - pow(1 - Double($1) / Double(rows), Double(width)) }
    }
}
