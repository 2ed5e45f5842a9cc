/// A worker's place in its group: the workers of one NUMA node.
public struct WorkerSeat: Sendable, Equatable, BitwiseCopyable {
    /// Index of the group.
    public let group: Int32
    /// The worker's number inside its group.
    public let index: Int32
    /// Workers of the group.
    public let count: Int32

    /// Its part of `total` units that the group divides evenly.
    @inlinable
    public func share(of total: Int) -> Range<Int> {
        total * Int(index) / Int(count)..<total * (Int(index) + 1) / Int(count)
    }
}
