import CForetokenKernels
import ForetokenHardware

/// Work that all threads do together: plain data, copied to nobody, read by every worker through one pointer. Swift
/// closures would cost an allocation and shared reference counts in the token loop.
protocol Phase {
    /// A C function that finds the phase behind its context and calls its work.
    static var entry: WorkerPool.Entry { get }
}

extension WorkerPool {
    /// Runs the phase on every worker and returns when all have finished.
    @inline(__always)
    func run<P: Phase>(_ phase: P) {
        withUnsafePointer(to: phase) { run(P.entry, UnsafeMutableRawPointer(mutating: $0)) }
    }
}

extension UnsafeMutableRawPointer? {
    /// The phase a worker was called for.
    @inline(__always)
    func phase<P: Phase>(_: P.Type) -> P { self!.assumingMemoryBound(to: P.self).pointee }
}

typealias KernelTable = UnsafePointer<foretoken_kernels>

/// Row-major FP32 memory of the model's own, 64-byte aligned, rows padded to whole cache lines.
final class FloatBuffer {
    let base: UnsafeMutablePointer<Float>
    /// Floats from one row to the next.
    let stride: Int
    let byteCount: Int

    init(rows: Int, columns: Int) {
        stride = (columns + 15) & ~15
        byteCount = max(64, rows * stride * 4)
        let memory = UnsafeMutableRawPointer.allocate(byteCount: byteCount, alignment: 64)
        base = memory.initializeMemory(as: Float.self, repeating: 0, count: byteCount / 4)
    }

    deinit { base.deallocate() }

    /// Row `i`.
    @inline(__always)
    subscript(row i: Int) -> UnsafeMutablePointer<Float> { base + i * stride }

    /// All rows, as kernels take them.
    var rows: foretoken_rows { foretoken_rows(base: base, stride: stride, index: nil) }
}

/// Fixed-size memory for plain values.
final class PlainBuffer<Element: BitwiseCopyable> {
    let base: UnsafeMutablePointer<Element>

    init(count: Int, repeating value: Element) {
        base = .allocate(capacity: max(1, count))
        base.initialize(repeating: value, count: max(1, count))
    }

    deinit { base.deallocate() }
}
