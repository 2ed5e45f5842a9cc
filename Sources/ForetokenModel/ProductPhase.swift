import CForetokenKernels
import ForetokenHardware
import ForetokenWeights

/// One matrix product of a phase: y = W x (or +=), or y = silu(W x) ⊙ (U x) with a second matrix. It is
/// small, since every job crosses from the conductor's core to each worker's.
struct ProductJob: BitwiseCopyable {
    private let parts: UnsafePointer<MatrixPart>
    /// Parts of the matrix U of a gated product, cut like W.
    private let upParts: UnsafePointer<MatrixPart>?
    private let inputBase: UnsafeMutablePointer<Float>
    private let inputIndex: UnsafePointer<Int32>?
    private let outputBase: UnsafeMutablePointer<Float>
    private let inputStride: Int32
    private let outputStride: Int32
    let rowCount: Int32
    private let partCount: Int16
    let adds: Bool
    /// Panels are dequantised and multiplied by OpenBLAS. Products of chunks are wide, but for an expert that few of a
    /// chunk's rows were sent to; all of these rows are one text's.
    let isWide: Bool

    init(
        _ linear: Linear, _ kind: StepKind = .window, input: foretoken_rows, output: foretoken_rows, rowCount: Int,
        adds: Bool = false
    ) {
        self.init(linear, nil, kind, input, output, rowCount, adds)
    }

    init(
        gate: Linear, up: Linear, _ kind: StepKind = .window, input: foretoken_rows, output: foretoken_rows,
        rowCount: Int
    ) {
        self.init(gate, up, kind, input, output, rowCount, false)
    }

    private init(
        _ linear: Linear, _ up: Linear?, _ kind: StepKind, _ input: foretoken_rows, _ output: foretoken_rows,
        _ rowCount: Int, _ adds: Bool
    ) {
        precondition(kind == .chunk || rowCount <= Workspace.windowRows, "a window has no more rows than a narrow call")
        isWide = kind == .chunk && rowCount > Workspace.windowRows
        parts = linear.parts
        partCount = Int16(linear.partCount)
        upParts = up?.parts
        inputBase = input.base
        inputIndex = input.index
        inputStride = Int32(input.stride)
        outputBase = output.base
        outputStride = Int32(output.stride)
        self.rowCount = Int32(rowCount)
        self.adds = adds
    }

    var linear: Linear { Linear(parts: parts, partCount: Int(partCount)) }
    var up: Linear? { upParts.map { Linear(parts: $0, partCount: Int(partCount)) } }
    var input: foretoken_rows { foretoken_rows(base: inputBase, stride: Int(inputStride), index: inputIndex) }
    var output: foretoken_rows { foretoken_rows(base: outputBase, stride: Int(outputStride), index: nil) }

    /// Panels that are never divided between workers. A wide product is divided at fixed rows of the whole matrix, since
    /// OpenBLAS gives other bits for other bounds.
    private var panelsPerUnit: Int { isWide ? WideUnit.panels : 1 }

    /// Relative time of one unit of a part: decoding its weights, then one multiply-add a row.
    private func unitCost(_ part: MatrixPart) -> Int {
        let columns = Int(part.matrix.columns)
        let decode = columns + part.matrix.panelBytes / Int(FORETOKEN_PANEL_ROWS)
        let cost = panelsPerUnit * (decode + columns * Int(rowCount)) * (upParts == nil ? 1 : 2)
        return max(1, cost * Int(part.slowness) / 16)
    }

    /// Calls `body` with the units of each part that the seat's team reads, and the cost of one. A unit belongs to the
    /// part in which it begins.
    @inline(__always)
    func forEachUnits(of seat: WorkerSeat, _ body: (_ units: Range<Int>, _ cost: Int) -> Void) {
        let size = panelsPerUnit
        for i in 0..<Int(partCount) where seat.serves(Int(parts[i].team)) {
            let first = (Int(parts[i].firstPanel) + size - 1) / size
            let end = (parts[i].endPanel + size - 1) / size
            if first < end { body(first..<end, unitCost(parts[i])) }
        }
    }

    /// Multiply-adds of the whole product.
    var work: Int { Int(rowCount) * linear.rows * linear.columns * (upParts == nil ? 1 : 2) }

    /// The panels of some units.
    @inline(__always)
    func panels(of units: Range<Int>) -> Range<Int> {
        let size = panelsPerUnit
        return units.lowerBound * size..<min(units.upperBound * size, linear.panelCount)
    }
}

/// A worker's memory for wide products.
struct WideScratch {
    /// Most columns decoded at a time, so that the decoded block stays in the L2 cache. A multiple of the scale block.
    private static let mostColumns = 2048

    /// Columns decoded at a time in a model whose widest matrix has `widest`: all of them, or a fixed limit.
    static func columns(widest: Int) -> Int { min(mostColumns, (widest + 127) & ~127) }

    let decoded: UnsafeMutablePointer<Float>  // [columns][unitRows]
    let gathered: UnsafeMutablePointer<Float>  // [maximum rows][columns]
    let product: UnsafeMutablePointer<Float>  // [maximum rows][unitRows]

    let columns: Int

    static func floatCount(rows: Int, columns: Int) -> Int {
        columns * WideUnit.rows + rows * (max(columns, WideUnit.rows) + WideUnit.rows)
    }

    init(_ base: UnsafeMutablePointer<Float>, rows: Int, columns: Int) {
        self.columns = columns
        decoded = base
        gathered = decoded + columns * WideUnit.rows
        product = gathered + rows * max(columns, WideUnit.rows)
    }
}

/// Any number of products whose outputs do not overlap. Each team of workers makes the panels that lie on its node, split
/// over its workers by cost.
struct ProductPhase: Phase {
    let kernels: KernelTable
    let jobs: UnsafePointer<ProductJob>
    let jobCount: Int
    var slice = Slice.whole
    let scratch: WorkerScratch

    static var entry: WorkerPool.Entry {
        { context, worker, _ in context.phase(ProductPhase.self).work(worker: Int(worker)) }
    }

    private func work(worker: Int) {
        let seat = scratch.seats[worker]
        var total = 0
        for i in 0..<jobCount { jobs[i].forEachUnits(of: seat) { total += $0.count * $1 } }
        let share = slice.of(seat.share(of: total))
        let product = PanelProduct(kernels: kernels, scratch: scratch.wide(worker))
        var passed = 0
        for i in 0..<jobCount where passed < share.upperBound {
            let job = jobs + i
            job.pointee.forEachUnits(of: seat) { units, cost in
                // A unit belongs to the worker in whose share it starts.
                let first = min(units.count, (max(0, share.lowerBound - passed) + cost - 1) / cost)
                let last = min(units.count, (max(0, share.upperBound - passed) + cost - 1) / cost)
                if first < last {
                    let mine = units.lowerBound + first..<units.lowerBound + last
                    product.run(job.pointee, panels: job.pointee.panels(of: mine))
                }
                passed += units.count * cost
            }
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
        let (linear, up) = (job.linear, job.up)
        linear.forEachPart(of: panels) { i, range in
            let firstPanel = Int(linear.parts[i].firstPanel)
            let first = Int32(range.lowerBound - firstPanel)
            var output = job.output
            output.base! += firstPanel * Int(FORETOKEN_PANEL_ROWS)
            if let up {
                kernels.pointee.gated_product(
                    linear.matrix(i), up.matrix(i), first, Int32(range.count), job.input, job.rowCount, output)
            } else {
                kernels.pointee.product(
                    linear.matrix(i), first, Int32(range.count), job.input, job.rowCount, output, job.adds)
            }
        }
    }

    private func wide(_ job: ProductJob, panels: Range<Int>) {
        let outputs = job.output
        let rows = job.linear.rows
        for first in stride(from: panels.lowerBound, to: panels.upperBound, by: WideUnit.panels) {
            let column = first * Int(FORETOKEN_PANEL_ROWS)
            let width = min(WideUnit.rows, rows - column)
            let output = outputs.base! + column
            multiply(job.linear, first, width, job, into: output, outputs.stride, job.adds)
            guard let up = job.up else { continue }
            let unitRows = WideUnit.rows
            multiply(up, first, width, job, into: scratch.product, unitRows, false)
            for row in 0..<Int(job.rowCount) {
                let gate = output + row * outputs.stride
                kernels.pointee.swiglu(gate, scratch.product + row * unitRows, gate, Int32(width))
            }
        }
    }

    private func multiply(
        _ linear: Linear, _ firstPanel: Int, _ width: Int, _ job: ProductJob,
        into output: UnsafeMutablePointer<Float>, _ outputStride: Int, _ adds: Bool
    ) {
        let columns = linear.columns
        let rowCount = Int(job.rowCount)
        let lanes = Int(FORETOKEN_PANEL_ROWS)
        let panels = firstPanel..<firstPanel + (width + lanes - 1) / lanes
        let decodedStride = panels.count * lanes
        for start in stride(from: 0, to: columns, by: scratch.columns) {
            let count = min(scratch.columns, columns - start)
            linear.forEachPart(of: panels) { i, range in
                kernels.pointee.decode_panels(
                    linear.matrix(i), Int32(range.lowerBound) - linear.parts[i].firstPanel, Int32(range.count),
                    Int32(start), Int32(count), scratch.decoded + (range.lowerBound - firstPanel) * lanes,
                    decodedStride)
            }
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
