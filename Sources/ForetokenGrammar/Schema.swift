import ForetokenJSON

/// The keywords of one schema, with its path for errors.
struct Schema {
    let path: String
    private let object: JSONObject

    init(_ object: JSONObject, _ path: String) {
        self.object = object
        self.path = path
    }

    var members: [JSONObject.Member] { object.members }

    subscript(keyword: String) -> JSONValue? { object[keyword] }

    func path(_ keyword: String) -> String { SchemaPath.join(path, keyword) }

    func mismatch(_ keyword: String, _ expected: String) -> GrammarError {
        GrammarError(path(keyword), "expected \(expected), found \(self[keyword]?.shortDescription ?? "nothing")")
    }

    func refuse(_ keywords: [String], beside keyword: String) throws(GrammarError) {
        guard let first = keywords.first else { return }
        throw GrammarError(path(first), "the keyword \"\(first)\" is not supported beside \"\(keyword)\"")
    }

    /// A whole number from 0 to the largest that is taken; nil where the keyword is absent.
    func count(_ keyword: String) throws(GrammarError) -> Int? {
        guard let value = self[keyword] else { return nil }
        guard let count = value.integer, 0...SchemaReader.largestCount ~= count else {
            throw mismatch(keyword, "a whole number from 0 to \(SchemaReader.largestCount)")
        }
        return count
    }

    /// The types that its values may have; by its keywords where it does not say.
    func types() throws(GrammarError) -> [String] {
        let names: [String]
        switch self["type"] {
        case nil:
            let kinds = members.compactMap { SchemaReader.typed[$0.key] }
            // An integer is a number.
            let all = SchemaReader.types.filter { $0 != "integer" }
            return kinds.isEmpty ? all : all.filter(kinds.contains)
        case .string(let name)?: names = [name]
        case .array(let values)?: names = values.compactMap(\.string)
        default: names = []
        }
        let isList = if case .array(let values) = self["type"] { values.count == names.count } else { true }
        guard isList, !names.isEmpty, Set(names).count == names.count, Set(names).isSubset(of: SchemaReader.types)
        else {
            throw mismatch("type", "one of \(SchemaReader.types.joined(separator: ", ")), or a list of them")
        }
        return names
    }

    /// Where its `$ref` leads, as a path of this document.
    func reference() throws(GrammarError) -> String {
        guard let text = self["$ref"]?.string, text == "#" || text.hasPrefix("#/"), !text.contains("%") else {
            throw mismatch("$ref", "a place in the same schema, such as \"#/$defs/name\"")
        }
        return text
    }
}

/// Paths in a document: JSON pointers behind `#`.
enum SchemaPath {
    static func join(_ path: String, _ key: String) -> String {
        guard key.utf8.contains(where: { $0 == UInt8(ascii: "~") || $0 == UInt8(ascii: "/") }) else {
            return "\(path)/\(key)"
        }
        let escaped = key.unicodeScalars.map { $0 == "~" ? "~0" : $0 == "/" ? "~1" : String($0) }
        return "\(path)/\(escaped.joined())"
    }

    /// A path from a schema as a message may show it.
    static func shown(_ path: String) -> String { JSONValue.string(path).shortDescription }
}

/// A value of a document, from which paths lead on. What an object or a list holds is indexed once it is asked for.
final class SchemaPlace {
    let value: JSONValue
    private lazy var parts: [[UInt8]: SchemaPlace] = {
        let parts: [(String, JSONValue)] =
            switch value {
            case .object(let object): object.members.map { ($0.key, $0.value) }
            case .array(let values): values.enumerated().map { ("\($0)", $1) }
            default: []
            }
        return Dictionary(
            parts.map { (Array($0.utf8), SchemaPlace($1)) }, uniquingKeysWith: { first, _ in first })
    }()

    init(_ value: JSONValue) { self.value = value }

    /// The value at a path; nil where there is none.
    func find(_ path: String) -> JSONValue? {
        var place = self
        for part in path.utf8.split(separator: UInt8(ascii: "/"), omittingEmptySubsequences: false).dropFirst() {
            var (key, isEscape) = ([UInt8](), false)
            for byte in part {
                switch (isEscape, byte) {
                case (true, UInt8(ascii: "0")): key.append(UInt8(ascii: "~"))
                case (true, UInt8(ascii: "1")): key.append(UInt8(ascii: "/"))
                case (true, _): return nil
                case (false, UInt8(ascii: "~")): break
                default: key.append(byte)
                }
                isEscape = !isEscape && byte == UInt8(ascii: "~")
            }
            guard !isEscape, let next = place.parts[key] else { return nil }
            place = next
        }
        return place.value
    }
}
