/// What has been learnt about drafting, from all texts. It outlives requests, so that only the first has to find out.
package final class DraftExperience {
    var costs = DraftCosts()
    var greedyOdds = DraftOdds(greedy: true)
    var sampledOdds = DraftOdds(greedy: false)
    var greedyLookup = LookupOdds(greedy: true)
    var sampledLookup = LookupOdds(greedy: false)
    /// What drafting has really saved lately, in undrafted steps: rounds that asked the modules, and rounds that only looked
    /// up. Either stops where it runs out.
    var purse = 1.0
    var lookupPurse = 1.0
    /// Rounds timed.
    private var rounds = 0
    /// Runs before this one that something is known from.
    package private(set) var earlierRuns = 0

    package init() {}

    /// Prepares for a round.
    /// - Parameter context: tokens of its texts, on average.
    package func enter(context: Int) { costs.enter(context: context) }

    /// Takes what a round took, before its texts record what it brought.
    ///
    /// - Parameters:
    ///   - rows: rows of the verify step.
    ///   - texts: texts in it.
    package func record(rows: Int, texts: Int, _ times: RoundTimes) {
        rounds += 1
        costs.record(rows: rows, texts: texts, times)
    }

    // MARK: Runs

    /// With fewer rounds too little was learnt to be kept.
    private static let leastRounds = 24
    /// Undrafted steps that the modules' drafts may lose at first where their costs are known, so that a hard beginning does
    /// not end drafting for all of a short run.
    private static let knowingPurse = 2.0
    /// One run in so many forgets the steps that it did not time: what was once too dear is to be tried anew.
    private static let forgettingRuns = 16

    /// Begins with what earlier runs learnt, which counts until this one knows better. To be called before the first round.
    /// - Parameter knowledge: has no `fault`.
    package func recall(_ knowledge: DraftKnowledge) {
        earlierRuns = knowledge.runs
        purse = Self.knowingPurse
        costs.recall(knowledge.costs)
        greedyOdds.recall(knowledge.greedy)
        sampledOdds.recall(knowledge.sampled)
        greedyLookup.recall(knowledge.greedy)
        sampledLookup.recall(knowledge.sampled)
    }

    /// What later runs are to know; nil as long as that is too little.
    package var knowledge: DraftKnowledge? {
        guard rounds >= Self.leastRounds else { return nil }
        return DraftKnowledge(
            runs: min(earlierRuns + 1, DraftKnowledge.mostRuns),
            costs: costs.knowledge(forgetting: (earlierRuns + 1) % Self.forgettingRuns == 0),
            greedy: Self.odds(greedyOdds, greedyLookup), sampled: Self.odds(sampledOdds, sampledLookup))
    }

    private static func odds(_ modules: DraftOdds, _ lookup: LookupOdds) -> DraftKnowledge.Odds {
        let (held, seen, leads, leadsSeen) = modules.knowledge
        let (lookupHeld, lookupSeen) = lookup.knowledge
        return DraftKnowledge.Odds(
            modulesHeld: held, modulesSeen: seen, leads: leads, leadsSeen: leadsSeen, lookupHeld: lookupHeld,
            lookupSeen: lookupSeen)
    }
}
