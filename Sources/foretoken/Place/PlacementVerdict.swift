import ForetokenPlacement
import ForetokenReport

/// The answer to "where should the experts lie, and what is it worth?".
package struct PlacementVerdict: Equatable {
    /// What kind of answer it is.
    package enum Answer {
        /// The routing decides: a plan made from it is clearly the best.
        case statistics
        /// The same, but the routing is made up or has fewer rows than `PlacementStudy.fewRows`.
        case thin
        /// A plan that needs no statistics is as good as any.
        case simple
        /// There is one node.
        case nothingToPlace
        /// No plan fits, or not the one asked for.
        case nothingFits
    }

    package let answer: Answer
    /// The answer in a line.
    package let headline: String
    /// Why, in a few sentences; what belongs on a command line stands between backticks.
    package let reason: String

    /// The answer of a study.
    package init(_ study: PlacementStudy) {
        guard let (result, score) = study.taken else {
            self = Self.unfit(study)
            return
        }
        guard study.hasChoice else {
            answer = .nothingToPlace
            headline = "One memory node: there is nothing to place"
            reason = "All experts are read from node \(study.report.nodes[0].id). " + study.prediction(score)
            return
        }
        let doubt = result.policy.usesStatistics ? study.doubtOfRouting : nil
        answer = doubt != nil ? .thin : result.policy.usesStatistics ? .statistics : .simple
        headline = Self.headline(result.policy, score, study) + (doubt.map { ", \($0)" } ?? "")
        reason = [
            study.reasonOfChoice(result.policy), study.distance(score), study.comparison(result.policy, score),
            study.worthOfStatistics, study.prediction(score),
        ].filter { !$0.isEmpty }.joined(separator: " ")
    }

    private init(_ answer: Answer, headline: String, reason: String) {
        self.answer = answer
        self.headline = headline
        self.reason = reason
    }

    private static func unfit(_ study: PlacementStudy) -> PlacementVerdict {
        guard let asked = study.asked else {
            let reasons = study.report.results.compactMap { result in
                study.absence(result).map { "`\(result.policy)` \($0)" }
            }
            return PlacementVerdict(
                .nothingFits, headline: "No plan fits this machine",
                reason: reasons.prefix(3).joined(separator: "; ") + ".")
        }
        let absence = study.selected.flatMap(study.absence) ?? "has no plan here"
        let other = study.report.choice.map { " `\($0.policy)` would fit." } ?? ""
        return PlacementVerdict(
            .nothingFits, headline: "\(asked) gives no plan here", reason: "`\(asked)` \(absence).\(other)")
    }

    private static func headline(
        _ policy: PlacementPolicy, _ score: PolicyScore, _ study: PlacementStudy
    ) -> String {
        if case .sliced(nil) = policy {
            return "Slice every expert over \(count(study.report.nodes.count { $0.workers > 0 }, "node"))"
        }
        if policy == .capacitySliced { return "Take `capacity-sliced`: every expert cut alike, as capacity allows" }
        guard let factor = study.expertSpeedup(score), abs(factor - 1) >= PlacementStudy.leastDifference else {
            return "Take `\(policy)`"
        }
        return "Take `\(policy)`: experts \(AxisFormat.times.text(factor)) as fast as under `capacity-sliced`"
    }
}

extension PlacementStudy {
    /// Why what the routing says is not sure to hold, as the end of a sentence; nil where it is enough to go by.
    fileprivate var doubtOfRouting: String? {
        if subject.isExample { return "if yours routed like this example" }
        let rows = trace.rows.all
        return rows < Self.fewRows ? "if \(count(rows, "row")) tell enough" : nil
    }

    /// Factors nearer to 1 are not worth a word.
    static let leastDifference = 0.005

    /// How much faster experts and barriers are than under `capacity-sliced`, the baseline; nil where that does not fit.
    package func expertSpeedup(_ score: PolicyScore) -> Double? {
        baseline.map { $0.placementSeconds / score.placementSeconds }
    }

    /// The same of whole steps.
    func stepSpeedup(_ score: PolicyScore) -> Double? { baseline.map { $0.stepSeconds / score.stepSeconds } }

    /// Why a policy has no plan, as what follows its name; nil where it has one.
    func absence(_ result: PolicyResult) -> String? {
        guard result.score == nil else { return nil }
        guard !result.shortfalls.isEmpty else { return result.reason ?? "has no plan here" }
        return "does not fit: "
            + result.shortfalls.map { shortfall in
                let bytes = Format.bytes(shortfall.missingBytes)
                return shortfall.node.map { "\(bytes) are missing on node \($0)" }
                    ?? "\(bytes) are missing on all nodes together"
            }.joined(separator: ", ")
    }

    fileprivate func reasonOfChoice(_ policy: PlacementPolicy) -> String {
        let tolerance = Format.fixed(report.tolerance * 100, 0) + " %"
        if let asked, asked != report.choice?.policy {
            return "`\(asked)` was asked for; `auto` would take \(report.choice.map { "`\($0.policy)`" } ?? "nothing")."
        }
        let rivals = report.results.compactMap(\.score?.placementSeconds)
        guard rivals.count > 1 else { return "`\(policy)` is the only plan that fits." }
        return
            "`\(policy)` is the simplest of \(count(rivals.count, "plan")) within \(tolerance) of the best on routing that "
            + "no plan was made from."
    }

    fileprivate func distance(_ score: PolicyScore) -> String {
        "Its experts take \(AxisFormat.times.text(score.ratioToBound)) the perfect bound, all nodes reading at once."
    }

    fileprivate func comparison(_ policy: PlacementPolicy, _ score: PolicyScore) -> String {
        guard policy != .capacitySliced else { return "" }
        guard let experts = expertSpeedup(score), let step = stepSpeedup(score) else {
            return "`capacity-sliced`, the baseline, does not fit."
        }
        if abs(experts - 1) < Self.leastDifference { return "" }
        return "Against `capacity-sliced`, the baseline, experts are \(AxisFormat.times.text(experts)) and whole steps "
            + "\(AxisFormat.times.text(step)) as fast."
    }

    /// What knowing the routing gains.
    fileprivate var worthOfStatistics: String {
        guard let gain = report.statisticsGain else { return "" }
        if gain > 1 + report.tolerance {
            return
                "Knowing the routing makes experts and barriers \(AxisFormat.times.text(gain)) as fast as the best plan "
                + "without it."
        }
        let text = Format.percent(abs(gain - 1))
        return gain >= 1
            ? "Statistics gain \(text), too little to pay for their complexity."
            : "Statistics gain nothing: the best plan that uses them is \(Format.percent(1 / gain - 1)) slower than the best without."
    }

    fileprivate func prediction(_ score: PolicyScore) -> String {
        "Predicted: \(unit.text(score.stepSeconds)) a step, \(Format.short(score.tokensPerSecond)) tok/s, from the time of "
            + "reading weights, pieces and barriers alone."
    }
}
