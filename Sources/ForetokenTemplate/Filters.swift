/// What can follow `|`.
enum Filters {
    static let names: Set<String> = [
        "tojson", "trim", "join", "length", "count", "upper", "lower", "title", "capitalize", "first", "last", "list",
        "string",
        "int", "float", "default", "d", "replace", "reverse", "sort", "dictsort", "items", "map", "select", "reject",
        "selectattr", "rejectattr", "unique", "min", "max", "sum", "round", "abs", "indent", "safe", "format",
        "wordcount",
    ]
}

extension Renderer {
    mutating func filter(
        _ name: String, _ value: Value, _ arguments: ArgumentValues
    ) throws(TemplateError) -> Value {
        guard Filters.names.contains(name) else { throw failure("the filter '\(name)' is not supported", .unsupported) }
        switch name {
        case "tojson": return .string(try json(value, arguments))
        case "trim":
            let set = arguments.value(0, "chars")?.text
            return .string(try printed(value).stripped(of: set))
        case "string": return value.isSafe ? value : .string(try printed(value))
        case "safe": return .safe(try printed(value))
        case "upper", "lower", "title", "capitalize":
            let text = try printed(value)
            return .string(try name == "title" ? titled(text) : cased(text, name))
        case "replace": return .string(try replaced(try printed(value), textual(arguments, ["old", "new"])))
        case "indent": return .string(try indented(try printed(value), arguments))
        case "format":
            let named =
                arguments.named.isEmpty
                ? nil : try call(.function(.global("dict")), ArgumentValues(named: arguments.named))
            return .string(
                try formatted(try printed(value), named ?? .list(Series(arguments.positional, .tuple))))
        case "wordcount": return .integer(try printed(value).words(atMost: .max, fromRight: false).count)
        case "default", "d":
            let replacesFalse = arguments.value(1, "boolean")?.isTrue ?? false
            guard value.isUndefined || replacesFalse && !value.isTrue else { return value }
            return arguments.value(0, "default_value") ?? .own("")
        case "int", "float", "abs", "round": return try number(name, value, arguments)
        case "items":
            if value.isUndefined { return .list(Series([], .generator)) }
            guard case .dictionary = value else {
                throw failure("'items' needs a dictionary, found a \(value.typeName)")
            }
            return try method("items", of: value, arguments)
        default: return try listFilter(name, value, arguments)
        }
    }

    /// The same with texts in place of other values.
    private mutating func textual(
        _ arguments: ArgumentValues, _ names: [String]
    ) throws(TemplateError) -> ArgumentValues {
        var result = arguments
        for (index, name) in names.enumerated() {
            guard let value = arguments.value(index, name) else { throw failure("'\(name)' is missing") }
            let text = Value.string(try printed(value))
            if index < result.positional.count {
                result.positional[index] = text
            } else {
                result.named.append((name, text))
            }
        }
        return result
    }

    /// Jinja's own title case: words begin behind white space and some punctuation.
    private mutating func titled(_ text: TemplateText) throws(TemplateError) -> TemplateText {
        try reserve(text.units.count * 3)
        var result: [UInt32] = []
        var beginsWord = true
        for unit in text.units {
            let isBreak = unit.isSpace || "-([{<".unicodeScalars.contains(unit.scalar)
            let properties = unit.scalar.properties
            let mapping = beginsWord ? properties.uppercaseMapping : properties.lowercaseMapping
            result += mapping.unicodeScalars.map { $0.value | unit & TemplateText.inputMark }
            beginsWord = isBreak
        }
        return TemplateText(units: result)
    }

    private mutating func indented(_ text: TemplateText, _ arguments: ArgumentValues) throws(TemplateError)
        -> TemplateText
    {
        let prefix: [UInt32]
        switch arguments.value(0, "width") {
        case .string(let text)?: prefix = text.units
        case nil: prefix = Array(repeating: 0x20, count: 4)
        case let width?:
            guard let count = width.integer else { throw failure("'indent' takes a whole number or a text") }
            try reserve(max(0, count))
            prefix = Array(repeating: 0x20, count: max(0, count))
        }
        let indentsFirst = arguments.value(1, "first")?.isTrue ?? false
        let indentsBlank = arguments.value(2, "blank")?.isTrue ?? false
        // A line end at the very end begins another line.
        var lines = TemplateText(units: text.units + [0x0A]).lines(keepingEnds: false)
        if lines.isEmpty { lines = [TemplateText(own: "")] }
        var result: [UInt32] = []
        for (index, line) in lines.enumerated() {
            if index > 0 { result.append(0x0A) }
            let isIndented = index == 0 ? indentsFirst : indentsBlank || !line.units.isEmpty
            if isIndented { result += prefix }
            result += line.units
            try reserve(prefix.count + line.units.count + 1)
        }
        return TemplateText(units: result)
    }

    private mutating func number(
        _ name: String, _ value: Value, _ arguments: ArgumentValues
    ) throws(TemplateError) -> Value {
        switch name {
        case "int":
            guard arguments.value(1, "base") == nil else {
                throw failure("'int' with a base is not supported", .unsupported)
            }
            if let whole = value.integer { return .integer(whole) }
            if value.isHuge { return value }
            if let whole = value.text.flatMap({ Numbers.whole($0) }) { return whole }
            if case .number(let real) = value, real.isInfinite { throw failure("infinity is no whole number") }
            let real = value.real ?? value.text.flatMap { Numbers.real($0) }
            return real.flatMap { Numbers.truncated($0) } ?? arguments.value(0, "default") ?? .integer(0)
        case "float":
            if let real = value.real { return .number(real) }
            if let real = value.text.flatMap({ Numbers.real($0) }) { return .number(real) }
            if case .huge(let digits) = value {
                guard let real = Double(digits), real.isFinite else {
                    throw failure("a number is too large for 'float'")
                }
                return .number(real)
            }
            return arguments.value(0, "default") ?? .number(0)
        case "abs":
            if let whole = value.integer {
                guard whole != .min else { throw failure("a number has more than 64 bits", .limit) }
                return .integer(abs(whole))
            }
            if case .huge(let digits) = value { return .huge(String(digits.drop { $0 == "-" })) }
            guard let real = value.real else { throw failure("'abs' needs a number, found a \(value.typeName)") }
            return .number(abs(real))
        default:
            guard arguments.value(1, "method") == nil, arguments.value(0, "precision")?.integer ?? 0 == 0 else {
                throw failure("'round' with a precision or a method is not supported", .unsupported)
            }
            if let whole = value.integer { return .integer(whole) }
            if value.isHuge { return value }
            guard let real = value.real else { throw failure("'round' needs a number, found a \(value.typeName)") }
            return .number(real.rounded(.toNearestOrEven))
        }
    }
}
