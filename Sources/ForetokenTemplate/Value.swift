/// What expressions work with: Python's values as far as templates need them.
enum Value {
    /// A name, key or index without a value; `what` is for messages.
    case undefined(what: String)
    case none
    case bool(Bool)
    case integer(Int)
    /// A whole number beyond `Int`, as its digits: it can be printed and compared for equality, but not reckoned with.
    case huge(String)
    case number(Double)
    case string(TemplateText)
    /// Text behind `safe`: as text, but what is added to it would be escaped, which is not done here.
    case safe(TemplateText)
    case list(Series)
    case dictionary(Members)
    case namespace(Namespace)
    case function(Function)
    case loop(LoopState)

    /// The template's own text.
    static func own(_ text: String) -> Value { .string(TemplateText(own: text)) }

    static func list(_ items: [Value]) -> Value { .list(Series(items, .list)) }

    init(_ value: TemplateValue) {
        switch value {
        case .none: self = .none
        case .bool(let value): self = .bool(value)
        case .integer(let value): self = .integer(value)
        case .huge(let digits): self = .huge(digits)
        case .number(let value): self = .number(value)
        case .string(let text): self = .string(text)
        case .list(let values): self = .list(values.map { Value($0) })
        case .dictionary(let dictionary):
            var members = Members()
            for member in dictionary.members { members[.string(member.key)] = Value(member.value) }
            self = .dictionary(members)
        }
    }

    /// What Python calls the type.
    var typeName: String {
        switch self {
        case .undefined: "Undefined"
        case .none: "NoneType"
        case .bool: "bool"
        case .integer: "int"
        case .huge: "int of more than 64 bits"
        case .number: "float"
        case .string: "str"
        case .safe: "Markup"
        case .list(let series): series.kind.rawValue
        case .dictionary: "dict"
        case .namespace: "Namespace"
        case .function: "function"
        case .loop: "LoopContext"
        }
    }

    /// Whether it counts as true.
    var isTrue: Bool {
        switch self {
        case .undefined, .none: false
        case .bool(let value): value
        case .integer(let value): value != 0
        case .huge: true
        case .number(let value): value != 0
        case .string(let text), .safe(let text): !text.units.isEmpty
        case .list(let series): series.kind == .generator || !series.items.isEmpty
        case .dictionary(let members): members.count > 0
        case .namespace, .function, .loop: true
        }
    }

    /// How deep values lie in it; texts and numbers have none in them.
    var depth: Int {
        switch self {
        case .list(let series): series.depth
        case .dictionary(let members): members.depth
        case .namespace(let namespace): namespace.members.depth + 1
        case .function(.method(let object, _)): object.depth + 1
        case .loop(let state): state.depth
        default: 0
        }
    }

    var isUndefined: Bool { if case .undefined = self { true } else { false } }

    /// Bools count as 0 and 1.
    var integer: Int? {
        switch self {
        case .integer(let value): value
        case .bool(let value): value ? 1 : 0
        default: nil
        }
    }

    /// Any number as a floating one.
    var real: Double? { if case .number(let value) = self { value } else { integer.map { Double($0) } } }

    var text: TemplateText? {
        switch self {
        case .string(let text), .safe(let text): text
        default: nil
        }
    }

    var isSafe: Bool { if case .safe = self { true } else { false } }

    var isHuge: Bool { if case .huge = self { true } else { false } }
}

/// Several values in a row.
struct Series {
    /// What Python would have made; lists and tuples can be indexed and printed, the others only walked through.
    enum Kind: String {
        case list, tuple, range
        case keys = "dict_keys"
        case values = "dict_values"
        case items = "dict_items"
        case generator

        var isIndexed: Bool { self == .list || self == .tuple || self == .range }
    }

    let items: [Value]
    let kind: Kind
    /// How deep values lie in it.
    let depth: Int

    init(_ items: [Value], _ kind: Kind) {
        self.items = items
        self.kind = kind
        depth = items.depth
    }
}

/// A dictionary in order of insertion.
struct Members {
    private(set) var keys: [Value] = []
    private(set) var values: [Value] = []
    /// How deep values lie in it.
    private(set) var depth = 1
    private var places: [Key: Int] = [:]

    /// What can be a key: numbers that are equal are one key.
    enum Key: Hashable {
        case none
        case integer(Int)
        case huge(String)
        case number(Double)
        case string(TemplateText)
        case tuple([Key])

        init?(_ value: Value) {
            switch value {
            case .none: self = .none
            case .bool(let value): self = .integer(value ? 1 : 0)
            case .integer(let value): self = .integer(value)
            case .huge(let digits): self = .huge(digits)
            case .number(let value):
                self =
                    Int(exactly: value).map { .integer($0) } ?? Numbers.hugeDigits(value).map { .huge($0) }
                    ?? .number(value)
            case .string(let text), .safe(let text): self = .string(text)
            case .list(let series) where series.kind == .tuple:
                let keys = series.items.compactMap { Key($0) }
                guard keys.count == series.items.count else { return nil }
                self = .tuple(keys)
            default: return nil
            }
        }
    }

    var count: Int { keys.count }

    subscript(key: Value) -> Value? {
        get { Key(key).flatMap { places[$0] }.map { values[$0] } }
        set {
            guard let newValue, let place = Key(key) else { return }
            depth = max(depth, newValue.depth + 1)
            if let index = places[place] {
                values[index] = newValue
            } else {
                places[place] = keys.count
                keys.append(key)
                values.append(newValue)
            }
        }
    }

    func contains(_ key: Value) -> Bool { Key(key).map { places[$0] != nil } ?? false }
}

/// The one object that templates can change: `namespace()`.
final class Namespace {
    var members = Members()
}

/// Something that can be called.
indirect enum Function {
    /// A function of Jinja's or of the environment's.
    case global(String)
    /// A method of a value.
    case method(Value, String)
    case macro(Macro)
    /// Inside a macro: the body of the block that called it.
    case caller(Macro)
}

/// A macro with the variables around its definition.
final class Macro {
    let definition: MacroDefinition
    let scope: Scope

    init(_ definition: MacroDefinition, _ scope: Scope) {
        self.definition = definition
        self.scope = scope
    }
}

/// Variables of a block, and those around it.
final class Scope {
    private var names: [String: Value] = [:]
    let outer: Scope?

    init(inside outer: Scope? = nil) { self.outer = outer }

    func clear() { names = [:] }

    subscript(name: String) -> Value? {
        get {
            var scope: Scope? = self
            while let current = scope {
                if let value = current.names[name] { return value }
                scope = current.outer
            }
            return nil
        }
        set { names[name] = newValue }
    }
}

/// What `loop` knows.
final class LoopState {
    let items: [Value]
    var index = 0
    /// Loops around this one.
    let level: Int
    /// How deep values lie in it.
    let depth: Int

    init(_ items: [Value], level: Int) {
        self.items = items
        self.level = level
        depth = items.depth
    }
}

extension [Value] {
    /// How deep values lie in a list of these.
    fileprivate var depth: Int { reduce(0) { Swift.max($0, $1.depth) } + 1 }
}
