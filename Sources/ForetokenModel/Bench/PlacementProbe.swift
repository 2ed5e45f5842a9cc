import CForetokenKernels
import ForetokenHardware
import ForetokenPlacement
import ForetokenWeights

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

/// Times a model's own experts and dense weights, in layers' order and with experts in an order that no cache follows.
package final class PlacementProbe {
    private let model: Model
    private let decoder: Decoder
    private let layers: [(weights: LayerWeights, experts: MoEWeights)]
    private var next = 0

    /// Most rows whose cost is measured.
    package static let rows = 8

    /// - Returns: nil for a model without routed experts.
    package init?(model: Model) {
        self.model = model
        decoder = model.decoder
        layers = model.weights.layers.compactMap { layer in
            guard case .moe(let experts) = layer.feedForward else { return nil }
            return (layer, experts)
        }
        if layers.isEmpty { return nil }
    }

    /// Measures for about so many seconds; every figure is the median of several passes.
    package func measure(seconds: Double) -> PlacementCosts {
        model.pool.startSpinning()
        defer { model.pool.stopSpinning() }
        for buffer in [decoder.space.normed, decoder.space.attended] {
            for i in 0..<Workspace.narrowRows * buffer.stride {
                buffer.base[i] = Float((i &* 2_654_435_761) >> 8 & 255) / 256
            }
        }
        var (dense, barrier): ([Double], [Double]) = ([], [])
        var experts = [[Double]](repeating: [], count: Self.rows + 1)
        let end = MonotonicClock.now + Int64(seconds * 1e9)
        repeat {
            barrier.append(meetings())
            dense.append(projections())
            experts[0].append(pass(rows: 1, perRow: 1))
            for rows in 1...Self.rows { experts[rows].append(pass(rows: rows, perRow: mostPerRow)) }
        } while MonotonicClock.now < end
        return costs(
            barrier: Self.median(barrier), dense: Self.median(dense), single: Self.median(experts[0]),
            experts: experts.dropFirst().map(Self.median))
    }

    private var mostPerRow: Int { model.configuration.expertsPerToken }

    private func costs(barrier: Double, dense: Double, single: Double, experts: [Double]) -> PlacementCosts {
        let bytes = layers.reduce(0) { $0 + $1.weights.attention.output.byteCount }
        let bandwidth = Double(bytes) / max(dense - Double(layers.count) * barrier, dense / 4)
        // One expert more costs its bytes and two pieces.
        let step = (experts[0] - single) / Double(layers.count * max(1, mostPerRow - 1))
        let expert = layers[0].experts.experts[0].copies[0]
        let reading = Double(expert.gate.byteCount + expert.up.byteCount + expert.down.byteCount) / bandwidth
        let fixed = Double(layers.count) * 2 * barrier
        return PlacementCosts(
            bandwidth: bandwidth, pieceSeconds: max(0, (step - reading) / 2), barrierSeconds: barrier,
            rowCost: experts.map { max(1, ($0 - fixed) / max(experts[0] - fixed, 1e-9)) })
    }

    // MARK: Passes, in seconds

    private func meetings() -> Double {
        let count = 256
        let start = MonotonicClock.now
        for _ in 0..<count { model.pool.run({ _, _, _ in }, nil) }
        return Double(MonotonicClock.now - start) / 1e9 / Double(count)
    }

    /// o_proj of every layer: the largest dense matrix that all of them have.
    private func projections() -> Double {
        let start = MonotonicClock.now
        for (weights, _) in layers {
            decoder.multiply(
                ProductJob(
                    weights.attention.output, input: decoder.space.attended.rows, output: decoder.space.mixed.rows,
                    rowCount: 1))
        }
        return Double(MonotonicClock.now - start) / 1e9
    }

    /// The routed experts of every layer, all rows to the same ones.
    private func pass(rows: Int, perRow: Int) -> Double {
        let start = MonotonicClock.now
        for (_, experts) in layers {
            choose(perRow, of: experts.experts.count)
            decoder.runExperts(experts, rows: rows, chosen: chosen)
        }
        return Double(MonotonicClock.now - start) / 1e9
    }

    private var chosen: [Int32] = []

    /// Experts far from those of the passes before.
    private func choose(_ count: Int, of experts: Int) {
        chosen = (0..<count).map { Int32((next + $0 * experts / count) % experts) }.sorted()
        next = (next + 1 + experts / 7) % experts
    }

    private static func median(_ values: [Double]) -> Double { values.sorted()[values.count / 2] }
}

extension PlacementMachine {
    /// This machine with measured costs; bandwidths are scaled so that together they are what the kernels reach.
    package func with(_ costs: PlacementCosts) -> PlacementMachine {
        var machine = self
        let readers = nodes.filter { $0.workers > 0 }.reduce(0) { $0 + $1.bandwidth }
        for index in machine.nodes.indices { machine.nodes[index].bandwidth *= costs.bandwidth / readers }
        machine.pieceSeconds = costs.pieceSeconds
        machine.barrierSeconds = costs.barrierSeconds
        machine.rowCost = costs.rowCost
        machine.isMeasured = true
        return machine
    }
}
