import ForetokenJSON

/// Whether the schemas of a `oneOf` obviously exclude each other, so that it means `anyOf`.
struct Exclusion {
    /// Bound on what is compared for all of one document.
    private static let mostWork = 1 << 23

    private let root: SchemaPlace
    private var work = 0

    init(_ root: SchemaPlace) { self.root = root }

    /// - Throws: `GrammarError` naming the first two that might both fit a value.
    mutating func check(_ schemas: [JSONValue], _ path: String) throws(GrammarError) {
        let most = 64
        guard schemas.count <= most else { throw GrammarError(path, "\"oneOf\" of more than \(most) schemas") }
        var known: [Known?] = []
        for schema in schemas {
            known.append(try? self.known(schema))
            try spend(0, path)
        }
        for (right, second) in known.enumerated() {
            for (left, first) in known.prefix(right).enumerated() {
                if let first, let second {
                    try spend(1 + first.cost(with: second), path)
                    if first.excludes(second) { continue }
                }
                throw GrammarError(
                    path,
                    "\"oneOf\" is supported only where its schemas obviously exclude each other, by type, by values or by a "
                        + "required property with other values; \(left) and \(right) might not: use \"anyOf\"")
            }
        }
    }

    private mutating func spend(_ amount: Int, _ path: String) throws(GrammarError) {
        work += amount
        guard work <= Self.mostWork else {
            throw GrammarError(path, "the schema is too large: what \"oneOf\" chooses from takes too long to compare")
        }
    }

    /// Values that a schema lists.
    private struct Choices {
        let values: [JSONValue]
        /// How much there is to compare, a short value being 1.
        let size: Int

        init(_ values: [JSONValue]) {
            self.values = values
            size = values.reduce(0) { $0 + Self.size($1) }
        }

        static func size(_ value: JSONValue) -> Int {
            switch value {
            case .string(let text): 1 + text.utf8.count / 8
            case .array(let values): values.reduce(1) { $0 + size($1) }
            case .object(let object): object.members.reduce(1) { $0 + 1 + $1.key.utf8.count / 8 + size($1.value) }
            default: 1
            }
        }

        func cost(with other: Choices) -> Int { min(size * other.values.count, other.size * values.count) }

        func excludes(_ other: Choices) -> Bool { !values.contains(where: other.values.contains) }
    }

    /// What is easily known of all values that fit a schema.
    private struct Known {
        var types: Set<String>
        /// All values, where the schema lists them.
        var values: Choices?
        /// The values of required properties that list them, by the bytes of their names.
        var members: [[UInt8]: Choices] = [:]

        func excludes(_ other: Known) -> Bool {
            let shared = types.intersection(other.types)
            if shared.isEmpty { return true }
            if let values, let others = other.values { return values.excludes(others) }
            guard shared == ["object"] else { return false }
            return members.contains { name, values in other.members[name].map(values.excludes) ?? false }
        }

        /// How much is compared at most to find out.
        func cost(with other: Known) -> Int {
            if let values, let others = other.values { return values.cost(with: others) }
            return members.reduce(0) { sum, member in
                sum + 1 + (other.members[member.key].map(member.value.cost) ?? 0)
            }
        }
    }

    /// - Throws: `GrammarError` where the schema is damaged, which its reader will tell better.
    private mutating func known(_ schema: JSONValue, references: Int = 0) throws(GrammarError) -> Known {
        guard case .object(let object) = schema else { return Known(types: Set(SchemaReader.types)) }
        let schema = Schema(object, "")
        work += 1 + schema.members.count
        if schema["$ref"] != nil, references < 16,
            let target = root.find(try schema.reference())
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
        if let choices = known.values {
            work += choices.size
            known.types = Set(
                SchemaReader.types.filter { type in choices.values.contains { $0.hasType(among: [type]) } })
        }
        guard case .array(let required)? = schema["required"], case .object(let properties)? = schema["properties"]
        else {
            return known
        }
        let names = Set(required.compactMap { $0.string.map { Array($0.utf8) } })
        work += required.reduce(0) { $0 + Choices.size($1) }
        for member in properties.members.prefix(64) where names.contains(Array(member.key.utf8)) {
            guard case .object(let property) = member.value else { continue }
            let choices = Self.values(Schema(property, ""))
            work += property.members.count + (choices?.size ?? 0)
            known.members[Array(member.key.utf8)] = choices
        }
        return known
    }

    private static func values(_ schema: Schema) -> Choices? {
        if let value = schema["const"] { return Choices([value]) }
        guard case .array(let values)? = schema["enum"], values.count <= 64 else { return nil }
        return Choices(values)
    }
}
