/// The one reader of JSON: strict, over bytes, handing out one value after the other, so that neither a header of 100 MB
/// nor a list of a million numbers becomes a tree.
///
///     try reader.beginObject()
///     while try reader.nextKey() {
///         switch reader.key { … read exactly one value, or skip() … }
///     }
///     try reader.finish()
///
/// Beyond RFC 8259 it accepts what published files have: a UTF-8 byte-order mark at the start, and `Infinity`,
/// `-Infinity` and `NaN` as Python writes them, which only `number()` and `value()` return. A key that an object repeats
/// with an equal value is passed over; with another value it is refused. Containers nest at most `deepest` levels.
public struct JSONReader {
    /// Levels of containers inside each other, unless the caller knows better.
    public static let usualDepth = 64

    let bytes: UnsafeBufferPointer<UInt8>
    /// The next byte to read, counted from the start of the document.
    public internal(set) var position = 0
    /// The last key or string, unescaped, valid UTF-8.
    public internal(set) var text: [UInt8] = []
    /// Where the last key began, its quotation mark included.
    public private(set) var keyOffset = 0
    /// Where the value of the last key begins; nil before the first key.
    private var valueOffset: Int?
    /// Whether the outermost object's repeated keys are handed out as often as they stand there, for those who edit the
    /// text. Their values have been compared all the same.
    public var showsRepeatedKeys = false

    private let deepest: Int
    private var depth = 0
    /// Whether the innermost container has just been opened, so that no comma is due.
    private var isFresh = false
    private var keys = KeyLedger()
    /// Whether repeated keys are known to agree, since the same bytes have been read before.
    private var isSecondReading = false

    /// `bytes` must outlive the reader.
    public init(_ bytes: UnsafeBufferPointer<UInt8>, deepest: Int = Self.usualDepth) {
        self.bytes = bytes
        self.deepest = deepest
        if bytes.starts(with: [0xEF, 0xBB, 0xBF]) { position = 3 }
    }

    /// Lets `body` read `bytes`.
    public static func read<Result, Failure: Error>(
        _ bytes: [UInt8], deepest: Int = Self.usualDepth, _ body: (inout JSONReader) throws(Failure) -> Result
    ) throws(Failure) -> Result {
        try bytes.withUnsafeBufferPointer { (buffer) throws(Failure) -> Result in
            var reader = JSONReader(buffer, deepest: deepest)
            return try body(&reader)
        }
    }

    // MARK: Containers

    /// Enters an object.
    public mutating func beginObject() throws(JSONError) {
        try begin("{", "an object")
        keys.open()
    }

    /// Enters a list.
    public mutating func beginArray() throws(JSONError) { try begin("[", "a list") }

    private mutating func begin(_ bracket: Unicode.Scalar, _ name: String) throws(JSONError) {
        guard peek() == UInt8(ascii: bracket) else { throw mismatch(expected: name) }
        guard depth < deepest else { throw error("more than \(deepest) levels of lists and objects") }
        position += 1
        depth += 1
        isFresh = true
    }

    /// Moves to the next member and reads its key into `text`; false after the closing brace.
    public mutating func nextKey() throws(JSONError) -> Bool {
        while try advance(closing: "}") {
            guard peek() == UInt8(ascii: "\"") else { throw error(expected: "a key in quotation marks") }
            keyOffset = position
            try readString()
            guard peek() == UInt8(ascii: ":") else { throw error(expected: "a colon after the key") }
            position += 1
            skipSpace()
            valueOffset = position
            guard let earlier = keys.note(text, value: position) else { return true }
            let (name, start) = (text, position)
            try passRepeated(earlier)
            guard showsRepeatedKeys, depth == 1 else { continue }
            (text, position, valueOffset) = (name, start, start)
            return true
        }
        keys.close()
        return false
    }

    /// The last key, right after `nextKey`.
    public var key: String { String(decoding: text, as: UTF8.self) }

    /// Passes over a value whose key the object has had before, with the value that begins at `earlier`.
    private mutating func passRepeated(_ earlier: Int) throws(JSONError) {
        if isSecondReading { return try skip() }
        let (name, offset) = (key, keyOffset)
        var reader = JSONReader(bytes, deepest: deepest)
        (reader.position, reader.depth, reader.isSecondReading) = (earlier, depth, true)
        let first = try reader.value()
        guard try value() == first else {
            throw JSONError("the key \(quoted(name)) appears twice in one object, with different values", at: offset)
        }
    }

    /// Moves to the next element; false after the closing bracket.
    public mutating func nextElement() throws(JSONError) -> Bool { try advance(closing: "]") }

    private mutating func advance(closing bracket: Unicode.Scalar) throws(JSONError) -> Bool {
        let next = peek()
        if next == UInt8(ascii: bracket) {
            position += 1
            depth -= 1
            isFresh = false
            return false
        }
        if !isFresh {
            guard next == UInt8(ascii: ",") else {
                throw (try? kind()) == nil ? error(expected: "`,` or `\(bracket)`") : error("a comma is missing")
            }
            let comma = position
            position += 1
            guard peek() != UInt8(ascii: bracket) else {
                throw JSONError("a comma too many before `\(bracket)`", at: comma)
            }
        }
        isFresh = false
        return true
    }

    /// Requires that nothing but white space follows.
    public mutating func finish() throws(JSONError) {
        guard peek() == nil else { throw error("something follows the end of the JSON value: \(found)") }
    }

    // MARK: Values

    /// What kind of value begins at the next byte.
    public enum Kind: Sendable {
        /// `{`
        case object
        /// `[`
        case array
        /// `"`
        case string
        /// A digit or a minus, or one of Python's words for what is not finite.
        case number
        /// `true` or `false`
        case bool
        /// `null`
        case null

        /// What messages call it.
        fileprivate var name: String {
            switch self {
            case .object: "an object"
            case .array: "a list"
            case .string: "a string"
            case .number: "a number"
            case .bool: "true or false"
            case .null: "null"
            }
        }
    }

    /// The kind of the next value, which is not consumed. Only its first byte is looked at.
    public mutating func kind() throws(JSONError) -> Kind {
        guard let next = peek() else { throw error(expected: "a value") }
        switch next {
        case UInt8(ascii: "{"): return .object
        case UInt8(ascii: "["): return .array
        case UInt8(ascii: "\""): return .string
        case UInt8(ascii: "t"), UInt8(ascii: "f"): return .bool
        case UInt8(ascii: "n"): return .null
        case UInt8(ascii: "-"), UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "I"), UInt8(ascii: "N"):
            return .number
        default: throw error(expected: "a value")
        }
    }

    /// Reads null if it comes next.
    public mutating func takeNull() throws(JSONError) -> Bool {
        guard peek() == UInt8(ascii: "n") else { return false }
        guard take("null") else { throw error(expected: "a value") }
        return true
    }

    /// Reads `true` or `false`.
    public mutating func bool() throws(JSONError) -> Bool {
        skipSpace()
        if take("true") { return true }
        guard take("false") else {
            let expected = "true or false"
            throw (try? kind()) == .bool ? error(expected: expected) : mismatch(expected: expected)
        }
        return false
    }

    /// Reads any value into a tree.
    public mutating func value() throws(JSONError) -> JSONValue {
        switch try kind() {
        case .object:
            var object = JSONObject()
            try beginObject()
            while try nextKey() {
                let key = key
                object.append(key, try value())
            }
            return .object(object)
        case .array:
            var elements: [JSONValue] = []
            try beginArray()
            while try nextElement() { elements.append(try value()) }
            return .array(elements)
        case .string: return .string(try string())
        case .number: return .number(try number())
        case .bool: return .bool(try bool())
        case .null:
            guard try takeNull() else { throw error(expected: "a value") }
            return .null
        }
    }

    /// Passes over any value, which must be sound all the same.
    public mutating func skip() throws(JSONError) {
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
        case .null: _ = try takeNull()
        }
    }

    // MARK: Bytes and errors

    /// Passes over a word if the next bytes are it.
    mutating func take(_ word: StaticString) -> Bool {
        let length = word.utf8CodeUnitCount
        guard bytes.count - position >= length else { return false }
        for index in 0..<length where bytes[position + index] != word.utf8Start[index] { return false }
        position += length
        return true
    }

    mutating func skipSpace() {
        while position < bytes.count {
            switch bytes[position] {
            case 0x20, 0x09, 0x0A, 0x0D: position += 1
            default: return
            }
        }
    }

    /// The next byte that is not white space, not consumed; nil at the end.
    mutating func peek() -> UInt8? {
        skipSpace()
        return position < bytes.count ? bytes[position] : nil
    }

    /// An error about the next byte.
    public func error(_ reason: String) -> JSONError { JSONError(reason, at: position) }

    /// An error about the next byte, which is not what it should be.
    public func error(expected: String) -> JSONError { error("expected \(expected), found \(found)") }

    /// An error about the next value, which is of another type than it should be; about the next byte where no sound value is.
    mutating func mismatch(expected: String) -> JSONError {
        var reader = self
        reader.isSecondReading = true
        guard let found = try? kind(), (try? reader.skip()) != nil else { return error(expected: expected) }
        guard position == valueOffset else {
            return JSONError("expected \(expected), found \(found.name)", at: position, isAboutType: true)
        }
        (reader.position, reader.text) = (keyOffset, [])
        let key = (try? reader.string()) ?? ""
        return JSONError(
            "expected \(expected) as the value of \(quoted(key)), found \(found.name)", at: position, isAboutType: true)
    }

    /// The next byte as a message names it.
    private var found: String {
        guard position < bytes.count else { return "the end of the text" }
        switch bytes[position] {
        case UInt8(ascii: "\""): return "a string"
        case 0x21...0x7E: return "`\(Unicode.Scalar(bytes[position]))`"
        case let byte where byte < 0x80: return "the control character \(Self.codePoint(byte))"
        case let byte: return "the byte 0x\(String(byte, radix: 16, uppercase: true))"
        }
    }

    static func codePoint(_ byte: UInt8) -> String {
        "U+00" + (byte < 0x10 ? "0" : "") + String(byte, radix: 16, uppercase: true)
    }
}
