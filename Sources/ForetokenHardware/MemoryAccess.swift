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
    /// - Throws: `HardwareError` for figures that are malformed or impossible.
    public static func read(root: String = "/sys", nodes: [Int]) throws -> [MemoryAccess] {
        try nodes.flatMap { node in
            try [0, 1].compactMap { accessClass in
                let folder = "\(root)/devices/system/node/node\(node)/access\(accessClass)/initiators"
                let access = MemoryAccess(
                    node: node, accessClass: accessClass,
                    initiators: nodes.filter { Glibc.access("\(folder)/node\($0)", F_OK) == 0 },
                    readBandwidth: try figure("\(folder)/read_bandwidth", "MB/s", limit: 100_000_000),
                    writeBandwidth: try figure("\(folder)/write_bandwidth", "MB/s", limit: 100_000_000),
                    readLatency: try figure("\(folder)/read_latency", "nanoseconds", limit: 1_000_000),
                    writeLatency: try figure("\(folder)/write_latency", "nanoseconds", limit: 1_000_000))
                return access.saysNothing ? nil : access
            }
        }
    }

    private var saysNothing: Bool {
        readBandwidth == nil && writeBandwidth == nil && readLatency == nil && writeLatency == nil
    }

    /// 0 stands for a figure the firmware did not give.
    private static func figure(_ path: String, _ unit: String, limit: Int) throws -> Int? {
        guard let value = try SystemFile.integer(path), value != 0 else { return nil }
        guard (1...limit).contains(value) else {
            throw HardwareError(.file, "\(path): expected 1 to \(limit) \(unit), or 0 for unknown, found \(value)")
        }
        return value
    }
}
