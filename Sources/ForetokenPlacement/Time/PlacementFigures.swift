/// Bounds within which all sums over a plan stay exact.
enum FigureLimits {
    static let bytes = 1 << 46
    static let nodes = 1024
    static let workers = 1 << 16
    static let layers = 4096
    static let experts = 1 << 16
    static let panels = 1 << 16
    static let share = 1 << 20
}

extension PlacementModel {
    /// Refuses figures that no model has.
    /// - Throws: `PlacementError` naming the figure.
    public func check() throws(PlacementError) {
        func expect(_ holds: Bool, _ what: String, _ found: Int) throws(PlacementError) {
            guard holds else { throw PlacementError("model \(fingerprint): expected \(what), found \(found)") }
        }
        try expect((1...FigureLimits.experts).contains(expertCount), "1…65536 routed experts a layer", expertCount)
        try expect((1...expertCount).contains(expertsPerToken), "1…\(expertCount) experts a token", expertsPerToken)
        try expect((1...FigureLimits.bytes).contains(gateUpBytes), "bytes of gate and up projections", gateUpBytes)
        try expect((1...FigureLimits.bytes).contains(downBytes), "bytes of a down projection", downBytes)
        try expect((1...FigureLimits.panels).contains(gateUpPanels), "1…65536 panels of gate and up", gateUpPanels)
        try expect((1...FigureLimits.panels).contains(downPanels), "1…65536 panels of down", downPanels)
        try expect((0...FigureLimits.bytes).contains(denseBytesPerStep), "dense bytes of a step", denseBytesPerStep)
        try expect((0...FigureLimits.bytes).contains(denseBytes), "dense bytes", denseBytes)
        try expect(layers.count <= FigureLimits.layers, "at most 4096 layers", layers.count)
        guard zip(layers, layers.dropFirst()).allSatisfy(<), layers.first ?? 0 >= 0 else {
            throw PlacementError("model \(fingerprint): expected layers in ascending order, found \(layers)")
        }
        let all = expertBytes.multipliedReportingOverflow(by: layers.count * expertCount)
        guard !all.overflow, all.partialValue <= FigureLimits.bytes else {
            throw PlacementError(
                "model \(fingerprint): \(layers.count) layers of \(expertCount) experts of \(expertBytes) bytes exceed "
                    + "the \(FigureLimits.bytes) bytes that plans are made for")
        }
    }
}

extension PlacementMachine {
    /// Refuses figures that no machine has.
    /// - Throws: `PlacementError` naming node and figure.
    public func check() throws(PlacementError) {
        guard (1...FigureLimits.nodes).contains(nodes.count) else {
            throw PlacementError("machine \(fingerprint): expected 1…1024 nodes, found \(nodes.count)")
        }
        guard zip(nodes, nodes.dropFirst()).allSatisfy({ $0.id < $1.id }) else {
            throw PlacementError("machine \(fingerprint): expected ascending nodes, found \(nodes.map(\.id))")
        }
        for node in nodes { try check(node) }
        guard nodes.contains(where: { $0.workers > 0 }) else {
            throw PlacementError("machine \(fingerprint): no node has workers; give at least one node CPUs")
        }
        try check(pieceSeconds, "seconds of a piece", in: 0...1)
        try check(barrierSeconds, "seconds of a barrier", in: 0...1)
        guard !rowCost.isEmpty else {
            throw PlacementError("machine \(fingerprint): expected the cost of one row and more, found none")
        }
        for cost in rowCost { try check(cost, "cost of a row count", in: 0.1...1e6) }
        if let distances {
            guard distances.count == nodes.count, distances.allSatisfy({ $0.count == nodes.count }) else {
                throw PlacementError(
                    "machine \(fingerprint): expected \(nodes.count)×\(nodes.count) distances, found \(distances)")
            }
        }
    }

    private func check(_ node: Node) throws(PlacementError) {
        try check(Double(node.workers), "workers of node \(node.id)", in: 0...Double(FigureLimits.workers))
        try check(Double(node.capacity), "capacity of node \(node.id) in bytes", in: 0...Double(FigureLimits.bytes))
        try check(node.bandwidth, "bandwidth of node \(node.id) in bytes per second", in: 1e6...1e15)
    }

    private func check(_ value: Double, _ what: String, in range: ClosedRange<Double>) throws(PlacementError) {
        guard range.contains(value) else {
            throw PlacementError(
                "machine \(fingerprint): \(what) is \(value), expected \(range.lowerBound)…\(range.upperBound)")
        }
    }
}
