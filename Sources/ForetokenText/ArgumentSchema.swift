import ForetokenJSON

/// What the declared schema of one argument lets it be. Formats that write texts bare and all else as JSON cannot do without.
package enum ArgumentKind: Sendable {
    /// A text and nothing else.
    case text
    /// A text or null.
    case textOrNull
    /// Anything but a text.
    case json
    /// Nobody knows.
    case either
}

/// The declared schema of a tool's arguments.
struct ArgumentSchema {
    /// One argument.
    struct Property {
        let key: String
        let schema: JSONValue
        let isRequired: Bool
    }

    private struct Kinds: OptionSet {
        let rawValue: Int
        static let text = Kinds(rawValue: 1)
        static let null = Kinds(rawValue: 2)
        static let other = Kinds(rawValue: 4)
        static let all: Kinds = [.text, .null, .other]
    }

    /// Schemas may refer to each other so often; no published one does more than once.
    private static let deepest = 16
    /// More arguments of a tool, or more looks at what the arguments of all tools of a request may be, would be hostile; nothing
    /// is known of such arguments then.
    private static let mostProperties = 1024
    private static let mostLooks = 1 << 14

    /// What references may name, by their whole text.
    private let definitions: [String: JSONValue]
    private let root: JSONObject
    /// The arguments that it names, in order; nil where it is no object of named arguments.
    let properties: [Property]?
    /// Whether there may be arguments that it does not name.
    let isOpen: Bool

    init(_ schema: JSONValue?) {
        root = schema?.object ?? JSONObject()
        var definitions: [String: JSONValue] = [:]
        for key in ["$defs", "definitions"] {
            for member in root[key]?.object?.members ?? [] { definitions["#/\(key)/\(member.key)"] = member.value }
        }
        self.definitions = definitions
        let object = Self.resolved(schema ?? .bool(true), definitions)?.object
        isOpen = object?["additionalProperties"] != .bool(false)
        guard let object, ["anyOf", "oneOf", "allOf", "enum", "const"].allSatisfy({ object[$0] == nil }) else {
            properties = nil
            return
        }
        let named = object["properties"]?.object?.members.map { ($0.key, $0.value) } ?? []
        var required: [String] = []
        if case .array(let keys)? = object["required"] { required = keys.compactMap(\.string) }
        var seen = Set(named.map(\.0))
        let isRequired = Set(required)
        let others = required.filter { seen.insert($0).inserted }.map { ($0, JSONValue.bool(true)) }
        guard named.count + others.count <= Self.mostProperties else {
            properties = nil
            return
        }
        properties = (named + others).map { key, schema in
            Property(key: key, schema: schema, isRequired: isRequired.contains(key))
        }
    }

    /// What a schema may be that refers to another of the same document; nil where it refers to what is not there.
    private static func resolved(_ schema: JSONValue, _ definitions: [String: JSONValue]) -> JSONValue? {
        var schema = schema
        for _ in 0..<deepest {
            guard let reference = schema.object?["$ref"]?.string else { return schema }
            guard let next = definitions[reference] else { return nil }
            schema = next
        }
        return nil
    }

    private func object(_ schema: JSONValue) -> JSONObject? { Self.resolved(schema, definitions)?.object }

    /// What an argument's schema lets it be.
    /// - Parameter looks: how many there were for the request so far.
    func kind(_ schema: JSONValue, _ looks: inout Int) -> ArgumentKind {
        let kinds = kinds(schema, &looks, depth: 0)
        if kinds == .text { return .text }
        if kinds == [.text, .null] { return .textOrNull }
        return kinds.isEmpty || kinds.contains(.text) ? .either : .json
    }

    private func kinds(_ schema: JSONValue, _ looks: inout Int, depth: Int) -> Kinds {
        looks += 1
        guard looks < Self.mostLooks, depth < Self.deepest, let object = object(schema) else { return .all }
        // Long ones count as more.
        looks += object.members.count / 16
        func kind(of value: JSONValue) -> Kinds { value.string != nil ? .text : value == .null ? .null : .other }
        func kind(of type: String) -> Kinds { type == "string" ? .text : type == "null" ? .null : .other }
        if let value = object["const"] { return kind(of: value) }
        if case .array(let values)? = object["enum"] {
            looks += values.count / 64
            return values.reduce(into: []) { $0.formUnion(kind(of: $1)) }
        }
        if let type = object["type"]?.string { return kind(of: type) }
        if case .array(let types)? = object["type"] {
            return types.compactMap(\.string).reduce(into: []) { $0.formUnion(kind(of: $1)) }
        }
        for key in ["anyOf", "oneOf"] {
            guard case .array(let schemas)? = object[key] else { continue }
            var union: Kinds = []
            for schema in schemas {
                union.formUnion(kinds(schema, &looks, depth: depth + 1))
                if looks >= Self.mostLooks || union == .all { return .all }
            }
            return union
        }
        if case .array(let schemas)? = object["allOf"], !schemas.isEmpty {
            var common = Kinds.all
            for schema in schemas {
                common.formIntersection(kinds(schema, &looks, depth: depth + 1))
                if looks >= Self.mostLooks { return .all }
            }
            return common
        }
        if ["properties", "required", "additionalProperties", "items", "prefixItems"].contains(where: {
            object[$0] != nil
        }) {
            return .other
        }
        return .all
    }

    /// The values that an argument must be one of, as they are written: texts bare, all else as JSON. nil where it is no such
    /// argument.
    func choices(_ schema: JSONValue) -> [String]? {
        guard let object = object(schema) else { return nil }
        let values: [JSONValue]? =
            if let value = object["const"] { [value] } else if case .array(let values)? = object["enum"] { values } else
            { nil }
        return values.flatMap { $0.isEmpty ? nil : $0.map { $0.string ?? $0.text } }
    }

    /// Keywords that say more of texts than that they are texts.
    private static let constraints = ["pattern", "format", "minLength", "maxLength", "enum", "const", "not", "if"]
    /// Keywords that say nothing of what a value is.
    private static let remarks: Set = [
        "title", "description", "default", "examples", "deprecated", "readOnly", "writeOnly", "$comment",
    ]

    /// Where a schema says more of texts than that they are texts, which bare text cannot be held to: keywords and numbers with
    /// strokes between; nil where it does not.
    /// - Parameter looks: how many there were for the request so far.
    func constraint(_ schema: JSONValue, _ looks: inout Int) -> String? {
        constraint(schema, &looks, depth: 0)
    }

    private func constraint(_ schema: JSONValue, _ looks: inout Int, depth: Int) -> String? {
        guard let object = schema.object else { return nil }
        if let keyword = Self.constraints.first(where: { object[$0] != nil }) { return keyword }
        var parts: [(path: String, schema: JSONValue)] = []
        if let reference = object["$ref"] {
            guard let next = reference.string.flatMap({ definitions[$0] }) else { return "$ref" }
            parts.append(("$ref", next))
        }
        for key in ["anyOf", "oneOf", "allOf"] {
            guard case .array(let schemas)? = object[key] else { continue }
            for (index, schema) in schemas.enumerated() { parts.append(("\(key)/\(index)", schema)) }
        }
        for part in parts {
            looks += 1
            // Nobody knows what is in there.
            guard looks < Self.mostLooks, depth < Self.deepest else { return part.path }
            if let place = constraint(part.schema, &looks, depth: depth + 1) { return part.path + "/" + place }
        }
        return nil
    }

    /// Whether a schema lets a value be anything.
    func saysNothing(_ schema: JSONValue) -> Bool {
        schema == .bool(true) || schema.object?.members.allSatisfy { Self.remarks.contains($0.key) } == true
    }

    /// An argument's schema by itself, with what it may refer to.
    func alone(_ schema: JSONValue) -> JSONValue {
        guard case .object(var object) = schema else { return schema }
        for key in ["$defs", "definitions"] {
            if let definitions = root[key], object[key] == nil { object[key] = definitions }
        }
        return .object(object)
    }

    /// What the arguments of each tool may be, by the tools' and the arguments' names.
    static func kinds(of tools: [JSONValue]) -> [String: [String: ArgumentKind]] {
        var kinds: [String: [String: ArgumentKind]] = [:]
        var looks = 0
        for tool in tools where looks < mostLooks {
            guard let function = tool.object?["function"]?.object, let name = function["name"]?.string else { continue }
            let schema = ArgumentSchema(function["parameters"])
            var own: [String: ArgumentKind] = [:]
            for property in schema.properties ?? [] where looks < mostLooks {
                own[property.key] = schema.kind(property.schema, &looks)
            }
            kinds[name] = own
        }
        return kinds
    }
}
