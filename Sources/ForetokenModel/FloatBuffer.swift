import CForetokenKernels
import ForetokenHardware
import ForetokenWeights

/// The kernels of one instruction set.
typealias KernelTable = UnsafePointer<foretoken_kernels>

extension Linear {
    /// FP32 values of row `row`: out[columns].
    func decodeRow(_ row: Int32, into out: UnsafeMutablePointer<Float>, _ kernels: KernelTable) {
        let panel = row / FORETOKEN_PANEL_ROWS
        for i in 0..<partCount where panel < parts[i].endPanel {
            kernels.pointee.decode_row(matrix(i), row - parts[i].firstPanel * FORETOKEN_PANEL_ROWS, out)
            return
        }
    }
}

/// Row-major FP32 memory, rows padded to whole cache lines.
final class FloatBuffer {
    let base: UnsafeMutablePointer<Float>
    /// Floats from one row to the next.
    let stride: Int
    private let memory: ScratchBuffer<Float>

    /// - Throws: `HardwareError` when the memory cannot be had.
    init(rows: Int, columns: Int) throws {
        stride = Self.stride(columns)
        memory = try ScratchBuffer(count: max(16, rows * stride))
        base = memory.pointer
    }

    private static func stride(_ columns: Int) -> Int { (columns + 15) & ~15 }

    /// Bytes of so many rows.
    static func byteCount(rows: Int, columns: Int) -> Int {
        max(16, rows * stride(columns)) * MemoryLayout<Float>.stride
    }

    /// Row `i`.
    @inline(__always)
    subscript(row i: Int) -> UnsafeMutablePointer<Float> { base + i * stride }

    /// All rows, as kernels take them.
    var rows: foretoken_rows { foretoken_rows(base: base, stride: stride, index: nil) }
}
