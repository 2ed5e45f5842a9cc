import ForetokenLaboratory
import ForetokenReport

extension MeasurePage {
    typealias Domain = Measurement.DomainAcceptance

    /// Acceptance by position, for every temperature.
    var acceptance: ReportPage.Section {
        let several = measurement.conditions.count
        let blocks = measurement.conditions.flatMap { condition -> [ReportPage.Block] in
            let suffix = suffix(condition.temperature, among: several)
            guard condition.domains.contains(where: { !$0.conditional.isEmpty }) else { return [] }
            return [
                .row([
                    .chart(
                        positionChart(condition, suffix),
                        caption:
                            "Share of drafts that hold, given that those before them did. Thin lines: 95 % intervals."),
                    .table(domainTable("Conditional\(suffix): draft d holds, given 1…d − 1", condition, \.conditional)),
                ]),
                .row([
                    .table(domainTable("Cumulative\(suffix): drafts 1…d all hold", condition, \.cumulative)),
                    .table(textTable(condition)), .table(sizeTable(condition, suffix)),
                ]),
            ]
        }
        guard !blocks.isEmpty else { return .init("", []) }
        let text =
            "A chain of drafts was started at every position and compared with what the model itself says there."
        return .init("How often drafts hold", [.text(text)] + blocks)
    }

    /// What figures without a domain are of.
    private var scope: String {
        guard let condition = measurement.conditions.first, let name = condition.overall?.domain else { return "" }
        return condition.domains.count > 1 ? "all domains together" : name
    }

    /// An axis that counts drafts.
    private var draftAxis: Axis {
        let most = max(
            1, measurement.conditions.flatMap(\.domains).map { max($0.conditional.count, $0.rounds.count) }.max() ?? 1)
        return Axis("draft", scale: Scale(counting: 1...most))
    }

    private func positionChart(_ condition: Measurement.Condition, _ suffix: String) -> LineChart {
        let series = condition.domains.enumerated().map { index, domain in
            LineChart.Series(
                domain.domain, domain.conditional.enumerated().map { $1.point(at: Double($0 + 1)) },
                isSummary: condition.isSummary(index))
        }
        let list = condition.domains.map { "\($0.domain) \($0.conditional.first?.percent ?? "–")" }
        return LineChart(
            "Acceptance by draft position\(suffix)", summary: "Draft 1: \(list.joined(separator: ", ")).", x: draftAxis,
            y: Axis("drafts that hold", .percent, scale: Scale(covering: [0, 1])), series: series, dodges: true)
    }

    /// Domains down, drafts across.
    private func domainTable(
        _ caption: String, _ condition: Measurement.Condition, _ values: KeyPath<Domain, [Estimate]>
    ) -> DataTable {
        let depth = condition.domains.map { $0[keyPath: values].count }.max() ?? 0
        var table = DataTable(
            caption,
            [.init("Domain")] + (0..<depth).map { .init("Draft \($0 + 1)", .right) })
        for (index, domain) in condition.domains.enumerated() {
            table.add(
                [DataTable.Cell(domain.domain)] + domain[keyPath: values].map(\.percentCell),
                isEmphasised: condition.isSummary(index))
        }
        return table
    }

    /// How much there was to measure.
    private func sizeTable(_ condition: Measurement.Condition, _ suffix: String) -> DataTable {
        var table = DataTable(
            "Sample sizes\(suffix)", [.init("Domain"), .init("Prompts", .right), .init("Positions", .right)])
        for (index, domain) in condition.domains.enumerated() {
            table.add(
                [
                    DataTable.Cell(domain.domain), DataTable.Cell(Format.grouped(domain.prompts)),
                    DataTable.Cell(Format.grouped(domain.positions)),
                ], isEmphasised: condition.isSummary(index))
        }
        return table
    }

    /// How well a given text was foreseen; empty without one.
    private func textTable(_ condition: Measurement.Condition) -> DataTable {
        var table = DataTable(
            "The text's own tokens",
            [.init("Domain"), .init("Guessed by draft 1", .right), .init("Likeliest to the model", .right)])
        for (index, domain) in condition.domains.enumerated() {
            guard let text = domain.textAgreement else { continue }
            table.add(
                [DataTable.Cell(domain.domain), text.draft?.percentCell ?? "–", text.verifier.percentCell],
                isEmphasised: condition.isSummary(index))
        }
        return table
    }

    /// What rounds of a fixed length come to.
    var rounds: ReportPage.Section {
        let several = measurement.conditions.count
        let blocks = measurement.conditions.flatMap { condition -> [ReportPage.Block] in
            guard let overall = condition.overall, !overall.rounds.isEmpty else { return [] }
            let suffix = suffix(condition.temperature, among: several)
            return [
                .row([
                    .chart(
                        tokensChart(condition, suffix),
                        caption: "The dashed line is what drafts that always hold would give."),
                    .table(lengthTable("Tokens per round\(suffix)", condition) { $0.tokensPerRound.numberCell }),
                ]),
                .row([
                    .table(
                        lengthTable("Accepted of drafts tried\(suffix)", condition) { $0.rate.percentCell }),
                    .table(lengthTable("Rounds\(suffix)", condition) { DataTable.Cell(Format.grouped($0.rounds)) }),
                ]),
                .table(roundTable(overall, "Rounds in detail\(suffix), \(overall.domain)")),
            ]
        }
        guard !blocks.isEmpty else { return .init("", []) }
        return .init(
            "What a round yields",
            [
                .text(
                    "A round checks its drafts in one step and emits those that hold, and one token more. Each further draft is reached less often, so the curves bend."
                )
            ] + blocks)
    }

    private func tokensChart(_ condition: Measurement.Condition, _ suffix: String) -> LineChart {
        let series = condition.domains.enumerated().map { index, domain in
            LineChart.Series(
                domain.domain, domain.rounds.map { $0.tokensPerRound.point(at: Double($0.draftLength)) },
                isSummary: condition.isSummary(index))
        }
        let most = condition.domains.flatMap { $0.rounds.map(\.draftLength) }.max() ?? 1
        let list = (condition.overall?.rounds ?? []).map {
            "\(Format.fixed($0.tokensPerRound.value, 2)) with \($0.draftLength)"
        }
        return LineChart(
            "Tokens per round by draft length\(suffix)", summary: "\(scope): \(list.joined(separator: ", ")).",
            x: Axis("drafts per round", scale: Scale(counting: 1...max(1, most))),
            y: Axis("tokens per round", scale: Scale(covering: [1, Double(most + 1)])), series: series,
            references: [.sloped(1, offset: 1, "every draft holds")], dodges: true)
    }

    /// Domains down, draft lengths across.
    private func lengthTable(
        _ caption: String, _ condition: Measurement.Condition,
        _ cell: (Measurement.RoundAcceptance) -> DataTable.Cell
    ) -> DataTable {
        let lengths = Set(condition.domains.flatMap { $0.rounds.map(\.draftLength) }).sorted()
        var table = DataTable(caption, [.init("Domain")] + lengths.map { .init(count($0, "draft"), .right) })
        for (index, domain) in condition.domains.enumerated() {
            let cells = lengths.map { length in
                domain.rounds.first { $0.draftLength == length }.map(cell) ?? "–"
            }
            table.add([DataTable.Cell(domain.domain)] + cells, isEmphasised: condition.isSummary(index))
        }
        return table
    }

    private func roundTable(_ domain: Domain, _ caption: String) -> DataTable {
        let depth = domain.rounds.map(\.conditional.count).max() ?? 0
        var table = DataTable(
            caption,
            [
                .init("Drafts per round"), .init("Rounds", .right), .init("Tokens per round", .right),
                .init("Accepted of those tried", .right),
            ] + (0..<depth).map { .init("Draft \($0 + 1)", .right) })
        for round in domain.rounds {
            table.add(
                [
                    DataTable.Cell("\(round.draftLength)"), DataTable.Cell(Format.grouped(round.rounds)),
                    round.tokensPerRound.numberCell, round.rate.percentCell,
                ] + round.conditional.map(\.percentCell))
        }
        return table
    }

    /// The first draft's acceptance at every temperature, where there are several.
    var temperatures: ReportPage.Section {
        let conditions = measurement.conditions
        guard conditions.count > 1 else { return .init("", []) }
        let names = conditions.flatMap { $0.domains.map(\.domain) }
            .reduce(into: [String]()) { if !$0.contains($1) { $0.append($1) } }
        let found = names.map { name in
            conditions.map { condition in
                condition.domains.last { $0.domain == name }?.conditional.first
            }
        }
        let series = zip(names, found).map { name, estimates in
            LineChart.Series(
                name, zip(conditions, estimates).compactMap { $1?.point(at: Double($0.temperature)) },
                isSummary: name == conditions[0].overall?.domain && names.count > 1)
        }
        let list = zip(conditions, found.last ?? []).map { "\(spelled($0.temperature)): \($1?.percent ?? "–")" }
        let chart = LineChart(
            "Draft 1 by temperature", summary: "\(names.last ?? ""): \(list.joined(separator: ", ")).",
            x: Axis("temperature", scale: Scale(marking: conditions.map { Double($0.temperature) })),
            y: Axis("drafts that hold", .percent, scale: Scale(covering: [0, 1])),
            series: series, dodges: true)
        var table = DataTable(
            "Draft 1 holds, by temperature",
            [.init("Domain")] + conditions.map { .init(spelled($0.temperature), .right) })
        for (name, estimates) in zip(names, found) {
            table.add(
                [DataTable.Cell(name)] + estimates.map { $0?.percentCell ?? "–" },
                isEmphasised: names.count > 1 && name == names.last)
        }
        return .init(
            "Temperature",
            [
                .text("The higher the temperature, the more often chance picks a token that the draft did not expect."),
                .row([.chart(chart, caption: "Share of first drafts that hold."), .table(table)]),
            ])
    }

    /// What sampling leaves possible, at temperatures above 0.
    var sampling: ReportPage.Section {
        let blocks = measurement.conditions.flatMap { condition -> [ReportPage.Block] in
            let found = condition.domains.enumerated().filter { $1.agreement != nil }
            guard let overall = found.last?.element.agreement else { return [] }
            return [
                .row([
                    .chart(agreementChart(overall, condition.temperature), caption: "Draft 1, \(scope)."),
                    .table(agreementTable(condition)),
                ])
            ]
        }
        guard !blocks.isEmpty else { return .init("", []) }
        return .init(
            "Why drafts hold less often when sampling",
            [
                .text(
                    "With a temperature the model and the draft both draw by chance, so a draft holds only when both draw the same token; "
                        + "the overlap of their distributions, Σ min(p, q), is the most any exact method can reach. "
                        + "Foretoken draws both with the same noise, which comes close to it; the last two figures are what simpler drafts would get."
                )
            ] + blocks)
    }

    private func agreementChart(_ agreement: Measurement.SamplingAgreement, _ temperature: Float) -> BarChart {
        let bars = [
            ("best possible", agreement.overlap), ("shared noise, expected", agreement.keyed),
            ("shared noise, observed", agreement.observed), ("likeliest token", agreement.argmaxDraft),
            ("noise of its own", agreement.independentDraft),
        ]
        return BarChart(
            "How often draft 1 can hold at temperature \(spelled(temperature))",
            summary: bars.map { "\($0.0) \($0.1.percent)" }.joined(separator: ", ") + ".", groups: bars.map(\.0),
            x: "how the draft is drawn", y: Axis("drafts that hold", .percent, scale: Scale(covering: [0, 1])),
            series: [.init("draft 1", bars.map(\.1.bar))])
    }

    private func agreementTable(_ condition: Measurement.Condition) -> DataTable {
        var table = DataTable(
            "Agreement at temperature \(spelled(condition.temperature))",
            [
                .init("Domain"), .init("Best possible", .right), .init("Expected", .right), .init("Observed", .right),
                .init("Likeliest token", .right), .init("Own noise", .right),
            ])
        for (index, domain) in condition.domains.enumerated() {
            guard let agreement = domain.agreement else { continue }
            table.add(
                [
                    DataTable.Cell(domain.domain), agreement.overlap.percentCell, agreement.keyed.percentCell,
                    agreement.observed.percentCell, agreement.argmaxDraft.percentCell,
                    agreement.independentDraft.percentCell,
                ], isEmphasised: condition.isSummary(index))
        }
        return table
    }

    /// Whether the draft knows when it is right.
    var reliability: ReportPage.Section {
        let conditions = measurement.conditions.filter { $0.overall?.reliability.isEmpty == false }
        guard !conditions.isEmpty else { return .init("", []) }
        let series = conditions.map { condition in
            LineChart.Series(
                "temperature \(spelled(condition.temperature))",
                (condition.overall?.reliability ?? []).map { bin in
                    LineChart.Point(
                        bin.confidence, bin.accepted.isKnown ? bin.accepted.value : .nan, low: bin.accepted.low,
                        high: bin.accepted.high)
                })
        }
        let share = Axis("the draft's own probability", .percent, scale: Scale(covering: [0, 1]))
        let chart = LineChart(
            "Own probability against acceptance",
            summary:
                "How often draft 1 holds by the probability it gives itself; on the dashed diagonal both are equal.",
            x: share, y: Axis("drafts that hold", .percent, scale: Scale(covering: [0, 1])), series: series,
            references: [.sloped(1, offset: 0, "as sure as it should be")])
        let tables = conditions.map { condition in
            ReportPage.Block.table(reliabilityTable(condition, suffix(condition.temperature, among: conditions.count)))
        }
        return .init(
            "Does the draft know when it is right?",
            [
                .text(
                    "Above the diagonal drafts hold more often than they expect, below it less often. "
                        + "`--draft auto` learns this curve and stops drafting where a further draft would not pay."),
                .row([.chart(chart, caption: "Draft 1, \(scope).")] + tables),
            ])
    }

    private func reliabilityTable(_ condition: Measurement.Condition, _ suffix: String) -> DataTable {
        var table = DataTable(
            "Draft 1 by its own probability\(suffix)",
            [
                .init("Probability"), .init("Drafts", .right), .init("Mean", .right), .init("Held", .right),
                .init("Interval", .right),
            ])
        for bin in condition.overall?.reliability ?? [] {
            table.add([
                DataTable.Cell("\(Format.fixed(bin.lowest * 100, 0))–\(Format.fixed(bin.highest * 100, 0)) %"),
                DataTable.Cell(Format.grouped(bin.accepted.count)), DataTable.Cell(Format.percent(bin.confidence)),
                DataTable.Cell(bin.accepted.percent),
                DataTable.Cell(bin.accepted.isKnown ? bin.accepted.percentRange : "–"),
            ])
        }
        return table
    }
}
