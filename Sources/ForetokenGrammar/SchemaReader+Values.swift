import ForetokenJSON

extension SchemaReader {
    // MARK: Objects and lists

    mutating func object(_ schema: Schema) throws(GrammarError) -> Int32 {
        var shape = ObjectShape()
        let properties = try schema["properties"].map { (value) throws(GrammarError) in
            guard case .object(let object) = value else { throw schema.mismatch("properties", "an object of schemas") }
            return object.members
        }
        let required = try required(schema)
        switch schema["additionalProperties"] {
        case nil: shape.others = isStrict && properties != nil ? nil : free.any
        case .bool(let isAllowed)?: shape.others = isAllowed ? free.any : nil
        case let others?: shape.others = try self.schema(others, schema.path("additionalProperties"))
        }
        if properties == nil, required.isEmpty, shape.others == free.any { return free.object }
        for member in properties ?? [] {
            let value = try self.schema(member.value, SchemaPath.join(schema.path("properties"), member.key))
            shape.properties.append(
                .init(name: member.key, value: value, isRequired: required.contains(member.key.bytes)))
        }
        let known = Set(shape.properties.map(\.name.bytes))
        for name in required.subtracting(known).sorted(by: { $0.lexicographicallyPrecedes($1) }) {
            let name = String(decoding: name, as: UTF8.self)
            guard let others = shape.others else {
                throw GrammarError(
                    schema.path("required"),
                    "\(JSONValue.string(name).shortDescription) is not one of the properties, and no others may be there"
                )
            }
            shape.properties.append(.init(name: name, value: others, isRequired: true))
        }
        net.path = schema.path
        return try net.addObject(shape)
    }

    /// Required names as bytes: two spellings of one character are two names.
    private func required(_ schema: Schema) throws(GrammarError) -> Set<[UInt8]> {
        guard let value = schema["required"] else { return [] }
        guard case .array(let values) = value, values.allSatisfy({ $0.string != nil }) else {
            throw schema.mismatch("required", "a list of strings")
        }
        return Set(values.compactMap { $0.string?.bytes })
    }

    mutating func list(_ schema: Schema) throws(GrammarError) -> Int32 {
        var shape = ListShape()
        shape.fewest = try schema.count("minItems") ?? 0
        shape.most = try schema.count("maxItems")
        if let most = shape.most, most < shape.fewest {
            throw GrammarError(schema.path("maxItems"), "\(most) is less than minItems, \(shape.fewest)")
        }
        if let unique = schema["uniqueItems"], unique != .bool(false) {
            throw GrammarError(schema.path("uniqueItems"), "the keyword \"uniqueItems\" is not supported")
        }
        if let first = schema["prefixItems"] {
            guard case .array(let schemas) = first else { throw schema.mismatch("prefixItems", "a list of schemas") }
            for (index, element) in schemas.enumerated() {
                shape.first.append(try self.schema(element, "\(schema.path("prefixItems"))/\(index)"))
            }
        }
        switch schema["items"] {
        case nil, .bool(true)?: shape.others = free.any
        case .bool(false)?: shape.others = nil
        case let others?: shape.others = try self.schema(others, schema.path("items"))
        }
        if shape.first.isEmpty, shape.fewest == 0, shape.most == nil, shape.others == free.any { return free.list }
        net.path = schema.path
        return try net.addList(shape)
    }

    // MARK: Strings

    /// Formats as patterns, which allow no more than the format does.
    private static let formats: [String: String] = {
        let date =
            "[0-9]{4}-(0[13578]|1[02])-(0[1-9]|[12][0-9]|3[01])|[0-9]{4}-(0[469]|11)-(0[1-9]|[12][0-9]|30)"
            + "|[0-9]{4}-02-(0[1-9]|1[0-9]|2[0-8])"
        let time = "([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](\\.[0-9]{1,9})?(Z|[+-]([01][0-9]|2[0-3]):[0-5][0-9])"
        let byte = "(25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])"
        return [
            "date": "^(\(date))$", "time": "^\(time)$", "date-time": "^(\(date))T\(time)$",
            "uuid": "^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$", "ipv4": "^(\(byte)\\.){3}\(byte)$",
        ]
    }()

    mutating func text(_ schema: Schema) throws(GrammarError) -> Int32 {
        let given = ["pattern", "format", "minLength", "maxLength"].filter { schema[$0] != nil }
        guard let keyword = given.first else { return free.string }
        net.path = schema.path(keyword)
        guard keyword == "pattern" || keyword == "format" else {
            let (shortest, longest) = (try schema.count("minLength") ?? 0, try schema.count("maxLength"))
            if let longest, longest < shortest {
                throw GrammarError(schema.path("maxLength"), "\(longest) is less than minLength, \(shortest)")
            }
            return shortest == 0 && longest == nil ? free.string : try net.addText(shortest: shortest, longest: longest)
        }
        try schema.refuse(Array(given.dropFirst()), beside: keyword)
        guard var pattern = schema[keyword]?.string else { throw schema.mismatch(keyword, "a string") }
        if keyword == "format" {
            guard let known = Self.formats[pattern] else {
                throw schema.mismatch(keyword, "one of \(Self.formats.keys.sorted().joined(separator: ", "))")
            }
            pattern = known
        }
        return try PatternReader.add(pattern, at: schema.path(keyword), to: &net)
    }

    // MARK: Fixed values

    mutating func fixed(_ schema: Schema, _ keyword: String, _ types: [String]) throws(GrammarError) -> [Int32] {
        let path = schema.path(keyword)
        var values: [JSONValue] = []
        if keyword == "const", let value = schema[keyword] {
            values = [value]
        } else if case .array(let choices)? = schema[keyword] {
            values = choices
        }
        guard !values.isEmpty else { throw schema.mismatch(keyword, "a list of at least one value") }
        if schema["type"] != nil { values = values.filter { $0.hasType(among: types) } }
        guard !values.isEmpty else { throw GrammarError(path, "no value has the type that \"type\" gives") }
        net.path = path
        var nodes: [Int32] = []
        for value in values { nodes.append(try exactly(value, path)) }
        return nodes
    }

    /// The value as the schema has it.
    private mutating func exactly(_ value: JSONValue, _ path: String) throws(GrammarError) -> Int32 {
        switch value {
        case .null, .bool, .string: return try net.addWord(value.text.utf8)
        case .number(let number):
            guard number.double.isFinite || number.isWhole else {
                throw GrammarError(path, "\(number) is not a number of JSON")
            }
            return try net.addWord(value.text.utf8)
        case .array(let values):
            var shape = ListShape(fewest: values.count, most: values.count)
            for value in values { shape.first.append(try exactly(value, path)) }
            return try net.addList(shape)
        case .object(let object):
            var shape = ObjectShape()
            for member in object.members {
                shape.properties.append(
                    .init(name: member.key, value: try exactly(member.value, path), isRequired: true))
            }
            return try net.addObject(shape)
        }
    }
}

extension String {
    fileprivate var bytes: [UInt8] { Array(utf8) }
}

extension JSONValue {
    /// Whether the value is of one of JSON Schema's types.
    func hasType(among types: [String]) -> Bool {
        let own =
            switch self {
            case .null: ["null"]
            case .bool: ["boolean"]
            case .number(let number): number.isWhole ? ["integer", "number"] : ["number"]
            case .string: ["string"]
            case .array: ["array"]
            case .object: ["object"]
            }
        return own.contains(where: types.contains)
    }
}
