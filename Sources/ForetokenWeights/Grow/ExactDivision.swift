/// Divides floats by a power of two in place. Only the exponent changes, unless the quotient is too small for its type.
struct ExactDivision {
    private let type: ElementType
    private let divisor: Float

    /// - Parameters:
    ///   - type: F32, BF16, F16 or F8_E8M0.
    ///   - divisor: a power of two.
    init(_ type: ElementType, by divisor: Int) {
        self.type = type
        self.divisor = Float(divisor)
    }

    /// Divides whole elements.
    /// - Returns: whether every quotient is exact.
    func apply(_ bytes: UnsafeMutableRawBufferPointer) -> Bool {
        switch type {
        case .f32: return divide(bytes, UInt32.self, { Float(bitPattern: $0) }, { $0.bitPattern })
        case .bf16:
            return divide(
                bytes, UInt16.self, { Float(bitPattern: UInt32($0) << 16) },
                { UInt16(truncatingIfNeeded: $0.bitPattern >> 16) })
        case .fp8E8M0: return lowerExponents(bytes)
        default: return divide(bytes, UInt16.self, { Float(Float16(bitPattern: $0)) }, { Float16($0).bitPattern })
        }
    }

    /// Elements that are nothing but exponents of two.
    private func lowerExponents(_ bytes: UnsafeMutableRawBufferPointer) -> Bool {
        let step = UInt8(divisor.exponent)
        var isExact = true
        for i in bytes.indices {
            isExact = isExact && bytes[i] >= step
            bytes[i] = bytes[i] >= step ? bytes[i] - step : 0
        }
        return isExact
    }

    @inline(__always)
    private func divide<Word: FixedWidthInteger>(
        _ bytes: UnsafeMutableRawBufferPointer, _: Word.Type, _ decode: (Word) -> Float, _ encode: (Float) -> Word
    ) -> Bool {
        var lost = 0
        let inverse = 1 / divisor
        for offset in stride(from: 0, to: bytes.count, by: MemoryLayout<Word>.size) {
            let value = decode(bytes.loadUnaligned(fromByteOffset: offset, as: Word.self))
            let quotient = encode(value * inverse)
            bytes.storeBytes(of: quotient, toByteOffset: offset, as: Word.self)
            lost += decode(quotient) * divisor == value ? 0 : 1
        }
        return lost == 0
    }
}
