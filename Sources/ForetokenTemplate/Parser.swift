/// Reads tokens into statements, by Jinja's grammar.
struct Parser {
    private let tokens: [Token]
    private var position = 0
    private var depth = 0
    /// How many `if` statements lie around.
    private var conditions = 0

    /// Deepest nesting of statements and expressions.
    static let deepest = 120

    /// - Throws: `TemplateError` with the line where the source is no template, or asks for what is not supported.
    static func statements(of source: String) throws(TemplateError) -> [Statement] {
        var parser = Parser(tokens: try Lexer.tokens(of: source))
        return try parser.body(until: []).statements
    }

    private init(tokens: [Token]) { self.tokens = tokens }

    /// Whether what is read may never be reached.
    var isConditional: Bool { conditions > 0 }

    // MARK: Tokens

    var current: Token { tokens[position] }

    mutating func next() -> Token {
        defer { position = min(position + 1, tokens.count - 1) }
        return current
    }

    /// The token behind the current one.
    var following: Token { tokens[min(position + 1, tokens.count - 1)] }

    func isSymbol(_ symbol: String) -> Bool { current.kind == .symbol(symbol) }

    func isName(_ name: String) -> Bool { current.kind == .name(name) }

    mutating func take(symbol: String) -> Bool {
        guard isSymbol(symbol) else { return false }
        _ = next()
        return true
    }

    mutating func take(name: String) -> Bool {
        guard isName(name) else { return false }
        _ = next()
        return true
    }

    mutating func expect(_ kind: Token.Kind) throws(TemplateError) {
        guard current.kind == kind else { throw unexpected("expected \(kind.shown)") }
        _ = next()
    }

    mutating func name() throws(TemplateError) -> String {
        guard case .name(let name) = current.kind else { throw unexpected("expected a name") }
        _ = next()
        return name
    }

    func failure(_ reason: String, _ kind: TemplateError.Kind = .syntax) -> TemplateError {
        TemplateError(kind: kind, line: current.line, reason: reason)
    }

    func unexpected(_ expected: String) -> TemplateError { failure("\(expected), found \(current.kind.shown)") }

    /// Reads something that may contain its like.
    mutating func nested<Result>(
        _ read: (inout Parser) throws(TemplateError) -> Result
    ) throws(TemplateError) -> Result {
        depth += 1
        defer { depth -= 1 }
        guard depth <= Self.deepest else {
            throw failure("statements and expressions lie deeper than \(Self.deepest) levels", .limit)
        }
        return try read(&self)
    }

    // MARK: Statements

    /// Statements up to one of the named tags, whose name is taken; all of the source when none is named.
    mutating func body(until ends: [String]) throws(TemplateError) -> (statements: [Statement], end: String) {
        var statements: [Statement] = []
        while true {
            let line = current.line
            switch current.kind {
            case .data(let text):
                _ = next()
                statements.append(Statement(kind: .text(text), line: line))
            case .variableBegin:
                _ = next()
                statements.append(Statement(kind: .output(try tuple()), line: line))
                try expect(.variableEnd)
            case .blockBegin:
                _ = next()
                if case .name(let name) = current.kind, ends.contains(name) {
                    _ = next()
                    return (statements, name)
                }
                let kind = try nested { (parser) throws(TemplateError) in try parser.statement() }
                statements.append(Statement(kind: kind, line: line))
            case .end:
                guard ends.isEmpty else { throw unexpected("expected {% \(ends.joined(separator: " or ")) %}") }
                return (statements, "")
            default: throw unexpected("expected text or a tag")
            }
        }
    }

    /// A body whose end tag stands alone.
    private mutating func closedBody(_ end: String) throws(TemplateError) -> [Statement] {
        try expect(.blockEnd)
        let statements = try body(until: [end]).statements
        try expect(.blockEnd)
        return statements
    }

    private mutating func statement() throws(TemplateError) -> Statement.Kind {
        let tag = try name()
        switch tag {
        case "if": return try condition()
        case "for": return try loop()
        case "set": return try set()
        case "macro":
            let name = try name()
            let parameters = try parameters()
            return .macro(MacroDefinition(name: name, parameters: parameters, body: try closedBody("endmacro")))
        case "call": return try callBlock()
        case "filter":
            let filters = try filterChain()
            return .filterBlock(filters, try closedBody("endfilter"))
        case "with": return try with()
        case "generation": return .transparent(try closedBody("endgeneration"))
        case "break", "continue":
            try expect(.blockEnd)
            return tag == "break" ? .leave : .next
        default:
            let unsupported = ["block", "extends", "include", "import", "from", "autoescape", "print", "do", "trans"]
            if unsupported.contains(tag) { throw failure("the tag {% \(tag) %} is not supported", .unsupported) }
            throw failure("unknown tag {% \(tag) %}")
        }
    }

    private mutating func condition() throws(TemplateError) -> Statement.Kind {
        conditions += 1
        defer { conditions -= 1 }
        var branches: [(test: Expression?, body: [Statement])] = []
        var test: Expression? = try tuple(withConditional: false)
        while true {
            try expect(.blockEnd)
            let (body, end) = try body(until: test == nil ? ["endif"] : ["elif", "else", "endif"])
            branches.append((test, body))
            switch end {
            case "elif": test = try tuple(withConditional: false)
            case "else": test = nil
            default:
                try expect(.blockEnd)
                return .condition(branches)
            }
        }
    }

    private mutating func loop() throws(TemplateError) -> Statement.Kind {
        let target = try target(until: "in")
        guard take(name: "in") else { throw unexpected("expected 'in'") }
        let iterable = try tuple(withConditional: false, endingAt: "recursive")
        let test = take(name: "if") ? try expression() : nil
        if isName("recursive") { throw failure("recursive loops are not supported", .unsupported) }
        try expect(.blockEnd)
        var (body, end) = try body(until: ["endfor", "else"])
        var otherwise: [Statement] = []
        if end == "else" {
            try expect(.blockEnd)
            (otherwise, end) = try self.body(until: ["endfor"])
        }
        try expect(.blockEnd)
        return .loop(Loop(target: target, iterable: iterable, test: test, body: body, otherwise: otherwise))
    }

    private mutating func set() throws(TemplateError) -> Statement.Kind {
        let target = try target(until: nil)
        if take(symbol: "=") {
            let value = try tuple()
            try expect(.blockEnd)
            return .set(target, value)
        }
        let filters = isSymbol("|") ? try filterChain(startsWithBar: true) : []
        return .setBlock(target, filters, try closedBody("endset"))
    }

    /// `name`, `namespace.name`, or several with commas.
    private mutating func target(until end: String?) throws(TemplateError) -> Target {
        let isParenthesised = take(symbol: "(")
        var targets: [Target] = []
        var isTuple = false
        repeat {
            if isParenthesised && isSymbol(")") || end.map({ isName($0) }) == true { break }
            if isSymbol("(") {
                targets.append(try nested { (parser) throws(TemplateError) in try parser.target(until: nil) })
            } else {
                let name = try name()
                guard !["true", "false", "none", "True", "False", "None"].contains(name) else {
                    throw failure("cannot assign to '\(name)'")
                }
                let isAttribute = end == nil && take(symbol: ".")
                targets.append(isAttribute ? .attribute(name, try self.name()) : .name(name))
            }
            isTuple = isTuple || isSymbol(",")
        } while take(symbol: ",")
        if isParenthesised { try expect(.symbol(")")) }
        guard let first = targets.first else { throw unexpected("expected a name") }
        return isTuple ? .tuple(targets) : first
    }

    private mutating func parameters() throws(TemplateError) -> [(name: String, standard: Expression?)] {
        try expect(.symbol("("))
        var parameters: [(name: String, standard: Expression?)] = []
        while !isSymbol(")") {
            if !parameters.isEmpty { try expect(.symbol(",")) }
            let name = try name()
            let standard = take(symbol: "=") ? try expression() : nil
            if standard == nil, parameters.last.map({ $0.standard != nil }) == true {
                throw failure("a parameter without a default follows one with a default")
            }
            parameters.append((name, standard))
        }
        _ = next()
        return parameters
    }

    private mutating func callBlock() throws(TemplateError) -> Statement.Kind {
        let parameters = isSymbol("(") ? try parameters() : []
        let call = try expression()
        guard case .call = call else { throw failure("expected a call in {% call %}") }
        let body = try closedBody("endcall")
        return .callBlock(MacroDefinition(name: "caller", parameters: parameters, body: body), call)
    }

    private mutating func with() throws(TemplateError) -> Statement.Kind {
        var bindings: [(target: Target, value: Expression)] = []
        while current.kind != .blockEnd {
            if !bindings.isEmpty { try expect(.symbol(",")) }
            let name = try name()
            try expect(.symbol("="))
            bindings.append((.name(name), try expression()))
        }
        return .with(bindings, try closedBody("endwith"))
    }

    private mutating func filterChain(startsWithBar: Bool = false) throws(TemplateError) -> [FilterUse] {
        if startsWithBar { try expect(.symbol("|")) }
        var filters: [FilterUse] = []
        repeat { filters.append(try filterUse()) } while take(symbol: "|")
        return filters
    }

    /// A filter's name and arguments.
    mutating func filterUse() throws(TemplateError) -> FilterUse {
        var name = try name()
        while take(symbol: ".") { name += "." + (try self.name()) }
        // Inside a condition it may never be reached, and Jinja waits until it is.
        guard isConditional || Filters.names.contains(name) else {
            throw failure("the filter '\(name)' is not supported", .unsupported)
        }
        return FilterUse(name: name, arguments: isSymbol("(") ? try arguments() : Arguments())
    }
}
