import ForetokenJSON

/// Reads a JSON Schema into a `Net`.
struct SchemaReader {
    /// Largest count that a keyword may give.
    static let largestCount = 4096
    /// More values than this would be a hostile schema.
    static let mostValues = 1 << 15

    static let annotations: Set = [
        "title", "description", "default", "examples", "deprecated", "readOnly", "writeOnly", "discriminator",
        "$comment", "$schema", "$defs", "definitions",
    ]
    static let combining = ["$ref", "anyOf", "oneOf", "allOf"]
    static let fixing = ["const", "enum"]
    static let types = ["object", "array", "string", "number", "integer", "boolean", "null"]
    /// Keywords that say something about values of one type.
    static let typed: [String: String] = [
        "properties": "object", "required": "object", "additionalProperties": "object", "items": "array",
        "prefixItems": "array", "minItems": "array", "maxItems": "array", "uniqueItems": "array",
        "minLength": "string", "maxLength": "string", "pattern": "string", "format": "string",
    ]

    var net = Net()
    let free: FreeValues
    let isStrict: Bool
    let root: JSONValue
    /// The node of each schema by the bytes of its path, whether it has been read or not.
    private var places: [[UInt8]: Int32] = [:]
    /// Schemas that a `$ref` names and that are still to be read.
    private var waiting: [(path: String, schema: JSONValue)] = []
    private var done: Set<Int32> = []

    /// - Parameter net: what there is before; the reader has it instead.
    init(
        _ schema: JSONValue, isStrict: Bool, _ free: FreeValues, _ net: inout Net
    ) throws(GrammarError) {
        root = schema
        self.isStrict = isStrict
        self.free = free
        guard Self.count(schema) <= Self.mostValues else {
            throw GrammarError("#", "the schema is too large: it has more than \(Self.mostValues) values")
        }
        swap(&self.net, &net)
    }

    private static func count(_ value: JSONValue) -> Int {
        switch value {
        case .array(let values): values.reduce(1) { $0 + count($1) }
        case .object(let object): object.members.reduce(1) { $0 + count($1.value) }
        default: 1
        }
    }

    /// Reads all of it.
    mutating func read() throws(GrammarError) -> Int32 {
        let value = try schema(root, "#")
        while let next = waiting.popLast() { _ = try schema(next.schema, next.path) }
        try refuseCircles()
        return value
    }

    // MARK: One schema

    /// The node of the schema at a path.
    private mutating func place(_ path: String) throws(GrammarError) -> Int32 {
        let key = Array(path.utf8)
        if let known = places[key] { return known }
        let node = try net.add()
        places[key] = node
        return node
    }

    /// Reads a schema, unless that has been done.
    mutating func schema(_ schema: JSONValue, _ path: String) throws(GrammarError) -> Int32 {
        net.path = path
        let node = try place(path)
        guard done.insert(node).inserted else { return node }
        switch schema {
        case .bool(true): try net.jump(node, free.any)
        case .bool(false): break
        case .object(let members):
            for value in try values(Schema(members, path)) { try net.jump(node, value) }
        default: throw GrammarError(path, "expected a schema, found \(schema.shortDescription)")
        }
        return node
    }

    private mutating func values(_ schema: Schema) throws(GrammarError) -> [Int32] {
        for member in schema.members {
            let key = member.key
            let isKnown =
                Self.annotations.contains(key) || Self.combining.contains(key) || Self.fixing.contains(key)
                || Self.typed[key] != nil || key == "type" || key == "$id" && schema.path == "#"
            guard isKnown else {
                throw GrammarError(
                    schema.path(key), "the keyword \(JSONValue.string(key).shortDescription) is not supported")
            }
        }
        let meaning = schema.members.map(\.key).filter { !Self.annotations.contains($0) && $0 != "$id" }
        if let keyword = meaning.first(where: Self.combining.contains) {
            try schema.refuse(meaning.filter { $0 != keyword }, beside: keyword)
            return try combined(schema, keyword)
        }
        let types = try schema.types()
        if let keyword = meaning.first(where: Self.fixing.contains) {
            try schema.refuse(meaning.filter { $0 != keyword && $0 != "type" }, beside: keyword)
            return try fixed(schema, keyword, types)
        }
        var values: [Int32] = []
        for type in types { values.append(try value(of: type, schema)) }
        return values
    }

    private mutating func value(of type: String, _ schema: Schema) throws(GrammarError) -> Int32 {
        switch type {
        case "object": return try object(schema)
        case "array": return try list(schema)
        case "string": return try text(schema)
        case "number": return free.number
        case "integer": return free.integer
        case "boolean":
            let value = try net.add()
            for word in ["true", "false"] { try net.jump(value, try net.addWord(word.utf8)) }
            return value
        default: return try net.addWord("null".utf8)
        }
    }

    private mutating func combined(_ schema: Schema, _ keyword: String) throws(GrammarError) -> [Int32] {
        let path = schema.path(keyword)
        if keyword == "$ref" { return [try reference(schema)] }
        guard case .array(let schemas)? = schema[keyword], !schemas.isEmpty else {
            throw schema.mismatch(keyword, "a list of at least one schema")
        }
        if keyword == "allOf", schemas.count > 1 {
            throw GrammarError(path, "the keyword \"allOf\" is not supported with more than one schema")
        }
        if keyword == "oneOf" { try Exclusion(root).check(schemas, path) }
        var values: [Int32] = []
        for (index, schema) in schemas.enumerated() { values.append(try self.schema(schema, "\(path)/\(index)")) }
        return values
    }

    private mutating func reference(_ schema: Schema) throws(GrammarError) -> Int32 {
        let path = try schema.reference()
        if places[Array(path.utf8)] == nil {
            guard let target = SchemaPath.find(path, in: root) else {
                throw GrammarError(schema.path("$ref"), "there is nothing at \(SchemaPath.shown(path)) in the schema")
            }
            waiting.append((path, target))
        }
        return try place(path)
    }

    // MARK: Circles

    /// Refuses a schema that is itself an alternative of itself.
    private func refuseCircles() throws(GrammarError) {
        let paths = Dictionary(places.map { ($1, $0) }, uniquingKeysWith: { first, _ in first })
        var isDone = [Bool](repeating: false, count: net.nodes.count)
        var isOpen = isDone
        for start in places.values.sorted() where !isDone[Int(start)] {
            var way: [(node: Int32, next: Int)] = [(start, 0)]
            isOpen[Int(start)] = true
            while let (node, next) = way.last {
                let jumps = net.nodes[Int(node)].jumps
                guard next < jumps.count else {
                    (isDone[Int(node)], isOpen[Int(node)]) = (true, false)
                    way.removeLast()
                    continue
                }
                way[way.count - 1].next += 1
                let target = jumps[next]
                if isOpen[Int(target)] {
                    throw GrammarError(
                        String(decoding: paths[target] ?? [], as: UTF8.self),
                        "this schema refers to itself with nothing in between")
                }
                guard !isDone[Int(target)] else { continue }
                isOpen[Int(target)] = true
                way.append((target, 0))
            }
        }
    }
}
