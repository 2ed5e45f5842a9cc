import ForetokenJSON

/// Reads a JSON Schema into a `Net`.
struct SchemaReader {
    /// Largest count that a keyword may give.
    static let largestCount = 4096
    /// More values than this would be a hostile schema.
    static let mostValues = 1 << 15
    /// Longer paths of schemas, in bytes, would be hostile.
    static let longestPath = 4096

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
    private let root: SchemaPlace
    private var exclusion: Exclusion
    /// All that a `$ref` names, as bytes; or what looks like it.
    private let named: Set<[UInt8]>
    /// The node of each schema that a `$ref` names by the bytes of its path, whether it has been read or not.
    private var places: [[UInt8]: Int32] = [:]
    /// Schemas that a `$ref` names and that are still to be read.
    private var waiting: [(path: String, schema: JSONValue)] = []
    private var done: Set<Int32> = []

    /// - Parameter net: what there is before; the reader has it instead.
    init(
        _ schema: JSONValue, isStrict: Bool, _ free: FreeValues, _ net: inout Net
    ) throws(GrammarError) {
        root = SchemaPlace(schema)
        exclusion = Exclusion(root)
        self.isStrict = isStrict
        self.free = free
        guard Self.count(schema) <= Self.mostValues else {
            throw GrammarError("#", "the schema is too large: it has more than \(Self.mostValues) values")
        }
        var named: Set<[UInt8]> = []
        Self.addReferences(in: schema, to: &named)
        self.named = named
        swap(&self.net, &net)
    }

    private static func count(_ value: JSONValue) -> Int {
        switch value {
        case .array(let values): values.reduce(1) { $0 + count($1) }
        case .object(let object): object.members.reduce(1) { $0 + count($1.value) }
        default: 1
        }
    }

    private static func addReferences(in value: JSONValue, to named: inout Set<[UInt8]>) {
        switch value {
        case .array(let values): for value in values { addReferences(in: value, to: &named) }
        case .object(let object):
            for member in object.members {
                if member.key == "$ref", let path = member.value.string { named.insert(Array(path.utf8)) }
                addReferences(in: member.value, to: &named)
            }
        default: break
        }
    }

    /// Reads all of it.
    mutating func read() throws(GrammarError) -> Int32 {
        let value = try schema(root.value, "#")
        while let next = waiting.popLast() { _ = try schema(next.schema, next.path) }
        try refuseCircles()
        return value
    }

    // MARK: One schema

    /// The node of the schema at a path.
    private mutating func place(_ path: String) throws(GrammarError) -> Int32 {
        let key = Array(path.utf8)
        guard named.contains(key) else { return try net.add() }
        if let known = places[key] { return known }
        let node = try net.add()
        places[key] = node
        return node
    }

    /// Reads a schema, unless that has been done.
    mutating func schema(_ schema: JSONValue, _ path: String) throws(GrammarError) -> Int32 {
        guard path.utf8.count <= Self.longestPath else {
            throw GrammarError(
                String(decoding: path.utf8.prefix(Self.longestPath), as: UTF8.self),
                "the schema is too large: this path has more than \(Self.longestPath) bytes")
        }
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
        if keyword == "oneOf" { try exclusion.check(schemas, path) }
        var values: [Int32] = []
        for (index, schema) in schemas.enumerated() { values.append(try self.schema(schema, "\(path)/\(index)")) }
        return values
    }

    private mutating func reference(_ schema: Schema) throws(GrammarError) -> Int32 {
        let path = try schema.reference()
        if places[Array(path.utf8)] == nil {
            guard let target = root.find(path) else {
                throw GrammarError(schema.path("$ref"), "there is nothing at \(SchemaPath.shown(path)) in the schema")
            }
            waiting.append((path, target))
        }
        return try place(path)
    }

    // MARK: Circles

    /// Refuses a schema that is itself an alternative of itself. A circle has a schema that a `$ref` names.
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
                    let circle = way.drop { $0.node != target }
                    throw GrammarError(
                        String(decoding: circle.lazy.compactMap { paths[$0.node] }.first ?? [], as: UTF8.self),
                        "this schema refers to itself with nothing in between")
                }
                guard !isDone[Int(target)] else { continue }
                isOpen[Int(target)] = true
                way.append((target, 0))
            }
        }
    }
}
