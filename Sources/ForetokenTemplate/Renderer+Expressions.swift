/// Values of a call's arguments.
struct ArgumentValues {
    var positional: [Value] = []
    var named: [(name: String, value: Value)] = []

    /// The argument at that place or of that name.
    func value(_ index: Int, _ name: String) -> Value? {
        index < positional.count ? positional[index] : named.first { $0.name == name }?.value
    }
}

extension Renderer {
    mutating func evaluate(_ expression: Expression, in scope: Scope) throws(TemplateError) -> Value {
        try spend()
        let value = try nested { (renderer) throws(TemplateError) in try renderer.value(of: expression, in: scope) }
        // What lies deeper would overflow the stack when it is freed.
        guard value.depth <= Self.deepestValue else {
            throw failure("values lie deeper in each other than \(Self.deepestValue) levels", .limit)
        }
        return value
    }

    private mutating func value(of expression: Expression, in scope: Scope) throws(TemplateError) -> Value {
        switch expression {
        case .constant(let value): return value
        case .name(let name): return scope[name] ?? .undefined(what: "'\(name)' is undefined")
        case .list(let items): return .list(try evaluate(items, in: scope))
        case .tuple(let items): return .list(Series(try evaluate(items, in: scope), .tuple))
        case .dictionary(let items): return try dictionary(items, in: scope)
        case .attribute(let object, let name): return try attribute(name, of: try evaluate(object, in: scope))
        case .item(let object, let index):
            let object = try evaluate(object, in: scope)
            return try item(at: try evaluate(index, in: scope), of: object)
        case .slice(let object, let start, let stop, let step):
            let object = try evaluate(object, in: scope)
            var bounds: [Value?] = []
            for bound in [start, stop, step] {
                if let bound { bounds.append(try evaluate(bound, in: scope)) } else { bounds.append(nil) }
            }
            return try slice(object, bounds)
        case .call(let callee, let arguments):
            let callee = try evaluate(callee, in: scope)
            return try call(callee, try evaluate(arguments, in: scope))
        case .filter(let value, let name, let arguments):
            let value = try evaluate(value, in: scope)
            return try filter(name, value, try evaluate(arguments, in: scope))
        case .test(let value, let name, let arguments):
            let value = try evaluate(value, in: scope)
            return .bool(try test(name, value, try evaluate(arguments, in: scope).positional))
        default: return try operation(expression, in: scope)
        }
    }

    private mutating func operation(_ expression: Expression, in scope: Scope) throws(TemplateError) -> Value {
        switch expression {
        case .not(let value): return .bool(try !evaluate(value, in: scope).isTrue)
        case .negative(let value):
            let value = try evaluate(value, in: scope)
            // 0 − 0.0 has another sign than −0.0.
            if case .number(let number) = value { return .number(-number) }
            return try arithmetic("-", .integer(0), value, isUnary: true)
        case .positive(let value):
            let value = try evaluate(value, in: scope)
            if case .number = value { return value }
            return try arithmetic("+", .integer(0), value, isUnary: true)
        case .arithmetic(let first, let rest):
            var value = try evaluate(first, in: scope)
            for (operation, operand) in rest {
                value = try arithmetic(operation, value, try evaluate(operand, in: scope))
            }
            return value
        case .and(let parts), .or(let parts):
            let isAnd = if case .and = expression { true } else { false }
            var value = Value.none
            for part in parts {
                value = try evaluate(part, in: scope)
                if value.isTrue != isAnd { break }
            }
            return value
        case .comparison(let first, let rest):
            var left = try evaluate(first, in: scope)
            for (operation, operand) in rest {
                let right = try evaluate(operand, in: scope)
                guard try compare(operation, left, right) else { return .bool(false) }
                left = right
            }
            return .bool(true)
        case .concatenation(let parts):
            var units: [UInt32] = []
            for part in parts {
                let value = try evaluate(part, in: scope)
                if value.isSafe {
                    throw failure(
                        "adding to a text behind 'safe' is not supported: Jinja would escape what is added",
                        .unsupported)
                }
                let text = try printed(value)
                try reserve(text.units.count)
                units += text.units
            }
            return .string(TemplateText(units: units))
        case .conditional(let test, let then, let otherwise):
            if try evaluate(test, in: scope).isTrue { return try evaluate(then, in: scope) }
            guard let otherwise else {
                return .undefined(what: "the condition is false, and there is no else")
            }
            return try evaluate(otherwise, in: scope)
        default: throw failure("an expression of an unknown kind")
        }
    }

    private mutating func evaluate(_ items: [Expression], in scope: Scope) throws(TemplateError) -> [Value] {
        var values: [Value] = []
        for item in items { values.append(try evaluate(item, in: scope)) }
        return values
    }

    mutating func evaluate(_ arguments: Arguments, in scope: Scope) throws(TemplateError) -> ArgumentValues {
        var values = ArgumentValues(positional: try evaluate(arguments.positional, in: scope))
        for argument in arguments.named {
            values.named.append((argument.name, try evaluate(argument.value, in: scope)))
        }
        return values
    }

    private mutating func dictionary(
        _ items: [(key: Expression, value: Expression)], in scope: Scope
    ) throws(TemplateError) -> Value {
        var members = Members()
        for item in items {
            let key = try evaluate(item.key, in: scope)
            guard Members.Key(key) != nil else { throw failure("a \(key.typeName) cannot be a dictionary's key") }
            members[key] = try evaluate(item.value, in: scope)
        }
        return .dictionary(members)
    }

    // MARK: Attributes and items

    private static let mutators: Set<String> = [
        "append", "clear", "pop", "popitem", "setdefault", "update", "reverse", "insert", "sort", "extend", "remove",
    ]

    /// `object.name`: a method or an attribute, or else the item of that name.
    private func attribute(_ name: String, of object: Value) throws(TemplateError) -> Value {
        if case .undefined(let what) = object { throw failure(what) }
        if let method = try method(name, of: object) { return method }
        if case .loop(let state) = object { return try state.attribute(name) ?? missing(name, object) }
        if case .namespace(let namespace) = object { return namespace.members[.own(name)] ?? missing(name, object) }
        if case .dictionary(let members) = object { return members[.own(name)] ?? missing(name, object) }
        return missing(name, object)
    }

    private func missing(_ name: String, _ object: Value) -> Value {
        .undefined(what: "'\(object.typeName)' has no attribute '\(name)'")
    }

    private func method(_ name: String, of object: Value) throws(TemplateError) -> Value? {
        guard !name.hasPrefix("_") else { throw failure("access to the attribute '\(name)' is unsafe") }
        switch object {
        case .string where Methods.ofStrings.contains(name), .dictionary where Methods.ofDictionaries.contains(name):
            return .function(.method(object, name))
        case .list(let series) where series.kind.isIndexed && Methods.ofLists.contains(name):
            return .function(.method(object, name))
        case .loop where name == "cycle" || name == "changed": return .function(.method(object, name))
        case .dictionary
        where Self.mutators.contains(name)
            && !["append", "insert", "extend", "sort", "reverse", "remove"].contains(name),
            .list where Self.mutators.contains(name):
            throw failure("'\(name)' would change a \(object.typeName), which templates may not")
        case .string where Methods.unsupportedOfStrings.contains(name):
            throw failure("the method '\(name)' of texts is not supported", .unsupported)
        default: return nil
        }
    }

    /// `object[index]`
    func item(at index: Value, of object: Value) throws(TemplateError) -> Value {
        switch object {
        case .undefined(let what): throw failure(what)
        case .dictionary(let members):
            if let value = members[index] { return value }
        case .list(let series) where series.kind.isIndexed:
            if let place = index.integer {
                let place = place < 0 ? place + series.items.count : place
                if series.items.indices.contains(place) { return series.items[place] }
            }
        case .string(let text):
            if let place = index.integer {
                let place = place < 0 ? place + text.units.count : place
                if text.units.indices.contains(place) { return .string(TemplateText(units: [text.units[place]])) }
            }
        default: break
        }
        guard let name = index.text?.string else {
            return .undefined(what: "'\(object.typeName)' has no such item")
        }
        if name.hasPrefix("_") { return missing(name, object) }
        if let method = try method(name, of: object) { return method }
        if case .loop(let state) = object, let value = try state.attribute(name) { return value }
        if case .namespace(let namespace) = object, let value = namespace.members[index] { return value }
        return missing(name, object)
    }

    private mutating func slice(_ object: Value, _ bounds: [Value?]) throws(TemplateError) -> Value {
        var numbers: [Int?] = []
        for bound in bounds {
            switch bound {
            case nil, .some(.none): numbers.append(nil)
            case let value?:
                guard let number = value.integer else { throw failure("slice indices must be whole numbers or none") }
                numbers.append(number)
            }
        }
        guard numbers[2] != 0 else { throw failure("a slice's step cannot be 0") }
        switch object {
        case .string(let text):
            try reserve(2 * text.units.count)
            let places = Self.places(numbers, text.units.count)
            return .string(TemplateText(units: places.map { text.units[$0] }))
        case .list(let series) where series.kind.isIndexed:
            try reserve(series.items.count * Self.unitsOfElement)
            let places = Self.places(numbers, series.items.count)
            return .list(Series(places.map { series.items[$0] }, series.kind))
        case .undefined(let what): throw failure(what)
        default: return .undefined(what: "a \(object.typeName) cannot be sliced")
        }
    }

    /// The indices that Python's slice of so many elements takes.
    private static func places(_ bounds: [Int?], _ count: Int) -> [Int] {
        let step = bounds[2] ?? 1
        func place(_ bound: Int) -> Int {
            let place = bound < 0 ? (bound < -count ? -1 : bound + count) : min(bound, count)
            return step > 0 ? max(0, place) : min(place, count - 1)
        }
        let start = bounds[0].map(place) ?? (step > 0 ? 0 : count - 1)
        let stop = bounds[1].map(place) ?? (step > 0 ? count : -1)
        // Larger steps take no more than the first element.
        return Array(stride(from: start, to: stop, by: max(-count - 1, min(step, count + 1))))
    }

    // MARK: Calls

    mutating func call(_ callee: Value, _ arguments: ArgumentValues) throws(TemplateError) -> Value {
        switch callee {
        case .function(.macro(let macro)), .function(.caller(let macro)): return .string(try run(macro, arguments))
        case .function(.method(let object, let name)): return try method(name, of: object, arguments)
        case .function(.global(let name)): return try global(name, arguments)
        case .undefined(let what): throw failure(what)
        default: throw failure("a \(callee.typeName) cannot be called")
        }
    }

    private mutating func global(_ name: String, _ arguments: ArgumentValues) throws(TemplateError) -> Value {
        switch name {
        case "raise_exception":
            throw failure(try printed(arguments.value(0, "message") ?? .own("")).string, .raised)
        case "range": return try range(arguments)
        case "strftime_now":
            guard let format = arguments.value(0, "format")?.text else { throw failure("strftime_now needs a format") }
            return .own(try time(format.string))
        case "dict", "namespace":
            var members = Members()
            for value in arguments.positional {
                guard case .dictionary(let other) = value else {
                    throw failure("\(name)() takes a dictionary or names")
                }
                for (key, value) in zip(other.keys, other.values) { members[key] = value }
            }
            for argument in arguments.named { members[.own(argument.name)] = argument.value }
            guard name == "namespace" else { return .dictionary(members) }
            let namespace = Namespace()
            namespace.members = members
            try keep(namespace)
            return .namespace(namespace)
        default: throw failure("the function '\(name)' is not supported", .unsupported)
        }
    }

    /// Most elements of a range, as Jinja's sandbox has it.
    private static let longestRange = 100_000

    private mutating func range(_ arguments: ArgumentValues) throws(TemplateError) -> Value {
        var numbers: [Int] = []
        for value in arguments.positional {
            guard let number = value.integer else { throw failure("range() takes whole numbers") }
            numbers.append(number)
        }
        guard (1...3).contains(numbers.count), arguments.named.isEmpty else {
            throw failure("range() takes one to three whole numbers")
        }
        let (start, stop) = numbers.count == 1 ? (0, numbers[0]) : (numbers[0], numbers[1])
        let step = numbers.count == 3 ? numbers[2] : 1
        guard step != 0 else { throw failure("range() needs a step other than 0") }
        let (span, isHuge) = (step > 0 ? stop : start).subtractingReportingOverflow(step > 0 ? start : stop)
        let count = isHuge ? UInt.max : UInt(max(0, span)) / step.magnitude
        guard count < Self.longestRange else {
            throw failure("range() may have at most \(Self.longestRange) elements")
        }
        try reserve(Int(count) * Self.unitsOfElement)
        var items: [Value] = []
        var number = start
        while step > 0 ? number < stop : number > stop {
            items.append(.integer(number))
            let (next, overflow) = number.addingReportingOverflow(step)
            if overflow { break }
            number = next
        }
        return .list(Series(items, .range))
    }

    // MARK: Elements

    /// What a text of one character takes beside a character of a longer one, and an element of a list.
    static let (unitsOfText, unitsOfElement) = (25, 10)

    /// What a loop over the value walks through.
    mutating func elements(of value: Value) throws(TemplateError) -> [Value] {
        switch value {
        case .undefined: return []
        case .list(let series): return series.items
        case .dictionary(let members): return members.keys
        case .string(let text):
            try reserve(text.units.count * Self.unitsOfText)
            return text.units.map { .string(TemplateText(units: [$0])) }
        default: throw failure("a \(value.typeName) cannot be walked through")
        }
    }
}

extension LoopState {
    /// `loop.name`; nil when loops know nothing of that name.
    func attribute(_ name: String) throws(TemplateError) -> Value? {
        switch name {
        case "index": .integer(index + 1)
        case "index0": .integer(index)
        case "revindex": .integer(items.count - index)
        case "revindex0": .integer(items.count - index - 1)
        case "first": .bool(index == 0)
        case "last": .bool(index + 1 == items.count)
        case "length": .integer(items.count)
        case "depth": .integer(level + 1)
        case "depth0": .integer(level)
        case "previtem": index > 0 ? items[index - 1] : .undefined(what: "there is no previous item")
        case "nextitem":
            index + 1 < items.count ? items[index + 1] : .undefined(what: "there is no next item")
        default: nil
        }
    }
}
