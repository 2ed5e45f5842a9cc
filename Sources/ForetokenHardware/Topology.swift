import CForetokenSystem

/// The part of the machine this process may use: memory nodes, physical cores and the caches they share.
///
/// A plain value, read once at the start, before anything is pinned: a pinned thread sees one CPU only.
public struct Topology: Sendable, Equatable {
    /// A NUMA node with memory. Memory-only nodes (CXL) have no CPUs.
    public struct Node: Sendable, Equatable {
        /// The system's number, not an index.
        public let id: Int
        /// Usable CPUs, ascending; CPUs of a node without usable memory are counted to the nearest node that has some.
        public let cpus: [Int]
        /// Those of `cpus` that belong to a node without usable memory.
        public let attachedCPUs: [Int]
        /// Bytes of memory.
        public let memoryTotal: Int
        /// Bytes that nobody uses.
        public let memoryFree: Int
        /// Bytes that can be had: free ones, the page cache and reclaimable kernel memory.
        public let memoryAvailable: Int
        /// Distance to every node of `Topology.nodes`, in that order: 10 is local, larger is slower (ACPI SLIT).
        public let distances: [Int]

        /// The node's own CPUs, ascending.
        public var ownCPUs: [Int] { cpus.filter { !attachedCPUs.contains($0) } }
    }

    /// A node without memory that this process may use, but with CPUs that it may.
    public struct CPUOnlyNode: Sendable, Equatable {
        /// The system's number.
        public let id: Int
        /// Its usable CPUs, ascending; never empty.
        public let cpus: [Int]
        /// Index into `Topology.nodes` of the nearest node, to which its CPUs are counted.
        public let nearest: Int
        /// Whether it has memory that is forbidden to the process; false where its memory banks are empty.
        public let isForbidden: Bool
    }

    /// Distances between all nodes that have usable memory or usable CPUs.
    public struct DistanceTable: Sendable, Equatable {
        /// The system's numbers, ascending.
        public let ids: [Int]
        /// [from][to], in the order of `ids`: 10 is local, larger is slower (ACPI SLIT).
        public let rows: [[Int]]
    }

    /// A physical core.
    public struct Core: Sendable, Equatable {
        /// Its usable hardware threads, ascending; never empty.
        public let cpus: [Int]
        /// Index into `Topology.nodes`.
        public let node: Int
        /// The socket's number, 0 where the system does not say.
        public let package: Int
        /// False for an efficient core of a processor that has faster ones the process may use.
        public internal(set) var isFast = true
    }

    /// CPUs that share one last-level cache.
    public struct CacheCluster: Sendable, Equatable {
        /// Usable CPUs, ascending; never empty.
        public let cpus: [Int]
        /// 3 on most machines.
        public let level: Int
        /// Bytes of the cache.
        public let byteCount: Int
    }

    /// What limits the process; nil is no limit.
    public struct Restriction: Sendable, Equatable {
        /// CPUs the process may run on.
        public var cpus: [Int]?
        /// Nodes whose memory it may use.
        public var memoryNodes: [Int]?

        /// A restriction made by hand, for plans and tests.
        public init(cpus: [Int]? = nil, memoryNodes: [Int]? = nil) {
            self.cpus = cpus
            self.memoryNodes = memoryNodes
        }

        /// The affinity mask of the calling thread, and Mems_allowed_list of `proc`/self/status.
        ///
        /// - Parameter findings: takes what the system would not say; that then limits nothing.
        /// - Throws: `HardwareError` where the list of nodes is malformed: memory might be sought where it is forbidden.
        public static func thisProcess(proc: String = "/proc", findings: inout Findings) throws -> Restriction {
            let path = "\(proc)/self/status"
            let list = try SystemFile.text(path).flatMap { SystemFile.field("Mems_allowed_list", in: $0) }
            return Restriction(
                cpus: Topology.affinity(&findings),
                memoryNodes: try list.map {
                    try NumberList.parse($0, below: Topology.nodeLimit, source: "\(path), Mems_allowed_list")
                })
        }
    }

    /// The CPUs that the calling thread may run on; nil where the system does not say.
    static func affinity(_ findings: inout Findings) -> [Int]? {
        var cpus = [Int32](repeating: 0, count: cpuLimit)
        var count: Int32 = 0
        let error = foretoken_affinity_get(&cpus, &count)
        guard error == 0, count > 0 else {
            findings.add("sched_getaffinity", HardwareError.system("sched_getaffinity", errno: error).description)
            return nil
        }
        return cpus.prefix(Int(count)).map(Int.init)
    }

    static let cpuLimit = Int(FORETOKEN_MAX_CPUS)
    static let nodeLimit = Int(FORETOKEN_MAX_NODES)

    /// Nodes with memory the process may use, ascending by number; never empty.
    public let nodes: [Node]
    /// Nodes whose CPUs are counted to others, ascending by number.
    public let cpuOnlyNodes: [CPUOnlyNode]
    /// Distances between `nodes` and `cpuOnlyNodes` together.
    public let distanceTable: DistanceTable
    /// Cores, by node and then by first CPU; never empty.
    public let cores: [Core]
    /// Last-level caches by first CPU; empty where the system does not describe them or contradicts itself.
    public let clusters: [CacheCluster]

    /// Bytes of all last-level caches together.
    public var cacheBytes: Int { clusters.reduce(0) { $0 + $1.byteCount } }

    /// Every usable CPU, ascending.
    public var cpus: [Int] { nodes.flatMap(\.cpus).sorted() }

    /// One CPU for each physical core, node by node: where workers go by default, since the second hardware thread of a
    /// core adds nothing to work that waits for memory.
    public var workerCPUs: [Int] { cores.map(\.cpus[0]) }

    /// The same for the node at an index of `nodes`; empty for memory-only nodes.
    public func workerCPUs(node: Int) -> [Int] { cores.filter { $0.node == node }.map(\.cpus[0]) }

    /// The CPUs of every node that has usable ones, by the system's number of the node: those of `cpuOnlyNodes` as well,
    /// each with its own.
    public var cpuNodes: [(id: Int, cpus: [Int])] {
        (nodes.map { ($0.id, $0.ownCPUs) } + cpuOnlyNodes.map { ($0.id, $0.cpus) })
            .filter { !$0.1.isEmpty }.sorted { $0.0 < $1.0 }
    }

    /// Distance between two nodes by the system's numbers; nil for numbers that `distanceTable` lacks.
    public func distance(from: Int, to: Int) -> Int? {
        guard let row = distanceTable.ids.firstIndex(of: from), let column = distanceTable.ids.firstIndex(of: to) else {
            return nil
        }
        return distanceTable.rows[row][column]
    }

    /// Reads the machine's description. Where nodes cannot be told apart, or their files contradict each other, all CPUs
    /// and all memory are one node, with a warning.
    ///
    /// - Parameters:
    ///   - root: where sysfs is mounted.
    ///   - proc: where procfs is mounted.
    ///   - restriction: what the process may use; nil asks the system.
    ///   - findings: takes what could not be understood.
    public static func read(
        root: String = "/sys", proc: String = "/proc", restriction: Restriction? = nil, findings: inout Findings
    ) -> Topology {
        TopologyReader(devices: "\(root)/devices", proc: proc, asked: restriction).read(&findings)
    }

    /// The same, where nobody asks what could not be understood.
    public static func read(
        root: String = "/sys", proc: String = "/proc", restriction: Restriction? = nil
    ) -> Topology {
        var findings = Findings()
        return read(root: root, proc: proc, restriction: restriction, findings: &findings)
    }
}
