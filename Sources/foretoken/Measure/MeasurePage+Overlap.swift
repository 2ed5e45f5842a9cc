import ForetokenLaboratory
import ForetokenReport

extension MeasurePage {
    /// How many experts the rows of a step share.
    var overlap: ReportPage.Section {
        let layers = measurement.overlap.filter { !$0.distinct.isEmpty && $0.distinct.count == $0.uniform.count }
        let windows = layers.map(\.distinct.count).min() ?? 0
        guard windows > 0 else { return .init("", []) }
        let measured = Self.mean(layers.map(\.distinct), windows)
        let uniform = Self.mean(layers.map(\.uniform), windows)
        var blocks: [ReportPage.Block] = [
            .text(
                "The rows of a step read each expert once, however many of them chose it. The more experts neighbouring tokens share, "
                    + "the less weight a checked draft adds; this is part of the step times above."),
            .row([
                .chart(
                    overlapChart(measured, uniform),
                    caption: "Mean over \(count(layers.count, "layer")) with experts. Lower is better."),
                .table(overlapTable(layers, measured, uniform)),
            ]),
        ]
        if layers.count > 1 && windows > 1 {
            blocks.append(
                .chart(
                    layerMap(layers, windows),
                    caption:
                        "How many fewer experts windows touch than if tokens chose independently and uniformly. The stronger the colour, the more they share."
                ))
        }
        return .init("Experts that neighbouring tokens share", blocks)
    }

    /// Means over layers, by window.
    private static func mean(_ layers: [[Double]], _ windows: Int) -> [Double] {
        (0..<windows).map { window in layers.reduce(0) { $0 + $1[window] } / Double(layers.count) }
    }

    private func overlapChart(_ measured: [Double], _ uniform: [Double]) -> LineChart {
        func points(_ values: [Double]) -> [LineChart.Point] {
            values.enumerated().map { LineChart.Point(Double($0 + 1), $1) }
        }
        let last = measured.count - 1
        return LineChart(
            "Distinct experts by window",
            summary: "Windows of \(last + 1) tokens touch \(Format.short(measured[last])) experts, "
                + "\(Format.short(uniform[last])) if chosen uniformly.",
            x: Axis("consecutive tokens", scale: Scale(counting: 1...measured.count)),
            y: Axis("distinct experts of a layer", scale: Scale(covering: [0] + measured + uniform)),
            series: [.init("measured", points(measured)), .init("if chosen uniformly", points(uniform))])
    }

    private func overlapTable(
        _ layers: [Measurement.LayerOverlap], _ measured: [Double], _ uniform: [Double]
    ) -> DataTable {
        var table = DataTable(
            "Distinct experts of a layer",
            [
                .init("Tokens"), .init("Measured", .right), .init("Uniform", .right), .init("Of uniform", .right),
                .init("Fewest", .right), .init("Most", .right),
            ])
        for window in measured.indices {
            let ordered = layers.sorted { $0.distinct[window] < $1.distinct[window] }
            table.add([
                DataTable.Cell("\(window + 1)"), DataTable.Cell(Format.fixed(measured[window], 1)),
                DataTable.Cell(Format.fixed(uniform[window], 1)),
                DataTable.Cell(Format.percent(measured[window] / uniform[window])),
                Self.extreme(ordered.first, window), Self.extreme(ordered.last, window),
            ])
        }
        return table
    }

    private static func extreme(_ layer: Measurement.LayerOverlap?, _ window: Int) -> DataTable.Cell {
        layer.map { DataTable.Cell(Format.fixed($0.distinct[window], 1), detail: "layer \($0.layer)") } ?? "–"
    }

    private func layerMap(_ layers: [Measurement.LayerOverlap], _ windows: Int) -> HeatMap {
        let values = (1..<windows).map { window in layers.map { 1 - $0.distinct[window] / $0.uniform[window] } }
        let most = values.last.flatMap { row in row.indices.max { row[$0] < row[$1] } }
        let summary = most.map {
            "Most sharing in layer \(layers[$0].layer): \(Format.percent(values[values.count - 1][$0])) fewer experts."
        }
        return HeatMap(
            "Sharing by layer", summary: summary ?? "", columns: layers.map { "\($0.layer)" },
            rows: (1..<windows).map { "\($0 + 1)" }, values: values, x: "layer",
            y: Axis("tokens", .percent, scale: Scale(covering: [0] + values.joined().map { max(0, $0) })))
    }
}
