/// A worker's place in its team, which is the workers of one NUMA node.
public struct WorkerSeat: Sendable, Equatable, BitwiseCopyable {
    /// Index of the team.
    public let team: Int32
    /// The worker's number inside its team.
    public let index: Int32
    /// Workers of the team.
    public let count: Int32
    /// Teams of the pool.
    public let teamCount: Int32

    /// Whether work meant for team `other` is done here. A pool with fewer teams than the work was cut for deals the
    /// rest out in turn.
    @inlinable
    public func serves(_ other: Int) -> Bool { other % Int(teamCount) == Int(team) }

    /// Its share of `total` units that the team divides evenly.
    @inlinable
    public func share(of total: Int) -> Range<Int> {
        total * Int(index) / Int(count)..<total * (Int(index) + 1) / Int(count)
    }
}
