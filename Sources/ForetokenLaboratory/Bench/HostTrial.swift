import ForetokenHardware
import ForetokenModel

/// What steps take on several hosts, and how long each host waits for the others.
package struct HostTrial: Sendable, Encodable {
    /// Steps of one number of rows.
    package struct Width: Sendable, Encodable {
        /// Rows of a step.
        package let rows: Int
        /// Time of a step, logits included; the median.
        package let nanoseconds: Double
        /// Exchanges and gathers of a step.
        package let meetings: Double
        /// By host: bytes that came to it in a step.
        package let receivedBytes: [Double]
        /// By host: the share of the time that it was in meetings, waiting for data or for others.
        package let waitingShares: [Double]
    }

    /// By number of rows.
    package private(set) var widths: [Width] = []
    /// By host: bytes of its weights, and those that a step of one row reads.
    package private(set) var weightBytes: [Int] = []
    package private(set) var bytesPerStep: [Int] = []

    /// Tokens before the steps.
    package static let context = 128
    /// Positions that the trial needs.
    package static let positions = context + Step.windowRows
    private static let rows = [1, 2, 4, 8, 16]

    /// Times steps behind a text, in turns so that noise hits all alike.
    ///
    /// - Parameters:
    ///   - model: shared by hosts; this one leads.
    ///   - tokens: `positions` of them.
    ///   - seconds: for about so long, but five turns at least.
    ///   - goesOn: asked before each turn.
    /// - Throws: `HardwareError` without memory.
    package init(
        _ model: Model, _ tokens: [Int32], cacheType: CacheType, seconds: Double, goesOn: () -> Bool
    ) throws {
        let sequence = try model.makeSequence(context: Self.positions, cacheType: cacheType)
        sequence.append(tokens)
        var step = Step()
        while sequence.position < Self.context {
            step.readPrompt(sequence, to: Self.context)
            model.verifier.run(step)
        }
        var times = [[Double]](repeating: [], count: Self.rows.count)
        var deltas = [[HostFigures]](repeating: [], count: Self.rows.count)
        model.pool.startSpinning()
        defer { model.pool.stopSpinning() }
        let start = MonotonicClock.now
        var turn = 0
        while turn < 5 || Double(MonotonicClock.now - start) / 1e9 < seconds {
            guard goesOn() else { break }
            for (index, rows) in Self.rows.enumerated() {
                let before = model.hostFigures
                let began = MonotonicClock.now
                step.clear()
                step.add(sequence, count: rows)
                model.verifier.run(step)
                model.verifier.computeLogits(first: 0, count: rows)
                times[index].append(Double(MonotonicClock.now - began))
                sequence.truncate(to: Self.context)
                let after = model.hostFigures
                let change = zip(after, before).map { $0.since($1) }
                deltas[index] = deltas[index].isEmpty ? change : zip(deltas[index], change).map { $0.adding($1) }
            }
            turn += 1
        }
        guard turn > 0 else { return }
        let hosts = model.hostFigures
        (weightBytes, bytesPerStep) = (hosts.map(\.weightBytes), hosts.map(\.bytesPerStep))
        widths = Self.rows.indices.map { i in
            let whole = times[i].reduce(0, +)
            return Width(
                rows: Self.rows[i], nanoseconds: times[i].sorted()[turn / 2],
                // Asking before each step is one.
                meetings: Double(deltas[i][0].meetings) / Double(turn) - 1,
                receivedBytes: deltas[i].map { Double($0.receivedBytes) / Double(turn) },
                waitingShares: deltas[i].map { min(1, Double($0.waitedNanoseconds) / whole) })
        }
    }
}
