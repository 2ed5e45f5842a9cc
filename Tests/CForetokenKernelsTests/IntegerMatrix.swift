import CForetokenKernels

/// The formats whose activations are quantised.
enum IntegerFormat: Int32, CaseIterable, Sendable {
    case int8 = 4
    case int4 = 5

    var blockColumns: Int { self == .int8 ? 64 : 32 }
    var blockBytes: Int { self == .int8 ? 64 + 64 * 32 : 64 + 16 * 32 }
    /// Largest code of an activation.
    var activationTop: Float { self == .int8 ? 63 : 127 }
}

/// A matrix [rows, columns] quantised by the kernels' own packer, read back byte by byte as the header describes it.
final class IntegerMatrix {
    let rows: Int
    let columns: Int
    let format: IntegerFormat
    /// Row-major codes, and scales [row][block].
    private(set) var codes: [Int] = []
    private(set) var scales: [[Float]] = []
    private let memory: UnsafeMutableRawPointer

    var panels: Int { (rows + 31) / 32 }
    var blocks: Int { (columns + format.blockColumns - 1) / format.blockColumns }

    /// - Parameter values: row-major.
    init(rows: Int, columns: Int, format: IntegerFormat, values: [Float]) {
        self.rows = rows
        self.columns = columns
        self.format = format
        let size = foretoken_panel_size(format.rawValue, Int32(columns))
        let panels = (rows + 31) / 32
        memory = .allocate(byteCount: size * panels, alignment: 64)
        for panel in 0..<panels {
            var interleaved = [Float](repeating: 0, count: columns * 32)
            for lane in 0..<min(32, rows - panel * 32) {
                for k in 0..<columns { interleaved[k * 32 + lane] = values[(panel * 32 + lane) * columns + k] }
            }
            foretoken_quantise_panel(format.rawValue, interleaved, Int32(columns), memory + panel * size, nil)
        }
        for row in 0..<rows {
            scales.append((0..<blocks).map { scale(row, $0) })
            codes += (0..<columns).map { code(row, $0) }
        }
    }

    convenience init(rows: Int, columns: Int, format: IntegerFormat, seed: UInt64 = 1) {
        var numbers = Numbers(seed)
        self.init(rows: rows, columns: columns, format: format, values: numbers.floats(rows * columns))
    }

    deinit { memory.deallocate() }

    private func block(_ row: Int, _ index: Int) -> UnsafeRawPointer {
        UnsafeRawPointer(memory) + (row / 32 * blocks + index) * format.blockBytes
    }

    private func scale(_ row: Int, _ index: Int) -> Float {
        let bits = block(row, index).load(fromByteOffset: row % 32 * 2, as: UInt16.self)
        return Float(bitPattern: UInt32(bits) << 16)
    }

    private func code(_ row: Int, _ column: Int) -> Int {
        let bytes = block(row, column / format.blockColumns) + 64 + row % 32 * 4
        let k = column % format.blockColumns
        if format == .int8 { return Int(bytes.load(fromByteOffset: k / 4 * 128 + k % 4, as: UInt8.self)) - 128 }
        let byte = bytes.load(fromByteOffset: k / 8 * 128 + k % 4, as: UInt8.self)
        return Int(k % 8 < 4 ? byte & 15 : byte >> 4) - 8
    }

    var view: foretoken_matrix {
        foretoken_matrix(
            panels: memory, scales: nil, rows: Int32(rows), columns: Int32(columns), format: format.rawValue,
            first_scale_block: 0, scale_blocks: 0, scale_lanes: 0)
    }

    func value(_ row: Int, _ column: Int) -> Float {
        Float(codes[row * columns + column]) * scales[row][column / format.blockColumns]
    }

    /// The header's formula for one row, step by step.
    func dot(_ row: Int, _ x: ArraySlice<Float>) -> Float {
        let quantised = QuantisedRow(Array(x), top: format.activationTop)
        var total: Float = 0
        for group in 0..<quantised.scales.count {
            var inner: Float?
            for start in stride(from: group * 128, to: min(columns, group * 128 + 128), by: format.blockColumns) {
                let end = min(start + format.blockColumns, columns)
                let sum = (start..<end).reduce(0) { $0 + codes[row * columns + $1] * quantised.codes[$1] }
                let term = Float(sum) * scales[row][start / format.blockColumns]
                inner = inner.map { $0 + term } ?? term
            }
            total += quantised.scales[group] * inner!
        }
        return total
    }

    /// y [count][rows] for activations x [count][columns].
    func product(
        _ table: Table, _ x: [Float], count: Int, panels: Range<Int>? = nil, into previous: [Float]? = nil,
        add: Bool = false, index: [Int32]? = nil
    ) -> [Float] {
        var matrix = view
        var y = previous ?? [Float](repeating: .nan, count: count * rows)
        var x = x
        let range = panels ?? 0..<self.panels
        let index = index ?? (0..<Int32(count)).map { $0 }
        x.withUnsafeMutableBufferPointer { x in
            y.withUnsafeMutableBufferPointer { y in
                index.withUnsafeBufferPointer { index in
                    table.kernels.product(
                        &matrix, Int32(range.lowerBound), Int32(range.count),
                        foretoken_rows(base: x.baseAddress, stride: columns, index: index.baseAddress), Int32(count),
                        foretoken_rows(base: y.baseAddress, stride: rows, index: nil), add)
                }
            }
        }
        return y
    }
}

/// A reference for quantised activations: per 128 values a scale amax / top, codes rounded to nearest even.
struct QuantisedRow {
    var codes: [Int] = []
    var scales: [Float] = []

    init(_ x: [Float], top: Float) {
        for start in stride(from: 0, to: x.count, by: 128) {
            let group = x[start..<min(start + 128, x.count)]
            let largest = group.reduce(0) { max($0, $1.magnitude) }
            let isFinite = group.allSatisfy(\.isFinite)
            scales.append(isFinite ? largest / top : .nan)
            let inverse = isFinite && largest > 1e-30 ? top / largest : 0
            codes += group.map { isFinite ? Int(($0 * inverse).rounded(.toNearestOrEven)) : 0 }
        }
    }
}
