/// Element types of the safetensors format.
public enum ElementType: String, Sendable, Encodable {
    /// IEEE 754 binary32.
    case f32 = "F32"
    /// bfloat16: the upper half of a binary32.
    case bf16 = "BF16"
    /// IEEE 754 binary16.
    case f16 = "F16"
    /// e4m3fn: bias 7, no infinities, NaN at 0x7F and 0xFF.
    case fp8 = "F8_E4M3"
    /// IEEE 754 binary64.
    case f64 = "F64"
    /// Complex number of two binary32.
    case c64 = "C64"
    /// e5m2.
    case fp8E5M2 = "F8_E5M2"
    /// Power-of-two scale, bias 127.
    case fp8E8M0 = "F8_E8M0"
    /// e4m3 with another bias and no negative zero; not the format of DeepSeek's files.
    case fp8E4M3FNUZ = "F8_E4M3FNUZ"
    /// e5m2 with another bias and no negative zero.
    case fp8E5M2FNUZ = "F8_E5M2FNUZ"
    /// Four-bit float.
    case f4 = "F4"
    /// Six-bit float, e2m3.
    case f6E2M3 = "F6_E2M3"
    /// Six-bit float, e3m2.
    case f6E3M2 = "F6_E3M2"
    /// Boolean, one byte.
    case bool = "BOOL"
    /// Signed 8-bit integer.
    case i8 = "I8"
    /// Unsigned 8-bit integer.
    case u8 = "U8"
    /// Signed 16-bit integer.
    case i16 = "I16"
    /// Unsigned 16-bit integer.
    case u16 = "U16"
    /// Signed 32-bit integer.
    case i32 = "I32"
    /// Unsigned 32-bit integer.
    case u32 = "U32"
    /// Signed 64-bit integer.
    case i64 = "I64"
    /// Unsigned 64-bit integer.
    case u64 = "U64"

    /// Bits of one element.
    public var bits: Int {
        switch self {
        case .f4: 4
        case .f6E2M3, .f6E3M2: 6
        case .fp8, .fp8E5M2, .fp8E8M0, .fp8E4M3FNUZ, .fp8E5M2FNUZ, .bool, .i8, .u8: 8
        case .bf16, .f16, .i16, .u16: 16
        case .f32, .i32, .u32: 32
        case .f64, .c64, .i64, .u64: 64
        }
    }
}

/// One tensor of a checkpoint: what it is, and where its bytes lie. C order, little-endian, any alignment.
public struct TensorInfo: Sendable, Equatable {
    /// Its name in the checkpoint.
    public let name: String
    /// Its element type.
    public let type: ElementType
    /// Its dimensions, slowest first; empty for a scalar.
    public let shape: [Int]
    /// Index of its file in `Checkpoint.fileNames`.
    public let file: Int
    /// Its bytes, counted from the start of the file.
    public let range: Range<Int>

    /// Creates a description; nothing is checked here.
    public init(name: String, type: ElementType, shape: [Int], file: Int, range: Range<Int>) {
        self.name = name
        self.type = type
        self.shape = shape
        self.file = file
        self.range = range
    }

    /// Number of elements. The reader has checked that the product fits.
    public var elementCount: Int { shape.contains(0) ? 0 : shape.reduce(1, *) }
}
