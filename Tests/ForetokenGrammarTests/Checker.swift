import ForetokenJSON

/// Says whether a value fits a schema and has its members in the order that grammars write: a plain recursive check that shares
/// nothing with the grammar.
struct Checker {
    let root: JSONValue

    init(_ root: JSONValue) { self.root = root }

    func fits(_ value: Tree) -> Bool { fits(value, root) }

    func target(_ reference: String) -> JSONValue {
        reference.split(separator: "/").dropFirst().reduce(root) { $0.object![String($1)]! }
    }

    func fits(_ value: Tree, _ schema: JSONValue) -> Bool {
        guard let object = schema.object else { return schema == .bool(true) }
        if let reference = object["$ref"]?.string { return fits(value, target(reference)) }
        if case .array(let schemas)? = object["anyOf"] ?? object["oneOf"] ?? object["allOf"] {
            return schemas.contains { fits(value, $0) }
        }
        guard hasType(value, object) else { return false }
        if let constant = object["const"] { return value.text() == constant.text }
        if case .array(let values)? = object["enum"] { return values.contains { value.text() == $0.text } }
        return switch value {
        case .string(let text): fits(text, object)
        case .array(let values): fits(values, object)
        case .object(let members): fits(members, object)
        default: true
        }
    }

    private func hasType(_ value: Tree, _ schema: JSONObject) -> Bool {
        var types: [String] =
            switch schema["type"] {
            case .string(let name)?: [name]
            case .array(let names)?: names.compactMap(\.string)
            default: []
            }
        if types.isEmpty {
            let keys = Set(schema.members.map(\.key))
            if !keys.isDisjoint(with: ["properties", "required", "additionalProperties"]) { types.append("object") }
            if !keys.isDisjoint(with: ["items", "prefixItems", "minItems", "maxItems"]) { types.append("array") }
            if !keys.isDisjoint(with: ["pattern", "minLength", "maxLength"]) { types.append("string") }
            if types.isEmpty { return true }
        }
        return switch value {
        case .null: types.contains("null")
        case .bool: types.contains("boolean")
        case .number(let text):
            types.contains("number") || types.contains("integer") && !text.contains { ".eE".contains($0) }
        case .string: types.contains("string")
        case .array: types.contains("array")
        case .object: types.contains("object")
        }
    }

    private func fits(_ text: String, _ schema: JSONObject) -> Bool {
        let count = text.unicodeScalars.count
        if let least = schema["minLength"]?.integer, count < least { return false }
        if let most = schema["maxLength"]?.integer, count > most { return false }
        guard let pattern = schema["pattern"]?.string else { return true }
        return matches(pattern, text)
    }

    private func fits(_ values: [Tree], _ schema: JSONObject) -> Bool {
        if let least = schema["minItems"]?.integer, values.count < least { return false }
        if let most = schema["maxItems"]?.integer, values.count > most { return false }
        var first: [JSONValue] = []
        if case .array(let schemas)? = schema["prefixItems"] { first = schemas }
        return values.enumerated().allSatisfy { index, value in
            fits(value, index < first.count ? first[index] : schema["items"] ?? .bool(true))
        }
    }

    private func fits(_ members: [(name: String, value: Tree)], _ schema: JSONObject) -> Bool {
        let properties = schema["properties"]?.object?.members ?? []
        if case .array(let required)? = schema["required"] {
            for name in required where !members.contains(where: { $0.name == name.string }) { return false }
        }
        var last = -1
        for member in members {
            if let index = properties.firstIndex(where: { $0.key == member.name }) {
                guard index > last, fits(member.value, properties[index].value) else { return false }
                last = index
            } else {
                guard fits(member.value, schema["additionalProperties"] ?? .bool(true)) else { return false }
                last = Int.max - 1
            }
        }
        return true
    }
}

/// Whether the pattern is found in the text, by Swift's own engine.
func matches(_ pattern: String, _ text: String) -> Bool {
    let regex = try! Regex(pattern).matchingSemantics(.unicodeScalar).asciiOnlyDigits().asciiOnlyWordCharacters()
    return text.contains(regex)
}
