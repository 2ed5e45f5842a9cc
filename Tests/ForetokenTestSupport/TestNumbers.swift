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

    private static let fp8Magnitudes: [Float] = (0..<127).map { fp8($0) }

    /// The nearest e4m3fn code, ties to the even code, saturating at ±448.
    public static func fp8Code(_ value: Float) -> UInt8 {
        let sign: UInt8 = value.sign == .minus ? 0x80 : 0
        let magnitude = min(value.magnitude, 448)
        var upper = 0
        var end = 126
        while upper < end {
            let middle = (upper + end) / 2
            if fp8Magnitudes[middle] < magnitude { upper = middle + 1 } else { end = middle }
        }
        if upper == 0 { return sign }
        let above = fp8Magnitudes[upper] - magnitude
        let below = magnitude - fp8Magnitudes[upper - 1]
        let takesLower = below < above || below == above && upper % 2 == 1
        return sign | UInt8(takesLower ? upper - 1 : upper)
    }

    /// BF16 bits of a value, round to nearest even. Not for NaN.
    public static func bf16(_ value: Float) -> UInt16 {
        let bits = value.bitPattern
        return UInt16(truncatingIfNeeded: (bits + 0x7FFF + (bits >> 16 & 1)) >> 16)
    }

    /// The value of BF16 bits.
    public static func value(bf16 bits: UInt16) -> Float { Float(bitPattern: UInt32(bits) << 16) }
}
