/// What can follow `is`.
enum Tests {
    static let names: Set<String> = [
        "defined", "undefined", "none", "string", "mapping", "sequence", "iterable", "number", "integer", "float",
        "boolean",
        "true", "false", "even", "odd", "divisibleby", "callable", "sameas", "in", "eq", "equalto", "==", "ne", "!=",
        "lt",
        "lessthan", "<", "le", "<=", "gt", "greaterthan", ">", "ge", ">=", "lower", "upper", "filter", "test",
    ]
    /// Those without an argument.
    static let lonely: Set<String> = [
        "defined", "undefined", "none", "string", "mapping", "sequence", "iterable", "number", "integer", "float",
        "boolean",
        "true", "false", "even", "odd", "callable", "lower", "upper", "filter", "test",
    ]
}

extension Renderer {
    mutating func test(_ name: String, _ value: Value, _ arguments: [Value]) throws(TemplateError) -> Bool {
        guard Tests.names.contains(name) else { throw failure("the test '\(name)' is not supported", .unsupported) }
        if let first = arguments.first, Tests.lonely.contains(name) {
            throw failure("the test '\(name)' takes no argument, found a \(first.typeName)")
        }
        switch name {
        case "defined": return !value.isUndefined
        case "undefined": return value.isUndefined
        case "none": if case .none = value { return true } else { return false }
        case "string": return value.text != nil
        case "mapping": if case .dictionary = value { return true } else { return false }
        case "boolean": if case .bool = value { return true } else { return false }
        case "true": if case .bool(true) = value { return true } else { return false }
        case "false": if case .bool(false) = value { return true } else { return false }
        case "integer": if case .integer = value { return true } else { return value.isHuge }
        case "float": if case .number = value { return true } else { return false }
        case "number": return value.real != nil || value.isHuge
        case "callable": if case .function = value { return true } else { return false }
        case "sequence":
            switch value {
            case .undefined, .string, .dictionary: return true
            case .list(let series): return series.kind.isIndexed
            default: return false
            }
        case "iterable":
            switch value {
            case .undefined, .string, .list, .dictionary, .loop: return true
            default: return false
            }
        case "lower", "upper":
            let text = try printed(value)
            return text.isAll(name == "lower" ? "islower" : "isupper")
        case "filter": return Filters.names.contains(value.text?.string ?? "")
        case "test": return Self.isTest(value)
        default: return try comparing(name, value, arguments)
        }
    }

    private static func isTest(_ value: Value) -> Bool { Tests.names.contains(value.text?.string ?? "") }

    private static let operators = [
        "eq": "==", "equalto": "==", "ne": "!=", "lt": "<", "lessthan": "<", "le": "<=", "gt": ">", "greaterthan": ">",
        "ge": ">=",
    ]

    private mutating func comparing(_ name: String, _ value: Value, _ arguments: [Value]) throws(TemplateError) -> Bool
    {
        switch name {
        case "even", "odd":
            guard case .integer(let rest) = try arithmetic("%", value, .integer(2)) else { return false }
            return rest == (name == "even" ? 0 : 1)
        default: break
        }
        guard let other = arguments.first else { throw failure("the test '\(name)' needs a value to compare with") }
        switch name {
        case "divisibleby": return try isEqual(try arithmetic("%", value, other), .integer(0))
        case "sameas":
            switch (value, other) {
            case (.none, .none): return true
            case (.bool(let left), .bool(let right)): return left == right
            case (.bool, _), (_, .bool), (.none, _), (_, .none): return false
            case (.namespace(let left), .namespace(let right)): return left === right
            default: throw failure("'sameas' is supported for true, false and none", .unsupported)
            }
        default: return try compare(Self.operators[name] ?? name, value, other)
        }
    }
}
