extension JSONReader {
    /// Reads a string.
    public mutating func string() throws(JSONError) -> String {
        try readString()
        return String(decoding: text, as: UTF8.self)
    }

    /// Reads a string into `text`, for those who want its bytes.
    public mutating func readString() throws(JSONError) {
        guard peek() == UInt8(ascii: "\"") else { throw mismatch(expected: "a string") }
        let opening = position
        position += 1
        text.removeAll(keepingCapacity: true)
        while try readPlainText() {
            if bytes[position] == UInt8(ascii: "\"") {
                position += 1
                return
            }
            try readEscape()
        }
        throw JSONError("the text ends inside the string that begins here", at: opening)
    }

    /// Reads up to the next quotation mark or backslash; false at the end of the text.
    private mutating func readPlainText() throws(JSONError) -> Bool {
        let start = position
        var (end, union) = (start, UInt8(0))
        while end < bytes.count, bytes[end] >= 0x20, bytes[end] != UInt8(ascii: "\""), bytes[end] != UInt8(ascii: "\\")
        {
            union |= bytes[end]
            end += 1
        }
        let plain = UnsafeBufferPointer(rebasing: bytes[start..<end])
        if union >= 0x80, let bad = Self.firstInvalidByte(of: plain) {
            position = start + bad
            let byte = String(bytes[position], radix: 16, uppercase: true)
            throw error("this is not valid UTF-8 (byte 0x\(byte))")
        }
        text.append(contentsOf: plain)
        position = end
        guard end < bytes.count else { return false }
        guard bytes[end] >= 0x20 else {
            throw error("a control character, \(Self.codePoint(bytes[end])), in a string; JSON writes it as an escape")
        }
        return true
    }

    private static func firstInvalidByte(of bytes: UnsafeBufferPointer<UInt8>) -> Int? {
        do throws(UTF8.ValidationError) {
            _ = try UTF8Span(validating: bytes.span)
            return nil
        } catch {
            return error.byteOffsets.lowerBound
        }
    }

    private mutating func readEscape() throws(JSONError) {
        let backslash = position
        guard position + 1 < bytes.count else { throw error("the text ends inside an escape") }
        let letter = bytes[position + 1]
        position += 2
        switch letter {
        case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): text.append(letter)
        case UInt8(ascii: "b"): text.append(0x08)
        case UInt8(ascii: "f"): text.append(0x0C)
        case UInt8(ascii: "n"): text.append(0x0A)
        case UInt8(ascii: "r"): text.append(0x0D)
        case UInt8(ascii: "t"): text.append(0x09)
        case UInt8(ascii: "u"):
            guard let scalar = Unicode.Scalar(try readCodePoint(from: backslash)) else {
                throw halfPair(at: backslash)
            }
            text.append(contentsOf: scalar.utf8)
        case 0x21...0x7E: throw JSONError("there is no escape \\\(Unicode.Scalar(letter)) in JSON", at: backslash)
        default: throw JSONError("a backslash that begins no escape", at: backslash)
        }
    }

    /// Reads what follows `\u`, and a second escape where the first is half of a pair.
    private mutating func readCodePoint(from backslash: Int) throws(JSONError) -> UInt32 {
        let high = try readHexadecimal()
        guard 0xD800..<0xDC00 ~= high else { return high }
        guard take("\\u") else { throw halfPair(at: backslash) }
        let low = try readHexadecimal()
        guard 0xDC00..<0xE000 ~= low else { throw halfPair(at: backslash) }
        return 0x10000 + (high - 0xD800) << 10 + (low - 0xDC00)
    }

    private func halfPair(at backslash: Int) -> JSONError {
        let escape = String(decoding: bytes[backslash..<backslash + 6], as: UTF8.self)
        return JSONError(
            "the lone surrogate \(escape): it is half of a pair, and the other half is missing", at: backslash)
    }

    private mutating func readHexadecimal() throws(JSONError) -> UInt32 {
        var value: UInt32 = 0
        for _ in 0..<4 {
            guard position < bytes.count, let digit = Self.hexadecimalDigit(bytes[position]) else {
                throw error("expected four hexadecimal digits after \\u")
            }
            value = value << 4 | digit
            position += 1
        }
        return value
    }

    private static func hexadecimalDigit(_ byte: UInt8) -> UInt32? {
        switch byte {
        case UInt8(ascii: "0")...UInt8(ascii: "9"): UInt32(byte - UInt8(ascii: "0"))
        case UInt8(ascii: "a")...UInt8(ascii: "f"): UInt32(byte - UInt8(ascii: "a")) + 10
        case UInt8(ascii: "A")...UInt8(ascii: "F"): UInt32(byte - UInt8(ascii: "A")) + 10
        default: nil
        }
    }
}
