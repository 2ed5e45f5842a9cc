import CForetokenSystem

/// Threads that execute one function together and meet again at its end: first the workers of a team, then the teams.
///
/// Worker 0 is the calling thread, so a pool of n workers starts n - 1 threads. Between `startSpinning` and
/// `stopSpinning` a pinned pool starts and joins a run without a system call; otherwise its workers sleep in between.
///
/// Invariant that makes it sendable: the pool's own state is atomic or belongs to the one thread that is inside `run`,
/// `startSpinning` or `stopSpinning`; calls to them never overlap.
public final class WorkerPool: @unchecked Sendable {
    /// One worker's share: `(context, worker, workers)` with worker in 0..<workers.
    public typealias Entry = @convention(c) (UnsafeMutableRawPointer?, Int32, Int32) -> Void

    /// Number of workers, the calling thread included.
    public let workerCount: Int
    /// Whether CPUs were given and every worker was pinned to its own.
    public let isPinned: Bool
    /// Workers of each team, in order.
    public let teamSizes: [Int]
    /// By worker: its place; valid as long as the pool lives.
    public let seats: UnsafePointer<WorkerSeat>

    private let pool: OpaquePointer

    /// Starts the threads.
    ///
    /// - Parameters:
    ///   - threads: number of workers, 1 or more.
    ///   - cpus: one distinct CPU number a worker; the calling thread becomes worker 0 and is pinned to the first until
    ///     the pool is freed. A pin that the system refuses shows in `isPinned`. nil pins nothing.
    ///   - teamSizes: workers of each team, in the order of the workers; nil puts all into one.
    /// - Throws: `HardwareError` when the numbers make no sense or no thread can be started.
    public init(threads: Int, cpus: [Int]? = nil, teamSizes: [Int]? = nil) throws {
        let limit = Int(FORETOKEN_MAX_CPUS)
        guard (1...limit).contains(threads) else {
            throw HardwareError(.argument, "a worker pool has 1 to \(limit) threads, but \(threads) were asked for")
        }
        if let cpus {
            guard cpus.count == threads else {
                throw HardwareError(.argument, "\(threads) workers need as many CPUs, but \(cpus.count) were given")
            }
            guard cpus.allSatisfy({ (0..<limit).contains($0) }), Set(cpus).count == threads else {
                throw HardwareError(.argument, "workers need distinct CPUs in 0..<\(limit), but \(cpus) were given")
            }
        }
        let sizes = teamSizes ?? [threads]
        guard sizes.allSatisfy({ (1...threads).contains($0) }), sizes.reduce(0, +) == threads else {
            throw HardwareError(
                .argument,
                "groups of \(threads) workers have one or more each and all together, but \(sizes) were given")
        }
        let seats = sizes.enumerated().flatMap { team, count in
            (0..<count).map {
                WorkerSeat(team: Int32(team), index: Int32($0), count: Int32(count), teamCount: Int32(sizes.count))
            }
        }
        var created: OpaquePointer?
        let error = foretoken_pool_create(Int32(threads), cpus?.map(Int32.init), seats.map(\.team), &created)
        guard error == 0, let created else { throw HardwareError.system("starting \(threads) workers", errno: error) }
        pool = created
        workerCount = threads
        isPinned = foretoken_pool_is_pinned(created)
        self.teamSizes = sizes
        let memory = UnsafeMutablePointer<WorkerSeat>.allocate(capacity: threads)
        memory.initialize(from: seats, count: threads)
        self.seats = UnsafePointer(memory)
    }

    deinit {
        foretoken_pool_destroy(pool)
        seats.deallocate()
    }

    /// By team: nanoseconds it has waited for the slowest one, over all runs so far; zero for a single team.
    public var teamWaits: [Int64] {
        var waits = [Int64](repeating: 0, count: teamSizes.count)
        foretoken_pool_waits(pool, &waits)
        return waits
    }

    /// Calls `entry` once on every worker and returns when every call has returned.
    ///
    /// Writes made before are visible to the workers, theirs are visible afterwards. Allocates nothing. One run at a
    /// time; never called from inside an entry.
    @inline(__always)
    public func run(_ entry: Entry, _ context: UnsafeMutableRawPointer?) {
        foretoken_pool_run(pool, entry, context)
    }

    /// Lets waiting workers spin before they sleep: call it when generation begins.
    ///
    /// Has no effect on a pool that is not pinned or has more workers than the process has CPUs. Workers without work
    /// go to sleep after two milliseconds all the same.
    ///
    /// - Returns: whether workers spin from now on.
    @discardableResult
    public func startSpinning() -> Bool { foretoken_pool_spin(pool, true) }

    /// Makes waiting workers sleep at once: call it when generation ends.
    public func stopSpinning() { _ = foretoken_pool_spin(pool, false) }
}
