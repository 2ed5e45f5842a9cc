import ForetokenPlacement
import ForetokenReport

extension PlacePage {
    /// Every policy side by side.
    var policies: ReportPage.Section {
        .init(
            "What each policy gives",
            [
                .text(
                    "Each plan was made from one half of the recorded windows and judged by the other. Of all plans within "
                        + "\(Format.fixed(study.report.tolerance * 100, 0)) % of the best the simplest is chosen. "
                        + "Where a plan does better on its own half than on the other, the difference is fitted to chance."
                ),
                .row([
                    .chart(stepChart, caption: "Shorter is better. Left of the dashed line no plan can come."),
                    .chart(
                        ratioChart,
                        caption:
                            "Experts' time over the perfect bound: on routing the plan has not seen, and on its own half."
                    ),
                ]), .table(policyTable), .heading("What the policies do"), .definitions(meanings),
            ])
    }

    private func isTaken(_ result: PolicyResult) -> Bool { result.policy == study.taken?.result.policy }

    private var stepChart: RowChart {
        let unit = study.unit
        let rows = study.report.results.map { result in
            guard let score = result.score else { return RowChart.Row("\(result.policy)", [], remark: "no plan") }
            return RowChart.Row(
                "\(result.policy)",
                [unit.value(study.fixedSeconds), unit.value(score.expertSeconds), unit.value(score.barrierSeconds)],
                isEmphasised: isTaken(result))
        }
        let best = study.report.results.compactMap { result in result.score.map { (result, $0.stepSeconds) } }
            .min { $0.1 < $1.1 }
        let summary = best.map { "Shortest: \($0.policy) with \(unit.text($1))." } ?? "No plan fits."
        return RowChart(
            "Time of a step by policy, predicted", summary: summary, x: Axis("\(unit.name) a step"),
            parts: ["all but experts", "experts", "barriers"], rows: rows,
            reference: (unit.value(study.report.boundSeconds + study.fixedSeconds), "perfect bound"))
    }

    private var ratioChart: RowChart {
        let bound = study.report.boundSeconds
        let rows = study.report.results.map { result in
            guard let score = result.score else { return RowChart.Row("\(result.policy)", [], remark: "no plan") }
            let own = min(score.ratioToBound, score.trainingExpertSeconds / bound)
            return RowChart.Row(
                "\(result.policy)", [own, score.ratioToBound - own], remark: AxisFormat.times.text(score.ratioToBound),
                isEmphasised: isTaken(result))
        }
        return RowChart(
            "Experts over the bound, predicted",
            summary: study.taken.map { "\($0.result.policy): \(AxisFormat.times.text($0.score.ratioToBound))." } ?? "",
            x: Axis("time over the bound", .times), parts: ["on its own half", "more on the other half"], rows: rows,
            reference: (1, "perfect bound"))
    }

    private var policyTable: DataTable {
        let unit = study.unit
        var table = DataTable(
            "Policies, times predicted in \(unit.name)",
            [
                .init("Policy"), .init("Experts", .right), .init("Of bound", .right), .init("On its own half", .right),
                .init("Barriers", .right), .init("Step", .right), .init("tok/s", .right),
                .init("Step against capacity-sliced", .right),
                .init("Fullest node", .right), .init("Replicas", .right),
            ])
        for result in study.report.results {
            guard let score = result.score else {
                table.add([.init("\(result.policy)", detail: study.absence(result)), "–"])
                continue
            }
            table.add(
                [
                    .init("\(result.policy)"), .init(unit.number(score.expertSeconds)),
                    .init(AxisFormat.times.text(score.ratioToBound)), .init(unit.number(score.trainingExpertSeconds)),
                    .init(unit.number(score.barrierSeconds)), .init(unit.number(score.stepSeconds)),
                    .init(Format.short(score.tokensPerSecond)),
                    .init(study.stepSpeedup(score).map(AxisFormat.times.text) ?? "–"),
                    study.fullest(score).map {
                        .init(Format.percent($0.share), detail: "node \($0.id): \(Format.bytes($0.bytes))")
                    } ?? "",
                    .init(score.replicaBytes > 0 ? Format.bytes(score.replicaBytes) : "–"),
                ], isEmphasised: isTaken(result))
        }
        let bound = study.report.boundSeconds
        table.add([
            "perfect bound", .init(unit.number(bound)), "1.00×", "", "", .init(unit.number(bound + study.fixedSeconds)),
        ])
        return table
    }

    private var meanings: [(term: String, meaning: String)] {
        var seen: Set<String> = []
        return study.report.results.map(\.policy).compactMap { policy in
            let (term, meaning) = policy.meaning
            return seen.insert(term).inserted ? (term, meaning) : nil
        }
    }
}

extension PlacementPolicy {
    /// What it does, for readers who have not met it.
    fileprivate var meaning: (term: String, text: String) {
        switch self {
        case .sliced(nil):
            ("`sliced`", "Every expert cut over all nodes with workers, as the dense weights are. No statistics.")
        case .sliced:
            ("`sliced=N`", "Every expert cut into N pieces over nodes near each other, groups chosen by co-activation.")
        case .proportional: ("`proportional`", "Every expert cut alike, by the nodes' bandwidths as capacity allows.")
        case .capacitySliced:
            (
                "`capacity-sliced`",
                "Every expert cut alike, in equal parts as capacity allows: what engines without statistics do. The baseline."
            )
        case .roundRobin: ("`round-robin`", "Whole experts dealt out in turn. No statistics.")
        case .contiguous: ("`contiguous`", "Whole experts in blocks of consecutive ids. No statistics.")
        case .balanced: ("`balanced`", "Whole experts packed by load, as DeepSeek's EPLB does.")
        case .spread: ("`spread`", "Whole experts, those that are read together kept on different nodes.")
        case .hybrid: ("`hybrid=P`", "The hottest P % of the experts cut over all nodes, the others spread.")
        case .tiered: ("`tiered`", "A share of each expert on the slower nodes: the hotter, the less.")
        case .search: ("`search`", "Whole experts, moved as long as recorded steps get faster.")
        case .replicas:
            ("`replicas=R`", "Spread, with R % more copies; a step reads the copy whose node has less to do.")
        }
    }
}
