import ForetokenHardware
import ForetokenModel
import ForetokenReport
import Glibc

/// `bench --numa`: bandwidths and latencies between the nodes of this machine.
struct NumaBench {
    let seconds: Double
    /// Whether to measure even when there are figures of an earlier run.
    let isFresh: Bool
    /// Where a description of this machine is to be written.
    let topologyOut: String?
    let json: Bool

    /// What `bench --numa --json` prints: the measurement, and whether an earlier run made it.
    private struct Output: Encodable {
        let bandwidth: NumaBandwidth
        let isCached: Bool

        private enum Key: String, CodingKey { case cached }

        func encode(to encoder: any Encoder) throws {
            try bandwidth.encode(to: encoder)
            var container = encoder.container(keyedBy: Key.self)
            try container.encode(isCached, forKey: .cached)
        }
    }

    func run() throws {
        if let topologyOut { try OutputFile.check(topologyOut) }
        let topology = try Topology.read()
        let kept = isFresh ? nil : BandwidthCache.standard?.read(for: topology)
        if kept != nil { Console.note("these figures are of an earlier run; --fresh measures anew") }
        let bandwidth = try kept ?? measure(topology)
        let isWhole = bandwidth.isWhole
        if kept == nil && isWhole { BandwidthCache.standard?.write(bandwidth) }
        if let topologyOut, isWhole {
            try OutputFile.write(Array(TopologyFile(topology, bandwidth).json.utf8), to: topologyOut)
        }
        try StandardOutput.write(
            json
                ? JSONOutput.line(Output(bandwidth: bandwidth, isCached: kept != nil), snakeCase: true)
                : Array(NumaTables(bandwidth, Terminal(descriptor: STDOUT_FILENO)).text.printablePage.utf8))
        if !isWhole { throw Interrupted() }
    }

    private func measure(_ topology: Topology) throws -> NumaBandwidth {
        let budget = try MemoryBudget.read()
        let bar = ProgressBar("benchmark", delayNanoseconds: 300_000_000, terminal: Console.terminal)
        try Interrupts.install()
        bar.update(0) { _ in "placing memory" }
        let probe = try NumaProbe(topology: topology, budget: budget)
        let bandwidth = probe.run(seconds: seconds) { fraction in
            bar.update(fraction) { _ in "reading" }
            return !Interrupts.requested
        }
        bar.clear()
        return bandwidth
    }
}

extension NumaBandwidth {
    /// Whether everything that can be measured was: no interruption cut it short.
    fileprivate var isWhole: Bool {
        let measurable = memory.indices.filter { memory[$0].placement != .none }
        return (read + latency).allSatisfy { row in measurable.allSatisfy { row[$0].isSettled } }
            && (together.filter { $0 != nil } + tiers.map(\.read)).allSatisfy(\.isSettled)
    }
}

extension NumaBandwidth.Figure? {
    fileprivate var isSettled: Bool { self.map { $0.readings >= NumaProbe.readings } ?? false }
}
