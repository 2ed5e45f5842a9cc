import ForetokenLaboratory
import ForetokenReport

extension MeasurePage {
    /// What `auto` gains in each domain.
    var domains: ReportPage.Section {
        let temperatures =
            measurement.comparedTemperatures.isEmpty
            ? measurement.domainSpeeds.map(\.temperature).first.map { [$0] } ?? [] : measurement.comparedTemperatures
        let rows = temperatures.compactMap { temperature -> ReportPage.Block? in
            let speeds = measurement.domainSpeeds(at: temperature)
            guard !speeds.isEmpty else { return nil }
            return .row([
                .chart(
                    domainChart(speeds, temperature),
                    caption: "Over no drafts; higher is better. Thin lines: 95 % intervals over prompts."),
                .table(domainTable(speeds, temperature)),
            ])
        }
        guard !rows.isEmpty else { return .init("", []) }
        let text =
            "The best fixed setting is the fastest of those compared, so chance flatters it. "
            + "The limit is what copied text could gain: every draft holds and costs nothing but its row."
        return .init("What auto gains, by kind of text", [.text(text)] + rows)
    }

    private func domainChart(_ speeds: [Measurement.DomainSpeed], _ temperature: Float) -> BarChart {
        let suffix = suffix(temperature, among: measurement.comparedTemperatures.count)
        return BarChart(
            "Speed-up of auto by domain\(suffix)",
            summary: speeds.map { "\($0.domain) \($0.auto.times)" }.joined(separator: ", ") + ".",
            groups: speeds.map(\.domain), x: "domain", y: Axis("speed-up", .times),
            series: [
                .init("predicted", speeds.map { $0.predicted.map { BarChart.Bar($0) } }, isExpectation: true),
                .init("auto", speeds.map(\.auto.bar)), .init("best fixed setting", speeds.map(\.bestSpeed.bar)),
            ], reference: (1, "no drafts"))
    }

    private func domainTable(_ speeds: [Measurement.DomainSpeed], _ temperature: Float) -> DataTable {
        var table = DataTable(
            "auto by domain\(suffix(temperature, among: measurement.comparedTemperatures.count))",
            [
                .init("Domain"), .init("Prompts", .right), .init("Predicted", .right), .init("auto", .right),
                .init("Prediction off by", .right), .init("Best fixed setting"), .init("Its speed-up", .right),
                .init("Limit for copies", .right),
            ])
        for speed in speeds {
            let rows = speed.copyRows.map { "with \(count($0, "row"))" }
            table.add([
                DataTable.Cell(speed.domain), DataTable.Cell(Format.grouped(speed.prompts)),
                DataTable.Cell(speed.predicted.map(AxisFormat.times.text) ?? "–"),
                DataTable.Cell(speed.auto.times, detail: speed.auto.isKnown ? speed.auto.timesRange : nil),
                DataTable.Cell(speed.error.map(Self.signed) ?? "–"), DataTable.Cell(speed.best),
                DataTable.Cell(
                    speed.bestSpeed.times, detail: speed.bestSpeed.isKnown ? speed.bestSpeed.timesRange : nil),
                DataTable.Cell(speed.copyLimit.map(AxisFormat.times.text) ?? "–", detail: rows),
            ])
        }
        return table
    }

    /// What `auto` gains with either source alone and with both.
    var sources: ReportPage.Section {
        let tables = measurement.comparedTemperatures.compactMap { temperature -> ReportPage.Block? in
            let speeds = measurement.sourceSpeeds(at: temperature)
            return speeds.count > 1 ? .table(sourceTable(speeds, temperature)) : nil
        }
        guard !tables.isEmpty else { return .init("", []) }
        return .init(
            "What each source of drafts gains",
            [.text("Drafts of the modules cost a part of a step to make, those that are looked up nothing.")] + tables)
    }

    private func sourceTable(_ speeds: [Measurement.SpeedComparison], _ temperature: Float) -> DataTable {
        func share(_ part: Int, of all: Int) -> DataTable.Cell {
            all == 0 ? "–" : DataTable.Cell(Format.percent(Double(part) / Double(all)))
        }
        var table = DataTable(
            "auto by source\(suffix(temperature, among: measurement.comparedTemperatures.count))",
            [
                .init("Sources"), .init("Predicted", .right), .init("Measured", .right),
                .init("Prediction off by", .right), .init("Drafts of modules", .right), .init("held", .right),
                .init("Drafts looked up", .right), .init("held", .right),
            ])
        for speed in speeds {
            let drafts = speed.drafts
            table.add([
                DataTable.Cell(speed.sources), DataTable.Cell(speed.predicted.map(AxisFormat.times.text) ?? "–"),
                DataTable.Cell(speed.measured.times, detail: speed.measured.isKnown ? speed.measured.timesRange : nil),
                DataTable.Cell(speed.error.map(Self.signed) ?? "–"), DataTable.Cell(Format.grouped(drafts.modules)),
                share(drafts.modulesHeld, of: drafts.modules), DataTable.Cell(Format.grouped(drafts.lookup)),
                share(drafts.lookupHeld, of: drafts.lookup),
            ])
        }
        return table
    }

    /// How often tokens hold that were looked up.
    var lookup: ReportPage.Section {
        let several = measurement.conditions.count
        let rows = measurement.conditions.compactMap { condition -> ReportPage.Block? in
            guard condition.domains.contains(where: { $0.lookup != nil }) else { return nil }
            let suffix = suffix(condition.temperature, among: several)
            var tables: [ReportPage.Block] = [.table(findTable(condition, suffix))]
            if let overall = condition.overall, overall.lookup != nil {
                tables.append(.table(matchTable(overall, "By length of the match\(suffix), \(overall.domain)")))
            }
            return .row(tables)
        }
        guard !rows.isEmpty else { return .init("", []) }
        let text =
            "At every place the text was looked through for where it had ended so before; what followed there was compared with what the model says. "
            + "The module agrees where its first draft is the same token."
        return .init("How often look-up holds", [.text(text)] + rows)
    }

    private static let heldColumns: [Table.Column] = [
        .init("Held", .right), .init("Module agrees", .right), .init("Module differs", .right),
    ]

    private func cells(_ kind: Measurement.LookupKind?) -> [DataTable.Cell] {
        [kind?.held, kind?.agreed, kind?.disagreed].map { $0?.percentCell ?? "–" }
    }

    private func findTable(_ condition: Measurement.Condition, _ suffix: String) -> DataTable {
        var table = DataTable(
            "Look-up by domain\(suffix)", [.init("Domain"), .init("Found", .right)] + Self.heldColumns)
        for (index, domain) in condition.domains.enumerated() {
            guard let lookup = domain.lookup else { continue }
            table.add(
                [DataTable.Cell(domain.domain), lookup.found.percentCell] + cells(lookup.all),
                isEmphasised: condition.isSummary(index))
        }
        return table
    }

    private func matchTable(_ domain: Domain, _ caption: String) -> DataTable {
        var table = DataTable(caption, [.init("Match of"), .init("Finds", .right)] + Self.heldColumns)
        for (index, kind) in (domain.lookup?.byLength ?? []).enumerated() {
            table.add(
                [
                    DataTable.Cell(domain.lookup?.span(index) ?? ""), DataTable.Cell(Format.grouped(kind.held.count)),
                ] + cells(kind))
        }
        return table
    }
}
