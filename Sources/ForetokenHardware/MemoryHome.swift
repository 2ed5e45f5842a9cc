/// Where memory is to lie.
public enum MemoryHome: Sendable, Equatable {
    /// On the node of the thread that touches it first.
    case anywhere
    /// On one node, by the system's number, as long as it has room.
    case node(Int)
    /// Page by page on each of several nodes in turn.
    case interleaved([Int])
}
