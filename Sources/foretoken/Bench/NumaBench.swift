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

    /// What `bench --numa --json` prints: the measurement, whether an earlier run made it, and whether figures are missing
    /// since the machine was busy.
    private struct Output: Encodable {
        let bandwidth: NumaBandwidth
        let isCached: Bool
        let isDisturbed: Bool

        private enum Key: String, CodingKey { case cached, disturbed }

        func encode(to encoder: any Encoder) throws {
            try bandwidth.encode(to: encoder)
            var container = encoder.container(keyedBy: Key.self)
            try container.encode(isCached, forKey: .cached)
            try container.encode(isDisturbed, forKey: .disturbed)
        }
    }

    func run() throws {
        if let topologyOut { try OutputFile.check(topologyOut) }
        var findings = Findings()
        let topology = Topology.read(findings: &findings)
        findings.warnings.forEach(Console.warning)
        let kept = isFresh ? nil : BandwidthCache.standard?.read(for: topology)
        if let day = kept?.day { Console.note("these figures are of an earlier run (\(day)); --fresh measures anew") }
        let made = kept == nil ? try measure(topology) : nil
        guard let bandwidth = kept ?? made?.bandwidth else { return }
        let isWhole = made?.isWhole ?? true
        let isDisturbed = made?.isDisturbed ?? false
        if kept == nil && isWhole && !isDisturbed { BandwidthCache.standard?.write(bandwidth) }
        if let topologyOut, isWhole && !isDisturbed {
            try OutputFile.write(Array(TopologyFile(topology, bandwidth).json.utf8), to: topologyOut)
        }
        let output = Output(bandwidth: bandwidth, isCached: kept != nil, isDisturbed: isDisturbed)
        try StandardOutput.write(
            json
                ? JSONOutput.line(output, snakeCase: true)
                : StandardOutput.page { NumaTables(bandwidth, $0).text })
        if !isWhole { throw Interrupted() }
        if isDisturbed { try refuseToKeep() }
    }

    /// Says what does not come of figures that cannot be relied on.
    private func refuseToKeep() throws {
        let what = "the machine was busy with other work, so nothing was kept"
        if let topologyOut {
            throw OutputError(description: "\(what), and \(topologyOut) was not written; try again when it is not")
        }
        Console.warning("\(what) for plans; try again when it is not")
    }

    private func measure(_ topology: Topology) throws -> NumaProbe.Outcome {
        let budget = MemoryBudget.read()
        let bar = ProgressBar("benchmark", delayNanoseconds: 300_000_000, terminal: Console.terminal)
        try Interrupts.install()
        bar.update(0) { _ in "placing memory" }
        let probe = try NumaProbe(topology: topology, budget: budget)
        let outcome = probe.run(seconds: seconds) { fraction in
            bar.update(fraction) { _ in "reading" }
            return !Interrupts.requested
        }
        bar.clear()
        return outcome
    }
}
