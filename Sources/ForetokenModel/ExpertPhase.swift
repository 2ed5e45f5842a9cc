import CForetokenKernels
import ForetokenHardware
import ForetokenWeights

/// Which rows of a step go to which expert. Slots are (expert, row) pairs in ascending order of both.
final class ExpertAssignment {
    /// Experts with at least one row, ascending.
    private(set) var activeCount = 0
    let active: ScratchBuffer<Int32>
    /// First slot of active expert i; entry `activeCount` is the end.
    let firstSlot: ScratchBuffer<Int32>
    /// Per slot: the activation row and its routing weight.
    let slotRow: ScratchBuffer<Int32>
    let slotWeight: ScratchBuffer<Float>
    /// Per row: chosen experts, ascending, and their weights [row][chosen].
    let chosen: ScratchBuffer<Int32>
    let weights: ScratchBuffer<Float>
    private let cursor: ScratchBuffer<Int32>
    private let experts: Int
    private let perRow: Int

    init(rows: Int, experts: Int, perRow: Int) throws {
        self.experts = experts
        self.perRow = perRow
        active = try ScratchBuffer(count: experts)
        firstSlot = try ScratchBuffer(count: experts + 1)
        cursor = try ScratchBuffer(count: experts)
        slotRow = try ScratchBuffer(count: rows * perRow)
        slotWeight = try ScratchBuffer(count: rows * perRow)
        chosen = try ScratchBuffer(count: rows * perRow)
        weights = try ScratchBuffer(count: rows * perRow)
    }

    /// Groups the rows by expert, from `chosen` and `weights`.
    func group(rows: Int) {
        let cursor = self.cursor.pointer
        let chosen = self.chosen.pointer
        cursor.update(repeating: 0, count: experts)
        for i in 0..<rows * perRow { cursor[Int(chosen[i])] += 1 }
        var slot: Int32 = 0
        activeCount = 0
        for expert in 0..<experts where cursor[expert] > 0 {
            active.pointer[activeCount] = Int32(expert)
            firstSlot.pointer[activeCount] = slot
            slot += cursor[expert]
            cursor[expert] = firstSlot.pointer[activeCount]
            activeCount += 1
        }
        firstSlot.pointer[activeCount] = slot
        for row in 0..<rows {
            for i in row * perRow..<(row + 1) * perRow {
                let place = Int(cursor[Int(chosen[i])])
                cursor[Int(chosen[i])] += 1
                slotRow.pointer[place] = Int32(row)
                slotWeight.pointer[place] = weights.pointer[i]
            }
        }
    }
}

/// Down projections of all active experts and the shared one, weighted and summed per row in ascending expert id, the
/// shared expert last, added to the residual stream. Output columns are divided over the workers, so that every sum
/// stays on one thread and in one order.
struct ExpertOutputPhase: Phase {
    let kernels: KernelTable
    let down: MatrixTable
    let activeCount: Int
    let active: UnsafePointer<Int32>
    let firstSlot: UnsafePointer<Int32>
    let slotRow: UnsafePointer<Int32>
    let slotWeight: UnsafePointer<Float>
    /// SwiGLU rows of the slots.
    let slots: foretoken_rows
    /// The shared expert's down projection of its SwiGLU rows, added to `mixed`.
    let shared: ProductJob?
    let mixed: foretoken_rows
    let residual: foretoken_rows
    let rowCount: Int
    let scratch: WorkerScratch

    static var entry: WorkerPool.Entry {
        { $0.phase(ExpertOutputPhase.self).work(worker: Int($1), workers: Int($2)) }
    }

    private func work(worker: Int, workers: Int) {
        let panels = down[0].matrix.pointee.panelCount
        // A wide product needs fixed cuts; narrow ones may be cut anywhere.
        let unit = rowCount > Int(FORETOKEN_MAX_ROWS) ? WideScratch.panels : 1
        let units = (panels + unit - 1) / unit
        let first = units * worker / workers * unit
        let last = min(units * (worker + 1) / workers * unit, panels)
        // Integer formats quantise an expert's rows in every call, so one call makes as many panels as the tile holds.
        let most = min(Self.tilePanels, scratch.columns / Int(FORETOKEN_PANEL_ROWS))
        for start in stride(from: first, to: last, by: most) {
            combine(start..<min(start + most, last), tileStride: most * Int(FORETOKEN_PANEL_ROWS), worker)
        }
    }

    /// Most panels of one expert's output that are made at a time: whole wide units.
    private static let tilePanels = 4 * WideScratch.panels

    private func combine(_ panels: Range<Int>, tileStride: Int, _ worker: Int) {
        let column = panels.lowerBound * Int(FORETOKEN_PANEL_ROWS)
        let width = min(panels.upperBound * Int(FORETOKEN_PANEL_ROWS), Int(down[0].matrix.pointee.rows)) - column
        for row in 0..<rowCount {
            (mixed.base! + row * mixed.stride + column).update(repeating: 0, count: width)
        }
        let wide = scratch.wide(worker)
        let product = PanelProduct(kernels: kernels, scratch: wide)
        // The tile's column 0 is the output's column 0, as the kernels see it: they write at absolute rows of W.
        let tile = foretoken_rows(base: wide.gathered - column, stride: tileStride, index: nil)
        for i in 0..<activeCount {
            let begin = Int(firstSlot[i])
            let count = Int(firstSlot[i + 1]) - begin
            let input = foretoken_rows(base: slots.base! + begin * slots.stride, stride: slots.stride, index: nil)
            let job = ProductJob(down[Int(active[i])], input: input, output: tile, rowCount: count)
            product.run(job, panels: panels)
            for slot in 0..<count {
                let row = Int(slotRow[begin + slot])
                kernels.pointee.add_scaled(
                    slotWeight[begin + slot], tile.base! + slot * tile.stride + column,
                    mixed.base! + row * mixed.stride + column, Int32(width))
            }
        }
        if let shared { product.run(shared, panels: panels) }
        for row in 0..<rowCount {
            kernels.pointee.add(
                mixed.base! + row * mixed.stride + column, residual.base! + row * residual.stride + column,
                Int32(width))
        }
    }
}
