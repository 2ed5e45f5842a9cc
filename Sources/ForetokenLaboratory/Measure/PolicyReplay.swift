import ForetokenModel
import ForetokenSpeculation

/// Rounds of a draft mode along recorded texts, on given costs: what a generator would do, and how long it would take it.
package struct PolicyReplay {
    private let costs: Measurement.StepCosts
    private let mode: DraftMode
    private let isGreedy: Bool
    private let experience = DraftExperience()
    /// Nanoseconds a step or draft takes this time, given what it takes on average.
    private let vary: (Double) -> Double
    /// What was drafted and accepted so far.
    package private(set) var telemetry = Telemetry()
    /// Nanoseconds so far.
    package private(set) var elapsed = 0.0

    package init(
        _ mode: DraftMode, _ costs: Measurement.StepCosts, isGreedy: Bool, vary: @escaping (Double) -> Double = { $0 }
    ) {
        self.mode = mode
        self.costs = costs
        self.isGreedy = isGreedy
        self.vary = vary
    }

    /// Goes along a generated text from its prompt's end to its last token.
    package mutating func run(_ record: TextRecord) {
        let limit = min(record.depth, costs.verify.count - 1)
        var policy = DraftPolicy(mode, limit: limit, isGreedy: isGreedy, experience)
        var newest = record.promptCount
        var waiting = 1
        while newest + 1 < record.tokens.count {
            let chain = record.chains[newest - record.promptCount]
            var times = RoundTimes()
            let most = policy.begin(room: record.limit - newest - 2)
            let drafted = draft(chain, most, waiting, &policy, &times)
            if times.drafting > 0 { waiting = 0 }
            times.verifying = Int64(vary(costs.verify[drafted]))
            var accepted = 0
            while accepted < drafted, newest + 1 + accepted < record.tokens.count,
                chain.drafts[accepted] == record.tokens[newest + 1 + accepted]
            {
                accepted += 1
            }
            let isEnded = newest + 1 + accepted == record.tokens.count
            let emitted = isEnded ? accepted : accepted + 1
            elapsed += Double(times.drafting + times.verifying) + Double(emitted) * costs.drawing
            telemetry.record(drafted: drafted, accepted: accepted, emitted: emitted)
            // The draft behind the verified ones, if they all held: made or not, the policy knows.
            let next = newest + 1 + drafted
            let droppedHeld =
                drafted < policy.made && accepted == drafted && next < record.tokens.count
                ? chain.drafts[drafted] == record.tokens[next] : nil
            policy.record(
                drafted: drafted, accepted: accepted, emitted: emitted, droppedHeld: droppedHeld, times: times)
            newest += accepted + 1
            waiting += accepted + 1
            if waiting > MTPDrafts.waitingRows { waiting = MTPDrafts.waitingRows / 2 }
        }
    }

    /// Returns the drafts worth verifying.
    private func draft(
        _ chain: Chain, _ most: Int, _ waiting: Int, _ policy: inout DraftPolicy, _ times: inout RoundTimes
    ) -> Int {
        for made in 0..<most {
            if made == 0 {
                times.drafting = Int64(vary(costs.firstDraft[min(waiting, costs.firstDraft.count) - 1]))
            } else {
                let time = Int64(vary(costs.laterDraft))
                times.drafting += time
                times.laterDrafts += time
                times.laterDraftCount += 1
            }
            switch policy.judge(lead: chain.leads[made], limit: most) {
            case .extend: continue
            case .finish: return made + 1
            case .drop: return made
            }
        }
        return most
    }
}
