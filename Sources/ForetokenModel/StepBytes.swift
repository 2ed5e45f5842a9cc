import CForetokenKernels
import ForetokenHardware
import ForetokenWeights
import Glibc

extension Model {
    /// Bytes of weights that one verify step of one row reads, latent cache not counted.
    public var bytesPerStep: Int {
        weights.layers.reduce(Self.bytes(weights.head)) { sum, layer in
            let attention = layer.attention
            let dense = [attention.queryDown, attention.queryUp, attention.latentDown, attention.output]
                .reduce(0) { $0 + ($1.map(Self.bytes) ?? 0) }
            return sum + dense + Self.bytes(attention.keyUp) + Self.bytes(attention.valueUp)
                + Self.bytes(layer.feedForward, chosen: configuration.expertsPerToken)
        }
    }

    private static func bytes(_ linear: Linear) -> Int { linear.matrix.pointee.byteCount }

    private static func bytes(_ table: MatrixTable) -> Int { table.count == 0 ? 0 : table.count * bytes(table[0]) }

    private static func bytes(_ mlp: MLPWeights) -> Int { bytes(mlp.gate) + bytes(mlp.up) + bytes(mlp.down) }

    private static func bytes(_ block: FeedForwardWeights, chosen: Int) -> Int {
        switch block {
        case .dense(let mlp): return bytes(mlp)
        case .moe(let moe):
            let expert = bytes(moe.gate[0]) + bytes(moe.up[0]) + bytes(moe.down[0])
            return bytes(moe.router) + chosen * expert + (moe.shared.map(bytes) ?? 0)
        }
    }
}

/// Each worker reads its part of a piece of memory.
private struct ReadingPhase: Phase {
    let memory: UnsafeRawPointer
    let byteCount: Int
    /// [workers]
    let checksums: UnsafeMutablePointer<UInt64>

    static var entry: WorkerPool.Entry {
        { $0.phase(ReadingPhase.self).work(worker: Int($1), workers: Int($2)) }
    }

    private func work(worker: Int, workers: Int) {
        let start = byteCount / workers * worker
        checksums[worker] = foretoken_read_bandwidth(memory + start, byteCount / workers)
    }
}

extension WorkerPool {
    /// Bytes a second that all workers together read from memory: the roof that steps are compared with. The best of
    /// several readings of memory too large for any cache.
    /// - Throws: `HardwareError` when that memory cannot be had.
    public func measureReadBandwidth() throws -> Double {
        let byteCount = 512 << 20
        let arena = try MemoryArena(byteCount: byteCount)
        let checksums = try ScratchBuffer<UInt64>(count: workerCount)
        // Untouched pages would all be the one page of zeros.
        memset(arena.base, 1, byteCount)
        var best = 0.0
        startSpinning()
        defer { stopSpinning() }
        for _ in 0..<5 {
            let start = MonotonicClock.now
            run(ReadingPhase(memory: arena.base, byteCount: byteCount, checksums: checksums.pointer))
            best = max(best, Double(byteCount) / Double(MonotonicClock.now - start) * 1e9)
        }
        return best
    }
}
