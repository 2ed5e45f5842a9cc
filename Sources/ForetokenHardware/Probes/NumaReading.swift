import CForetokenSystem
import Glibc

/// Memory that one worker reads from its start to its end, over and over.
struct ReadingSource {
    let base: UnsafeMutableRawPointer
    let byteCount: Int
    /// Place among the tables' columns, for adding up.
    let column: Int
    /// The worker's reads are divided over its sources in these proportions.
    var weight = 1.0
    /// Where the next read begins.
    var position = 0
    /// Bytes read.
    var done = 0
}

/// What every worker reads at once; workers without a source rest.
final class ReadingPlan {
    /// [workers][sources].
    fileprivate let shares: [ScratchBuffer<ReadingSource>]
    /// [workers] nanoseconds from the start to the end of each worker's last read; 0 for those that rest.
    fileprivate let elapsed: ScratchBuffer<Int64>
    /// [workers]: kept, so that no read can be left out.
    fileprivate let checksums: ScratchBuffer<UInt64>

    /// - Parameter sources: [workers][sources].
    init(_ sources: [[ReadingSource]]) throws {
        shares = try sources.map { sources in
            let buffer = try ScratchBuffer<ReadingSource>(count: sources.count)
            for (index, source) in sources.enumerated() { buffer.pointer[index] = source }
            return buffer
        }
        elapsed = try ScratchBuffer(count: sources.count)
        checksums = try ScratchBuffer(count: sources.count)
    }

    /// Sets the proportions of the workers that read `column` and others.
    func weigh(_ weights: [Int: Double]) {
        for share in shares {
            for index in 0..<share.count {
                share.pointer[index].weight = weights[share.pointer[index].column] ?? 1
            }
        }
    }

    /// Bytes a second by column while all workers read for so long; columns that nobody reads are left out.
    func measure(on pool: WorkerPool, nanoseconds: Int64) -> [Int: Double] {
        for share in shares { for index in 0..<share.count { share.pointer[index].done = 0 } }
        let table = shares.map(\.elements)
        let start = MonotonicClock.now
        table.withUnsafeBufferPointer { table in
            pool.run(
                DeadlinePhase(
                    shares: table.baseAddress!, elapsed: elapsed.pointer, checksums: checksums.pointer, start: start,
                    deadline: start + nanoseconds))
        }
        var speeds: [Int: Double] = [:]
        for (worker, share) in shares.enumerated() {
            for source in share.elements {
                speeds[source.column, default: 0] += Double(source.done) / Double(elapsed.pointer[worker]) * 1e9
            }
        }
        return speeds
    }

    /// Writes to every source, so that its pages become real.
    func touch(on pool: WorkerPool) {
        shares.map(\.elements).withUnsafeBufferPointer { pool.run(TouchPhase(shares: $0.baseAddress!)) }
    }
}

/// Reads until a moment.
private struct DeadlinePhase: Phase {
    /// [workers][sources].
    let shares: UnsafePointer<UnsafeMutableBufferPointer<ReadingSource>>
    let elapsed: UnsafeMutablePointer<Int64>
    let checksums: UnsafeMutablePointer<UInt64>
    let start: Int64
    let deadline: Int64

    /// Far more than a look at the clock costs, far less than the shortest reading takes.
    private static let chunk = 256 << 10

    static var entry: WorkerPool.Entry {
        { context, worker, _ in context.phase(DeadlinePhase.self).work(worker: Int(worker)) }
    }

    private func work(worker: Int) {
        let sources = shares[worker]
        guard !sources.isEmpty else { return }
        var checksum: UInt64 = 0
        var now = start
        repeat {
            let next = Self.furthestBehind(sources)
            let bytes = min(Self.chunk, sources[next].byteCount - sources[next].position)
            checksum ^= foretoken_read_bandwidth(sources[next].base + sources[next].position, bytes)
            sources[next].done += bytes
            sources[next].position += bytes
            if sources[next].position == sources[next].byteCount { sources[next].position = 0 }
            now = MonotonicClock.now
        } while now < deadline
        elapsed[worker] = now - start
        checksums[worker] = checksum
    }

    private static func furthestBehind(_ sources: UnsafeMutableBufferPointer<ReadingSource>) -> Int {
        var least = 0
        for index in 1..<max(1, sources.count)
        where Double(sources[index].done) * sources[least].weight < Double(sources[least].done) * sources[index].weight
        {
            least = index
        }
        return least
    }
}

/// Writes to all memory once.
private struct TouchPhase: Phase {
    /// [workers][sources].
    let shares: UnsafePointer<UnsafeMutableBufferPointer<ReadingSource>>

    static var entry: WorkerPool.Entry {
        { context, worker, _ in
            for source in context.phase(TouchPhase.self).shares[Int(worker)] {
                memset(source.base, 1, source.byteCount)
            }
        }
    }
}

/// One worker's dependent reads.
final class ReadingChase {
    private let worker: Int
    /// Where the chase stands, then how many steps and nanoseconds it took.
    fileprivate struct State {
        var place: UnsafeRawPointer
        let worker: Int
        var steps = 0
        var elapsed: Int64 = 0
        var deadline: Int64 = 0
    }
    private var state: State

    /// - Parameter ring: memory that `prepare` linked.
    init(worker: Int, ring: UnsafeRawPointer) {
        self.worker = worker
        state = State(place: ring, worker: worker)
    }

    /// Nanoseconds a step, over so many nanoseconds.
    func measure(on pool: WorkerPool, nanoseconds: Int64) -> Double {
        state.steps = 0
        state.deadline = MonotonicClock.now + nanoseconds
        withUnsafeMutablePointer(to: &state) { pool.run(ChasePhase(state: $0)) }
        return Double(state.elapsed) / Double(state.steps)
    }

    /// Links memory into rings, each worker its share.
    static func prepare(_ rings: [(base: UnsafeMutableRawPointer, byteCount: Int)], on pool: WorkerPool) {
        rings.map { RingPhase.Ring(base: $0.base, byteCount: $0.byteCount) }.withUnsafeBufferPointer { rings in
            pool.run(RingPhase(rings: rings))
        }
    }
}

private struct ChasePhase: Phase {
    let state: UnsafeMutablePointer<ReadingChase.State>

    /// Steps between looks at the clock.
    private static let batch = 1024

    static var entry: WorkerPool.Entry {
        { context, worker, _ in context.phase(ChasePhase.self).work(worker: Int(worker)) }
    }

    private func work(worker: Int) {
        guard worker == state.pointee.worker else { return }
        let start = MonotonicClock.now
        var now = start
        repeat {
            guard let place = foretoken_chase(state.pointee.place, Self.batch) else { return }
            state.pointee.place = place
            state.pointee.steps += Self.batch
            now = MonotonicClock.now
        } while now < state.pointee.deadline
        state.pointee.elapsed = now - start
    }
}

private struct RingPhase: Phase {
    struct Ring {
        let base: UnsafeMutableRawPointer
        let byteCount: Int
    }

    let rings: UnsafeBufferPointer<Ring>

    static var entry: WorkerPool.Entry {
        { context, worker, workers in
            let rings = context.phase(RingPhase.self).rings
            for index in stride(from: Int(worker), to: rings.count, by: Int(workers)) {
                foretoken_chase_prepare(rings[index].base, rings[index].byteCount, UInt64(index))
            }
        }
    }
}
