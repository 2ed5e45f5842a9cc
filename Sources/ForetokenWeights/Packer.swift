import CForetokenKernels
import ForetokenHardware
import Synchronization

/// Runs a plan's tasks on all threads: reads each stored weight once, checks it, and writes it where the plan says. A
/// worker takes tasks of its own team as long as there are any, then the others'.
final class Packer: Sendable {
    let checkpoint: Checkpoint
    private let pool: WorkerPool
    private let queues: [Queue]
    private let packedBytes = Atomic<Int>(0)
    private let failure = Mutex<(any Error)?>(nil)
    private let pageCache: PageCacheUse
    private let progress: @Sendable (Int) -> Void

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
    ///   - progress: told the stored bytes packed so far, always on the calling thread.
    init(
        checkpoint: Checkpoint, tasks: [PlacedTask], teams: Int, pool: WorkerPool, pageCache: PageCacheUse,
        progress: @escaping @Sendable (Int) -> Void
    ) {
        self.checkpoint = checkpoint
        self.pool = pool
        self.pageCache = pageCache
        queues = (0..<teams).map { team in Queue(tasks.filter { $0.team == team }.map(\.task)) }
        self.progress = progress
    }

    func run() throws {
        // Before: what earlier runs left takes room on the nodes. After: pages between two pieces stay behind.
        if pageCache == .drop { checkpoint.dropPageCache() }
        defer { if pageCache == .drop { checkpoint.dropPageCache() } }
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
                    if worker == 0 { progress(packedBytes.load(ordering: .relaxed)) }
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
        let columns = Int(matrix.columns)
        let first = panels.lowerBound * lanes
        let count = min(panels.upperBound * lanes, Int(matrix.rows)) - first
        let bytes = try readRows(source.weight, first: firstRow + first, count: count, &scratch)
        guard matrix.format == PackedFormat(source.weight.type)?.raw else {
            try convert(source, into: matrix, panels: panels, firstRow: firstRow, &scratch)
            return bytes
        }
        let size = source.weight.type.bits / 8
        for panel in panels {
            let row = panel * lanes - first
            foretoken_pack_panel(
                UnsafeRawPointer(scratch.weights + row * columns * size), columns, Int32(min(lanes, count - row)),
                Int32(columns), Int32(size),
                UnsafeMutableRawPointer(mutating: matrix.panels + panel * matrix.panelBytes))
        }
        guard let scaleTensor = source.scale else { return bytes }
        let scales = try readScales(scaleTensor, of: source.weight, &scratch)
        try checkZeroBlocks(source, scaleTensor, scales, rows: firstRow + first..<firstRow + first + count, scratch)
        let block = Int(FORETOKEN_SCALE_BLOCK)
        let out = UnsafeMutablePointer(mutating: matrix.scales!)
        let scaleBlocks = Int(matrix.scale_blocks)
        let scaleLanes = Int(matrix.scale_lanes)
        for panel in panels {
            for scaleBlock in 0..<scaleBlocks {
                for lane in 0..<scaleLanes {
                    let row = min(firstRow + panel * lanes + lane, source.weight.shape[0] - 1)
                    out[(panel * scaleBlocks + scaleBlock) * scaleLanes + lane] =
                        scales[row / block * scaleBlocks + scaleBlock]
                }
            }
        }
        return bytes
    }

    private func packTransposed(
        _ source: LinearSource, into matrix: PackedMatrix, rows: Range<Int>, _ scratch: inout PackingScratch
    ) throws -> Int {
        let bytes = try readRows(source.weight, first: rows.lowerBound, count: rows.count, &scratch)
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
        let scales = try readScales(scaleTensor, of: source.weight, &scratch)
        try checkZeroBlocks(source, scaleTensor, scales, rows: rows, scratch)
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

    private func widen(
        _ tensor: TensorInfo, into out: UnsafeMutablePointer<Float>, _ scratch: inout PackingScratch
    ) throws -> Int {
        let count = tensor.elementCount
        let size = tensor.type.bits / 8
        scratch.reserve(weightBytes: count * size)
        let bytes = UnsafeMutableRawBufferPointer(start: scratch.weights, count: count * size)
        try checkpoint.read(tensor, fromByte: 0, into: bytes)
        try checkFinite(tensor, count: count, at: 0, &scratch)
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
        return bytes.count
    }

    private func readRows(
        _ tensor: TensorInfo, first: Int, count: Int, _ scratch: inout PackingScratch
    ) throws -> Int {
        let columns = tensor.shape[1]
        let rowBytes = columns * tensor.type.bits / 8
        scratch.reserve(weightBytes: count * rowBytes)
        let bytes = UnsafeMutableRawBufferPointer(start: scratch.weights, count: count * rowBytes)
        try checkpoint.read(tensor, fromByte: first * rowBytes, into: bytes)
        if pageCache == .drop { checkpoint.dropPageCache(tensor, first * rowBytes..<first * rowBytes + bytes.count) }
        try checkFinite(tensor, count: count * columns, at: first, &scratch)
        return bytes.count
    }

    private func checkFinite(
        _ tensor: TensorInfo, count: Int, at row: Int, _ scratch: inout PackingScratch
    ) throws {
        guard let format = PackedFormat(tensor.type), format.hasNonFinite(scratch.weights, count: count) else { return }
        throw CheckpointError(
            "\(checkpoint.fileNames[tensor.file]): \(tensor.name) holds NaN or infinite weights",
            expected: "finite \(tensor.type.rawValue) values",
            found: "a non-finite value in the block that starts at row \(row)",
            hint: "the file is damaged or was exported wrongly; fetch or export it again")
    }

    func readScales(
        _ tensor: TensorInfo, of weight: TensorInfo, _ scratch: inout PackingScratch
    ) throws -> UnsafeMutablePointer<Float> {
        scratch.reserve(scaleCount: tensor.elementCount)
        try checkpoint.readScales(tensor, into: scratch.scales)
        return scratch.scales
    }
}
