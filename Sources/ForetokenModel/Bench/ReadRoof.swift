import CForetokenKernels
import ForetokenHardware
import Glibc

/// Each of the first `active` workers reads its part of a piece of memory.
private struct ReadingPhase: Phase {
    let memory: UnsafeRawPointer
    let byteCount: Int
    let active: Int
    /// [workers]
    let checksums: UnsafeMutablePointer<UInt64>

    static var entry: WorkerPool.Entry {
        { context, worker, _ in context.phase(ReadingPhase.self).work(worker: Int(worker)) }
    }

    private func work(worker: Int) {
        guard worker < active else { return }
        let start = byteCount / active * worker
        checksums[worker] = foretoken_read_bandwidth(memory + start, byteCount / active)
    }
}

/// Measures how fast a pool's workers read memory: the roof that steps are compared with.
package final class ReadRoof {
    private let pool: WorkerPool
    private let arena: MemoryArena
    private let checksums: ScratchBuffer<UInt64>

    /// Bytes that are read: too many for any cache.
    package static let byteCount = 512 << 20

    /// - Throws: `HardwareError` when the memory cannot be had.
    package init(pool: WorkerPool) throws {
        self.pool = pool
        arena = try MemoryArena(byteCount: Self.byteCount)
        checksums = try ScratchBuffer(count: pool.workerCount)
        // Untouched pages would all be the one page of zeros.
        memset(arena.base, 1, Self.byteCount)
    }

    /// Bytes a second that so many workers read together, once.
    package func measure(threads: Int) -> Double {
        let start = MonotonicClock.now
        pool.run(
            ReadingPhase(
                memory: arena.base, byteCount: Self.byteCount, active: threads, checksums: checksums.pointer))
        return Double(Self.byteCount) / Double(MonotonicClock.now - start) * 1e9
    }
}

extension WorkerPool {
    /// Bytes a second that all workers together go on reading from memory: the median of the later of many readings.
    /// Virtual machines may read twice as fast for a moment after a pause.
    /// - Throws: `HardwareError` when the memory for it cannot be had.
    public func measureReadBandwidth() throws -> Double {
        let roof = try ReadRoof(pool: self)
        startSpinning()
        defer { stopSpinning() }
        let readings = (0..<24).map { _ in roof.measure(threads: workerCount) }
        return readings.suffix(15).sorted()[7]
    }
}
