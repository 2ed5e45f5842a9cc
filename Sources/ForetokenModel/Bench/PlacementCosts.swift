import ForetokenPlacement

/// What reading experts costs with the kernels, the weights and the workers in use.
package struct PlacementCosts: Sendable, Equatable {
    /// Bytes of weights a second that all workers read in products of one row.
    package var bandwidth: Double
    /// Seconds that one expert costs in one phase besides its bytes.
    package var pieceSeconds: Double
    /// Seconds of one meeting of all workers.
    package var barrierSeconds: Double
    /// By rows that one expert serves, from 1 on: its time over that of one row.
    package var rowCost: [Double]
}

/// Times of a probe's passes, in seconds.
package struct PlacementReadings {
    /// Layers with experts.
    package let layers: Int
    /// Experts of one layer in a pass.
    package let experts: Int
    /// Bytes of one expert's gate and up matrices.
    package let expertBytes: Int
    /// Meetings of all workers.
    package var barriers: [Double] = []
    /// Gate and up of the experts.
    package var wholes: [Double] = []
    /// The same bytes in twice as many pieces.
    package var halves: [Double] = []
    /// [pass][rows - 1]: all of the experts' work for so many rows.
    package var passes: [[Double]] = []

    /// Nothing measured yet.
    package init(layers: Int, experts: Int, expertBytes: Int) {
        self.layers = layers
        self.experts = experts
        self.expertBytes = expertBytes
    }

    /// What the medians come to; nil where they contradict each other: halves that take twice as long as wholes, or experts
    /// that take no longer than the meetings between them. Both happen when passes are interrupted.
    package var costs: PlacementCosts? {
        guard let rows = passes.first?.count, !barriers.isEmpty, !wholes.isEmpty, !halves.isEmpty else { return nil }
        let pieces = Double(layers * experts)
        let (barrier, whole) = (Self.median(barriers), Self.median(wholes))
        let piece = max(0, (Self.median(halves) - whole) / pieces)
        let reading = whole - Double(layers) * barrier - pieces * piece
        let fixed = Double(layers) * 2 * barrier
        let times = (0..<rows).map { row in Self.median(passes.map { $0[row] }) - fixed }
        guard reading > 0, times.allSatisfy({ $0 > 0 }) else { return nil }
        return PlacementCosts(
            bandwidth: pieces * Double(expertBytes) / reading, pieceSeconds: piece, barrierSeconds: barrier,
            rowCost: times.map { max(1, $0 / times[0]) })
    }

    static func median(_ values: [Double]) -> Double { values.sorted()[values.count / 2] }
}

extension PlacementMachine {
    /// This machine with measured costs; bandwidths are scaled so that together they are what the kernels reach.
    package func with(_ costs: PlacementCosts) -> PlacementMachine {
        var machine = self
        for index in machine.nodes.indices { machine.nodes[index].bandwidth *= costs.bandwidth / readersBandwidth }
        machine.pieceSeconds = costs.pieceSeconds
        machine.barrierSeconds = costs.barrierSeconds
        machine.rowCost = costs.rowCost
        machine.isMeasured = true
        return machine
    }
}
