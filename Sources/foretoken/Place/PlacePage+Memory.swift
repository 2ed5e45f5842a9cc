import ForetokenPlacement
import ForetokenReport

extension PlacePage {
    /// Nodes: how large and fast they are, and what lies there.
    var memory: ReportPage.Section {
        var blocks: [ReportPage.Block] = [.row([.chart(memoryChart, caption: memoryCaption), .table(nodeTable)])]
        if let busy = busyChart {
            blocks.append(
                .row([
                    .chart(busy, caption: "Mean over layers; the slowest node makes a layer's time."),
                    .table(busyTable),
                ]))
        }
        return .init("Nodes and their memory", blocks)
    }

    private var memoryCaption: String {
        study.taken.map { "What `\($0.result.policy)` puts on each node, of what weights may take there." }
            ?? "What must lie on each node whatever the plan, of what weights may take there."
    }

    private var memoryChart: RowChart {
        let rows = study.report.nodes.enumerated().map { index, node in
            let all = study.taken?.score.bytes[index] ?? node.reservedBytes
            return RowChart.Row(
                "node \(node.id)", [Double(node.reservedBytes) / 1e9, Double(all - node.reservedBytes) / 1e9],
                limit: Double(node.capacity) / 1e9)
        }
        return RowChart(
            "Memory by node",
            summary: study.report.nodes.enumerated().map { index, node in
                "Node \(node.id): \(Format.bytes(study.taken?.score.bytes[index] ?? node.reservedBytes)) of "
                    + "\(Format.bytes(node.capacity))."
            }.joined(separator: " "), x: Axis("GB"), parts: ["all but placed experts", "placed experts"], rows: rows,
            limitName: "for weights")
    }

    private var nodeTable: DataTable {
        var table = DataTable(
            "The machine, bandwidths \(study.sourceName)",
            [
                .init("Node"), .init("Workers", .right), .init("For weights", .right), .init("Read", .right),
                .init("Plan", .right), .init("Capacity-sliced", .right),
            ])
        for (index, node) in study.report.nodes.enumerated() {
            func cell(_ score: PolicyScore?) -> DataTable.Cell {
                guard let bytes = score?.bytes[index] else { return "–" }
                return .init(
                    Format.bytes(bytes), detail: Format.percent(Double(bytes) / Double(max(1, node.capacity))))
            }
            table.add([
                .init("\(node.id)", detail: node.workers > 0 ? nil : "memory only"), .init("\(node.workers)"),
                .init(Format.bytes(node.capacity)), .init("\(Format.short(node.bandwidth / 1e9)) GB/s"),
                cell(study.taken?.score), cell(study.baseline),
            ])
        }
        return table
    }

    /// Plans whose nodes are compared: the one taken, and the baseline.
    private var compared: [(name: String, score: PolicyScore)] {
        guard study.hasChoice, let (result, score) = study.taken else { return [] }
        let own = [("\(result.policy)", score)]
        guard result.policy != .capacitySliced, let baseline = study.baseline else { return own }
        return own + [("\(PlacementPolicy.capacitySliced)", baseline)]
    }

    /// Share of the experts' time that a node reads.
    private static func busy(_ score: PolicyScore, node: Int) -> Double {
        let all = score.layerSeconds.reduce(0, +)
        let own = zip(score.layerSeconds, score.nodeBusy).reduce(0) { $0 + $1.0 * $1.1[node] }
        return all > 0 ? own / all : 0
    }

    private var busyChart: BarChart? {
        guard !compared.isEmpty else { return nil }
        let nodes = study.report.nodes
        return BarChart(
            "Time that nodes are busy, predicted",
            summary: compared.map { name, score in
                "\(name): "
                    + nodes.indices.map { "node \(nodes[$0].id) \(Format.percent(Self.busy(score, node: $0)))" }
                    .joined(separator: ", ") + "."
            }.joined(separator: " "), groups: nodes.map { "\($0.id)" }, x: "node",
            y: Axis("of the experts' time", .percent, scale: Scale(covering: [0, 1])),
            series: compared.enumerated().map { index, plan in
                BarChart.Series(
                    plan.name, nodes.indices.map { BarChart.Bar(Self.busy(plan.score, node: $0)) },
                    isExpectation: index > 0)
            })
    }

    private var busyTable: DataTable {
        var table = DataTable(
            "Time that nodes are busy, of the experts' time",
            [.init("Node")] + compared.map { .init($0.name, .right) })
        for (index, node) in study.report.nodes.enumerated() {
            table.add(
                [.init("\(node.id)")] + compared.map { .init(Format.percent(Self.busy($0.score, node: index))) })
        }
        return table
    }

    /// Layer by layer.
    var layers: ReportPage.Section {
        guard !compared.isEmpty, study.report.layers.count > 1 else { return .init("", []) }
        let unit = study.unit
        let numbers = study.report.layers
        let series = compared.map { name, score in
            LineChart.Series(
                name, zip(numbers, score.layerSeconds).map { LineChart.Point(Double($0), unit.value($1)) })
        }
        let bound = LineChart.Series(
            "perfect bound",
            zip(numbers, study.report.layerBoundSeconds).map { LineChart.Point(Double($0), unit.value($1)) },
            isSummary: true)
        let most = (compared.flatMap(\.score.layerSeconds) + study.report.layerBoundSeconds).map(unit.value)
        let chart = LineChart(
            "Experts' time by layer, predicted", summary: "From layer \(numbers[0]) to \(numbers[numbers.count - 1]).",
            x: Axis("layer", scale: Scale(counting: numbers[0]...numbers[numbers.count - 1])),
            y: Axis("\(unit.name) a step", scale: Scale(covering: [0] + most)), series: series + [bound])
        return .init(
            "Layer by layer",
            [
                .text(
                    "Layers are placed one by one, but capacity is shared among all. The node that is busy for all of a "
                        + "layer's time is the one that the others wait for."),
                .chart(chart, caption: "Lower is better."),
                .row(
                    compared.map { .chart(busyMap($0.name, $0.score), caption: "The stronger the colour, the busier.") }
                ),
            ])
    }

    private func busyMap(_ name: String, _ score: PolicyScore) -> HeatMap {
        let nodes = study.report.nodes
        return HeatMap(
            "Busy nodes by layer: \(name)", summary: "Share of each layer's time that each node reads.",
            columns: study.report.layers.map(String.init), rows: nodes.map { "\($0.id)" },
            values: nodes.indices.map { node in score.nodeBusy.map { $0[node] } }, x: "layer",
            y: Axis("node", .percent, scale: Scale(covering: [0, 1])))
    }
}
