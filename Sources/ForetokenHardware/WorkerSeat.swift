/// A worker's place in its group: the workers of one NUMA node.
public struct WorkerSeat: Sendable, Equatable, BitwiseCopyable {
    /// Index of the group.
    public let group: Int32
    /// The worker's number inside its group.
    public let index: Int32
    /// Workers of the group.
    public let count: Int32
    /// Groups of the pool.
    public let groups: Int32

    /// Whether work meant for group `other` is done here. A pool with fewer groups than the work was cut for deals the
    /// rest out in turn.
    @inlinable
    public func serves(_ other: Int) -> Bool { other % Int(groups) == Int(group) }

    /// Its part of `total` units that the group divides evenly.
    @inlinable
    public func share(of total: Int) -> Range<Int> {
        total * Int(index) / Int(count)..<total * (Int(index) + 1) / Int(count)
    }
}
