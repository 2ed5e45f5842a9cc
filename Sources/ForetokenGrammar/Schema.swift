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

    /// The value at a path; nil where there is none.
    static func find(_ path: String, in root: JSONValue) -> JSONValue? {
        var value = root
        for part in path.unicodeScalars.split(separator: "/", omittingEmptySubsequences: false).dropFirst() {
            var (key, isEscape) = ("", false)
            for scalar in part {
                switch (isEscape, scalar) {
                case (true, "0"): key += "~"
                case (true, "1"): key += "/"
                case (true, _): return nil
                case (false, "~"): break
                default: key.unicodeScalars.append(scalar)
                }
                isEscape = !isEscape && scalar == "~"
            }
            switch value {
            case .object(let object):
                guard !isEscape, let next = object[key] else { return nil }
                value = next
            case .array(let values):
                guard let index = Int(key), "\(index)" == key, values.indices.contains(index) else { return nil }
                value = values[index]
            default: return nil
            }
        }
        return value
    }

    /// A path from a schema as a message may show it.
    static func shown(_ path: String) -> String { JSONValue.string(path).shortDescription }
}
