/// Expressions, from those that bind least to those that bind most.
extension Parser {
    /// One expression, or several with commas between.
    /// - Parameters:
    ///   - withConditional: whether `a if b else c` may come.
    ///   - name: a name that ends it.
    mutating func tuple(
        withConditional: Bool = true, endingAt name: String? = nil, isParenthesised: Bool = false
    ) throws(TemplateError) -> Expression {
        var items: [Expression] = []
        var isTuple = false
        while true {
            let isOver =
                current.kind == .variableEnd || current.kind == .blockEnd || isSymbol(")")
                || name.map { isName($0) } == true
            if isOver { break }
            items.append(withConditional ? try expression() : try disjunction())
            guard take(symbol: ",") else { break }
            isTuple = true
        }
        if isTuple { return .tuple(items) }
        if let only = items.first { return only }
        guard isParenthesised else { throw unexpected("expected an expression") }
        return .tuple([])
    }

    mutating func expression() throws(TemplateError) -> Expression {
        try nested { (parser) throws(TemplateError) in
            var result = try parser.disjunction()
            // A condition without `else` may be the value of the next.
            var length = 0
            while parser.take(name: "if") {
                length += 1
                guard length <= Self.deepest else { throw parser.failure("too many conditions", .limit) }
                let test = try parser.disjunction()
                let otherwise = parser.take(name: "else") ? try parser.expression() : nil
                result = .conditional(test: test, then: result, otherwise: otherwise)
            }
            return result
        }
    }

    private mutating func disjunction() throws(TemplateError) -> Expression {
        var parts = [try conjunction()]
        while take(name: "or") { parts.append(try conjunction()) }
        return parts.count == 1 ? parts[0] : .or(parts)
    }

    private mutating func conjunction() throws(TemplateError) -> Expression {
        var parts = [try negation()]
        while take(name: "and") { parts.append(try negation()) }
        return parts.count == 1 ? parts[0] : .and(parts)
    }

    private mutating func negation() throws(TemplateError) -> Expression {
        guard take(name: "not") else { return try comparison() }
        return .not(try nested { (parser) throws(TemplateError) in try parser.negation() })
    }

    private mutating func comparison() throws(TemplateError) -> Expression {
        let first = try sum()
        var rest: [(operation: String, value: Expression)] = []
        while let operation = comparisonOperator() { rest.append((operation, try sum())) }
        return rest.isEmpty ? first : .comparison(first, rest)
    }

    private mutating func comparisonOperator() -> String? {
        if case .symbol(let symbol) = current.kind, ["==", "!=", "<", "<=", ">", ">="].contains(symbol) {
            _ = next()
            return symbol
        }
        if take(name: "in") { return "in" }
        guard isName("not"), following.kind == .name("in") else { return nil }
        _ = next()
        _ = next()
        return "not in"
    }

    private mutating func sum() throws(TemplateError) -> Expression {
        try chain(["+", "-"]) { (parser) throws(TemplateError) in try parser.concatenation() }
    }

    private mutating func concatenation() throws(TemplateError) -> Expression {
        var parts = [try product()]
        while take(symbol: "~") { parts.append(try product()) }
        return parts.count == 1 ? parts[0] : .concatenation(parts)
    }

    private mutating func product() throws(TemplateError) -> Expression {
        try chain(["*", "/", "//", "%"]) { (parser) throws(TemplateError) in try parser.power() }
    }

    private mutating func power() throws(TemplateError) -> Expression {
        try chain(["**"]) { (parser) throws(TemplateError) in try parser.unary() }
    }

    private mutating func chain(
        _ symbols: [String], _ operand: (inout Parser) throws(TemplateError) -> Expression
    ) throws(TemplateError) -> Expression {
        let first = try operand(&self)
        var rest: [(operation: String, value: Expression)] = []
        while case .symbol(let symbol) = current.kind, symbols.contains(symbol) {
            _ = next()
            rest.append((symbol, try operand(&self)))
        }
        return rest.isEmpty ? first : .arithmetic(first, rest)
    }

    private mutating func unary(withFilters: Bool = true) throws(TemplateError) -> Expression {
        var result: Expression
        if isSymbol("-") || isSymbol("+") {
            let isNegative = next().kind == .symbol("-")
            let operand = try nested { (parser) throws(TemplateError) in try parser.unary(withFilters: false) }
            result = isNegative ? .negative(operand) : .positive(operand)
        } else {
            result = try primary()
        }
        result = try postfix(result)
        return withFilters ? try filtersAndTests(result) : result
    }

    // MARK: Single values

    private mutating func primary() throws(TemplateError) -> Expression {
        let token = current
        switch token.kind {
        case .name(let name):
            _ = next()
            switch name {
            case "true", "True": return .constant(.bool(true))
            case "false", "False": return .constant(.bool(false))
            case "none", "None": return .constant(.none)
            default: return .name(name)
            }
        case .string(var text):
            _ = next()
            while case .string(let more) = current.kind {
                text.unicodeScalars.append(contentsOf: more.unicodeScalars)
                _ = next()
            }
            return .constant(.own(text))
        case .integer(let value):
            _ = next()
            return .constant(.integer(value))
        case .number(let value):
            _ = next()
            return .constant(.number(value))
        case .symbol("("):
            _ = next()
            let value = try nested { (parser) throws(TemplateError) in try parser.tuple(isParenthesised: true) }
            try expect(.symbol(")"))
            return value
        case .symbol("["):
            _ = next()
            return .list(try items(until: "]"))
        case .symbol("{"): return try dictionary()
        default: throw unexpected("expected an expression")
        }
    }

    private mutating func items(until end: String) throws(TemplateError) -> [Expression] {
        var items: [Expression] = []
        while !isSymbol(end) {
            if !items.isEmpty {
                try expect(.symbol(","))
                if isSymbol(end) { break }
            }
            items.append(try expression())
        }
        _ = next()
        return items
    }

    private mutating func dictionary() throws(TemplateError) -> Expression {
        _ = next()
        var members: [(key: Expression, value: Expression)] = []
        while !isSymbol("}") {
            if !members.isEmpty {
                try expect(.symbol(","))
                if isSymbol("}") { break }
            }
            let key = try expression()
            try expect(.symbol(":"))
            members.append((key, try expression()))
        }
        _ = next()
        return .dictionary(members)
    }

    // MARK: What follows a value

    private mutating func postfix(_ value: Expression) throws(TemplateError) -> Expression {
        var value = value
        var length = 0
        while true {
            if take(symbol: ".") {
                if case .integer(let index) = current.kind {
                    _ = next()
                    value = .item(value, .constant(.integer(index)))
                } else {
                    value = .attribute(value, try name())
                }
            } else if take(symbol: "[") {
                value = try subscripted(value)
            } else if isSymbol("(") {
                value = .call(value, try arguments())
            } else {
                return value
            }
            // Evaluation goes as deep as the chain is long.
            length += 1
            guard length <= Self.deepest else { throw failure("a chain of more than \(Self.deepest) calls", .limit) }
        }
    }

    private mutating func subscripted(_ value: Expression) throws(TemplateError) -> Expression {
        // Empty brackets are an empty tuple.
        if take(symbol: "]") { return .item(value, .tuple([])) }
        var parts: [Expression?] = [nil]
        if !isSymbol(":") { parts[0] = try expression() }
        while parts.count < 3, take(symbol: ":") {
            parts.append(isSymbol(":") || isSymbol("]") ? nil : try expression())
        }
        if isSymbol(",") { throw failure("an index of several values is not supported", .unsupported) }
        try expect(.symbol("]"))
        if parts.count == 1, let index = parts[0] { return .item(value, index) }
        return .slice(value, start: parts[0], stop: parts[1], step: parts.count > 2 ? parts[2] : nil)
    }

    private mutating func filtersAndTests(_ value: Expression) throws(TemplateError) -> Expression {
        var value = value
        var length = 0
        while true {
            if take(symbol: "|") {
                let filter = try filterUse()
                value = .filter(value, filter.name, filter.arguments)
            } else if take(name: "is") {
                value = try test(value)
            } else if isSymbol("(") {
                value = .call(value, try arguments())
            } else {
                return value
            }
            length += 1
            guard length <= Self.deepest else { throw failure("a chain of more than \(Self.deepest) filters", .limit) }
        }
    }

    private mutating func test(_ value: Expression) throws(TemplateError) -> Expression {
        let isNegated = take(name: "not")
        let name = try name()
        guard isConditional || Tests.names.contains(name) else {
            throw failure("the test '\(name)' is not supported", .unsupported)
        }
        var arguments = Arguments()
        if isSymbol("(") {
            arguments = try self.arguments()
        } else if beginsArgument {
            if isName("is") { throw failure("tests cannot be chained with 'is'") }
            let argument = try primary()
            arguments.positional = [try postfix(argument)]
        }
        let test = Expression.test(value, name, arguments)
        return isNegated ? .not(test) : test
    }

    /// Whether an argument without parentheses follows a test.
    private var beginsArgument: Bool {
        switch current.kind {
        case .name(let name): !["else", "or", "and"].contains(name)
        case .string, .integer, .number, .symbol("("), .symbol("["), .symbol("{"): true
        default: false
        }
    }

    /// Arguments in parentheses.
    mutating func arguments() throws(TemplateError) -> Arguments {
        try nested { (parser) throws(TemplateError) in
            try parser.expect(.symbol("("))
            var arguments = Arguments()
            var isFirst = true
            while !parser.isSymbol(")") {
                if !isFirst {
                    try parser.expect(.symbol(","))
                    if parser.isSymbol(")") { break }
                }
                isFirst = false
                if parser.isSymbol("*") || parser.isSymbol("**") {
                    throw parser.failure("arguments from a list (* and **) are not supported", .unsupported)
                }
                if case .name(let name) = parser.current.kind, parser.following.kind == .symbol("=") {
                    _ = parser.next()
                    _ = parser.next()
                    arguments.named.append((name, try parser.expression()))
                } else {
                    guard arguments.named.isEmpty else {
                        throw parser.failure("an argument without a name follows one with a name")
                    }
                    arguments.positional.append(try parser.expression())
                }
            }
            _ = parser.next()
            return arguments
        }
    }
}
