import Glibc

/// What the firmware says of reading and writing one node's memory (ACPI HMAT): promises, not measurements. Linux shows
/// only the best initiators of each node.
public struct MemoryAccess: Sendable, Equatable {
    /// The system's number of the node with the memory.
    public let node: Int
    /// 0: nodes of any kind reach the memory this fast; 1: nodes with CPUs do.
    public let accessClass: Int
    /// The system's numbers of the nodes that reach it this fast, ascending.
    public let initiators: [Int]
    /// MB/s; nil where the firmware says nothing.
    public let readBandwidth: Int?
    /// MB/s; nil where the firmware says nothing.
    public let writeBandwidth: Int?
    /// Nanoseconds; nil where the firmware says nothing.
    public let readLatency: Int?
    /// Nanoseconds; nil where the firmware says nothing.
    public let writeLatency: Int?

    /// A description made by hand; see the fields.
    public init(
        node: Int, accessClass: Int, initiators: [Int], readBandwidth: Int? = nil, writeBandwidth: Int? = nil,
        readLatency: Int? = nil, writeLatency: Int? = nil
    ) {
        self.node = node
        self.accessClass = accessClass
        self.initiators = initiators
        self.readBandwidth = readBandwidth
        self.writeBandwidth = writeBandwidth
        self.readLatency = readLatency
        self.writeLatency = writeLatency
    }

    /// The descriptions of some nodes' memory; empty on machines without the table.
    ///
    /// - Parameters:
    ///   - root: where sysfs is mounted.
    ///   - nodes: the system's numbers, of memory and of initiators.
    ///   - findings: takes figures that are malformed or impossible; these are nil.
    public static func read(root: String = "/sys", nodes: [Int], findings: inout Findings) -> [MemoryAccess] {
        nodes.flatMap { node in
            [0, 1].compactMap { accessClass in
                let folder = "\(root)/devices/system/node/node\(node)/access\(accessClass)/initiators"
                let access = MemoryAccess(
                    node: node, accessClass: accessClass,
                    initiators: nodes.filter { Glibc.access("\(folder)/node\($0)", F_OK) == 0 },
                    readBandwidth: figure("\(folder)/read_bandwidth", limit: 100_000_000, &findings),
                    writeBandwidth: figure("\(folder)/write_bandwidth", limit: 100_000_000, &findings),
                    readLatency: figure("\(folder)/read_latency", limit: 1_000_000, &findings),
                    writeLatency: figure("\(folder)/write_latency", limit: 1_000_000, &findings))
                return access.saysNothing ? nil : access
            }
        }
    }

    private var saysNothing: Bool {
        readBandwidth == nil && writeBandwidth == nil && readLatency == nil && writeLatency == nil
    }

    /// 0 stands for a figure the firmware did not give.
    private static func figure(_ path: String, limit: Int, _ findings: inout Findings) -> Int? {
        findings.integer(path, in: 0...limit).flatMap { $0 == 0 ? nil : $0 }
    }
}
