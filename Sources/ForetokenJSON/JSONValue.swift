/// A JSON document as a tree. Two values are equal where they mean the same, however they are spelt: numbers by value,
/// strings by their scalars (not by canonical equivalence), objects whatever the order of their members.
public enum JSONValue: Sendable {
    /// `null`
    case null
    /// `true` or `false`
    case bool(Bool)
    /// Any number; see `JSONNumber` for Python's words.
    case number(JSONNumber)
    /// A string, unescaped.
    case string(String)
    /// A list.
    case array([JSONValue])
    /// An object.
    case object(JSONObject)

    /// Reads a whole document.
    /// - Throws: `JSONError` with the byte where reading had to end.
    public init(_ bytes: [UInt8], deepest: Int = JSONReader.usualDepth) throws(JSONError) {
        self = try JSONReader.read(bytes, deepest: deepest) { (reader) throws(JSONError) in
            let value = try reader.value()
            try reader.finish()
            return value
        }
    }

    /// The value as an error message shows it: numbers as they are spelt, strings cut when long, of lists the values where they
    /// are few and simple.
    public var shortDescription: String {
        switch self {
        case .null: "null"
        case .bool(let value): String(value)
        case .number(let value): value.description
        case .string(let value): quoted(value)
        case .array(let values):
            values.count <= 4 && values.allSatisfy(\.isSimple)
                ? "[\(values.map(\.shortDescription).joined(separator: ", "))]" : "a list of \(values.count)"
        case .object: "an object"
        }
    }

    private var isSimple: Bool {
        switch self {
        case .array, .object: false
        default: true
        }
    }

    /// The number, if it is a whole one that fits `Int`.
    public var integer: Int? { if case .number(let value) = self { value.integer } else { nil } }

    /// The string, if it is one.
    public var string: String? { if case .string(let value) = self { value } else { nil } }

    /// The object, if it is one.
    public var object: JSONObject? { if case .object(let value) = self { value } else { nil } }

    /// Whether no number in it is one that JSON has no words for, such as Python's NaN.
    public var isFinite: Bool {
        switch self {
        case .number(let number): number.double.isFinite
        case .array(let values): values.allSatisfy(\.isFinite)
        case .object(let object): object.members.allSatisfy { $0.value.isFinite }
        default: true
        }
    }
}

extension JSONValue: Equatable {
    /// By value; see the type.
    public static func == (left: Self, right: Self) -> Bool {
        switch (left, right) {
        case (.null, .null): true
        case (.bool(let left), .bool(let right)): left == right
        case (.number(let left), .number(let right)): left == right
        case (.string(let left), .string(let right)): isSame(left, right)
        case (.array(let left), .array(let right)): left == right
        case (.object(let left), .object(let right)): left == right
        default: false
        }
    }
}

/// Whether two texts have the same scalars. Swift's own equality is wider: "é" may be one scalar or two.
func isSame(_ left: String, _ right: String) -> Bool { left == right && left.utf8.elementsEqual(right.utf8) }

/// An object's members in the order of the document, every key once.
public struct JSONObject: Sendable {
    /// A key with its value.
    public struct Member: Sendable {
        /// The key, unescaped.
        public let key: String
        /// Its value.
        public let value: JSONValue
    }

    /// The members in the order of the document.
    public private(set) var members: [Member] = []

    /// An object without members.
    public init() {}

    /// `key` must be new.
    mutating func append(_ key: String, _ value: JSONValue) { members.append(Member(key: key, value: value)) }

    /// The value of a key; nil where there is none, which is not the same as null. Looks at one member after the other. A key
    /// that gets its first value comes last, and one that gets nil goes.
    public subscript(key: String) -> JSONValue? {
        get { members.first { isSame($0.key, key) }?.value }
        set {
            let member = newValue.map { Member(key: key, value: $0) }
            guard let place = members.firstIndex(where: { isSame($0.key, key) }) else {
                if let member { members.append(member) }
                return
            }
            members.replaceSubrange(place...place, with: [member].compactMap(\.self))
        }
    }
}

extension JSONObject: Equatable {
    /// Whether both have the same keys with equal values.
    public static func == (left: Self, right: Self) -> Bool {
        guard left.members.count == right.members.count else { return false }
        let values = Dictionary(
            right.members.map { (Array($0.key.utf8), $0.value) }, uniquingKeysWith: { first, _ in first })
        return left.members.allSatisfy { values[Array($0.key.utf8)] == $0.value }
    }
}

// MARK: Writing

/// Any key.
private struct MemberKey: CodingKey {
    let stringValue: String
    let intValue: Int? = nil
    init(stringValue: String) { self.stringValue = stringValue }
    init?(intValue: Int) { nil }
}

extension JSONValue: Encodable {
    /// Encodes the tree, for results that quote a document.
    public func encode(to encoder: any Encoder) throws {
        guard case .object(let object) = self else {
            var container = encoder.singleValueContainer()
            switch self {
            case .bool(let value): try container.encode(value)
            case .number(let value): try container.encode(value)
            case .string(let value): try container.encode(value)
            case .array(let values): try container.encode(values)
            case .null, .object: try container.encodeNil()
            }
            return
        }
        var container = encoder.container(keyedBy: MemberKey.self)
        for member in object.members {
            try container.encode(member.value, forKey: MemberKey(stringValue: member.key))
        }
    }
}
