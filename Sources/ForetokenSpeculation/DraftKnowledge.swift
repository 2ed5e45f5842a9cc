/// What drafting has taught, for later runs of the same model on the same machine: a few numbers, nothing of any text.
/// Speeds change from minute to minute, so of times there are ratios alone.
package struct DraftKnowledge: Sendable, Equatable, Codable {
    /// What steps and drafts take with texts of some length, in undrafted steps; 0 where that is not known.
    package struct Costs: Sendable, Equatable, Codable {
        /// `ContextSpan.index`.
        package var span: Int
        /// Steps by rows less one; the first is 1.
        package var rows: [Double]
        package var coldDraft: Double
        package var warmDraft: Double
        package var laterDraft: Double
    }

    /// How often drafts hold, and how large their leads are.
    package struct Odds: Sendable, Equatable, Codable {
        /// By bucket of `DraftOdds`: share of the modules' drafts that hold, and how many such drafts that is worth.
        package var modulesHeld: [Double]
        package var modulesSeen: [Double]
        /// Shares of these buckets among drafts, and how many drafts that is worth.
        package var leads: [Double]
        package var leadsSeen: Double
        /// The same as of the modules' drafts, by bucket of `LookupOdds`.
        package var lookupHeld: [Double]
        package var lookupSeen: [Double]
    }

    /// Version of this format.
    package static let currentVersion = 2
    package var version = Self.currentVersion
    /// More are not counted.
    static let mostRuns = 1_000_000
    /// How many runs it comes from.
    package var runs: Int
    package var costs: [Costs]
    /// Where tokens are the likeliest, and where they are drawn.
    package var greedy: Odds
    package var sampled: Odds

    /// What no run can have learnt; nil where everything can be true.
    package var fault: String? {
        guard version == Self.currentVersion else { return "it has version \(version), not \(Self.currentVersion)" }
        guard (1...Self.mostRuns).contains(runs) else { return "a number of runs in it is impossible" }
        let spans = costs.map(\.span)
        guard Set(spans).count == spans.count, spans.allSatisfy({ (0..<ContextSpan.count).contains($0) }),
            costs.allSatisfy(\.isPossible)
        else { return "a cost in it is impossible" }
        return greedy.isPossible && sampled.isPossible ? nil : "a chance in it is impossible"
    }
}

extension DraftKnowledge.Costs {
    /// No step or draft takes longer, in undrafted steps.
    private static let most = 64.0

    init(_ ratios: CostRatios, span: Int) {
        self.init(
            span: span, rows: ratios.rows.indices.map { ratios.rows[$0] }, coldDraft: ratios.coldDraft,
            warmDraft: ratios.warmDraft, laterDraft: ratios.laterDraft)
    }

    /// The same as it is used; the numbers are possible ones.
    var ratios: CostRatios {
        var result = CostRatios()
        for (width, ratio) in rows.enumerated() { result.rows[width] = ratio }
        (result.coldDraft, result.warmDraft, result.laterDraft) = (coldDraft, warmDraft, laterDraft)
        return result
    }

    fileprivate var isPossible: Bool {
        rows.count == CostRatios().rows.count && rows[0] == 1
            && rows.allSatisfy { $0 == 0 || (1...Self.most).contains($0) }
            && [coldDraft, warmDraft, laterDraft].allSatisfy { (0...Self.most).contains($0) }
    }
}

extension DraftKnowledge.Odds {
    fileprivate var isPossible: Bool {
        func areChances(_ numbers: [Double], _ count: Int) -> Bool {
            numbers.count == count && numbers.allSatisfy { (0...1).contains($0) }
        }
        func areWeights(_ numbers: [Double], _ count: Int) -> Bool {
            numbers.count == count && numbers.allSatisfy { (0...64).contains($0) }
        }
        return areChances(modulesHeld, DraftOdds.bucketCount) && areWeights(modulesSeen, DraftOdds.bucketCount)
            && areChances(leads, DraftOdds.bucketCount) && abs(leads.reduce(0, +) - 1) < 0.01
            && areWeights([leadsSeen], 1) && areChances(lookupHeld, LookupOdds.bucketCount)
            && areWeights(lookupSeen, LookupOdds.bucketCount)
    }
}
