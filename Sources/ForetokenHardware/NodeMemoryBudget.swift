/// How much memory can be had now on each node, and in total within the process's control groups.
public struct NodeMemoryBudget: Sendable, Equatable {
    /// One node's figures, in bytes.
    public struct Node: Sendable, Equatable {
        /// The system's number.
        public let id: Int
        /// All its memory.
        public let total: Int
        /// What nobody uses, the page cache and reclaimable kernel memory:
        /// MemFree + Inactive(file) + Active(file) + SReclaimable.
        public let available: Int

        /// A node made by hand.
        public init(id: Int, total: Int, available: Int) {
            self.id = id
            self.total = total
            self.available = available
        }

        /// Kept free for everything else: 1 GiB or 2 % of the node, whichever is smaller.
        public var margin: Int { NodeMemoryBudget.margin(of: total) }
        /// What may be planned on the node.
        public var usable: Int { max(0, available - margin) }
    }

    /// Bytes of a node with `total` bytes that are left to the system: 2 %, but 1 GiB at most.
    public static func margin(of total: Int) -> Int { min(1 << 30, total / 50) }

    /// The nodes with memory that were asked about, ascending by number.
    public let nodes: [Node]
    /// The same for the machine as a whole.
    public let whole: MemoryBudget

    /// A budget made by hand.
    public init(nodes: [Node], whole: MemoryBudget) {
        self.nodes = nodes
        self.whole = whole
    }

    /// Asks the system.
    ///
    /// - Parameters:
    ///   - ids: the nodes, by the system's numbers, as in `Topology.nodes`.
    ///   - root: where sysfs is mounted.
    ///   - proc: where procfs is mounted.
    ///   - groups: where the control groups are mounted.
    /// - Throws: `HardwareError` when a file is missing or malformed.
    public static func read(
        nodes ids: [Int], root: String = "/sys", proc: String = "/proc", groups: String = "/sys/fs/cgroup"
    ) throws -> NodeMemoryBudget {
        let folder = "\(root)/devices/system/node"
        let describesNodes = try SystemFile.text("\(folder)/online") != nil
        let nodes = try ids.sorted().map { id in
            // A kernel without NUMA describes no nodes: everything is one.
            let path = describesNodes ? "\(folder)/node\(id)/meminfo" : "\(proc)/meminfo"
            guard let text = try SystemFile.text(path) else {
                throw HardwareError(.file, "\(path) does not exist, so nothing is known of node \(id)'s memory")
            }
            let figures = try MemoryFigures(text, source: path)
            return Node(id: id, total: figures.total, available: figures.available)
        }
        return NodeMemoryBudget(nodes: nodes, whole: try MemoryBudget.read(proc: proc, groups: groups))
    }

    /// Refuses what does not fit, before the first byte is read.
    ///
    /// - Parameters:
    ///   - wanted: bytes on each node, by the system's number.
    ///   - elsewhere: bytes that may lie on any node; counted in the total only.
    ///   - what: what they are for, as in "weights, cache and scratch".
    /// - Throws: `HardwareError` of kind `memory` that names every node that is short, with the numbers.
    public func check(wanted: [Int: Int], elsewhere: Int = 0, for what: String) throws {
        let known = Dictionary(uniqueKeysWithValues: nodes.map { ($0.id, $0) })
        let short = wanted.sorted { $0.key < $1.key }.compactMap { id, bytes -> String? in
            guard bytes > 0 else { return nil }
            guard let node = known[id] else {
                return "node \(id) is to hold \(MemoryBudget.format(bytes)), but has no memory that may be used"
            }
            guard bytes > node.usable else { return nil }
            return "node \(id) is to hold \(MemoryBudget.format(bytes)), but has room for "
                + "\(MemoryBudget.format(node.usable)) (\(MemoryBudget.format(node.available)) free or reclaimable, "
                + "less a margin of \(MemoryBudget.format(node.margin)))"
        }
        guard short.isEmpty else {
            throw HardwareError(
                .memory,
                "\(what) do not fit as they are placed: \(short.joined(separator: "; ")); "
                    + "free memory there, use a plan that gives these nodes less, or a smaller model")
        }
        try whole.check(needed: wanted.values.reduce(elsewhere, +), for: what)
    }
}
