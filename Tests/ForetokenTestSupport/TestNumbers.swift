/// Plain reference conversions between FP32 and the stored formats, independent of the product's own.
public enum TestNumbers {
    /// Value of an e4m3fn code: sign, 4 exponent bits of bias 7, 3 mantissa bits; 0x7F and 0xFF are NaN.
    public static func fp8(_ code: UInt8) -> Float {
        let exponent = Int(code >> 3 & 15)
        let mantissa = Float(code & 7)
        if code & 0x7F == 0x7F { return .nan }
        let magnitude =
            exponent == 0
            ? mantissa * 0x1p-9 : Float(sign: .plus, exponent: exponent - 10, significand: 8 + mantissa)
        return code & 0x80 == 0 ? magnitude : -magnitude
    }

    /// The nearest e4m3fn code, ties to the even code, saturating at ±448. Not for NaN.
    public static func fp8Code(_ value: Float) -> UInt8 {
        let sign: UInt8 = value.sign == .minus ? 0x80 : 0
        let magnitude = min(value.magnitude, 448)
        // Below 2⁻⁶ the codes are multiples of 2⁻⁹; above, each binade has eight steps. Codes of neighbouring binades
        // follow each other, so rounding up to eight steps carries over by itself.
        if magnitude < 0x1p-6 { return sign | UInt8((magnitude * 0x1p9).rounded(.toNearestOrEven)) }
        let steps = UInt8((magnitude.significand * 8).rounded(.toNearestOrEven))
        return sign | (UInt8(magnitude.exponent + 7) << 3 + (steps - 8))
    }

    /// BF16 bits of a value, round to nearest even. Not for NaN.
    public static func bf16(_ value: Float) -> UInt16 {
        let bits = value.bitPattern
        return UInt16(truncatingIfNeeded: (bits + 0x7FFF + (bits >> 16 & 1)) >> 16)
    }

    /// The value of BF16 bits.
    public static func value(bf16 bits: UInt16) -> Float { Float(bitPattern: UInt32(bits) << 16) }
}
