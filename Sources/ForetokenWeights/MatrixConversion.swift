import CForetokenKernels
import ForetokenHardware
import Synchronization

/// Writes one matrix of a checkpoint in another format, some rows at a time, on all threads of a pool.
struct MatrixConversion {
    /// What the matrix becomes.
    enum Format {
        case bf16, fp8, int4

        /// The tensors that take the place of the weight `name`.
        func outputs(_ source: LinearSource, name: String) -> [Conversion.Item.Output] {
            let (rows, columns) = (source.rows, source.columns)
            switch self {
            case .bf16: return [.init(name: name, type: .bf16, shape: [rows, columns])]
            case .fp8:
                return [
                    .init(name: name, type: .fp8, shape: [rows, columns]),
                    .init(
                        name: name + BlockScales.suffixes[0], type: .f32, shape: BlockScales.shape(of: [rows, columns])),
                ]
            case .int4:
                let groups = columns / PackedCodes.blockColumns
                return [
                    .init(name: name + PackedCodes.codeSuffix, type: .i32, shape: [rows, columns / 8]),
                    .init(name: name + PackedCodes.scaleSuffix, type: .bf16, shape: [rows, groups]),
                    .init(name: name + PackedCodes.shapeSuffix, type: .i64, shape: [2]),
                ]
            }
        }
    }

    /// Rows that one worker takes at a time: those of an FP8 scale block, whole panels.
    private static let unit = TensorResolver.scaleBlock
    /// Elements converted before they are written.
    private static let chunkElements = 8 << 20

    private let source: LinearSource
    private let format: Format
    private let reader: WeightReader

    init(_ source: LinearSource, _ format: Format, _ checkpoint: Checkpoint) {
        self.source = source
        self.format = format
        reader = WeightReader(checkpoint: checkpoint, pageCache: .keep)
    }

    /// - Parameters:
    ///   - offsets: where each tensor of the result begins in the file.
    ///   - advance: told the bytes read of each piece; may throw to stop.
    func write(
        to file: NewFile, at offsets: [Int], on pool: WorkerPool, advance: (Int) throws -> Void
    ) throws {
        let unit = Self.unit
        let chunk = max(1, Self.chunkElements / max(1, source.columns) / unit) * unit
        let rowBytes = source.weight.range.count / max(1, source.rows)
        for first in stride(from: 0, to: source.rows, by: chunk) {
            let rows = first..<min(first + chunk, source.rows)
            let job = Job(self, rows: rows)
            try job.run(on: pool)
            try file.write(UnsafeRawBufferPointer(job.weights), at: offsets[0] + first * job.weightRowBytes)
            if let scales = job.scales {
                try file.write(
                    UnsafeRawBufferPointer(scales), at: offsets[1] + first / job.scaleRows * job.scaleRowBytes)
            }
            try advance(rows.count * rowBytes)
        }
        if format == .int4 {
            let shape = [Int64(source.rows), Int64(source.columns)]
            try shape.withUnsafeBytes { try file.write($0, at: offsets[2]) }
        }
        reader.checkpoint.dropPageCache(source.weight)
    }

    /// Some rows on all threads.
    private final class Job {
        let weights: UnsafeMutableRawBufferPointer
        let scales: UnsafeMutableRawBufferPointer?
        let weightRowBytes: Int
        /// Rows that share a row of scales.
        let scaleRows: Int
        let scaleRowBytes: Int
        private let matrix: MatrixConversion
        private let rows: Range<Int>
        private let next = Atomic<Int>(0)
        private let failure = Mutex<(any Error)?>(nil)

        init(_ matrix: MatrixConversion, rows: Range<Int>) {
            self.matrix = matrix
            self.rows = rows
            let columns = matrix.source.columns
            switch matrix.format {
            case .bf16: (weightRowBytes, scaleRows, scaleRowBytes) = (2 * columns, 1, 0)
            case .fp8: (weightRowBytes, scaleRows, scaleRowBytes) = (columns, unit, 4 * ((columns + unit - 1) / unit))
            case .int4:
                (weightRowBytes, scaleRows, scaleRowBytes) = (columns / 2, 1, columns / PackedCodes.blockColumns * 2)
            }
            weights = .allocate(byteCount: rows.count * weightRowBytes, alignment: 64)
            let scaleBytes = (rows.count + scaleRows - 1) / scaleRows * scaleRowBytes
            scales = scaleBytes > 0 ? .allocate(byteCount: scaleBytes, alignment: 64) : nil
        }

        deinit {
            weights.deallocate()
            scales?.deallocate()
        }

        func run(on pool: WorkerPool) throws {
            let context = Unmanaged.passUnretained(self).toOpaque()
            withExtendedLifetime(self) {
                pool.run(
                    { context, _, _ in Unmanaged<Job>.fromOpaque(context!).takeUnretainedValue().work() }, context)
            }
            if let error = failure.withLock({ $0 }) { throw error }
        }

        private func work() {
            var scratch = PackingScratch()
            while true {
                let start = next.wrappingAdd(unit, ordering: .relaxed).oldValue
                guard start < rows.count else { return }
                do {
                    let first = rows.lowerBound + start
                    try convert(first..<min(first + unit, rows.upperBound), &scratch)
                } catch {
                    failure.withLock { if $0 == nil { $0 = error } }
                    next.store(rows.count, ordering: .relaxed)
                    return
                }
            }
        }

        private func convert(_ part: Range<Int>, _ scratch: inout PackingScratch) throws {
            _ = try matrix.reader.read(matrix.source, rows: part, &scratch)
            switch matrix.format {
            case .bf16: try widen(part, &scratch)
            case .fp8: try encode(part, &scratch)
            case .int4: try pack(part, &scratch)
            }
        }

        /// Where the part's row `row` goes.
        private func place(_ part: Range<Int>, _ row: Int) -> UnsafeMutableRawPointer {
            weights.baseAddress! + (part.lowerBound - rows.lowerBound + row) * weightRowBytes
        }

        /// The same for its scales.
        private func scalePlace(_ part: Range<Int>, _ row: Int) -> UnsafeMutableRawPointer {
            scales!.baseAddress! + (part.lowerBound - rows.lowerBound + row) / scaleRows * scaleRowBytes
        }

        private func widen(_ part: Range<Int>, _ scratch: inout PackingScratch) throws {
            try forEachRow(of: part, &scratch) { row, values in
                let out = place(part, row).assumingMemoryBound(to: UInt16.self)
                for k in 0..<matrix.source.columns { out[k] = foretoken_bf16_encode(values[k * lanes]) }
            }
        }

        /// W ≈ e4m3(W / S) · S with S = amax / 448 of each block of 128×128.
        private func encode(_ part: Range<Int>, _ scratch: inout PackingScratch) throws {
            let columns = matrix.source.columns
            let scales = scalePlace(part, 0).bindMemory(to: Float.self, capacity: scaleRowBytes / 4)
            for block in 0..<scaleRowBytes / 4 { scales[block] = 0 }
            try forEachRow(of: part, &scratch) { _, values in
                for k in 0..<columns { scales[k / unit] = max(scales[k / unit], values[k * lanes].magnitude) }
            }
            // Smaller blocks than any real weight's: codes would have no scale that FP32 can hold well.
            for block in 0..<scaleRowBytes / 4 { scales[block] = scales[block] > 1e-30 ? scales[block] / 448 : 0 }
            try forEachRow(of: part, &scratch) { row, values in
                let out = place(part, row).assumingMemoryBound(to: UInt8.self)
                for k in 0..<columns {
                    let scale = scales[k / unit]
                    out[k] = scale == 0 ? 0 : foretoken_fp8_encode(values[k * lanes] / scale)
                }
            }
        }

        /// By the very function that makes resident INT4.
        private func pack(_ part: Range<Int>, _ scratch: inout PackingScratch) throws {
            let columns = Int32(matrix.source.columns)
            let format = PackedFormat.int4.raw
            let panelBytes = foretoken_panel_size(format, columns)
            let panelRoom = UnsafeMutableRawPointer.allocate(byteCount: panelBytes, alignment: 64)
            defer { panelRoom.deallocate() }
            try matrix.reader.forEachPanel(of: matrix.source, rows: part, &scratch) { panel, values in
                let row = panel * lanes
                foretoken_quantise_panel(format, values, columns, panelRoom, nil)
                foretoken_unpack_int4_panel(
                    panelRoom, Int32(min(lanes, part.count - row)), columns, place(part, row), weightRowBytes,
                    scalePlace(part, row).assumingMemoryBound(to: UInt16.self), scaleRowBytes / 2)
            }
        }

        private var lanes: Int { Int(FORETOKEN_PANEL_ROWS) }

        /// Values of a row, `lanes` floats from one to the next.
        private func forEachRow(
            of part: Range<Int>, _ scratch: inout PackingScratch,
            _ body: (_ row: Int, _ values: UnsafePointer<Float>) -> Void
        ) throws {
            try matrix.reader.forEachPanel(of: matrix.source, rows: part, &scratch) { panel, values in
                for lane in 0..<min(lanes, part.count - panel * lanes) { body(panel * lanes + lane, values + lane) }
            }
        }
    }
}
