import ForetokenJSON

/// Whether the schemas of a `oneOf` obviously exclude each other, so that it means `anyOf`.
struct Exclusion {
    private let root: JSONValue

    init(_ root: JSONValue) { self.root = root }

    /// - Throws: `GrammarError` naming the first two that might both fit a value.
    func check(_ schemas: [JSONValue], _ path: String) throws(GrammarError) {
        let most = 64
        guard schemas.count <= most else { throw GrammarError(path, "\"oneOf\" of more than \(most) schemas") }
        var known: [Known?] = []
        for schema in schemas { known.append(try? self.known(schema)) }
        for (right, second) in known.enumerated() {
            for (left, first) in known.prefix(right).enumerated() {
                if let first, let second, first.excludes(second) { continue }
                throw GrammarError(
                    path,
                    "\"oneOf\" is supported only where its schemas obviously exclude each other, by type, by values or by a "
                        + "required property with other values; \(left) and \(right) might not: use \"anyOf\"")
            }
        }
    }

    /// What is easily known of all values that fit a schema.
    private struct Known {
        var types: Set<String>
        /// All values, where the schema lists them.
        var values: [JSONValue]?
        /// The values of required properties that list them, by the bytes of their names.
        var members: [[UInt8]: [JSONValue]] = [:]

        func excludes(_ other: Known) -> Bool {
            let shared = types.intersection(other.types)
            if shared.isEmpty { return true }
            if let values, let others = other.values { return !values.contains(where: others.contains) }
            guard shared == ["object"] else { return false }
            return members.contains { name, values in
                other.members[name].map { others in !values.contains(where: others.contains) } ?? false
            }
        }
    }

    /// - Throws: `GrammarError` where the schema is damaged, which its reader will tell better.
    private func known(_ schema: JSONValue, references: Int = 0) throws(GrammarError) -> Known {
        guard case .object(let object) = schema else { return Known(types: Set(SchemaReader.types)) }
        let schema = Schema(object, "")
        if schema["$ref"] != nil, references < 16,
            let target = SchemaPath.find(try schema.reference(), in: root)
        {
            return try known(target, references: references + 1)
        }
        let keywords = schema.members.map(\.key)
        guard !keywords.contains(where: SchemaReader.combining.contains) else {
            return Known(types: Set(SchemaReader.types))
        }
        var types = Set(try schema.types())
        if types.contains("number") { types.insert("integer") }
        if types.contains("integer") { types.insert("number") }
        var known = Known(types: types, values: Self.values(schema))
        if let values = known.values {
            known.types = Set(SchemaReader.types.filter { type in values.contains { $0.hasType(among: [type]) } })
        }
        guard case .array(let required)? = schema["required"], case .object(let properties)? = schema["properties"]
        else {
            return known
        }
        for member in properties.members.prefix(64) where required.contains(.string(member.key)) {
            guard case .object(let property) = member.value else { continue }
            known.members[Array(member.key.utf8)] = Self.values(Schema(property, ""))
        }
        return known
    }

    private static func values(_ schema: Schema) -> [JSONValue]? {
        if let value = schema["const"] { return [value] }
        guard case .array(let values)? = schema["enum"], values.count <= 64 else { return nil }
        return values
    }
}
