import CForetokenKernels
import ForetokenHardware
import ForetokenWeights

/// A number format to time panel products in, and how one panel of it is made.
package struct PanelFormat: Sendable {
    /// Its name in reports.
    package let name: String
    fileprivate let raw: Int32
    /// Packs row-major source values [32][columns] into a panel.
    fileprivate let pack: @Sendable (_ values: [Float], _ columns: Int, _ panel: UnsafeMutableRawPointer) -> Void

    /// Every format that the kernels have.
    package static let all = [
        PanelFormat("fp8", FORETOKEN_FP8) { interleaved($0.map { foretoken_fp8_encode($0 * 100) }, $1, $2) },
        PanelFormat("bf16", FORETOKEN_BF16) { interleaved($0.map { foretoken_bf16_encode($0) }, $1, $2) },
        PanelFormat("f16", FORETOKEN_F16) { interleaved($0.map { Float16($0) }, $1, $2) },
        PanelFormat("f32", FORETOKEN_F32) { interleaved($0, $1, $2) },
        PanelFormat("int8", FORETOKEN_INT8) { quantised($0, $1, $2, FORETOKEN_INT8) },
        PanelFormat("int4", FORETOKEN_INT4) { quantised($0, $1, $2, FORETOKEN_INT4) },
        PanelFormat("int4 stored", FORETOKEN_EXACT_INT4) { quantised($0, $1, $2, FORETOKEN_EXACT_INT4) },
    ]

    private init(
        _ name: String, _ raw: foretoken_format,
        pack: @escaping @Sendable (_ values: [Float], _ columns: Int, _ panel: UnsafeMutableRawPointer) -> Void
    ) {
        self.name = name
        self.raw = Int32(raw.rawValue)
        self.pack = pack
    }
}

/// Packs source elements [32][columns] as the model's weights are packed.
private func interleaved<Element: BitwiseCopyable>(
    _ elements: [Element], _ columns: Int, _ panel: UnsafeMutableRawPointer
) {
    elements.withUnsafeBytes {
        foretoken_pack_panel(
            $0.baseAddress!, columns, FORETOKEN_PANEL_ROWS, Int32(columns), Int32(MemoryLayout<Element>.stride), panel)
    }
}

/// Packs source values [32][columns] in a format of the kernels' own.
private func quantised(
    _ values: [Float], _ columns: Int, _ panel: UnsafeMutableRawPointer, _ format: foretoken_format
) {
    let rows = Int(FORETOKEN_PANEL_ROWS)
    let byColumns = (0..<rows * columns).map { values[$0 % rows * columns + $0 / rows] }
    foretoken_quantise_panel(Int32(format.rawValue), byColumns, Int32(columns), panel, nil)
}

/// Each worker multiplies its panels of every matrix of a set.
private struct PanelPhase: Phase {
    let kernels: KernelTable
    let matrices: UnsafePointer<PackedMatrix>
    let count: Int
    let input: foretoken_rows
    let output: foretoken_rows
    let rowCount: Int32

    static var entry: WorkerPool.Entry {
        { $0.phase(PanelPhase.self).work(worker: Int($1), workers: Int($2)) }
    }

    private func work(worker: Int, workers: Int) {
        for i in 0..<count {
            let panels = matrices[i].panelCount
            let first = panels * worker / workers
            let end = panels * (worker + 1) / workers
            kernels.pointee.product(matrices + i, Int32(first), Int32(end - first), input, rowCount, output, false)
        }
    }
}

/// Each worker copies one panel to all places that it will read, so that they lie on its node.
private struct FillPhase: Phase {
    let matrices: UnsafePointer<PackedMatrix>
    let count: Int
    let panel: UnsafeRawPointer

    static var entry: WorkerPool.Entry {
        { $0.phase(FillPhase.self).work(worker: Int($1), workers: Int($2)) }
    }

    private func work(worker: Int, workers: Int) {
        for matrix in UnsafeBufferPointer(start: matrices, count: count) {
            let panels = UnsafeMutableRawPointer(mutating: matrix.panels!)
            for p in matrix.panelCount * worker / workers..<matrix.panelCount * (worker + 1) / workers {
                (panels + p * matrix.panelBytes).copyMemory(from: panel, byteCount: matrix.panelBytes)
            }
        }
    }
}

/// Times products with a set of matrices that no cache holds.
package final class PanelProducts {
    /// The format of the matrices.
    package let format: PanelFormat
    /// Bytes that one pass over the set reads.
    package let byteCount: Int
    private let pool: WorkerPool
    private let kernels: KernelTable
    private let arena: MemoryArena
    private let matrices: ScratchBuffer<PackedMatrix>
    private let input: FloatBuffer
    private let output: FloatBuffer

    private static let rows = 2048
    private static let columns = 4096

    /// - Parameters:
    ///   - byteCount: bytes that the set has at least.
    ///   - instructionSet: one of `InstructionSet.available`; nil for the best.
    /// - Throws: `HardwareError` when the memory cannot be had.
    package init(_ format: PanelFormat, byteCount least: Int, pool: WorkerPool, instructionSet: String?) throws {
        self.format = format
        self.pool = pool
        kernels = try InstructionSet.table(instructionSet)
        var matrix = PackedMatrix()
        matrix.rows = Int32(Self.rows)
        matrix.columns = Int32(Self.columns)
        matrix.format = format.raw
        let block = Int(FORETOKEN_SCALE_BLOCK)
        let scaleBlocks = format.raw == Int32(FORETOKEN_FP8.rawValue) ? (Self.columns + block - 1) / block : 0
        if scaleBlocks > 0 {
            matrix.first_scale_block = Int32(block)
            matrix.scale_blocks = Int32(scaleBlocks)
            matrix.scale_lanes = 1
        }
        let count = (least + matrix.byteCount - 1) / matrix.byteCount
        let panelBytes = matrix.panelCount * matrix.panelBytes
        let scaleBytes = MemoryArena.footprint(byteCount: matrix.panelCount * scaleBlocks * 4)
        byteCount = count * matrix.byteCount
        arena = try MemoryArena(byteCount: count * (MemoryArena.footprint(byteCount: panelBytes) + scaleBytes))
        matrices = try ScratchBuffer(count: count)
        input = try FloatBuffer(rows: Workspace.windowRows, columns: Self.columns)
        output = try FloatBuffer(rows: Workspace.windowRows, columns: Self.rows)
        for i in 0..<Workspace.windowRows * input.stride { input.base[i] = Self.value(i) }
        let panel = try ScratchBuffer<UInt8>(count: matrix.panelBytes)
        format.pack((0..<Int(FORETOKEN_PANEL_ROWS) * Self.columns).map(Self.value), Self.columns, panel.pointer)
        for i in 0..<count {
            matrix.panels = UnsafeRawPointer(arena.allocate(byteCount: panelBytes))
            let scales = arena.allocate(Float.self, count: matrix.panelCount * scaleBlocks)
            scales.update(repeating: 0.01, count: matrix.panelCount * scaleBlocks)
            matrix.scales = scaleBlocks > 0 ? UnsafePointer(scales) : nil
            matrices.pointer[i] = matrix
        }
        pool.run(FillPhase(matrices: matrices.pointer, count: count, panel: UnsafeRawPointer(panel.pointer)))
    }

    /// Numbers in -1...1 without a pattern that a kernel could profit from.
    private static func value(_ index: Int) -> Float {
        Float((index &* 2_654_435_761) >> 8 & 0xFFFF) / 32768 - 1
    }

    /// Operations of one pass with so many activation rows.
    package func operations(rows: Int) -> Double {
        2 * Double(matrices.count) * Double(Self.rows * Self.columns) * Double(rows)
    }

    /// Nanoseconds of one pass with `rows` (1...16) activation rows.
    package func measure(rows: Int) -> Double {
        precondition(rows > 0 && rows <= Workspace.windowRows)
        let start = MonotonicClock.now
        pool.run(
            PanelPhase(
                kernels: kernels, matrices: UnsafePointer(matrices.pointer), count: matrices.count, input: input.rows,
                output: output.rows, rowCount: Int32(rows)))
        return Double(MonotonicClock.now - start)
    }
}
