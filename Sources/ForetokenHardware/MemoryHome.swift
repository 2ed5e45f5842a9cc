/// Where memory is to lie.
public enum MemoryHome: Sendable, Equatable {
    /// On the node of the thread that touches it first.
    case anywhere
    /// On one node, by the system's number, as long as it has room.
    case node(Int)
    /// Page by page on each of several nodes in turn.
    case interleaved([Int])

    /// The nodes, by the system's numbers; empty for anywhere.
    public var nodes: [Int] {
        switch self {
        case .anywhere: []
        case .node(let id): [id]
        case .interleaved(let ids): ids
        }
    }
}

extension MemoryHome: CustomStringConvertible {
    /// "node 1", "nodes 0-3".
    public var description: String {
        switch self {
        case .anywhere: "any node"
        case .node(let id): "node \(id)"
        case .interleaved(let ids): "nodes \(NumberList.format(ids.sorted()))"
        }
    }
}
