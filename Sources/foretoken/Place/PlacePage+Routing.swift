import ForetokenPlacement
import ForetokenReport

extension PlacePage {
    /// What the router does: loads, pairs, overlap.
    var routing: ReportPage.Section {
        guard study.trace.skew != nil else { return .init("", []) }
        var blocks: [ReportPage.Block] = [
            .text(
                "Recorded from \(count(study.trace.rows.all, "row")). Popular experts are worth a better place; experts that are "
                    + "often chosen together should lie on different nodes; rows that share experts read fewer."),
            .chart(
                loadMap,
                caption: "Load of each expert over the mean of its layer. An even row means that all are used alike."),
            .row([.table(skewTable), .table(overlapTable)]),
        ]
        if study.trace.hasCompany { blocks.append(.table(companyTable)) }
        if let map = study.coactivation {
            blocks.append(
                .row([
                    .chart(
                        pairMap(map),
                        caption:
                            "Rows that chose both experts, over what independent choices would give. The most loaded experts."
                    ),
                    .table(pairTable),
                ]))
        }
        return .init("What the router does", blocks)
    }

    private var loadMap: HeatMap {
        let layers = study.trace.layers
        let values = layers.map { layer in
            let mean = Double(layer.load.reduce(0, +)) / Double(max(1, layer.load.count))
            return layer.load.map { mean > 0 ? Double($0) / mean : 0 }
        }
        // A few very hot experts would leave all others without colour.
        let ordered = values.joined().sorted()
        let top = ordered.isEmpty ? 1 : max(1, ordered[ordered.count * 99 / 100])
        return HeatMap(
            "Load by expert and layer",
            summary: study.trace.skew.map {
                "The hottest expert of a layer has \(AxisFormat.times.text($0.hottest)) the mean."
            } ?? "",
            columns: (0..<study.trace.expertCount).map(String.init), rows: layers.map { "\($0.layer)" }, values: values,
            x: "expert", y: Axis("layer", .times, scale: Scale(covering: [0, top])))
    }

    private var skewTable: DataTable {
        var table = DataTable("Skew", [.init("Figure"), .init("Mean of the layers", .right)])
        guard let skew = study.trace.skew else { return table }
        table.add(["hottest expert over the mean", .init(AxisFormat.times.text(skew.hottest))])
        table.add(["Gini coefficient of the loads", .init(Format.fixed(skew.gini, 3))])
        table.add([
            .init("effective experts", detail: "as many equally loaded ones are as hard to foresee"),
            .init(Format.fixed(skew.effectiveExperts, 1), detail: "of \(study.trace.expertCount)"),
        ])
        table.add(["experts that no row chose", .init(Format.percent(skew.idle))])
        if let reuse = study.trace.reuse {
            table.add([
                "shared with the token before",
                .init(Format.percent(reuse.share), detail: "\(Format.percent(reuse.independent)) by chance"),
            ])
        }
        if let drift = study.trace.drift {
            table.add([
                "change between the trace's halves",
                .init(Format.percent(drift.variation), detail: "\(Format.percent(drift.variationByChance)) by chance"),
            ])
        }
        return table
    }

    private var overlapTable: DataTable {
        var table = DataTable(
            "Experts that a window reads in a layer",
            [
                .init("Window"), .init("Rows", .right), .init("Windows", .right), .init("Distinct", .right),
                .init("Without overlap", .right), .init("By chance", .right),
            ])
        let windows =
            study.trace.windowOverlap.map { ("verified", $0) } + study.trace.textOverlap.map { ("in turn", $0) }
        for (name, overlap) in windows {
            table.add([
                .init(name), .init("\(overlap.rows)"), .init(Format.grouped(overlap.count)),
                .init(Format.fixed(overlap.distinct, 1)), .init(Format.fixed(overlap.withoutOverlap, 0)),
                .init(Format.fixed(overlap.independent, 1)),
            ])
        }
        return table
    }

    private var companyTable: DataTable {
        var table = DataTable(
            "Steps by the texts that shared them",
            [
                .init("Texts", .right), .init("Steps", .right), .init("Rows", .right), .init("Tokens", .right),
                .init("Experts of a layer", .right), .init("Each text alone", .right),
            ])
        for company in study.trace.company {
            table.add([
                .init("\(company.texts)"), .init(Format.grouped(company.steps)), .init(Format.fixed(company.rows, 1)),
                .init(Format.fixed(company.tokens, 1)), .init(Format.fixed(company.distinct, 1)),
                .init(Format.fixed(company.apart, 1)),
            ])
        }
        return table
    }

    private func pairMap(_ map: CoactivationMap) -> HeatMap {
        let names = map.experts.map(String.init)
        let values = map.ratios.enumerated().map { one, row in
            row.enumerated().map { other, ratio in one == other ? Double.nan : ratio }
        }
        return HeatMap(
            "Experts chosen together, layer \(map.layer)",
            summary: "1× is chance; the strongest pair has "
                + "\(AxisFormat.times.text(map.ratios.joined().max() ?? 0)).",
            columns: names, rows: names, values: values, x: "expert",
            y: Axis("expert", .times, scale: Scale(covering: [0] + map.ratios.joined())))
    }

    private var pairTable: DataTable {
        var table = DataTable(
            "Pairs that chance explains least",
            [
                .init("Layer"), .init("Experts", .right), .init("Rows together", .right), .init("By chance", .right),
                .init("Ratio", .right),
            ])
        for pair in study.trace.pairs {
            table.add([
                .init("\(pair.layer)"), .init("\(pair.first), \(pair.second)"), .init(Format.grouped(pair.together)),
                .init(Format.fixed(pair.expected, 1)),
                .init(AxisFormat.times.text(Double(pair.together) / pair.expected)),
            ])
        }
        return table
    }

    /// How texts of different kinds route.
    var domains: ReportPage.Section {
        guard study.trace.domains.count > 1 else { return .init("", []) }
        var table = DataTable(
            "Domains",
            [
                .init("Domain"), .init("Rows", .right), .init("Windows", .right), .init("Drafts accepted", .right),
                .init("Hottest over mean", .right), .init("Effective experts", .right), .init("Away from all", .right),
                .init("By chance", .right),
            ])
        for domain in study.trace.domains {
            let drafts = domain.rows.accepted + domain.rows.rejected
            table.add([
                .init(domain.domain), .init(Format.grouped(domain.rows.all)), .init(Format.grouped(domain.windows)),
                .init(drafts > 0 ? Format.percent(Double(domain.rows.accepted) / Double(drafts)) : "–"),
                .init(domain.skew.map { AxisFormat.times.text($0.hottest) } ?? "–"),
                .init(domain.skew.map { Format.fixed($0.effectiveExperts, 1) } ?? "–"),
                .init(domain.distance.map(Format.percent) ?? "–"),
                .init(domain.distanceByChance.map(Format.percent) ?? "–"),
            ])
        }
        return .init(
            "Do domains route alike?",
            [
                .text(
                    "Away from all: half the sum of the differences between a domain's load and the whole trace's. Domains far "
                        + "beyond chance want a plan from their mix as it will be served."), .table(table),
            ])
    }
}
