import ForetokenHardware
import ForetokenReport

/// Bandwidths and latencies between nodes as tables in a terminal.
struct NumaTables {
    private let bandwidth: NumaBandwidth
    private let terminal: Terminal
    private let isDescribed: Bool

    /// - Parameter isDescribed: whether the figures come from a topology file instead of a measurement.
    init(_ bandwidth: NumaBandwidth, _ terminal: Terminal, isDescribed: Bool = false) {
        self.bandwidth = bandwidth
        self.terminal = terminal
        self.isDescribed = isDescribed
    }

    /// Everything there is a figure of, with blank lines between the parts.
    var text: String {
        var parts = [
            pairs(
                "reads, GB/s", bandwidth.read, { Format.short($0 / 1e9) }, threads: bandwidth.threads,
                note: isDescribed ? nil : readNote)
        ]
        if bandwidth.latency.joined().contains(where: { $0 != nil }) {
            parts.append(
                pairs(
                    "latency, ns", bandwidth.latency, { Format.fixed($0, 0) },
                    threads: bandwidth.threads.map { _ in 1 },
                    note: isDescribed ? nil : "each read waits for the one before; best, and the spread"))
        }
        if bandwidth.together.contains(where: { $0 != nil }) { parts.append(together) }
        if !bandwidth.remarks.isEmpty {
            parts.append(bandwidth.remarks.map { terminal.styled("! ", .yellow) + $0 + "\n" }.joined())
        }
        return parts.joined(separator: "\n")
    }

    private var readNote: String {
        let readings = bandwidth.read.joined().compactMap { $0?.readings }.max() ?? 0
        guard readings > 0 else { return "all CPUs of the row's node read the column's memory" }
        return "all CPUs of the row's node read the column's memory; best of \(readings), and the spread (best − worst)"
    }

    private func pairs(
        _ title: String, _ figures: [[NumaBandwidth.Figure?]], _ format: (Double) -> String, threads: [Int],
        note: String?
    ) -> String {
        var table = Table(
            [.init(title), .init("threads", .right)] + bandwidth.memory.map { .init("memory \($0.id)", .right) })
        for (row, node) in bandwidth.cpuNodes.enumerated() {
            table.add(
                ["CPUs of node \(node)", "\(threads[row])"]
                    + figures[row].enumerated().map { column, figure in
                        // Where memory could be placed, a figure is missing since it could not be relied on.
                        figure.map { shown($0, format) }
                            ?? (bandwidth.memory[column].placement == .none ? "–" : "not known")
                    })
        }
        return table.rendered(on: terminal) + (note.map { terminal.styled($0, .dim) + "\n" } ?? "")
    }

    private var together: String {
        var table = Table([.init("all nodes at once"), .init("GB/s", .right), .init("meanwhile")])
        for (column, memory) in bandwidth.memory.enumerated() {
            guard let figure = bandwidth.together[column] else { continue }
            table.add("node \(memory.id) by its own CPUs", gigabytes(figure), "all nodes read their own memory")
        }
        let sum = bandwidth.together.reduce(0) { $0 + ($1?.best ?? 0) }
        if bandwidth.together.count > 1 { table.add("together", Format.short(sum / 1e9)) }
        for tier in bandwidth.tiers {
            table.add(
                "node \(tier.memory) by CPUs of node \(tier.reader)", gigabytes(tier.read),
                "these also read their own: \(gigabytes(tier.own)) GB/s")
        }
        return table.rendered(on: terminal)
            + terminal.styled("what plans count with: links and controllers that nodes share show here only", .dim)
            + "\n"
    }

    private func gigabytes(_ figure: NumaBandwidth.Figure) -> String { shown(figure) { Format.short($0 / 1e9) } }

    private func shown(_ figure: NumaBandwidth.Figure, _ format: (Double) -> String) -> String {
        figure.readings > 1 ? "\(format(figure.best)) (\(Format.fixed(figure.spread * 100, 0)) %)" : format(figure.best)
    }
}
