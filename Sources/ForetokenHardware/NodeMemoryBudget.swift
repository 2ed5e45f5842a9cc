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
    /// Nodes that were asked about and whose figures are not known: nothing is refused on them.
    public let unknown: [Int]
    /// The same for the machine as a whole.
    public let whole: MemoryBudget

    /// A budget made by hand.
    public init(nodes: [Node], unknown: [Int] = [], whole: MemoryBudget) {
        self.nodes = nodes
        self.unknown = unknown
        self.whole = whole
    }

    /// Asks the system.
    ///
    /// - Parameters:
    ///   - ids: the nodes, by the system's numbers, as in `Topology.nodes`.
    ///   - root: where sysfs is mounted.
    ///   - proc: where procfs is mounted.
    ///   - groups: where the control groups are mounted.
    ///   - findings: takes what could not be understood.
    public static func read(
        nodes ids: [Int], root: String = "/sys", proc: String = "/proc", groups: String = "/sys/fs/cgroup",
        findings: inout Findings
    ) -> NodeMemoryBudget {
        let folder = "\(root)/devices/system/node"
        let describesNodes = SystemFile.exists("\(folder)/online")
        var (nodes, unknown): ([Node], [Int]) = ([], [])
        for id in ids.sorted() {
            // A kernel without NUMA describes no nodes: everything is one.
            let path = describesNodes ? "\(folder)/node\(id)/meminfo" : "\(proc)/meminfo"
            let figures = findings.attempt(path) {
                try SystemFile.text(path).map { try MemoryFigures($0, source: path) }
            }
            if let figures {
                nodes.append(Node(id: id, total: figures.total, available: figures.available))
            } else {
                unknown.append(id)
            }
        }
        return NodeMemoryBudget(
            nodes: nodes, unknown: unknown, whole: MemoryBudget.read(proc: proc, groups: groups, findings: &findings))
    }

    /// The same, where somebody else tells what could not be understood.
    public static func read(
        nodes: [Int], root: String = "/sys", proc: String = "/proc", groups: String = "/sys/fs/cgroup"
    ) -> NodeMemoryBudget {
        var findings = Findings()
        return read(nodes: nodes, root: root, proc: proc, groups: groups, findings: &findings)
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
            guard bytes > 0, !unknown.contains(id) else { return nil }
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
