import ForetokenJSON
import ForetokenTestSupport

/// Random schemas of the supported kind, and values that fit them.
struct RandomSchemas {
    var random: SeededGenerator
    /// Whether members that a schema does not name may be there: their names could repeat.
    var allowsOthers = true

    private static let names = ["a", "b", "ab", "é", "x\"y", "long name", "n\n"]
    static let patterns = [
        "^[a-z]{2,4}$", "^(foo|bar)+$", "b", "^\\d{3}-[^x]", "é|^ß", "^(a|ab)(c|bcd)(d*)$", "\"\\\\",
    ]

    /// A schema with definitions that it may refer to.
    mutating func schema() -> String {
        let definitions = (0..<3).map { "\"\($0)\": \(part(2))" }.joined(separator: ", ")
        let body = object(3).dropFirst()
        return "{\"$defs\": {\(definitions)}, \(body)"
    }

    private mutating func part(_ depth: Int) -> String {
        let kinds = depth > 0 ? 16 : 9
        switch random.below(kinds) {
        case 0: return #"{"type": "integer"}"#
        case 1: return #"{"type": "number", "title": "number"}"#
        case 2: return #"{"type": "boolean"}"#
        case 3: return #"{"type": ["null", "string"]}"#
        case 4: return #"{"type": "string"}"#
        case 5:
            let least = random.below(4)
            return #"{"type": "string", "minLength": \#(least), "maxLength": \#(least + random.below(4))}"#
        case 6: return #"{"type": "string", "pattern": \#(JSONValue.string(random.choice(Self.patterns)).text)}"#
        case 7: return #"{"enum": ["a", "ab", 1, 10, -2.5, null, {"a": [1, "é"]}, []]}"#
        case 8: return #"{"const": \#(random.choice(["\"c\"", "12", "{\"a\": 1, \"b\": {}}", "[[true]]"]))}"#
        case 9, 10: return object(depth)
        case 11, 12: return list(depth)
        case 13: return allowsOthers ? random.choice(["{}", "true", #"{"type": "array"}"#]) : #"{"type": "null"}"#
        case 14: return "{\"$ref\": \"#/$defs/\(random.below(3))\"}"
        default:
            let parts = (0..<2 + random.below(2)).map { _ in part(depth - 1) }
            return #"{"anyOf": [\#(parts.joined(separator: ", "))]}"#
        }
    }

    private mutating func object(_ depth: Int) -> String {
        let names = Self.names.shuffled(using: &random).prefix(random.below(5)).map { JSONValue.string($0).text }
        var text = #"{"type": "object", "properties": {"#
        text += names.map { "\($0): \(part(depth - 1))" }.joined(separator: ", ") + "}"
        let required = names.filter { _ in random.isHit(oneIn: 2) }
        if !required.isEmpty { text += #", "required": [\#(required.joined(separator: ", "))]"# }
        let others = ["", #", "additionalProperties": false"#, #", "additionalProperties": {"type": "integer"}"#]
        return text + (allowsOthers ? random.choice(others) : others[1]) + "}"
    }

    private mutating func list(_ depth: Int) -> String {
        var text = #"{"type": "array", "items": \#(part(depth - 1))"#
        if random.isHit(oneIn: 4) { text += #", "prefixItems": [\#(part(depth - 1))]"# }
        let least = random.below(3)
        if random.isHit(oneIn: 2) { text += #", "minItems": \#(least)"# }
        if random.isHit(oneIn: 2) { text += #", "maxItems": \#(least + random.below(3))"# }
        return text + "}"
    }

    // MARK: Values

    /// A value that fits; nil where none was found within the depth.
    mutating func value(of schema: JSONValue, _ checker: Checker, depth: Int = 6) -> Tree? {
        guard depth > 0 else { return nil }
        guard let object = schema.object else { return schema == .bool(true) ? anything(depth - 1) : nil }
        if let reference = object["$ref"]?.string {
            return value(of: checker.target(reference), checker, depth: depth - 1)
        }
        if case .array(let schemas)? = object["anyOf"] {
            return value(of: random.choice(schemas), checker, depth: depth - 1)
        }
        if let constant = object["const"] { return Tree(constant) }
        if case .array(let values)? = object["enum"] { return Tree(random.choice(values)) }
        let types: [String] =
            switch object["type"] {
            case .string(let name)?: [name]
            case .array(let names)?: names.compactMap(\.string)
            default: []
            }
        guard !types.isEmpty else { return anything(depth - 1) }
        switch random.choice(types) {
        case "object": return members(of: object, checker, depth)
        case "array": return elements(of: object, checker, depth)
        case "string": return string(of: object)
        case "number": return .number(random.choice(["0", "-1.5", "2e9", "100", "0.25E-3"]))
        case "integer": return .number(random.choice(["0", "-7", "12", "1000000000000"]))
        case "boolean": return .bool(random.isHit(oneIn: 2))
        default: return .null
        }
    }

    mutating func anything(_ depth: Int) -> Tree {
        switch random.below(depth > 0 ? 8 : 6) {
        case 0: .null
        case 1: .bool(true)
        case 2: .number(random.choice(["1", "10", "-2.5", "3e2"]))
        case 3: .string(random.choice(Self.names))
        case 4: .string(text(random.below(5)))
        case 5: .string(random.choice(["foo", "c", "abcd", "123-", "12", "\"\\"]))
        case 6: .array((0..<random.below(3)).map { _ in anything(depth - 1) })
        default:
            .object(
                Self.names.shuffled(using: &random).prefix(random.below(3)).map { (String($0), anything(depth - 1)) })
        }
    }

    private mutating func text(_ count: Int) -> String {
        (0..<count).map { _ in random.choice(["a", "Z", "\"", "\\", "\n", "é", "中", "😀", " ", "/", "\u{7F}"]) }.joined()
    }

    private mutating func string(of schema: JSONObject) -> Tree? {
        if let pattern = schema["pattern"]?.string {
            let samples = ["ab", "abcd", "foobar", "b", "123-4", "ß", "abcdd", "\"\\", "x é"]
            return samples.filter { matches(pattern, $0) }.randomElement(using: &random).map { .string($0) }
        }
        let least = schema["minLength"]?.integer ?? 0
        let most = schema["maxLength"]?.integer ?? least + 4
        return .string(text(least + random.below(most - least + 1)))
    }

    private mutating func elements(of schema: JSONObject, _ checker: Checker, _ depth: Int) -> Tree? {
        var first: [JSONValue] = []
        if case .array(let schemas)? = schema["prefixItems"] { first = schemas }
        let least = schema["minItems"]?.integer ?? 0
        let most = schema["maxItems"]?.integer ?? least + 2
        var values: [Tree] = []
        for index in 0..<least + random.below(most - least + 1) {
            let schema = index < first.count ? first[index] : schema["items"] ?? .bool(true)
            guard let value = value(of: schema, checker, depth: depth - 1) else { return nil }
            values.append(value)
        }
        return .array(values)
    }

    private mutating func members(of schema: JSONObject, _ checker: Checker, _ depth: Int) -> Tree? {
        var required: [String] = []
        if case .array(let names)? = schema["required"] { required = names.compactMap(\.string) }
        var members: [(name: String, value: Tree)] = []
        for property in schema["properties"]?.object?.members ?? [] {
            guard required.contains(property.key) || random.isHit(oneIn: 2) else { continue }
            if let value = value(of: property.value, checker, depth: depth - 1) {
                members.append((property.key, value))
            } else if required.contains(property.key) {
                return nil
            }
        }
        let others = schema["additionalProperties"] ?? .bool(true)
        if others != .bool(false), random.isHit(oneIn: 3),
            let value = value(of: others, checker, depth: depth - 1)
        {
            members.append(("other", value))
        }
        return .object(members)
    }

    /// The same value with one part replaced, dropped, repeated or moved.
    mutating func changed(_ value: Tree) -> Tree {
        switch value {
        case .array(var values) where !values.isEmpty && !random.isHit(oneIn: 4):
            let index = random.below(values.count)
            switch random.below(4) {
            case 0: values.remove(at: index)
            case 1: values.append(values[index])
            default: values[index] = changed(values[index])
            }
            return .array(values)
        case .object(var members) where !members.isEmpty && !random.isHit(oneIn: 4):
            let index = random.below(members.count)
            switch random.below(5) {
            case 0: members.remove(at: index)
            case 1: members.append(members.remove(at: index))
            case 2:
                let name = random.choice(Self.names + ["other"])
                if !members.contains(where: { $0.name == name }) { members[index].name = name }
            default: members[index].value = changed(members[index].value)
            }
            return .object(members)
        default: return anything(1)
        }
    }
}
