import ForetokenGrammar
import ForetokenJSON
import ForetokenTokenizer

/// What calls of tools are made of in a format, put together tool by tool.
struct CallPlan {
    /// More heads than this would be a hostile request.
    private static let mostHeads = 1 << 17

    private let calls: CallFormat
    private let callEnd: Int32
    private let tokenizer: Tokenizer
    /// Whether only those calls have a form whose arguments have a schema.
    private let isFree: Bool
    /// What each call begins with, its first token on.
    private var beginnings: [AnswerForm.Head] = []
    /// Lists of heads behind the first two; formats of keys and values have such.
    private var lists: [[AnswerForm.Head]] = []
    private var headCount = 0
    /// Looks at what arguments may be; see `ArgumentSchema.kind`.
    private var looks = 0
    /// Tokens between a call's parts.
    private let gap: [Int32]

    /// What the parts of calls must fit.
    private(set) var schemas: [(schema: JSONValue, isStrict: Bool)] = []
    /// For each, the number of the tool among those with schemas, and where in its schema it stands.
    private var places: [(tool: Int, path: String)] = []
    private var toolCount = 0

    /// - Parameter calls: a format that can be forced.
    init(_ calls: CallFormat, _ tokenizer: Tokenizer, isFree: Bool) throws(TokenizerError) {
        guard calls.canBeForced, let end = calls.callEnd else {
            preconditionFailure("calls of \(calls.name) cannot be forced")
        }
        (self.calls, callEnd, self.tokenizer, self.isFree) = (calls, end, tokenizer, isFree)
        gap = try calls.pairGap(tokenizer)
    }

    /// What each value is followed by.
    var suffix: String { if case .json = calls.body { calls.tail } else { "" } }

    /// All lists of heads; see `AnswerForm.heads`.
    /// - Parameter closers: tokens that end the answer.
    func heads(closers: [Int32]) throws(TokenizerError) -> [[AnswerForm.Head]] {
        let begin = [calls.callsBegin].compactMap(\.self)
        let gap = try calls.gap(tokenizer)
        let ends = (calls.callsEnd.map { [$0] } ?? closers).map { AnswerForm.Head(tokens: [$0], goal: .end) }
        let first = beginnings.map { AnswerForm.Head(tokens: begin + $0.tokens, goal: $0.goal) }
        let later = beginnings.map { AnswerForm.Head(tokens: gap + $0.tokens, goal: $0.goal) }
        return ([first, later + ends] + lists).map { list in
            list.sorted { $0.tokens.lexicographicallyPrecedes($1.tokens) }
        }
    }

    /// The same error about the tool whose schema it is about.
    func placed(_ error: GrammarError) -> GrammarError {
        guard let schema = error.schema, places.indices.contains(schema) else { return error }
        let (tool, path) = places[schema]
        var placed = GrammarError("#" + path + error.path.dropFirst(), error.reason)
        placed.schema = tool
        return placed
    }

    // MARK: Tools

    /// Adds the calls of a tool.
    /// - Throws: `GrammarError` for a schema that calls of the format cannot be held to.
    mutating func add(_ tool: AnswerForm.Tool) throws(GrammarError) {
        let name = try tokens { () throws(TokenizerError) in try calls.head(name: tool.name, tokenizer) }
        switch calls.body {
        case .json:
            let schema = tool.parameters.map { add($0, tool, path: "") }
            let goal: AnswerForm.Goal =
                if schema == nil && isFree { .anything } else {
                    .part(schema: schema, until: callEnd, then: nil)
                }
            try begin(AnswerForm.Head(tokens: name, goal: goal))
        case .pairs(let pairs): try add(tool, name, pairs)
        case .elements, .invokes, .object: preconditionFailure("refused before")
        }
        if tool.parameters != nil { toolCount += 1 }
    }

    private mutating func begin(_ head: AnswerForm.Head) throws(GrammarError) {
        beginnings.append(head)
        try count(1)
    }

    private mutating func count(_ more: Int) throws(GrammarError) {
        headCount += more
        guard headCount <= Self.mostHeads else {
            throw GrammarError("#", "the tools are too large: calls may go on in more than \(Self.mostHeads) ways")
        }
    }

    private mutating func add(_ schema: JSONValue, _ tool: AnswerForm.Tool, path: String) -> Int {
        schemas.append((schema, tool.isStrict))
        places.append((toolCount, path))
        return schemas.count - 1
    }

    private func tokens(_ make: () throws(TokenizerError) -> [Int32]) throws(GrammarError) -> [Int32] {
        do { return try make() } catch { throw GrammarError("#", "\(error)") }
    }

    private func tokens(_ text: String) throws(GrammarError) -> [Int32] {
        try tokens { () throws(TokenizerError) in try tokenizer.encode(text, addedTokens: false) }
    }

    // MARK: Keys and values

    private mutating func add(
        _ tool: AnswerForm.Tool, _ name: [Int32], _ pairs: CallFormat.Pairs
    ) throws(GrammarError) {
        let marks = [pairs.keyBegin, callEnd]
        if tool.parameters == nil && isFree {
            for mark in marks { try begin(AnswerForm.Head(tokens: name + [mark], goal: .anything)) }
            return
        }
        let schema = ArgumentSchema(tool.parameters)
        let start: [AnswerForm.Head]
        if let properties = schema.properties, !properties.isEmpty || !schema.isOpen {
            start = try members(properties, schema, tool, pairs)
        } else if schema.properties == nil && tool.isStrict {
            throw GrammarError(
                "#",
                "in calls of \(calls.name) arguments have names, so the schema must be an object with \"properties\"")
        } else {
            start = try anyMembers(pairs)
        }
        for head in start { try begin(AnswerForm.Head(tokens: name + head.tokens, goal: head.goal)) }
    }

    /// Lists of the arguments that may come behind each: in order, all that are required, and then the call's end.
    /// - Returns: what comes first, without a gap before.
    private mutating func members(
        _ properties: [ArgumentSchema.Property], _ schema: ArgumentSchema, _ tool: AnswerForm.Tool,
        _ pairs: CallFormat.Pairs
    ) throws(GrammarError) -> [AnswerForm.Head] {
        // Behind argument i comes list `base + i`; lists of choices come behind those.
        let base = 2 + lists.count
        lists += Array(repeating: [], count: properties.count)
        var heads: [AnswerForm.Head] = []
        for (index, property) in properties.enumerated() {
            let goal = try value(property, schema, tool, pairs, then: base + index)
            let key = try tokens(property.key)
            heads.append(
                AnswerForm.Head(
                    tokens: [pairs.keyBegin] + key + [pairs.keyEnd] + gap + [pairs.valueBegin], goal: goal))
        }
        let end = AnswerForm.Head(tokens: [callEnd], goal: .callEnd)
        // Those that may come from each argument on, the call's end being the last.
        func possible(from index: Int) -> [AnswerForm.Head] {
            guard let last = properties[index...].firstIndex(where: \.isRequired) else {
                return Array(heads[index...]) + [end]
            }
            return Array(heads[index...last])
        }
        for index in properties.indices {
            let next = possible(from: index + 1)
            try count(next.count)
            lists[base - 2 + index] = next.map { AnswerForm.Head(tokens: gap + $0.tokens, goal: $0.goal) }
        }
        return possible(from: 0)
    }

    /// What an argument may be, up to the token that ends it.
    private mutating func value(
        _ property: ArgumentSchema.Property, _ schema: ArgumentSchema, _ tool: AnswerForm.Tool,
        _ pairs: CallFormat.Pairs, then next: Int
    ) throws(GrammarError) -> AnswerForm.Goal {
        let path = "/properties/" + property.key.replacing("~", with: "~0").replacing("/", with: "~1")
        if let choices = schema.choices(property.schema) {
            try count(choices.count)
            var heads: [AnswerForm.Head] = []
            for choice in choices {
                heads.append(AnswerForm.Head(tokens: try tokens(choice) + [pairs.valueEnd], goal: .heads(next)))
            }
            lists.append(heads)
            return .heads(2 + lists.count - 1)
        }
        let kind = schema.kind(property.schema, &looks)
        if kind == .json {
            let number = add(schema.alone(property.schema), tool, path: path)
            return .part(schema: number, until: pairs.valueEnd, then: next)
        }
        if tool.isStrict, let place = schema.constraint(property.schema, &looks) {
            let keyword = place.split(separator: "/").last { Int($0) == nil } ?? ""
            throw GrammarError(
                "#\(path)/\(place)",
                "texts are bare in calls of \(calls.name), which \"\(keyword)\" cannot be kept to in")
        }
        if tool.isStrict && kind == .either && !schema.saysNothing(property.schema) {
            throw GrammarError(
                "#\(path)",
                "texts are bare in calls of \(calls.name), so what may be a text or something else cannot be kept to")
        }
        return .part(schema: nil, until: pairs.valueEnd, then: next)
    }

    /// Lists of arguments of any names.
    private mutating func anyMembers(_ pairs: CallFormat.Pairs) throws(GrammarError) -> [AnswerForm.Head] {
        let base = 2 + lists.count
        let start = [
            AnswerForm.Head(
                tokens: [pairs.keyBegin], goal: .part(schema: nil, until: pairs.keyEnd, then: base)),
            AnswerForm.Head(tokens: [callEnd], goal: .callEnd),
        ]
        let value = AnswerForm.Goal.part(schema: nil, until: pairs.valueEnd, then: base + 1)
        lists.append([AnswerForm.Head(tokens: gap + [pairs.valueBegin], goal: value)])
        lists.append(start.map { AnswerForm.Head(tokens: gap + $0.tokens, goal: $0.goal) })
        try count(5)
        return start
    }
}
