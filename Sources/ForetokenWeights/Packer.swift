import CForetokenKernels
import ForetokenHardware
import Synchronization

/// Runs a plan's tasks on all threads: reads each stored weight once, checks it, and writes it where the plan says. A
/// worker takes tasks of its own team as long as there are any, then the others'.
final class Packer: Sendable {
    private let reader: WeightReader
    private let pool: WorkerPool
    private let queues: [Queue]
    private let packedBytes = Atomic<Int>(0)
    private let failure = Mutex<(any Error)?>(nil)
    private let progress: @Sendable (Int) throws -> Void

    /// Tasks of one team.
    private final class Queue: Sendable {
        private let tasks: [PackTask]
        private let next = Atomic<Int>(0)

        init(_ tasks: [PackTask]) { self.tasks = tasks }

        func take() -> PackTask? {
            let index = next.wrappingAdd(1, ordering: .relaxed).oldValue
            return index < tasks.count ? tasks[index] : nil
        }

        func close() { next.store(tasks.count, ordering: .relaxed) }
    }

    /// - Parameters:
    ///   - teams: teams that tasks are meant for.
    ///   - pageCache: what becomes of file pages that were read.
    ///   - progress: told the stored bytes packed so far, always on the calling thread; ends the work by throwing.
    init(
        checkpoint: Checkpoint, tasks: [PlacedTask], teams: Int, pool: WorkerPool, pageCache: PageCacheUse,
        progress: @escaping @Sendable (Int) throws -> Void
    ) {
        reader = WeightReader(checkpoint: checkpoint, pageCache: pageCache)
        self.pool = pool
        queues = (0..<teams).map { team in Queue(tasks.filter { $0.team == team }.map(\.task)) }
        self.progress = progress
    }

    func run() throws {
        // Before: what earlier runs left takes room on the nodes. After: pages between two pieces stay behind.
        let drops = reader.pageCache == .drop
        if drops { reader.checkpoint.dropPageCache() }
        defer { if drops { reader.checkpoint.dropPageCache() } }
        let context = Unmanaged.passUnretained(self).toOpaque()
        withExtendedLifetime(self) {
            pool.run(
                { context, worker, _ in
                    Unmanaged<Packer>.fromOpaque(context!).takeUnretainedValue().work(worker: Int(worker))
                }, context)
        }
        if let error = failure.withLock({ $0 }) { throw error }
    }

    private func work(worker: Int) {
        let team = Int(pool.seats[worker].team)
        var scratch = PackingScratch()
        for i in queues.indices {
            let queue = queues[(team + i) % queues.count]
            while let task = queue.take() {
                do {
                    let bytes = try perform(task, &scratch)
                    packedBytes.wrappingAdd(bytes, ordering: .relaxed)
                    if worker == 0 { try progress(packedBytes.load(ordering: .relaxed)) }
                } catch {
                    failure.withLock { if $0 == nil { $0 = error } }
                    for queue in queues { queue.close() }
                    return
                }
            }
        }
    }

    /// Returns the stored bytes read.
    private func perform(_ task: PackTask, _ scratch: inout PackingScratch) throws -> Int {
        switch task {
        case .panels(let source, let matrix, let panels, let firstRow):
            return try pack(source, into: matrix, panels: panels, firstRow: firstRow, &scratch)
        case .transposedRows(let source, let matrix, let rows):
            return try packTransposed(source, into: matrix, rows: rows, &scratch)
        case .vector(let tensor, let destination):
            return try widen(tensor, into: destination.floats, &scratch)
        }
    }

    private func pack(
        _ source: LinearSource, into matrix: PackedMatrix, panels: Range<Int>, firstRow: Int,
        _ scratch: inout PackingScratch
    ) throws -> Int {
        let lanes = Int(FORETOKEN_PANEL_ROWS)
        let first = panels.lowerBound * lanes
        let count = min(panels.upperBound * lanes, Int(matrix.rows)) - first
        let rows = firstRow + first..<firstRow + first + count
        let bytes = try reader.read(source, rows: rows, &scratch)
        guard source.storedFormat.hasPanels(of: PackedFormat(raw: matrix.format)) else {
            try convert(source, into: matrix, panels: panels, rows: rows, &scratch)
            return bytes
        }
        for panel in panels {
            reader.interleave(
                source, row: panel * lanes - first, of: count,
                into: UnsafeMutableRawPointer(mutating: matrix.panels + panel * matrix.panelBytes), scratch)
        }
        guard source.weight.type == .fp8, let scale = source.scale else { return bytes }
        let scales = try reader.readScales(scale, of: source.weight, &scratch)
        try reader.checkZeroBlocks(source, scale, scales, rows: rows, scratch)
        spread(scales, of: source, into: matrix, panels: panels, firstRow: firstRow)
        return bytes
    }

    /// Writes panels in another format than the stored one from rows in `scratch`.
    private func convert(
        _ source: LinearSource, into matrix: PackedMatrix, panels: Range<Int>, rows: Range<Int>,
        _ scratch: inout PackingScratch
    ) throws {
        // What becomes F32 does so whatever --weights says.
        let canStayStored = PackedFormat(raw: matrix.format) != .f32
        try reader.forEachPanel(of: source, rows: rows, canStayStored: canStayStored, &scratch) { index, values in
            let panel = panels.lowerBound + index
            let out = UnsafeMutableRawPointer(mutating: matrix.panels + panel * matrix.panelBytes)
            if PackedFormat(raw: matrix.format) == .f32 {
                out.copyMemory(from: values, byteCount: matrix.panelBytes)
                return
            }
            foretoken_quantise_panel(
                matrix.format, values, matrix.columns, out,
                matrix.scales.map {
                    UnsafeMutablePointer(mutating: $0)
                        + panel * Int(matrix.scale_blocks) * Int(FORETOKEN_PANEL_ROWS)
                })
        }
    }

    /// Gives each panel the block scales of its rows.
    private func spread(
        _ scales: UnsafePointer<Float>, of source: LinearSource, into matrix: PackedMatrix, panels: Range<Int>,
        firstRow: Int
    ) {
        let block = Int(FORETOKEN_SCALE_BLOCK)
        let out = UnsafeMutablePointer(mutating: matrix.scales!)
        let scaleBlocks = Int(matrix.scale_blocks)
        let scaleLanes = Int(matrix.scale_lanes)
        for panel in panels {
            for scaleBlock in 0..<scaleBlocks {
                for lane in 0..<scaleLanes {
                    let row = min(firstRow + panel * Int(FORETOKEN_PANEL_ROWS) + lane, source.rows - 1)
                    out[(panel * scaleBlocks + scaleBlock) * scaleLanes + lane] =
                        scales[row / block * scaleBlocks + scaleBlock]
                }
            }
        }
    }

    private func packTransposed(
        _ source: LinearSource, into matrix: PackedMatrix, rows: Range<Int>, _ scratch: inout PackingScratch
    ) throws -> Int {
        let bytes = try reader.read(source, rows: rows, &scratch)
        if source.isPacked {
            try turnCodes(source, into: matrix, rows: rows, &scratch)
            return bytes
        }
        let lanes = Int(FORETOKEN_PANEL_ROWS)
        let stored = Int(matrix.rows)  // stored columns
        let size = source.weight.type.bits / 8
        let out = UnsafeMutableRawPointer(mutating: matrix.panels!)
        for panel in 0..<matrix.panelCount {
            for column in 0..<rows.count {
                let width = min(lanes, stored - panel * lanes)
                let destination = out + (panel * rows.count + column) * lanes * size
                destination.copyMemory(
                    from: scratch.weights + (column * stored + panel * lanes) * size, byteCount: width * size)
                (destination + width * size).initializeMemory(
                    as: UInt8.self, repeating: 0, count: (lanes - width) * size)
            }
        }
        guard let scaleTensor = source.scale else { return bytes }
        let scales = try reader.readScales(scaleTensor, of: source.weight, &scratch)
        try reader.checkZeroBlocks(source, scaleTensor, scales, rows: rows, scratch)
        let block = Int(FORETOKEN_SCALE_BLOCK)
        let blocksAcross = scaleTensor.shape[1]
        let scaleBlocks = Int(matrix.scale_blocks)
        let scaleOut = UnsafeMutablePointer(mutating: matrix.scales!)
        for panel in 0..<matrix.panelCount {
            for scaleBlock in 0..<scaleBlocks {
                let blockRow = rows.lowerBound / block + scaleBlock
                scaleOut[panel * scaleBlocks + scaleBlock] = scales[blockRow * blocksAcross + panel * lanes / block]
            }
        }
        return bytes
    }

    /// The transpose of rows of codes in `scratch` as FP32.
    private func turnCodes(
        _ source: LinearSource, into matrix: PackedMatrix, rows: Range<Int>, _ scratch: inout PackingScratch
    ) throws {
        let lanes = Int(FORETOKEN_PANEL_ROWS)
        let out = UnsafeMutableRawPointer(mutating: matrix.panels!).assumingMemoryBound(to: Float.self)
        try reader.forEachPanel(of: source, rows: rows, &scratch) { panel, values in
            for lane in 0..<min(lanes, rows.count - panel * lanes) {
                let column = panel * lanes + lane
                // Packed matrices have whole blocks of 32 columns, so no place stays empty.
                for k in 0..<source.columns {
                    out[(k / lanes * rows.count + column) * lanes + k % lanes] = values[k * lanes + lane]
                }
            }
        }
    }

    private func widen(
        _ tensor: TensorInfo, into out: UnsafeMutablePointer<Float>, _ scratch: inout PackingScratch
    ) throws -> Int {
        let count = tensor.elementCount
        try reader.readVector(tensor, &scratch)
        for i in 0..<count {
            switch tensor.type {
            case .bf16:
                out[i] = Float(
                    bitPattern: UInt32(scratch.weights.load(fromByteOffset: i * 2, as: UInt16.self)) << 16)
            case .f16:
                out[i] = Float(scratch.weights.load(fromByteOffset: i * 2, as: Float16.self))
            default:
                out[i] = scratch.weights.load(fromByteOffset: i * 4, as: Float.self)
            }
        }
        return tensor.range.count
    }
}
