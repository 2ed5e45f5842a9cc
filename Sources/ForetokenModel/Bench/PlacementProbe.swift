import CForetokenKernels
import ForetokenHardware
import ForetokenPlacement
import ForetokenWeights

/// Times a model's own experts and dense weights, in layers' order and with experts in an order that no cache follows.
package final class PlacementProbe {
    private let model: Model
    private let decoder: Decoder
    private let layers: [(weights: LayerWeights, moe: MoEWeights)]
    private var next = 0

    /// Most rows whose cost is measured.
    package static let rows = 8

    /// - Returns: nil for a model without routed experts.
    package init?(model: Model) {
        self.model = model
        decoder = model.machinery.windows
        layers = model.weights.layers.compactMap { layer in
            guard case .moe(let moe) = layer.feedForward else { return nil }
            return (layer, moe)
        }
        if layers.isEmpty { return nil }
    }

    /// Passes of each kind that are made at least, so that the median of each is not moved by two that are interrupted.
    private static let fewestPasses = 5

    /// Measures for about so many seconds; every figure is the median of five passes or more.
    ///
    /// - Parameter goesOn: asked between passes; ends the measurement by returning false.
    /// - Returns: nil when ended, or when the figures contradict each other: on a machine that is busy with other work.
    package func measure(seconds: Double, goesOn: () -> Bool = { true }) -> PlacementCosts? {
        model.pool.startSpinning()
        defer { model.pool.stopSpinning() }
        let input = decoder.space.normed
        for i in 0..<Workspace.windowRows * input.stride {
            input.base[i] = Float((i &* 2_654_435_761) >> 8 & 255) / 256
        }
        let copy = layers[0].moe.experts[0].copies[0]
        var readings = PlacementReadings(
            layers: layers.count, experts: count, expertBytes: copy.gate.byteCount + copy.up.byteCount)
        let end = MonotonicClock.now + Int64(seconds * 1e9)
        repeat {
            guard goesOn() else { return nil }
            readings.barriers.append(meetings())
            readings.wholes.append(activations(halved: false))
            readings.halves.append(activations(halved: true))
            readings.passes.append((1...Self.rows).map { pass(rows: $0) })
        } while MonotonicClock.now < end || readings.passes.count < Self.fewestPasses
        return readings.costs
    }

    /// Experts of one measured step: as many as a token has, but no more than half of them.
    private var count: Int { min(model.configuration.expertsPerToken, max(1, layers[0].moe.experts.count / 2)) }

    // MARK: Passes, in seconds

    /// The median of many, since one that is interrupted takes as long as a thousand.
    private func meetings() -> Double {
        PlacementReadings.median(
            (0..<255).map { _ in
                let start = MonotonicClock.now
                model.pool.run({ _, _, _ in }, nil)
                return Double(MonotonicClock.now - start) / 1e9
            })
    }

    /// Gate and up of every layer's experts for one row: of `count` experts, or the first halves of twice as many.
    private func activations(halved: Bool) -> Double {
        var total: Int64 = 0
        for (_, moe) in layers {
            choose(halved ? 2 * count : count, of: moe.experts.count)
            let copies = chosen.map { moe.experts[Int($0)].copies[0] }
            let halves = halved ? copies.map { (Half($0.gate), Half($0.up)) } : []
            let jobs = copies.indices.map { i in
                ProductJob(
                    gate: halved ? halves[i].0.linear : copies[i].gate, up: halved ? halves[i].1.linear : copies[i].up,
                    input: decoder.space.normed.rows,
                    output: foretoken_rows(
                        base: decoder.space.slots[row: i], stride: decoder.space.slots.stride, index: nil), rowCount: 1)
            }
            let start = MonotonicClock.now
            withExtendedLifetime(halves) { decoder.multiply(jobs) }
            total += MonotonicClock.now - start
        }
        return Double(total) / 1e9
    }

    /// The first half of every part of a matrix.
    private final class Half {
        private let parts: [MatrixPart]
        private let table: UnsafeMutablePointer<MatrixPart>

        init(_ whole: Linear) {
            parts = (0..<whole.partCount).map { whole.parts[$0].firstHalf }
            table = .allocate(capacity: parts.count)
            table.initialize(from: parts, count: parts.count)
        }

        deinit { table.deallocate() }

        var linear: Linear { Linear(parts: table, partCount: parts.count) }
    }

    /// The routed experts of every layer, all rows to the same ones.
    private func pass(rows: Int) -> Double {
        let start = MonotonicClock.now
        for (_, moe) in layers {
            choose(count, of: moe.experts.count)
            decoder.runExperts(moe, rows: rows, chosen: chosen)
        }
        return Double(MonotonicClock.now - start) / 1e9
    }

    private var chosen: [Int32] = []

    /// Experts far from those of the passes before.
    private func choose(_ count: Int, of expertCount: Int) {
        chosen = (0..<count).map { Int32((next + $0 * expertCount / count) % expertCount) }.sorted()
        next = (next + 1 + expertCount / 7) % expertCount
    }
}
