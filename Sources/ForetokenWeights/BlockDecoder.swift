/// Decodes pieces of one FP8 matrix to BF16.
struct BlockDecoder {
    private static let values = (0...UInt8.max).map(fp8Value)

    private let name: String
    private let columns: Int
    private let blockColumns: Int
    private let scales: [Float]

    /// Reads and checks the scales of `weight`, F32 [⌈rows/128⌉, ⌈columns/128⌉].
    init(_ weight: TensorInfo, scale: TensorInfo, _ checkpoint: Checkpoint) throws {
        name = weight.name
        columns = weight.shape[1]
        blockColumns = scale.shape[1]
        scales = try [Float](unsafeUninitializedCapacity: scale.elementCount) { buffer, initialized in
            let bytes = UnsafeMutableRawBufferPointer(buffer)
            try checkpoint.read(
                scale, fromByte: 0, into: UnsafeMutableRawBufferPointer(rebasing: bytes[..<scale.range.count]))
            initialized = scale.elementCount
        }
        if let bad = scales.first(where: { !($0 > 0 && $0.isFinite) }) {
            throw CheckpointError(
                "\(checkpoint.fileNames[scale.file]): tensor \(shown(scale.name)) holds a bad scale",
                expected: "finite numbers above zero", found: "\(bad)")
        }
    }

    /// Decodes consecutive elements, the first of which is element `firstElement` of the matrix, into `output`.
    func decode(
        _ codes: UnsafeRawBufferPointer, firstElement: Int, into output: UnsafeMutableBufferPointer<UInt16>
    ) throws {
        var sawNaN = false
        var row = firstElement / columns
        var column = firstElement % columns
        var index = 0
        BlockDecoder.values.withUnsafeBufferPointer { values in
            while index < codes.count {
                let block = column / TensorResolver.scaleBlock
                let blockEnd = min((block + 1) * TensorResolver.scaleBlock, columns)
                let end = min(index + blockEnd - column, codes.count)
                let scale = scales[row / TensorResolver.scaleBlock * blockColumns + block]
                column += end - index
                while index < end {
                    let code = codes[index]
                    sawNaN = sawNaN || code & 0x7F == 0x7F
                    output[index] = bf16Bits(values[Int(code)] * scale)
                    index += 1
                }
                if column == columns { (row, column) = (row + 1, 0) }
            }
        }
        if sawNaN {
            throw CheckpointError(
                "tensor \(shown(name)) holds NaN", expected: "finite FP8 values",
                hint: "the file is damaged or was badly converted; download it again")
        }
    }
}

/// The value of an e4m3fn code: sign, 4 exponent bits of bias 7, 3 mantissa bits; 0x7F and 0xFF are NaN.
private func fp8Value(_ code: UInt8) -> Float {
    let exponent = Int(code >> 3 & 15)
    let mantissa = Int(code & 7)
    if exponent == 15 && mantissa == 7 { return .nan }
    let magnitude =
        exponent == 0
        ? Float(mantissa) * 0x1p-9 : Float(sign: .plus, exponent: exponent - 10, significand: Float(8 + mantissa))
    return code & 0x80 == 0 ? magnitude : -magnitude
}

/// The BF16 bits nearest to a value that is not NaN, ties to even.
@inline(__always) private func bf16Bits(_ value: Float) -> UInt16 {
    let bits = value.bitPattern
    return UInt16(truncatingIfNeeded: (bits &+ 0x7FFF &+ (bits >> 16 & 1)) >> 16)
}
