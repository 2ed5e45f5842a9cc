#if canImport(Glibc)
    import Glibc
#endif

/// Numbers as Python reads and writes them.
enum Numbers {
    /// All digits of a number that is whole but beyond `Int`; nil of all others.
    static func hugeDigits(_ value: Double) -> String? {
        value.isFinite && abs(value) >= 0x1p63 && value != -0x1p63 ? decimal(value, digits: 0) : nil
    }

    /// The whole part; nil of what is not finite.
    static func truncated(_ value: Double) -> Value? {
        Int(exactly: value.rounded(.towardZero)).map { .integer($0) } ?? hugeDigits(value).map { .huge($0) }
    }

    /// A finite number with so many digits behind the point.
    static func decimal(_ value: Double, digits: Int) -> String {
        // No number has more than 1074 digits behind the point that are not 0, nor more than 309 before it.
        let exact = min(digits, 1074)
        var buffer = [CChar](repeating: 0, count: 1400)
        let count = withVaList([Int32(exact), value]) { vsnprintf(&buffer, buffer.count, "%.*f", $0) }
        return String(decoding: buffer.prefix(Int(count)).map { UInt8(bitPattern: $0) }, as: UTF8.self)
            + String(repeating: "0", count: digits - exact)
    }

    /// The whole number that a text means to Python's `int`; nil where it means none.
    static func whole(_ text: TemplateText) -> Value? {
        guard let plain = plain(text) else { return nil }
        if let value = Int(plain) { return .integer(value) }
        let digits = withoutSign(plain)
        guard !digits.isEmpty, digits.allSatisfy({ "0"..."9" ~= $0 }) else { return nil }
        return .huge((plain.hasPrefix("-") ? "-" : "") + digits.drop { $0 == "0" })
    }

    /// The number that a text means to Python's `float`; nil where it means none.
    static func real(_ text: TemplateText) -> Double? { plain(text).flatMap { Double($0) } }

    /// The text with ASCII's digits, without white space around it and single underscores between digits; nil where there is
    /// something in it that is in no number of Python's.
    private static func plain(_ text: TemplateText) -> String? {
        var plain = String.UnicodeScalarView()
        var mayBreak = false
        var isBroken = false
        for scalar in text.stripped().string.unicodeScalars {
            if scalar == "_" {
                guard mayBreak else { return nil }
                (mayBreak, isBroken) = (false, true)
                continue
            }
            let isDigit = scalar.properties.numericType == .decimal
            guard isDigit || !isBroken else { return nil }
            if isDigit, let value = scalar.properties.numericValue {
                plain.append(Unicode.Scalar(UInt8(ascii: "0") + UInt8(value)))
            } else {
                plain.append(scalar)
            }
            (mayBreak, isBroken) = (isDigit, false)
        }
        let result = String(plain)
        guard !isBroken,
            ["inf", "infinity", "nan"].contains(withoutSign(result).lowercased())
                || plain.allSatisfy({ "0"..."9" ~= $0 || "+-.eE".unicodeScalars.contains($0) })
        else { return nil }
        return result
    }

    private static func withoutSign(_ text: String) -> Substring {
        text.first.map { "+-".contains($0) } == true ? text.dropFirst() : text[...]
    }
}
