import CForetokenSystem
import Glibc

/// Each of the first `active` workers touches or reads its share of some memory.
private struct ReadingPhase: Phase {
    let memory: UnsafeMutableRawPointer
    let shareBytes: Int
    let active: Int
    let touches: Bool
    /// [workers]
    let checksums: UnsafeMutablePointer<UInt64>

    static var entry: WorkerPool.Entry {
        { context, worker, _ in context.phase(ReadingPhase.self).work(worker: Int(worker)) }
    }

    private func work(worker: Int) {
        guard worker < active else { return }
        let share = memory + shareBytes * worker
        if touches {
            memset(share, 1, shareBytes)
        } else {
            checksums[worker] = foretoken_read_bandwidth(share, shareBytes)
        }
    }
}

/// Measures how fast the first workers of a pool read memory near them: the roof that steps are compared with.
package final class ReadRoof {
    private let pool: WorkerPool
    private let arena: MemoryArena
    private let shareBytes: Int
    private let threads: Int
    private let checksums: ScratchBuffer<UInt64>

    /// Bytes that are read: what the last-level caches hold, all together, cannot serve them.
    package static func byteCount(cacheBytes: Int) -> Int { max(512 << 20, 2 * cacheBytes) }

    /// - Parameters:
    ///   - threads: workers that read, at most the pool's.
    ///   - cacheBytes: what all last-level caches hold.
    /// - Throws: `HardwareError` when the memory cannot be had.
    package init(pool: WorkerPool, threads: Int, cacheBytes: Int) throws {
        self.pool = pool
        self.threads = threads
        shareBytes = Self.byteCount(cacheBytes: cacheBytes) / threads
        arena = try MemoryArena(byteCount: shareBytes * threads)
        checksums = try ScratchBuffer(count: pool.workerCount)
        // Each worker touches what it will read, so that it lies on the worker's node.
        pool.run(phase(touches: true))
    }

    private func phase(touches: Bool) -> ReadingPhase {
        ReadingPhase(
            memory: arena.base, shareBytes: shareBytes, active: threads, touches: touches, checksums: checksums.pointer)
    }

    /// Bytes a second that the workers read together, once.
    package func measure() -> Double {
        let start = MonotonicClock.now
        pool.run(phase(touches: false))
        return Double(shareBytes * threads) / Double(MonotonicClock.now - start) * 1e9
    }
}

extension WorkerPool {
    /// Bytes a second that all workers together go on reading from memory: the median of the later of many readings.
    /// Virtual machines may read twice as fast for a moment after a pause.
    /// - Parameter cacheBytes: what all last-level caches hold.
    /// - Throws: `HardwareError` when the memory for it cannot be had.
    package func measureReadBandwidth(cacheBytes: Int) throws -> Double {
        let roof = try ReadRoof(pool: self, threads: workerCount, cacheBytes: cacheBytes)
        startSpinning()
        defer { stopSpinning() }
        let readings = (0..<24).map { _ in roof.measure() }
        return readings.suffix(15).sorted()[7]
    }
}
