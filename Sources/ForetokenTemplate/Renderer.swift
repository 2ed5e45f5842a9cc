/// One rendering: what has been written, and how much of what is allowed has been used.
struct Renderer {
    /// What has been written so far.
    private(set) var output: [UInt32] = []
    let now: Int
    /// The line of the statement that runs.
    private(set) var line = 1
    private var steps = 0
    private var madeUnits = 0
    private var depth = 0
    private var loopDepth = 0

    /// Functions that templates can call by name.
    static let globals = ["range", "dict", "namespace", "raise_exception", "strftime_now"]

    /// Expressions and statements that one rendering may run.
    private static let mostSteps = 5_000_000
    /// Scalars of text that one rendering may make, those of intermediate texts included.
    private static let mostUnits = 1 << 27
    /// Scalars of the result.
    private static let longestOutput = 1 << 24
    /// Deepest nesting of what runs, calls of macros included.
    private static let deepest = 400

    /// Deepest nesting of values.
    static let deepestValue = 200

    /// Scopes with macros and namespaces: they may hold themselves, and are taken apart in the end.
    private var cyclicScopes: [Scope] = []
    private var namespaces: [Namespace] = []

    init(now: Int) { self.now = now }

    /// Notes something that may come to hold itself.
    private mutating func keep(_ scope: Scope) throws(TemplateError) {
        try reserve(1000)
        cyclicScopes.append(scope)
    }

    mutating func keep(_ namespace: Namespace) throws(TemplateError) {
        try reserve(1000)
        namespaces.append(namespace)
    }

    /// Frees what the rendering made.
    func takeApart() {
        for scope in cyclicScopes { scope.clear() }
        for namespace in namespaces { namespace.members = Members() }
    }

    /// How a body ended.
    enum Flow { case onwards, leave, next }

    // MARK: Bounds and errors

    func failure(_ reason: String, _ kind: TemplateError.Kind = .runtime) -> TemplateError {
        TemplateError(kind: kind, line: line, reason: reason)
    }

    /// Counts work.
    mutating func spend(_ count: Int = 1) throws(TemplateError) {
        steps += count
        guard steps <= Self.mostSteps else {
            throw failure("the template takes more than \(Self.mostSteps) steps", .limit)
        }
    }

    /// Counts text or list elements that are about to be made.
    mutating func reserve(_ count: Int) throws(TemplateError) {
        guard count <= Self.mostUnits, madeUnits + count <= Self.mostUnits else {
            throw failure("the template makes more than \(Self.mostUnits) characters of text", .limit)
        }
        madeUnits += count
    }

    mutating func nested<Result>(
        _ body: (inout Renderer) throws(TemplateError) -> Result
    ) throws(TemplateError) -> Result {
        depth += 1
        defer { depth -= 1 }
        guard depth <= Self.deepest else { throw failure("calls lie deeper than \(Self.deepest) levels", .limit) }
        return try body(&self)
    }

    private mutating func write(_ text: TemplateText) throws(TemplateError) {
        try reserve(text.units.count)
        output.append(contentsOf: text.units)
        guard output.count <= Self.longestOutput else {
            throw failure("the text has more than \(Self.longestOutput) characters", .limit)
        }
    }

    /// What a body writes, as text of its own.
    mutating func capture(_ statements: [Statement], in scope: Scope) throws(TemplateError) -> TemplateText {
        let before = output
        output = []
        defer { output = before }
        _ = try run(statements, in: scope)
        return TemplateText(units: output)
    }

    // MARK: Statements

    mutating func run(_ statements: [Statement], in scope: Scope) throws(TemplateError) -> Flow {
        for statement in statements {
            line = statement.line
            try spend()
            let flow = try nested { (renderer) throws(TemplateError) in try renderer.run(statement.kind, in: scope) }
            if flow != .onwards { return flow }
        }
        return .onwards
    }

    private mutating func run(_ statement: Statement.Kind, in scope: Scope) throws(TemplateError) -> Flow {
        switch statement {
        case .text(let text): try write(TemplateText(own: text))
        case .output(let expression): try write(try printed(try evaluate(expression, in: scope)))
        case .condition(let branches):
            for branch in branches {
                if let test = branch.test, try !evaluate(test, in: scope).isTrue { continue }
                return try run(branch.body, in: scope)
            }
        case .loop(let loop): try run(loop, in: scope)
        case .set(let target, let value): try assign(try evaluate(value, in: scope), to: target, in: scope)
        case .setBlock(let target, let filters, let body):
            let text = try capture(body, in: Scope(inside: scope))
            try assign(try apply(filters, to: .string(text), in: scope), to: target, in: scope)
        case .macro(let definition):
            try keep(scope)
            scope[definition.name] = .function(.macro(Macro(definition, scope)))
        case .callBlock(let body, let call): try runCallBlock(body, call, in: scope)
        case .filterBlock(let filters, let body):
            let text = try capture(body, in: Scope(inside: scope))
            try write(try printed(try apply(filters, to: .string(text), in: scope)))
        case .with(let bindings, let body):
            let inner = Scope(inside: scope)
            for binding in bindings {
                try assign(try evaluate(binding.value, in: scope), to: binding.target, in: inner)
            }
            return try run(body, in: inner)
        case .leave: return .leave
        case .next: return .next
        case .transparent(let body): return try run(body, in: scope)
        }
        return .onwards
    }

    private mutating func run(_ loop: Loop, in scope: Scope) throws(TemplateError) {
        var items = try elements(of: try evaluate(loop.iterable, in: scope))
        if let test = loop.test {
            var kept: [Value] = []
            for item in items {
                let inner = Scope(inside: scope)
                try assign(item, to: loop.target, in: inner)
                if try evaluate(test, in: inner).isTrue { kept.append(item) }
            }
            items = kept
        }
        guard !items.isEmpty else {
            _ = try run(loop.otherwise, in: Scope(inside: scope))
            return
        }
        let state = LoopState(items, level: loopDepth)
        loopDepth += 1
        defer { loopDepth -= 1 }
        for (index, item) in items.enumerated() {
            try spend()
            state.index = index
            let inner = Scope(inside: scope)
            inner["loop"] = .loop(state)
            try assign(item, to: loop.target, in: inner)
            if try run(loop.body, in: inner) == .leave { return }
        }
    }

    private mutating func runCallBlock(
        _ body: MacroDefinition, _ call: Expression, in scope: Scope
    ) throws(TemplateError) {
        guard case .call(let callee, let arguments) = call else { return }
        guard case .function(.macro(let macro)) = try evaluate(callee, in: scope) else {
            throw failure("{% call %} needs a macro")
        }
        let caller = Value.function(.caller(Macro(body, scope)))
        let values = try evaluate(arguments, in: scope)
        try write(try run(macro, values, caller: caller))
    }

    private mutating func apply(
        _ filters: [FilterUse], to value: Value, in scope: Scope
    ) throws(TemplateError) -> Value {
        var value = value
        for filter in filters {
            value = try self.filter(filter.name, value, try evaluate(filter.arguments, in: scope))
        }
        return value
    }

    private mutating func assign(_ value: Value, to target: Target, in scope: Scope) throws(TemplateError) {
        switch target {
        case .name(let name): scope[name] = value
        case .attribute(let name, let attribute):
            guard case .namespace(let namespace)? = scope[name] else {
                throw failure("cannot assign to an attribute of '\(name)', which is no namespace")
            }
            namespace.members[.own(attribute)] = value
        case .tuple(let targets):
            let values = try elements(of: value)
            guard values.count == targets.count else {
                throw failure("expected \(targets.count) values to unpack, found \(values.count)")
            }
            for (target, value) in zip(targets, values) { try assign(value, to: target, in: scope) }
        }
    }

    // MARK: Macros

    /// Runs a macro and returns what it wrote.
    mutating func run(
        _ macro: Macro, _ arguments: ArgumentValues, caller: Value? = nil
    ) throws(TemplateError) -> TemplateText {
        let scope = Scope(inside: macro.scope)
        let parameters = macro.definition.parameters
        guard arguments.positional.count <= parameters.count else {
            throw failure("macro '\(macro.definition.name)' takes not more than \(parameters.count) arguments")
        }
        if let unknown = arguments.named.first(where: { name, _ in !parameters.contains { $0.name == name } }) {
            throw failure("macro '\(macro.definition.name)' takes no argument '\(unknown.name)'")
        }
        if let caller { scope["caller"] = caller }
        for (index, parameter) in parameters.enumerated() {
            let named = arguments.named.first { $0.name == parameter.name }?.value
            if index < arguments.positional.count {
                if named != nil {
                    throw failure("macro '\(macro.definition.name)' got two values for '\(parameter.name)'")
                }
                scope[parameter.name] = arguments.positional[index]
            } else if let named {
                scope[parameter.name] = named
            } else if let standard = parameter.standard {
                scope[parameter.name] = try evaluate(standard, in: scope)
            } else {
                scope[parameter.name] = .undefined(what: "parameter '\(parameter.name)' was not provided")
            }
        }
        let callLine = line
        defer { line = callLine }
        let outerLoops = loopDepth
        loopDepth = 0
        defer { loopDepth = outerLoops }
        return try nested { (renderer) throws(TemplateError) in
            try renderer.capture(macro.definition.body, in: scope)
        }
    }
}
