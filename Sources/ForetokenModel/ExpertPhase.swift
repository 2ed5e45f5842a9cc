import CForetokenKernels
import ForetokenHardware
import ForetokenPlacement
import ForetokenWeights

/// Which rows of a step go to which expert. Slots are (expert, row) pairs in ascending order of both.
final class ExpertAssignment {
    /// Experts with at least one row, ascending.
    private(set) var activeCount = 0
    let active: ScratchBuffer<Int32>
    /// By active expert: the copy that this step reads.
    let copies: ScratchBuffer<ExpertCopy>
    /// First slot of active expert i; entry `activeCount` is the end.
    let firstSlot: ScratchBuffer<Int32>
    /// Per slot: the activation row and its routing weight.
    let slotRow: ScratchBuffer<Int32>
    let slotWeight: ScratchBuffer<Float>
    /// Per row: chosen experts, ascending, and their weights [row][chosen].
    let chosen: ScratchBuffer<Int32>
    let weights: ScratchBuffer<Float>
    /// For choosing among copies, by active expert and by node.
    private let uses: ScratchBuffer<ExpertUse>
    private let chosenCopy, choiceOrder: ScratchBuffer<Int32>
    private let nodeSeconds: ScratchBuffer<PhaseSeconds>
    private let cursor: ScratchBuffer<Int32>
    private let expertCount: Int
    private let perRow: Int

    init(rows: Int, expertCount: Int, perRow: Int, nodes: Int, _ make: inout BufferMaker) throws {
        self.expertCount = expertCount
        self.perRow = perRow
        active = try make.elements(expertCount)
        copies = try make.elements(expertCount)
        uses = try make.elements(expertCount)
        chosenCopy = try make.elements(expertCount)
        choiceOrder = try make.elements(expertCount)
        nodeSeconds = try make.elements(nodes)
        firstSlot = try make.elements(expertCount + 1)
        cursor = try make.elements(expertCount)
        slotRow = try make.elements(rows * perRow)
        slotWeight = try make.elements(rows * perRow)
        chosen = try make.elements(rows * perRow)
        weights = try make.elements(rows * perRow)
    }

    /// Sends all rows to the same experts, ascending, with weight 1.
    func assign(_ chosen: [Int32], rows: Int) {
        activeCount = chosen.count
        for (i, expert) in chosen.enumerated() {
            active.pointer[i] = expert
            firstSlot.pointer[i] = Int32(i * rows)
            for row in 0..<rows {
                slotRow.pointer[i * rows + row] = Int32(row)
                slotWeight.pointer[i * rows + row] = 1
            }
        }
        firstSlot.pointer[chosen.count] = Int32(chosen.count * rows)
    }

    /// Sends every row to the experts it chose, by `chosen` and `weights`.
    func assign(rows: Int) {
        let cursor = self.cursor.pointer
        let chosen = self.chosen.pointer
        cursor.update(repeating: 0, count: expertCount)
        for i in 0..<rows * perRow { cursor[Int(chosen[i])] += 1 }
        var slot: Int32 = 0
        activeCount = 0
        for expert in 0..<expertCount where cursor[expert] > 0 {
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

extension ExpertAssignment {
    /// The slots of active expert `i`.
    @inline(__always)
    func slots(_ i: Int) -> (first: Int, count: Int) {
        let first = Int(firstSlot.pointer[i])
        return (first, Int(firstSlot.pointer[i + 1]) - first)
    }

    /// Whether every copy in use is cut like the weights that every step reads.
    var areCutEvenly: Bool { (0..<activeCount).allSatisfy { copies.pointer[$0].isCutEvenly } }

    /// Chooses the copy of every active expert that this step reads: that on the least loaded node.
    func chooseCopies(_ table: ExpertTable) {
        guard let costs = table.replicas.costs else {
            for i in 0..<activeCount { copies.pointer[i] = table[Int(active.pointer[i])].copies[0] }
            return
        }
        for i in 0..<activeCount {
            uses.pointer[i] = ExpertUse(expert: UInt16(active.pointer[i]), rows: UInt16(slots(i).count))
        }
        nodeSeconds.elements.update(repeating: .zero)
        ReplicaChoice.choose(
            UnsafeBufferPointer(start: uses.pointer, count: activeCount), costs: costs,
            nodeSeconds: nodeSeconds.elements, chosen: chosenCopy.elements, order: choiceOrder.elements)
        for i in 0..<activeCount {
            copies.pointer[i] = table[Int(active.pointer[i])].copies[Int(chosenCopy.pointer[i])]
        }
    }
}

/// Down projections of all active experts and the shared one, weighted and summed per row in ascending expert id, the
/// shared expert last, added to the residual stream. Output columns are divided over the teams and their workers, so that
/// every sum stays on one thread and in one order.
struct ExpertOutputPhase: Phase {
    let kernels: KernelTable
    let activeCount: Int
    /// Which of the active experts; a chunk's may be divided over several phases, in ascending order.
    let active: Range<Int>
    let copies: UnsafePointer<ExpertCopy>
    let firstSlot: UnsafePointer<Int32>
    let slotRow: UnsafePointer<Int32>
    let slotWeight: UnsafePointer<Float>
    /// SwiGLU rows of the slots.
    let slots: foretoken_rows
    /// Down projections of the slots and of the shared expert where they have been made before, because experts lie whole on
    /// nodes; nil when they are to be made here.
    let made: MadeOutputs?
    /// The shared expert's down projection of its SwiGLU rows, added to `mixed`.
    let shared: ProductJob?
    let mixed: foretoken_rows
    let residual: foretoken_rows
    let kind: StepKind
    let rowCount: Int
    /// Output columns.
    let width: Int
    /// Panels of output columns by team.
    let columnCut: CutTable
    let scratch: WorkerScratch

    /// Finished down projections.
    struct MadeOutputs: BitwiseCopyable {
        /// [slot][hidden]
        let slots: foretoken_rows
        /// [row][hidden]; nil without a shared expert.
        let shared: foretoken_rows?
    }

    static var entry: WorkerPool.Entry {
        { context, worker, _ in context.phase(ExpertOutputPhase.self).work(worker: Int(worker)) }
    }

    /// Most panels of one expert's output that are made at a time: whole wide units.
    private static let tilePanels = 4 * WideUnit.panels

    private func work(worker: Int) {
        // Wide products are divided at fixed rows only, narrow ones anywhere.
        let unit = kind == .chunk ? WideUnit.panels : 1
        // Integer formats quantise an expert's rows in every call, so one call makes as many panels as the tile holds.
        let most = min(Self.tilePanels, scratch.columns / Int(FORETOKEN_PANEL_ROWS))
        columnCut.forEachShare(of: scratch.seats[worker], unit: unit) { panels in
            for start in stride(from: panels.lowerBound, to: panels.upperBound, by: most) {
                combine(start..<min(start + most, panels.upperBound), most * Int(FORETOKEN_PANEL_ROWS), worker)
            }
        }
    }

    private func combine(_ panels: Range<Int>, _ tileStride: Int, _ worker: Int) {
        let column = panels.lowerBound * Int(FORETOKEN_PANEL_ROWS)
        let count = min(panels.upperBound * Int(FORETOKEN_PANEL_ROWS), width) - column
        if active.lowerBound == 0 {
            for row in 0..<rowCount {
                (mixed.base! + row * mixed.stride + column).update(repeating: 0, count: count)
            }
        }
        let wide = scratch.wide(worker)
        let product = PanelProduct(kernels: kernels, scratch: wide)
        // The tile's column 0 is the output's column 0, as the kernels see it: they write at absolute rows of W.
        let tile = foretoken_rows(base: wide.gathered - column, stride: tileStride, index: nil)
        for i in active {
            let begin = Int(firstSlot[i])
            let slotCount = Int(firstSlot[i + 1]) - begin
            var outputs = tile
            if let made {
                outputs = made.slots
                outputs.base! += begin * outputs.stride
            } else {
                let input = foretoken_rows(base: slots.base! + begin * slots.stride, stride: slots.stride, index: nil)
                let job = ProductJob(copies[i].down, kind, input: input, output: tile, rowCount: slotCount)
                product.run(job, panels: panels)
            }
            for slot in 0..<slotCount {
                let row = Int(slotRow[begin + slot])
                kernels.pointee.add_scaled(
                    slotWeight[begin + slot], outputs.base! + slot * outputs.stride + column,
                    mixed.base! + row * mixed.stride + column, Int32(count))
            }
        }
        guard active.upperBound == activeCount else { return }
        if made == nil, let shared { product.run(shared, panels: panels) }
        for row in 0..<rowCount {
            let sum = mixed.base! + row * mixed.stride + column
            if let shared = made?.shared {
                kernels.pointee.add(shared.base! + row * shared.stride + column, sum, Int32(count))
            }
            kernels.pointee.add(sum, residual.base! + row * residual.stride + column, Int32(count))
        }
    }
}
