import CForetokenKernels
import ForetokenHardware
import ForetokenWeights

/// One matrix product of a phase: y = W x (or +=), or y = silu(W x) ⊙ (U x) with a second matrix. It fits a cache line:
/// every job crosses from the conductor's core to each worker's.
struct ProductJob: BitwiseCopyable {
    let matrix: UnsafePointer<PackedMatrix>
    /// The matrix U of a gated product.
    let up: UnsafePointer<PackedMatrix>?
    private let inputBase: UnsafeMutablePointer<Float>
    private let inputIndex: UnsafePointer<Int32>?
    private let outputBase: UnsafeMutablePointer<Float>
    private let inputStride: Int32
    private let outputStride: Int32
    let rowCount: Int32
    let adds: Bool

    init(_ linear: Linear, input: foretoken_rows, output: foretoken_rows, rowCount: Int, adds: Bool = false) {
        self.init(linear, nil, input, output, rowCount, adds)
    }

    init(gate: Linear, up: Linear, input: foretoken_rows, output: foretoken_rows, rowCount: Int) {
        self.init(gate, up, input, output, rowCount, false)
    }

    private init(
        _ linear: Linear, _ up: Linear?, _ input: foretoken_rows, _ output: foretoken_rows, _ rowCount: Int,
        _ adds: Bool
    ) {
        matrix = linear.matrix
        self.up = up?.matrix
        inputBase = input.base
        inputIndex = input.index
        inputStride = Int32(input.stride)
        outputBase = output.base
        outputStride = Int32(output.stride)
        self.rowCount = Int32(rowCount)
        self.adds = adds
    }

    var input: foretoken_rows { foretoken_rows(base: inputBase, stride: Int(inputStride), index: inputIndex) }
    var output: foretoken_rows { foretoken_rows(base: outputBase, stride: Int(outputStride), index: nil) }

    /// More rows than the narrow kernels take: panels are dequantised and multiplied by OpenBLAS. The route depends on
    /// the row count alone.
    var isWide: Bool { rowCount > FORETOKEN_MAX_ROWS }

    /// Panels that are never divided between workers. A wide product is cut at fixed rows, since OpenBLAS gives other
    /// bits for another cut.
    var panelsPerUnit: Int { isWide ? WideScratch.panels : 1 }

    var unitCount: Int { (matrix.pointee.panelCount + panelsPerUnit - 1) / panelsPerUnit }

    /// Relative time of one unit: decoding its weights, then one multiply-add a row.
    var unitCost: Int {
        let columns = Int(matrix.pointee.columns)
        let decode = columns + matrix.pointee.panelBytes / Int(FORETOKEN_PANEL_ROWS)
        return max(1, panelsPerUnit * (decode + columns * Int(rowCount)) * (up == nil ? 1 : 2))
    }
}

/// A worker's memory for wide products.
struct WideScratch {
    /// Panels of one wide unit: 128 output rows.
    static let panels = 4
    /// Output rows of one wide unit.
    static let unitRows = panels * Int(FORETOKEN_PANEL_ROWS)
    /// Most columns decoded at a time, so that the decoded block stays in the L2 cache. A multiple of the scale block.
    private static let mostColumns = 2048

    /// Columns decoded at a time in a model whose widest matrix has `widest`: all of them, or a fixed cut.
    static func columns(widest: Int) -> Int { min(mostColumns, (widest + 127) & ~127) }

    let decoded: UnsafeMutablePointer<Float>  // [columns][unitRows]
    let gathered: UnsafeMutablePointer<Float>  // [maximum rows][columns]
    let product: UnsafeMutablePointer<Float>  // [maximum rows][unitRows]

    let columns: Int

    static func floatCount(rows: Int, columns: Int) -> Int {
        columns * unitRows + rows * (max(columns, unitRows) + unitRows)
    }

    init(_ base: UnsafeMutablePointer<Float>, rows: Int, columns: Int) {
        self.columns = columns
        decoded = base
        gathered = decoded + columns * Self.unitRows
        product = gathered + rows * max(columns, Self.unitRows)
    }
}

/// Any number of products whose outputs do not overlap, split over the workers by cost.
struct ProductPhase: Phase {
    let kernels: KernelTable
    let jobs: UnsafePointer<ProductJob>
    let jobCount: Int
    let scratch: WorkerScratch

    static var entry: WorkerPool.Entry {
        { $0.phase(ProductPhase.self).work(worker: Int($1), workers: Int($2)) }
    }

    private func work(worker: Int, workers: Int) {
        var total = 0
        for i in 0..<jobCount { total += jobs[i].unitCount * jobs[i].unitCost }
        let begin = total * worker / workers
        let end = total * (worker + 1) / workers
        var passed = 0
        for i in 0..<jobCount where passed < end {
            let job = jobs + i
            let cost = job.pointee.unitCost
            let units = job.pointee.unitCount
            // A unit belongs to the worker in whose share it starts.
            let first = min(units, (max(0, begin - passed) + cost - 1) / cost)
            let last = min(units, (max(0, end - passed) + cost - 1) / cost)
            if first < last {
                let perUnit = job.pointee.panelsPerUnit
                let panels = first * perUnit..<min(last * perUnit, job.pointee.matrix.pointee.panelCount)
                PanelProduct(kernels: kernels, scratch: scratch.wide(worker)).run(job.pointee, panels: panels)
            }
            passed += units * cost
        }
    }
}

/// Computes some panels of one job on the calling thread, by the narrow or the wide route.
struct PanelProduct {
    let kernels: KernelTable
    let scratch: WideScratch

    @inline(__always)
    func run(_ job: ProductJob, panels: Range<Int>) {
        if job.isWide {
            wide(job, panels: panels)
        } else {
            narrow(job, panels: panels)
        }
    }

    private func narrow(_ job: ProductJob, panels: Range<Int>) {
        let first = Int32(panels.lowerBound)
        let count = Int32(panels.count)
        if let up = job.up {
            kernels.pointee.gated_product(job.matrix, up, first, count, job.input, job.rowCount, job.output)
        } else {
            kernels.pointee.product(job.matrix, first, count, job.input, job.rowCount, job.output, job.adds)
        }
    }

    private func wide(_ job: ProductJob, panels: Range<Int>) {
        let outputs = job.output
        for first in stride(from: panels.lowerBound, to: panels.upperBound, by: WideScratch.panels) {
            let column = first * Int(FORETOKEN_PANEL_ROWS)
            let width = min(WideScratch.unitRows, Int(job.matrix.pointee.rows) - column)
            let output = outputs.base! + column
            multiply(job.matrix, first, width, job, into: output, outputs.stride, job.adds)
            guard let up = job.up else { continue }
            let unitRows = WideScratch.unitRows
            multiply(up, first, width, job, into: scratch.product, unitRows, false)
            for row in 0..<Int(job.rowCount) {
                let gate = output + row * outputs.stride
                kernels.pointee.swiglu(gate, scratch.product + row * unitRows, gate, Int32(width))
            }
        }
    }

    private func multiply(
        _ matrix: UnsafePointer<PackedMatrix>, _ firstPanel: Int, _ width: Int, _ job: ProductJob,
        into output: UnsafeMutablePointer<Float>, _ outputStride: Int, _ adds: Bool
    ) {
        let columns = Int(matrix.pointee.columns)
        let rowCount = Int(job.rowCount)
        let panels = min(WideScratch.panels, matrix.pointee.panelCount - firstPanel)
        let decodedStride = panels * Int(FORETOKEN_PANEL_ROWS)
        for start in stride(from: 0, to: columns, by: scratch.columns) {
            let count = min(scratch.columns, columns - start)
            kernels.pointee.decode_panels(
                matrix, Int32(firstPanel), Int32(panels), Int32(start), Int32(count), scratch.decoded)
            var input = job.input.base! + start
            var inputStride = job.input.stride
            if let index = job.input.index {
                for row in 0..<rowCount {
                    (scratch.gathered + row * count).update(from: input + Int(index[row]) * inputStride, count: count)
                }
                input = scratch.gathered
                inputStride = count
            }
            foretoken_blas_product(
                input, inputStride, scratch.decoded, decodedStride, output, outputStride, job.rowCount, Int32(width),
                Int32(count), adds || start > 0)
        }
    }
}
