import ForetokenCluster
import ForetokenHardware
import ForetokenModel
import ForetokenPlacement
import ForetokenReport
import ForetokenText
import FoundationEssentials
import Glibc

/// One host of several, as doctor shows it.
struct HostDescription: Codable {
    let rank: Int
    let name: String
    let processor: String
    let cores: Int
    let nodes: Int
    /// Kernels that would be used.
    let instructionSet: String
    /// Bytes of memory that a process may still take.
    let available: Int?
    /// Bytes a second at which its memory is read, measured or by its firmware.
    let readBandwidth: Double
    /// Whether that was measured there; otherwise it is what such machines mostly have.
    let isMeasured: Bool
    /// From rank 0: seconds one way, and bytes a second.
    var latency: Double?
    var linkBandwidth: Double?

    private enum CodingKeys: String, CodingKey {
        case rank, name, processor, cores, nodes, available, latency
        case instructionSet = "instruction_set"
        case readBandwidth = "read_bandwidth"
        case isMeasured = "is_measured"
        case linkBandwidth = "link_bandwidth"
    }

    /// This host.
    init(_ cluster: Cluster) throws {
        let machine = try MachineDescription.here()
        let topology = Topology.read()
        rank = cluster.rank
        name = cluster.hosts[cluster.rank].name
        processor = CPUInfo.read().model
        cores = topology.cores.count
        nodes = topology.nodes.count
        instructionSet = InstructionSet.available.first ?? "unknown"
        available = MemoryBudget.read().available
        isMeasured = BandwidthCache.measured(topology) != nil
        readBandwidth = machine.machine.nodes.reduce(0) { $0 + $1.bandwidth }
    }
}

extension Doctor {
    /// Shows all hosts side by side, instead of this one alone.
    func describe(_ session: HostSession) throws {
        let cluster = session.cluster
        let description = Result { try JSONOutput.line(try HostDescription(cluster)) }
        try cluster.settle(description.map { _ in }, phase: "looking at the machines")
        let own = try description.get()
        let texts = cluster.tellAll([String(decoding: own, as: UTF8.self)])
        let links = cluster.probeLinks()
        guard cluster.isLeader else { return }
        let hosts = try zip(texts, links).map { text, link in
            var host = try JSONDecoder().decode(HostDescription.self, from: Data((text.first ?? "").utf8))
            (host.latency, host.linkBandwidth) = (link?.latency, link?.bandwidth)
            return host
        }
        if json { return try StandardOutput.write(JSONOutput.line(["hosts": hosts])) }
        let title = "\(hosts.count) hosts, \(cluster.library)"
        try StandardOutput.write(StandardOutput.page { $0.titled(title, Self.table(hosts)) })
        if hosts.contains(where: { !$0.isMeasured }) {
            Console.note("? is assumed: bench --numa measures it on each host, and divisions go by it")
        }
    }

    private static func table(_ hosts: [HostDescription]) -> Table {
        var table = Table(
            [.init("rank"), .init("host"), .init("processor"), .init("cores", .right), .init("nodes", .right)]
                + [.init("kernels"), .init("free", .right), .init("read", .right)]
                + [.init("from rank 0", .right), .init("link", .right)])
        for host in hosts {
            table.add([
                "\(host.rank)", host.name, host.processor, "\(host.cores)", "\(host.nodes)", host.instructionSet,
                host.available.map(FigureText.binaryBytes) ?? "–",
                "\(Format.short(host.readBandwidth / 1e9)) GB/s" + (host.isMeasured ? "" : " ?"),
                host.latency.map { "\(Format.short($0 * 1e6)) µs" } ?? "–",
                host.linkBandwidth.map { "\(Format.short($0 / 1e9)) GB/s" } ?? "–",
            ])
        }
        return table
    }
}
