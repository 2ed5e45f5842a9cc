import CForetokenKernels
import ForetokenHardware
import ForetokenWeights

/// Each of the first `active` workers multiplies FP32 matrices of its own with OpenBLAS.
private struct MultiplyingPhase: Phase {
    let memory: UnsafeMutablePointer<Float>
    let active: Int

    static var entry: WorkerPool.Entry {
        { context, worker, _ in context.phase(MultiplyingPhase.self).work(worker: Int(worker)) }
    }

    private func work(worker: Int) {
        guard worker < active else { return }
        let input = memory + worker * ProductRoof.floats
        let weights = input + ProductRoof.rows * ProductRoof.columns
        let output = weights + ProductRoof.columns * ProductRoof.outputs
        for _ in 0..<ProductRoof.repetitions {
            foretoken_blas_product(
                input, ProductRoof.columns, weights, ProductRoof.outputs, output, ProductRoof.outputs,
                Int32(ProductRoof.rows), Int32(ProductRoof.outputs), Int32(ProductRoof.columns), false)
        }
    }
}

/// Measures OpenBLAS's matrix product in the shape of one unit of a prompt's product: the roof of arithmetic.
package final class ProductRoof {
    /// Activation rows: one prompt chunk.
    package static let rows = Workspace.chunkRows
    /// Output rows of a unit.
    package static let outputs = WideUnit.rows
    /// Columns that are decoded at a time.
    package static let columns = WideScratch.columns(widest: .max / 2)

    fileprivate static let floats = rows * columns + columns * outputs + rows * outputs
    fileprivate static let repetitions = 8

    private let pool: WorkerPool
    private let memory: ScratchBuffer<Float>

    /// - Throws: `HardwareError` when the memory cannot be had.
    package init(pool: WorkerPool) throws {
        self.pool = pool
        memory = try ScratchBuffer(count: pool.workerCount * Self.floats)
        for i in 0..<memory.count { memory.pointer[i] = Float(i & 1023) / 1024 - 0.5 }
    }

    /// Floating-point operations a second of so many workers together, once.
    package func measure(threads: Int) -> Double {
        let start = MonotonicClock.now
        pool.run(MultiplyingPhase(memory: memory.pointer, active: threads))
        let operations = 2 * Double(Self.rows * Self.outputs * Self.columns) * Double(Self.repetitions * threads)
        return operations / Double(MonotonicClock.now - start) * 1e9
    }
}
