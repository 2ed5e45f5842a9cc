/// A pull parser over the bytes of a JSON file.
///
/// A general decoder turns 128,000 tokens into `String` keys of a dictionary, which costs a second and merges keys
/// that are canonically equal. This one hands out bytes in file order, and never recurses deeper than `deepest`.
///
///     try reader.beginObject()
///     while try reader.nextKey() { … read exactly one value; the key is in reader.text … }
struct JSONReader {
    static let deepest = 64

    let file: String
    /// The last key or string, unescaped, as UTF-8.
    private(set) var text: [UInt8] = []

    private let bytes: UnsafeBufferPointer<UInt8>
    private var position = 0
    private var depth = 0
    /// Whether the innermost container has just been opened, so that no comma is due.
    private var isFresh = false

    /// `bytes` must outlive the reader.
    init(_ bytes: UnsafeBufferPointer<UInt8>, file: String) throws(TokenizerError) {
        self.file = file
        self.bytes = bytes
        if let offset = bytes.firstInvalidUTF8 {
            throw .damaged(file: file, reason: "it is not valid UTF-8 from byte \(offset) on")
        }
    }

    func damaged(_ reason: String) -> TokenizerError {
        .damaged(file: file, reason: "\(reason), at byte \(position) of \(bytes.count)")
    }

    // MARK: Containers

    mutating func beginObject() throws(TokenizerError) { try begin("{", "an object") }

    mutating func beginArray() throws(TokenizerError) { try begin("[", "an array") }

    private mutating func begin(_ bracket: Unicode.Scalar, _ name: String) throws(TokenizerError) {
        guard try peek() == UInt8(ascii: bracket) else { throw damaged("expected \(name)") }
        guard depth < Self.deepest else { throw damaged("more than \(Self.deepest) containers inside each other") }
        position += 1
        depth += 1
        isFresh = true
    }

    /// Moves to the next member and reads its key into `text`; false after the closing brace.
    mutating func nextKey() throws(TokenizerError) -> Bool {
        guard try advance(closing: "}") else { return false }
        try readString()
        guard try peek() == UInt8(ascii: ":") else { throw damaged("expected a colon after a key") }
        position += 1
        return true
    }

    /// Moves to the next element; false after the closing bracket.
    mutating func nextElement() throws(TokenizerError) -> Bool { try advance(closing: "]") }

    private mutating func advance(closing bracket: Unicode.Scalar) throws(TokenizerError) -> Bool {
        let byte = try peek()
        if byte == UInt8(ascii: bracket) {
            position += 1
            depth -= 1
            isFresh = false
            return false
        }
        if !isFresh {
            guard byte == UInt8(ascii: ",") else { throw damaged("expected a comma or \(bracket)") }
            position += 1
        }
        isFresh = false
        return true
    }

    /// Checks that nothing but white space follows.
    mutating func finish() throws(TokenizerError) {
        skipSpace()
        guard position == bytes.count else { throw damaged("unexpected text after the end of the value") }
    }

    // MARK: Values

    enum Kind { case object, array, string, number, bool, null }

    mutating func kind() throws(TokenizerError) -> Kind {
        switch try peek() {
        case UInt8(ascii: "{"): return .object
        case UInt8(ascii: "["): return .array
        case UInt8(ascii: "\""): return .string
        case UInt8(ascii: "t"), UInt8(ascii: "f"): return .bool
        case UInt8(ascii: "n"): return .null
        case UInt8(ascii: "-"), UInt8(ascii: "0")...UInt8(ascii: "9"): return .number
        default: throw damaged("expected a value")
        }
    }

    /// Reads null if it comes next.
    mutating func takeNull() throws(TokenizerError) -> Bool {
        guard try peek() == UInt8(ascii: "n") else { return false }
        try expect("null")
        return true
    }

    mutating func bool() throws(TokenizerError) -> Bool {
        if try peek() == UInt8(ascii: "t") {
            try expect("true")
            return true
        }
        try expect("false")
        return false
    }

    mutating func integer() throws(TokenizerError) -> Int {
        let literal = try number()
        guard let value = Int(literal) else { throw damaged("expected a whole number, found \(literal.prefix(40))") }
        return value
    }

    mutating func string() throws(TokenizerError) -> String {
        try readString()
        return String(decoding: text, as: UTF8.self)
    }

    mutating func skip() throws(TokenizerError) {
        switch try kind() {
        case .object:
            try beginObject()
            while try nextKey() { try skip() }
        case .array:
            try beginArray()
            while try nextElement() { try skip() }
        case .string: try readString()
        case .number: _ = try number()
        case .bool: _ = try bool()
        case .null: try expect("null")
        }
    }

    private mutating func expect(_ word: StaticString) throws(TokenizerError) {
        skipSpace()
        let wanted = UnsafeBufferPointer(start: word.utf8Start, count: word.utf8CodeUnitCount)
        guard bytes.count - position >= wanted.count,
            UnsafeBufferPointer(rebasing: bytes[position..<position + wanted.count]).elementsEqual(wanted)
        else { throw damaged("expected \(word)") }
        position += wanted.count
    }

    private mutating func number() throws(TokenizerError) -> String {
        skipSpace()
        let start = position
        while position < bytes.count, Self.isPartOfNumber(bytes[position]) { position += 1 }
        let literal = String(decoding: bytes[start..<position], as: UTF8.self)
        guard Double(literal) != nil else { throw damaged("expected a number, found \"\(literal.prefix(40))\"") }
        return literal
    }

    private static func isPartOfNumber(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "+"), UInt8(ascii: "."),
            UInt8(ascii: "e"), UInt8(ascii: "E"):
            true
        default: false
        }
    }

    // MARK: Strings

    /// Reads a string into `text`.
    mutating func readString() throws(TokenizerError) {
        guard try peek() == UInt8(ascii: "\"") else { throw damaged("expected a string") }
        position += 1
        text.removeAll(keepingCapacity: true)
        while position < bytes.count {
            let start = position
            while position < bytes.count, bytes[position] >= 0x20, bytes[position] != UInt8(ascii: "\""),
                bytes[position] != UInt8(ascii: "\\")
            {
                position += 1
            }
            text.append(contentsOf: bytes[start..<position])
            guard position < bytes.count else { break }
            switch bytes[position] {
            case UInt8(ascii: "\""):
                position += 1
                return
            case UInt8(ascii: "\\"): try readEscape()
            default: throw damaged("a control character inside a string")
            }
        }
        throw damaged("the file ends inside a string")
    }

    private mutating func readEscape() throws(TokenizerError) {
        guard position + 1 < bytes.count else { throw damaged("the file ends inside an escape") }
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
            var value = try readHexadecimal()
            if 0xD800...0xDBFF ~= value, position + 1 < bytes.count, bytes[position] == UInt8(ascii: "\\"),
                bytes[position + 1] == UInt8(ascii: "u")
            {
                position += 2
                let low = try readHexadecimal()
                guard 0xDC00...0xDFFF ~= low else { throw damaged("half of a surrogate pair") }
                value = 0x10000 + (value - 0xD800) << 10 + (low - 0xDC00)
            }
            guard let scalar = Unicode.Scalar(value) else { throw damaged("half of a surrogate pair") }
            text.append(contentsOf: scalar.utf8)
        default: throw damaged("an unknown escape")
        }
    }

    private mutating func readHexadecimal() throws(TokenizerError) -> UInt32 {
        guard position + 4 <= bytes.count else { throw damaged("the file ends inside an escape") }
        var value: UInt32 = 0
        for byte in bytes[position..<position + 4] {
            guard let digit = Character(Unicode.Scalar(byte)).hexDigitValue else {
                throw damaged("expected four hexadecimal digits")
            }
            value = value << 4 | UInt32(digit)
        }
        position += 4
        return value
    }

    private mutating func skipSpace() {
        while position < bytes.count {
            switch bytes[position] {
            case 0x20, 0x09, 0x0A, 0x0D: position += 1
            default: return
            }
        }
    }

    /// The next byte that is not white space, not yet consumed.
    private mutating func peek() throws(TokenizerError) -> UInt8 {
        skipSpace()
        guard position < bytes.count else { throw damaged("the file ends too early") }
        return bytes[position]
    }
}
