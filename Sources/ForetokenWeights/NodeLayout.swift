import CForetokenKernels
import ForetokenHardware
import ForetokenPlacement

/// The memory nodes that weights lie on and the teams of workers that read them: what matrices are cut for.
public struct NodeLayout: Sendable, Equatable {
    /// A memory node.
    public struct Node: Sendable, Equatable {
        /// The system's number; nil where memory may lie anywhere.
        public var id: Int?
        /// Workers that sit beside it; 0 for a memory-only node.
        public var workers: Int
        /// Bytes per second at which it is read while all nodes are read; only ratios matter.
        public var bandwidth: Double

        /// A node; see the fields.
        public init(id: Int?, workers: Int, bandwidth: Double = 1e11) {
            self.id = id
            self.workers = workers
            self.bandwidth = bandwidth
        }
    }

    /// Nodes in the order that plans index them.
    public let nodes: [Node]
    /// By worker team: the index of its node.
    public let teams: [Int]

    /// Seconds that one expert's part on one node costs in one phase besides reading it.
    public let pieceSeconds: Double
    /// What the system lets this process do about memory.
    public let policy: MemoryPolicySupport

    /// - Precondition: at least one node has workers.
    public init(nodes: [Node], pieceSeconds: Double = 2.5e-6, policy: MemoryPolicySupport = .untried) {
        self.nodes = nodes
        self.pieceSeconds = pieceSeconds
        self.policy = policy
        teams = nodes.indices.filter { nodes[$0].workers > 0 }
        precondition(!teams.isEmpty, "some node needs workers")
    }

    /// How long bytes of a node take to read, in sixteenths of the fastest node's.
    func slowness(_ node: Int) -> Int {
        let fastest = nodes.reduce(0) { max($0, $1.bandwidth) }
        return max(1, Int((16 * fastest / nodes[node].bandwidth).rounded()))
    }

    /// One node, wherever the system puts its memory.
    public static let single = NodeLayout(nodes: [Node(id: nil, workers: 1)])

    /// Whether there is more than one node.
    public var isCut: Bool { nodes.count > 1 }

    /// Whether memory is to lie on nodes of the machine, and not just anywhere.
    public var isReal: Bool { isCut && nodes.allSatisfy { $0.id != nil } }

    /// How weights that every step reads are cut: over the nodes with workers, by their number.
    public var densePlacement: [ExpertPlacement.Part] {
        teams.map { ExpertPlacement.Part(node: $0, share: nodes[$0].workers) }
    }

    /// By team: its range of `count` things that every step needs.
    public func denseCut(_ count: Int) -> [Range<Int>] { ExpertPlacement.cut(densePlacement, panels: count) }

    /// The same of things that begin anywhere.
    public func denseCut(_ things: Range<Int>) -> [Range<Int>] { cut(things, densePlacement) }

    /// By part: its range of things that begin anywhere.
    func cut(_ things: Range<Int>, _ parts: [ExpertPlacement.Part]) -> [Range<Int>] {
        ExpertPlacement.cut(parts, panels: things.count).map {
            things.lowerBound + $0.lowerBound..<things.lowerBound + $0.upperBound
        }
    }

    /// By team: its attention heads of some that begin at a multiple of a unit. Heads go together until their query rows fill
    /// whole panels.
    /// - Parameter width: query rows of one head.
    public func headCut(_ heads: Range<Int>, width: Int) -> [Range<Int>] {
        let unit = Self.headUnit(width)
        return denseCut((heads.count + unit - 1) / unit).map {
            let (first, end) = (heads.lowerBound + $0.lowerBound * unit, heads.lowerBound + $0.upperBound * unit)
            return min(heads.upperBound, first)..<min(heads.upperBound, end)
        }
    }

    /// Fewest heads whose query rows fill whole panels.
    public static func headUnit(_ width: Int) -> Int {
        let rows = Int(FORETOKEN_PANEL_ROWS)
        return rows >> min(rows.trailingZeroBitCount, width.trailingZeroBitCount)
    }

    /// Who reads panels `range` of a matrix that lie on `node`: its own workers, or all teams together where it has none.
    func readers(of range: Range<Int>, on node: Int) -> [(team: Int, panels: Range<Int>)] {
        if let team = teams.firstIndex(of: node) { return [(team, range)] }
        return denseCut(range.count).enumerated().map { team, part in
            (team, range.lowerBound + part.lowerBound..<range.lowerBound + part.upperBound)
        }
    }

    // MARK: Memory

    /// Where memory lies that belongs to a node.
    func home(_ node: Int) -> MemoryHome { nodes[node].id.map { .node($0) } ?? .anywhere }

    /// Where memory lies that workers of all teams read alike.
    package var sharedHome: MemoryHome {
        let ids = teams.compactMap { nodes[$0].id }
        return ids.count > 1 ? .interleaved(ids) : ids.first.map { .node($0) } ?? .anywhere
    }

    /// Memory on a node; a minimal arena where nothing is to lie there.
    package func arena(byteCount: Int, node: Int) throws -> MemoryArena {
        try MemoryArena(byteCount: max(MemoryArena.alignment, byteCount), home: home(node), policy: policy)
    }
}
