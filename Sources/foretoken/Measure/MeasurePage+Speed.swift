import ForetokenLaboratory
import ForetokenReport

extension MeasurePage {
    /// Predicted and measured speed-up.
    var speed: ReportPage.Section {
        let temperatures = measurement.comparedTemperatures
        let text =
            "Bars above the line are faster than no drafts. The prediction runs the same rounds along the recorded texts, by the typical times of steps and drafts; "
            + "the measurement ran the same tokens with and without drafts, in turns."
        let rows = temperatures.map { temperature in
            ReportPage.Block.row([
                .chart(
                    speedChart(temperature),
                    caption: "Over no drafts; higher is better. Thin lines: 95 % intervals over prompts."),
                .table(speedTable(temperature)),
            ])
        }
        return .init("How much faster", rows.isEmpty ? [] : [.text(text)] + rows)
    }

    /// Words that tell apart what exists once for each temperature; empty where there is one.
    func suffix(_ temperature: Float, among count: Int) -> String {
        count > 1 ? " at temperature \(spelled(temperature))" : ""
    }

    private func speedChart(_ temperature: Float) -> BarChart {
        let speeds = measurement.speeds(at: temperature).filter { $0.draft != "off" }
        let suffix = suffix(temperature, among: measurement.comparedTemperatures.count)
        let list = speeds.map { "\(measurement.name($0)) \($0.measured.times)" }.joined(separator: ", ")
        return BarChart(
            "Speed-up by draft length\(suffix)", summary: "Measured: \(list).", groups: speeds.map(measurement.name),
            x: "drafts per round",
            y: Axis("speed-up", .times),
            series: [
                .init("predicted", speeds.map { $0.predicted.map { BarChart.Bar($0) } }, isExpectation: true),
                .init("measured", speeds.map(\.measured.bar)),
            ], reference: (1, "no drafts"))
    }

    private func speedTable(_ temperature: Float) -> DataTable {
        let suffix = suffix(temperature, among: measurement.comparedTemperatures.count)
        let speeds = measurement.speeds(at: temperature)
        var table = DataTable(
            "Speed\(suffix)",
            [
                .init("Drafts"), .init("Predicted", .right), .init("Measured", .right),
                .init("Prediction off by", .right), .init("tok/s", .right), .init("Tokens per timed round", .right),
            ])
        let recommended = Verdict(measurement).flag
        for speed in speeds {
            table.add(
                [
                    DataTable.Cell(measurement.name(speed)),
                    DataTable.Cell(speed.predicted.map(AxisFormat.times.text) ?? "–"),
                    DataTable.Cell(
                        speed.measured.times,
                        detail: speed.measured.isKnown && speed.draft != "off" ? speed.measured.timesRange : nil),
                    DataTable.Cell(speed.error.map(Self.signed) ?? "–"),
                    DataTable.Cell(Format.short(speed.tokensPerSecond)),
                    DataTable.Cell(Format.fixed(speed.tokensPerRound, 2)),
                ],
                isEmphasised: "--draft \(measurement.name(speed))" == recommended
                    && temperature == measurement.comparedTemperatures.first)
        }
        return table
    }

    /// A deviation with its sign: +1.7 %.
    static func signed(_ share: Double) -> String {
        let text = Format.percent(share)
        return share > 0 && text != "0.0 %" ? "+" + text : text
    }

    /// What steps cost.
    var costs: ReportPage.Section {
        guard let costs = measurement.costs, !costs.relative.isEmpty else { return .init("", []) }
        let relative = costs.relative
        let points = relative.enumerated().map { LineChart.Point(Double($0 + 1), $1) }
        let most = relative.max() ?? 1
        let chart = LineChart(
            "Time of a step by rows",
            summary:
                "With \(count(relative.count, "row")) a step takes \(AxisFormat.times.text(relative[relative.count - 1])) the time of one row.",
            x: Axis("rows in the step", scale: Scale(counting: 1...relative.count)),
            y: Axis("time over one row", .times, scale: Scale(covering: [0, max(2, most * 1.05)])),
            series: [.init("measured", points)],
            references: [
                .horizontal(1, "free drafts: rows cost nothing"),
                .sloped(1, offset: 0, "no sharing: every row costs a step"),
            ])
        var table = DataTable(
            "Step times",
            [.init("Rows"), .init("Time", .right), .init("Over one row", .right), .init("Each further row", .right)])
        for (index, time) in costs.verify.enumerated() {
            let further = index > 0 ? "+\(AxisFormat.times.text((relative[index] - 1) / Double(index)))" : "–"
            table.add([
                DataTable.Cell("\(index + 1)"), DataTable.Cell(Self.time(time)),
                DataTable.Cell(AxisFormat.times.text(relative[index])), DataTable.Cell(further),
            ])
        }
        var drafting = DataTable("Drafting", [.init("Work"), .init("Time", .right), .init("Over one row", .right)])
        let plain = costs.verify[0]
        for (index, time) in costs.firstDraft.enumerated() {
            drafting.add([
                DataTable.Cell("first draft, behind \(count(index + 1, "new row"))"), DataTable.Cell(Self.time(time)),
                DataTable.Cell(AxisFormat.times.text(time / plain)),
            ])
        }
        if costs.laterDraft > 0 {
            drafting.add([
                "each further draft", DataTable.Cell(Self.time(costs.laterDraft)),
                DataTable.Cell(AxisFormat.times.text(costs.laterDraft / plain)),
            ])
        }
        return .init(
            "What checking costs here",
            [
                .text(
                    "All rows of a step share one pass over the weights. Where memory is the limit further rows are nearly free and drafting pays; where arithmetic is, every row costs."
                ),
                .row([
                    .chart(
                        chart,
                        caption:
                            "Lower is better. Taken with \(Format.grouped(costs.meanContext)) positions in the cache on average."
                    ), .table(table),
                ]),
                .row([.table(drafting), .table(roofTable(costs))]),
            ])
    }

    private func roofTable(_ costs: Measurement.StepCosts) -> DataTable {
        var table = DataTable("Memory roof", [.init("Figure"), .init("Value", .right)])
        guard let share = costs.roofShare else { return table }
        table.add(["weights read by a plain step", DataTable.Cell(Format.bytes(Int(clamping: costs.bytesPerStep)))])
        table.add(["read bandwidth of this machine", DataTable.Cell("\(Format.fixed(costs.bandwidth / 1e9, 1)) GB/s")])
        table.add([
            "fastest possible plain step", DataTable.Cell(Self.time(costs.bytesPerStep / costs.bandwidth * 1e9)),
        ])
        table.add(["measured plain step", DataTable.Cell(Self.time(costs.verify[0]))])
        table.add(
            ["share of the roof", DataTable.Cell(Format.percent(share), detail: measurement.roofExcuse)],
            isEmphasised: true)
        return table
    }

    /// A duration in nanoseconds: 812 µs, 3.42 ms.
    package static func time(_ nanoseconds: Double) -> String {
        guard nanoseconds.isFinite, nanoseconds < 1e18 else { return "–" }
        return nanoseconds < 1e6
            ? "\(Format.short(nanoseconds / 1000)) µs" : Format.duration(nanoseconds: Int64(nanoseconds))
    }

    /// What `auto` did.
    var adaptive: ReportPage.Section {
        guard let adaptive = measurement.adaptive else { return .init("", []) }
        let groups = adaptive.shares.indices.map { "\($0)" }
        let list = zip(groups, adaptive.shares).map { "\($0) \(Format.percent($1))" }.joined(separator: ", ")
        let chart = BarChart(
            "Rounds by number of drafts", summary: "Share of rounds by number of drafts: \(list).", groups: groups,
            x: "drafts checked in a round",
            y: Axis("share of rounds", .percent), series: [.init("auto", adaptive.shares.map { BarChart.Bar($0) })])
        var table = DataTable("What auto did", [.init("Drafts checked"), .init("Share of rounds", .right)])
        for (name, share) in zip(groups, adaptive.shares) {
            table.add([DataTable.Cell(name), DataTable.Cell(Format.percent(share))])
        }
        return .init(
            "What auto chose, and why",
            [.text(measurement.reasonOfChoice)]
                + (adaptive.shares.isEmpty
                    ? [] : [.row([.chart(chart, caption: "0: the round drafted nothing."), .table(table)])]))
    }
}

extension Int {
    /// The nearest integer there is; 0 for NaN.
    fileprivate init(clamping value: Double) {
        self = value.isNaN ? 0 : value >= 9e18 ? .max : value <= -9e18 ? .min : Int(value)
    }
}
