import CForetokenKernels

/// A weight matrix in panels, as the kernels read it. Plain data: it does not own its memory (the model's arena does).
public typealias PackedMatrix = foretoken_matrix

extension PackedMatrix {
    /// Panels of 32 output rows.
    @inlinable
    public var panelCount: Int { (Int(rows) + Int(FORETOKEN_PANEL_ROWS) - 1) / Int(FORETOKEN_PANEL_ROWS) }

    /// Bytes of one panel's weights, with the scales of a format that has them in blocks.
    @inlinable
    public var panelBytes: Int { foretoken_panel_size(format, columns) }

    /// Bytes that one pass over the matrix reads, scales included.
    @inlinable
    public var byteCount: Int { panelCount * (panelBytes + Int(scale_blocks) * Int(scale_lanes) * 4) }
}

/// Formats of matrices in memory: those that can be stored so, and the integer formats, which are made while packing.
enum PackedFormat {
    case f32, bf16, f16, fp8
    case int8, int4
    /// Stored codes, of which `int4` has the same blocks.
    case exactInt4

    init(raw: Int32) {
        switch UInt32(raw) {
        case FORETOKEN_FP8.rawValue: self = .fp8
        case FORETOKEN_BF16.rawValue: self = .bf16
        case FORETOKEN_F16.rawValue: self = .f16
        case FORETOKEN_INT8.rawValue: self = .int8
        case FORETOKEN_INT4.rawValue: self = .int4
        case FORETOKEN_EXACT_INT4.rawValue: self = .exactInt4
        default: self = .f32
        }
    }

    /// nil for element types that no weight of this family has.
    init?(_ type: ElementType) {
        switch type {
        case .f32: self = .f32
        case .bf16: self = .bf16
        case .f16: self = .f16
        case .fp8: self = .fp8
        case .i32: self = .exactInt4
        default: return nil
        }
    }

    /// Whether panels of that format are made of these weights without new numbers.
    func hasPanels(of other: PackedFormat) -> Bool { self == other || self == .exactInt4 && other == .int4 }

    var raw: Int32 {
        switch self {
        case .f32: Int32(FORETOKEN_F32.rawValue)
        case .bf16: Int32(FORETOKEN_BF16.rawValue)
        case .f16: Int32(FORETOKEN_F16.rawValue)
        case .fp8: Int32(FORETOKEN_FP8.rawValue)
        case .int8: Int32(FORETOKEN_INT8.rawValue)
        case .int4: Int32(FORETOKEN_INT4.rawValue)
        case .exactInt4: Int32(FORETOKEN_EXACT_INT4.rawValue)
        }
    }

    /// True when any of `count` elements is NaN (or, for the wider formats, infinite): no published weight is.
    func hasNonFinite(_ elements: UnsafeRawPointer, count: Int) -> Bool {
        switch self {
        case .fp8:
            return foretoken_fp8_has_nan(elements.assumingMemoryBound(to: UInt8.self), count)
        case .f32:
            return Self.anyExponent(elements, count, UInt32.self, mask: 0x7F80_0000)
        case .bf16:
            return Self.anyExponent(elements, count, UInt16.self, mask: 0x7F80)
        case .f16:
            return Self.anyExponent(elements, count, UInt16.self, mask: 0x7C00)
        case .int8, .int4, .exactInt4:
            return false
        }
    }

    /// Branch-free inside blocks so that it vectorises: packing must keep up with the disk.
    private static func anyExponent<Bits: FixedWidthInteger>(
        _ elements: UnsafeRawPointer, _ count: Int, _: Bits.Type, mask: Bits
    ) -> Bool {
        let bits = elements.assumingMemoryBound(to: Bits.self)
        var start = 0
        while start < count {
            let end = min(start + 4096, count)
            var found: Bits = 0
            for i in start..<end { found |= (bits[i] & mask) == mask ? 1 : 0 }
            if found != 0 { return true }
            start = end
        }
        return false
    }
}

/// How the scale blocks of a stored FP8 weight fall on a range of it.
struct ScaleGrid {
    /// Columns of the range's first block; blocks after it have 128.
    let firstBlock: Int
    /// Blocks that the range touches.
    let blockCount: Int

    /// - Parameters:
    ///   - start: index along the summed dimension at which the range starts in the stored weight.
    ///   - count: length of the range along it.
    init(start: Int, count: Int) {
        let block = Int(FORETOKEN_SCALE_BLOCK)
        firstBlock = min(block - start % block, count)
        blockCount = 1 + (count - firstBlock + block - 1) / block
    }
}
