import CForetokenKernels

/// A matrix of random INT4 codes with BF16 scales of both signs, in rows as files hold it and packed from them, and its values
/// as an F32 matrix beside it.
final class CodeMatrix {
    let rows: Int
    let columns: Int
    /// Columns of a scale.
    let group: Int
    /// Row-major -8...7.
    let codes: [Int]
    /// [rows][columns / group]
    let scales: [Float]
    /// Rows of code + 8, the first column of two in the lower half of a byte.
    private(set) var fileCodes: [UInt8] = []
    private(set) var fileScales: [UInt16] = []
    private let memory: UnsafeMutableRawPointer
    private let values: UnsafeMutablePointer<Float>

    var panels: Int { (rows + 31) / 32 }

    init(rows: Int, columns: Int, group: Int = 32, seed: UInt64 = 1) {
        self.rows = rows
        self.columns = columns
        self.group = group
        var numbers = Numbers(seed)
        codes = (0..<rows * columns).map { _ in Int(numbers.next() >> 60) - 8 }
        fileScales = numbers.floats(rows * columns / group, in: -0.02...0.02).map { foretoken_bf16_encode($0) }
        scales = fileScales.map { Float(bitPattern: UInt32($0) << 16) }
        for i in stride(from: 0, to: codes.count, by: 2) {
            fileCodes.append(UInt8(codes[i] + 8) | UInt8(codes[i + 1] + 8) << 4)
        }
        let panels = (rows + 31) / 32
        let size = foretoken_panel_size(Self.format, Int32(columns))
        memory = .allocate(byteCount: size * panels, alignment: 64)
        values = .allocate(capacity: panels * 32 * columns)
        values.initialize(repeating: 0, count: panels * 32 * columns)
        for panel in 0..<panels {
            let first = panel * 32
            fileCodes.withUnsafeBytes { codes in
                fileScales.withUnsafeBufferPointer { scales in
                    foretoken_pack_int4_panel(
                        codes.baseAddress! + first * columns / 2, columns / 2,
                        scales.baseAddress! + first * columns / group, columns / group, Int32(group),
                        Int32(min(32, rows - first)), Int32(columns), memory + panel * size)
                }
            }
        }
        for row in 0..<rows {
            for k in 0..<columns { values[(row / 32 * columns + k) * 32 + row % 32] = value(row, k) }
        }
    }

    deinit {
        memory.deallocate()
        values.deallocate()
    }

    private static let format = Int32(FORETOKEN_EXACT_INT4.rawValue)

    func value(_ row: Int, _ column: Int) -> Float {
        Float(codes[row * columns + column]) * scales[(row * columns + column) / group]
    }

    /// The codes as the kernels see them; valid as long as the matrix lives.
    var view: foretoken_matrix { view(memory, Self.format) }

    /// The same values as F32.
    var wide: foretoken_matrix { view(UnsafeMutableRawPointer(values), Int32(FORETOKEN_F32.rawValue)) }

    private func view(_ panels: UnsafeMutableRawPointer, _ format: Int32) -> foretoken_matrix {
        foretoken_matrix(
            panels: panels, scales: nil, rows: Int32(rows), columns: Int32(columns), format: format,
            first_scale_block: 0, scale_blocks: 0, scale_lanes: 0)
    }
}

extension Table {
    /// y [count][rows] of some panels for activations x [count][columns], over y's previous content when `add`.
    func product(
        _ matrix: foretoken_matrix, _ x: [Float], count: Int, panels: Range<Int>? = nil, into previous: [Float]? = nil,
        add: Bool = false
    ) -> [Float] {
        var (matrix, x) = (matrix, x)
        let (rows, columns) = (Int(matrix.rows), Int(matrix.columns))
        var y = previous ?? [Float](repeating: .nan, count: count * rows)
        let range = panels ?? 0..<(rows + 31) / 32
        x.withUnsafeMutableBufferPointer { x in
            y.withUnsafeMutableBufferPointer { y in
                kernels.product(
                    &matrix, Int32(range.lowerBound), Int32(range.count),
                    foretoken_rows(base: x.baseAddress, stride: columns, index: nil), Int32(count),
                    foretoken_rows(base: y.baseAddress, stride: rows, index: nil), add)
            }
        }
        return y
    }
}
