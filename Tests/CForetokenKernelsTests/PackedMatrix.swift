import CForetokenKernels

/// Number format of a test matrix.
enum Format: Int32, CaseIterable, Sendable {
    case f32 = 0
    case bf16 = 1
    case f16 = 2
    case fp8 = 3

    var bytes: Int { self == .fp8 ? 1 : self == .f32 ? 4 : 2 }
}

/// A random matrix [rows, columns], packed through the kernels' own packer, and its exact values beside it.
final class PackedMatrix {
    let rows: Int
    let columns: Int
    let format: Format
    let firstBlock: Int
    let scaleLanes: Int
    /// Unscaled weights, row-major [rows][columns].
    private(set) var weights: [Float] = []
    /// [panels][blocks][scaleLanes]; empty but for FP8.
    private(set) var scales: [Float] = []
    /// Row-major source bytes.
    private(set) var source: [UInt8] = []
    /// The byte in front of the panels is read as well.
    private let memory: UnsafeMutableRawPointer
    private let panelMemory: UnsafeMutableRawPointer
    private let scaleMemory: UnsafeMutablePointer<Float>

    var panels: Int { (rows + 31) / 32 }
    var blocks: Int { 1 + (columns - firstBlock + 127) / 128 }

    init(rows: Int, columns: Int, format: Format, firstBlock: Int = 128, scaleLanes: Int = 1, seed: UInt64 = 1) {
        self.rows = rows
        self.columns = columns
        self.format = format
        self.firstBlock = min(firstBlock, columns)
        self.scaleLanes = scaleLanes
        let panels = (rows + 31) / 32
        memory = .allocate(byteCount: 64 + panels * 32 * columns * format.bytes, alignment: 64)
        panelMemory = memory + 64
        let scaleCount = panels * (1 + (columns - min(firstBlock, columns) + 127) / 128) * scaleLanes
        scaleMemory = .allocate(capacity: scaleCount)

        var numbers = Numbers(seed)
        for _ in 0..<rows * columns { append(&numbers) }
        scaleMemory.initialize(repeating: 1, count: scaleCount)
        if format == .fp8 {
            scales = numbers.floats(scaleCount, in: 0.001...0.02)
            for (i, scale) in scales.enumerated() { scaleMemory[i] = scale }
        }
        for panel in 0..<panels {
            let first = panel * 32
            source.withUnsafeBytes { bytes in
                foretoken_pack_panel(
                    bytes.baseAddress! + first * columns * format.bytes, columns, Int32(min(32, rows - first)),
                    Int32(columns), Int32(format.bytes), panelMemory + panel * 32 * columns * format.bytes)
            }
        }
    }

    deinit {
        memory.deallocate()
        scaleMemory.deallocate()
    }

    private func append(_ numbers: inout Numbers) {
        let x = numbers.float()
        switch format {
        case .f32:
            weights.append(x)
            withUnsafeBytes(of: x.bitPattern) { source.append(contentsOf: $0) }
        case .bf16:
            let code = foretoken_bf16_encode(x)
            weights.append(Float(bitPattern: UInt32(code) << 16))
            withUnsafeBytes(of: code) { source.append(contentsOf: $0) }
        case .f16:
            // Every eighth number is a subnormal of the format.
            let half = Float16(weights.count % 8 == 0 ? x * 0x1p-15 : x)
            weights.append(Float(half))
            withUnsafeBytes(of: half.bitPattern) { source.append(contentsOf: $0) }
        case .fp8:
            var code = UInt8(truncatingIfNeeded: numbers.next() >> 56)
            if code & 0x7F == 0x7F { code &= 0xF0 }
            weights.append(foretoken_fp8_value(code))
            source.append(code)
        }
    }

    /// What the kernels see; valid as long as the matrix lives.
    var view: foretoken_matrix {
        foretoken_matrix(
            panels: panelMemory, scales: format == .fp8 ? UnsafePointer(scaleMemory) : nil, rows: Int32(rows),
            columns: Int32(columns), format: format.rawValue, first_scale_block: Int32(firstBlock),
            scale_blocks: Int32(blocks), scale_lanes: Int32(scaleLanes))
    }

    func block(of column: Int) -> Int { column < firstBlock ? 0 : 1 + (column - firstBlock) / 128 }

    func scale(row: Int, block: Int) -> Float {
        guard format == .fp8 else { return 1 }
        return scales[((row / 32) * blocks + block) * scaleLanes + (scaleLanes == 1 ? 0 : row % 32)]
    }

    /// The header's formula, step by step: Σ_k W[row][k] x[k] with the table's rounding.
    func dot(_ row: Int, _ x: ArraySlice<Float>, _ table: Table) -> Float {
        var total: Float = 0
        var inner: Float = 0
        for k in 0..<columns {
            let weight = weights[row * columns + k]
            let input = x[x.startIndex + k]
            guard format == .fp8 else {
                total = table.multiplyAdd(weight, input, total)
                continue
            }
            inner = table.multiplyAdd(weight, input, inner)
            if k + 1 == columns || block(of: k + 1) != block(of: k) {
                total = table.multiplyAdd(scale(row: row, block: block(of: k)), inner, total)
                inner = 0
            }
        }
        return total
    }

    /// y [count][rows] for activations x [count][columns], over y's previous content when `add`.
    func product(
        _ table: Table, _ x: [Float], count: Int, panels: Range<Int>? = nil, into previous: [Float]? = nil,
        add: Bool = false, index: [Int32]? = nil
    ) -> [Float] {
        var matrix = view
        var y = previous ?? [Float](repeating: .nan, count: count * rows)
        var x = x
        let range = panels ?? 0..<self.panels
        x.withUnsafeMutableBufferPointer { x in
            y.withUnsafeMutableBufferPointer { y in
                withIndex(index) { index in
                    table.kernels.product(
                        &matrix, Int32(range.lowerBound), Int32(range.count),
                        foretoken_rows(base: x.baseAddress, stride: columns, index: index), Int32(count),
                        foretoken_rows(base: y.baseAddress, stride: rows, index: nil), add)
                }
            }
        }
        return y
    }

    private func withIndex(_ index: [Int32]?, _ body: (UnsafePointer<Int32>?) -> Void) {
        if let index { index.withUnsafeBufferPointer { body($0.baseAddress) } } else { body(nil) }
    }
}
