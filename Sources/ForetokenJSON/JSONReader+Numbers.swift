extension JSONReader {
    /// Reads a whole number that fits `Int`, however it is written: 32, 32.0 and 3.2e1 are the same.
    public mutating func integer() throws(JSONError) -> Int {
        skipSpace()
        if let value = takeShortInteger() { return value }
        let start = position
        guard (try? kind()) == .number else { throw mismatch(expected: "a whole number") }
        let number = try number()
        guard let value = number.integer else {
            throw JSONError(
                number.isWhole
                    ? "expected a whole number of at most 64 bits, found \(number)"
                    : "expected a whole number, found \(number)", at: start)
        }
        return value
    }

    /// Reads a list of whole numbers behind those that are in `numbers` already.
    /// - Parameter limit: most elements of the list.
    public mutating func integers(into numbers: inout [Int], atMost limit: Int = .max) throws(JSONError) {
        let end = numbers.count + min(limit, .max - numbers.count)
        try beginArray()
        while try nextElement() {
            guard numbers.count < end else { throw error("expected at most \(limit) numbers") }
            numbers.append(try integer())
        }
    }

    /// The usual case, without looking twice at a byte: up to 18 digits and nothing else. nil leaves everything unread.
    private mutating func takeShortInteger() -> Int? {
        var index = position
        let isNegative = index < bytes.count && bytes[index] == UInt8(ascii: "-")
        index += isNegative ? 1 : 0
        let first = index
        var value = 0
        while index < bytes.count, index - first < 19 {
            let digit = bytes[index] &- UInt8(ascii: "0")
            guard digit < 10 else { break }
            value = value &* 10 &+ Int(digit)
            index += 1
        }
        let count = index - first
        guard 1...18 ~= count, count == 1 || bytes[first] != UInt8(ascii: "0") else { return nil }
        if index < bytes.count {
            switch bytes[index] {
            case UInt8(ascii: "."), UInt8(ascii: "e"), UInt8(ascii: "E"): return nil
            default: break
            }
        }
        position = index
        return isNegative ? -value : value
    }

    /// Reads any number, `Infinity`, `-Infinity` and `NaN` included.
    public mutating func number() throws(JSONError) -> JSONNumber {
        guard peek() != nil else { throw error(expected: "a number") }
        if take("Infinity") { return JSONNumber(.infinity) }
        if take("-Infinity") { return JSONNumber(-.infinity) }
        if take("NaN") { return JSONNumber(.nan) }
        let start = position
        if bytes[position] == UInt8(ascii: "-") { position += 1 }
        let whole = takeDigits()
        guard !whole.isEmpty else {
            throw position == start ? error(expected: "a number") : malformed(start, "a digit must follow the minus")
        }
        guard whole.count == 1 || bytes[whole.lowerBound] != UInt8(ascii: "0") else {
            throw malformed(start, "a zero must not stand before other digits")
        }
        var fraction = position..<position
        if position < bytes.count, bytes[position] == UInt8(ascii: ".") {
            position += 1
            fraction = takeDigits()
            guard !fraction.isEmpty else { throw malformed(start, "a digit must follow the point") }
        }
        var exponent = position..<position
        var isExponentNegative = false
        if position < bytes.count, bytes[position] | 0x20 == UInt8(ascii: "e") {
            position += 1
            isExponentNegative = position < bytes.count && bytes[position] == UInt8(ascii: "-")
            if isExponentNegative || position < bytes.count && bytes[position] == UInt8(ascii: "+") { position += 1 }
            exponent = takeDigits()
            guard !exponent.isEmpty else { throw malformed(start, "a digit must follow the e of an exponent") }
        }
        return JSONNumber(
            literal: bytes[start..<position], whole: bytes[whole], fraction: bytes[fraction], exponent: bytes[exponent],
            isExponentNegative: isExponentNegative)
    }

    private mutating func takeDigits() -> Range<Int> {
        let start = position
        while position < bytes.count, bytes[position] &- UInt8(ascii: "0") < 10 { position += 1 }
        return start..<position
    }

    private func malformed(_ start: Int, _ rule: String) -> JSONError {
        let end = min(position + 1, bytes.count, start + 40)
        let literal = bytes[start..<max(start, end)].filter { 0x21...0x7E ~= $0 }
        return JSONError("\(String(decoding: literal, as: UTF8.self)) is not a number: \(rule)", at: start)
    }
}
