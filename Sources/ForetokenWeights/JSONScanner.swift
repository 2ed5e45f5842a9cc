/// A value of a JSON document. Integers that fit `Int` and other numbers are told apart.
enum JSONValue: Sendable, Equatable {
    case null
    case bool(Bool)
    case integer(Int)
    case number(Double)
    case string(String)
    case array([JSONValue])
    case object([String: JSONValue])

    /// The value as an error message shows it.
    var shortDescription: String {
        switch self {
        case .null: "null"
        case .bool(let value): String(value)
        case .integer(let value): String(value)
        case .number(let value): String(value)
        case .string(let value): "\"\(shown(value))\""
        case .array(let values): "a list of \(values.count)"
        case .object: "an object"
        }
    }
}

extension JSONValue: Encodable {
    func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        switch self {
        case .null: try container.encodeNil()
        case .bool(let value): try container.encode(value)
        case .integer(let value): try container.encode(value)
        case .number(let value): try container.encode(value)
        case .string(let value): try container.encode(value)
        case .array(let values): try container.encode(values)
        case .object(let members): try container.encode(members)
        }
    }
}

/// A strict, streaming reader of JSON (RFC 8259) for files nobody vouches for.
///
/// A general decoder would accept duplicate keys, build the whole tree of a 100 MB header and recurse as deep as the
/// file asks. This one hands out members one at a time, caps the depth, and names the byte where it gave up.
struct JSONScanner {
    private let bytes: [UInt8]
    private let file: String
    private let maximumDepth: Int
    private var depth = 0
    /// The next byte to read.
    private(set) var position = 0
    /// Where the most recent member's key began.
    private(set) var keyStart = 0

    init(_ bytes: [UInt8], file: String, maximumDepth: Int = 32) {
        self.bytes = bytes
        self.file = file
        self.maximumDepth = maximumDepth
    }

    // MARK: Containers

    /// Reads an object and calls `member` with each key; `member` must read the value. Duplicates are the caller's to find.
    mutating func object(_ member: (inout JSONScanner, String) throws -> Void) throws {
        try descend("{", "an object") { scanner in
            scanner.keyStart = scanner.position
            let key = try scanner.string()
            try scanner.expect(":")
            try member(&scanner, key)
        }
    }

    /// Reads an array and calls `element` before each element; `element` must read it.
    mutating func array(_ element: (inout JSONScanner) throws -> Void) throws {
        try descend("[", "a list", element)
    }

    private mutating func descend(
        _ opening: Unicode.Scalar, _ what: String, _ item: (inout JSONScanner) throws -> Void
    ) throws {
        guard next() == UInt8(ascii: opening) else { throw failure(expected: what) }
        position += 1
        depth += 1
        guard depth <= maximumDepth else { throw failure(expected: "nesting of at most \(maximumDepth) levels") }
        // In ASCII the closing bracket and brace both lie two places after the opening one.
        let closing = UInt8(ascii: opening) + 2
        if next() != closing {
            while true {
                skipSpace()
                try item(&self)
                if next() == closing { break }
                try expect(",")
            }
        }
        position += 1
        depth -= 1
    }

    /// Requires that nothing but white space follows.
    mutating func end() throws {
        if next() != nil { throw failure(expected: "the end of the JSON text") }
    }

    // MARK: Values

    /// Reads any value into a tree; duplicate keys are refused.
    mutating func value() throws -> JSONValue {
        switch next() {
        case UInt8(ascii: "{"):
            var members: [String: JSONValue] = [:]
            try object { scanner, key in
                guard members.updateValue(try scanner.value(), forKey: key) == nil else {
                    throw scanner.duplicate(key)
                }
            }
            return .object(members)
        case UInt8(ascii: "["):
            var elements: [JSONValue] = []
            try array { elements.append(try $0.value()) }
            return .array(elements)
        case UInt8(ascii: "\""): return .string(try string())
        case UInt8(ascii: "t"): return try word("true", .bool(true))
        case UInt8(ascii: "f"): return try word("false", .bool(false))
        case UInt8(ascii: "n"): return try word("null", .null)
        default: return try number()
        }
    }

    /// Reads a whole number from 0 to `Int.max`, written without fraction or exponent.
    mutating func count() throws -> Int {
        let first = next()
        let start = position
        if let first, UInt8(ascii: "0")...UInt8(ascii: "9") ~= first, case .integer(let value) = try number() {
            return value
        }
        position = start
        throw failure(expected: "a whole number from 0 to \(Int.max)")
    }

    /// Reads a string; escapes are resolved and invalid UTF-8 is refused.
    mutating func string() throws -> String {
        guard next() == UInt8(ascii: "\"") else { throw failure(expected: "a string") }
        position += 1
        let start = position
        while let byte = peek(), byte != UInt8(ascii: "\""), byte != UInt8(ascii: "\\"), byte >= 0x20 { position += 1 }
        var escaped: [UInt8]?
        while let byte = peek(), byte != UInt8(ascii: "\"") {
            guard byte >= 0x20 else { throw failure(expected: "no control character in a string") }
            if escaped == nil { escaped = Array(bytes[start..<position]) }
            position += 1
            if byte == UInt8(ascii: "\\") {
                escaped?.append(contentsOf: try escape())
            } else {
                escaped?.append(byte)
            }
        }
        guard peek() != nil else { throw failure(expected: "a closing quotation mark") }
        let raw = escaped.map { $0[...] } ?? bytes[start..<position]
        guard let text = String(validating: raw, as: UTF8.self) else { throw failure(expected: "valid UTF-8") }
        position += 1
        return text
    }

    private mutating func escape() throws -> [UInt8] {
        guard let byte = peek() else { throw failure(expected: "an escape sequence") }
        position += 1
        switch Unicode.Scalar(byte) {
        case "\"", "\\", "/": return [byte]
        case "b": return [0x08]
        case "f": return [0x0C]
        case "n": return [0x0A]
        case "r": return [0x0D]
        case "t": return [0x09]
        case "u":
            var code = try hexadecimal()
            if 0xD800..<0xDC00 ~= code, peek() == UInt8(ascii: "\\") {
                position += 1
                guard peek() == UInt8(ascii: "u") else { throw failure(expected: "a low surrogate") }
                position += 1
                let low = try hexadecimal()
                guard 0xDC00..<0xE000 ~= low else { throw failure(expected: "a low surrogate") }
                code = 0x10000 + (code - 0xD800) << 10 + (low - 0xDC00)
            }
            guard let scalar = Unicode.Scalar(code) else { throw failure(expected: "paired surrogates") }
            return Array(String(scalar).utf8)
        default:
            position -= 1
            throw failure(expected: "an escape sequence")
        }
    }

    private mutating func hexadecimal() throws -> UInt32 {
        var code: UInt32 = 0
        for _ in 0..<4 {
            guard let byte = peek(), let digit = Character(Unicode.Scalar(byte)).hexDigitValue, byte < 0x80 else {
                throw failure(expected: "four hexadecimal digits")
            }
            code = code << 4 | UInt32(digit)
            position += 1
        }
        return code
    }

    private mutating func number() throws -> JSONValue {
        skipSpace()
        let start = position
        if peek() == UInt8(ascii: "-") { position += 1 }
        let leading = peek()
        let integerDigits = digits()
        guard integerDigits > 0, leading != UInt8(ascii: "0") || integerDigits == 1 else {
            throw failure(expected: "a value")
        }
        var isWhole = true
        if peek() == UInt8(ascii: ".") {
            isWhole = false
            position += 1
            guard digits() > 0 else { throw failure(expected: "digits after the decimal point") }
        }
        if let byte = peek(), byte | 0x20 == UInt8(ascii: "e") {
            isWhole = false
            position += 1
            if let sign = peek(), sign == UInt8(ascii: "+") || sign == UInt8(ascii: "-") { position += 1 }
            guard digits() > 0 else { throw failure(expected: "digits of an exponent") }
        }
        let text = String(decoding: bytes[start..<position], as: UTF8.self)
        if isWhole, let whole = Int(text) { return .integer(whole) }
        guard let real = Double(text), real.isFinite else { throw failure(expected: "a finite number") }
        return .number(real)
    }

    private mutating func digits() -> Int {
        let start = position
        while let byte = peek(), UInt8(ascii: "0")...UInt8(ascii: "9") ~= byte { position += 1 }
        return position - start
    }

    private mutating func word(_ text: StaticString, _ value: JSONValue) throws -> JSONValue {
        for index in 0..<text.utf8CodeUnitCount {
            guard peek() == text.utf8Start[index] else { throw failure(expected: "a value") }
            position += 1
        }
        return value
    }

    // MARK: Bytes and errors

    private func peek() -> UInt8? { position < bytes.count ? bytes[position] : nil }

    private mutating func next() -> UInt8? {
        skipSpace()
        return peek()
    }

    private mutating func skipSpace() { position = firstByte(from: position) }

    private func firstByte(from start: Int) -> Int {
        var index = start
        while index < bytes.count, [0x20, 0x0A, 0x0D, 0x09].contains(bytes[index]) { index += 1 }
        return index
    }

    private mutating func expect(_ character: Unicode.Scalar) throws {
        guard next() == UInt8(ascii: character) else { throw failure(expected: "`\(character)`") }
        position += 1
    }

    /// The error for a key that appears twice in one object.
    func duplicate(_ key: String) -> CheckpointError {
        CheckpointError("\(file): the key \"\(shown(key))\" appears twice in one JSON object")
    }

    /// The error for text that is not what it should be at the current position.
    func failure(expected: String) -> CheckpointError {
        let found =
            switch peek() {
            case nil: "the end of the text"
            case let byte? where byte > 0x20 && byte < 0x7F: "`\(Unicode.Scalar(byte))`"
            case let byte?: "byte 0x\(String(byte, radix: 16, uppercase: true))"
            }
        return CheckpointError("\(file): bad JSON at byte \(position)", expected: expected, found: found)
    }
}
