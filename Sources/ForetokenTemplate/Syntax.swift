/// An expression of a template.
indirect enum Expression {
    case constant(Value)
    case name(String)
    case list([Expression])
    case tuple([Expression])
    case dictionary([(key: Expression, value: Expression)])
    /// `value.name`
    case attribute(Expression, String)
    /// `value[index]`
    case item(Expression, Expression)
    /// `value[start:stop:step]`
    case slice(Expression, start: Expression?, stop: Expression?, step: Expression?)
    case call(Expression, Arguments)
    case filter(Expression, String, Arguments)
    case test(Expression, String, Arguments)
    case not(Expression)
    case negative(Expression)
    case positive(Expression)
    /// Operators of one strength, from left to right.
    case arithmetic(Expression, [(operation: String, value: Expression)])
    case and([Expression])
    case or([Expression])
    /// `a < b <= c`
    case comparison(Expression, [(operation: String, value: Expression)])
    /// `~`
    case concatenation([Expression])
    case conditional(test: Expression, then: Expression, otherwise: Expression?)
}

/// Arguments of a call, filter or test.
struct Arguments {
    var positional: [Expression] = []
    var named: [(name: String, value: Expression)] = []
}

/// What an assignment or a loop binds.
indirect enum Target {
    case name(String)
    /// `namespace.attribute`
    case attribute(String, String)
    case tuple([Target])
}

/// A statement with the line it begins on.
struct Statement {
    indirect enum Kind {
        case text(String)
        case output(Expression)
        case condition([(test: Expression?, body: [Statement])])
        case loop(Loop)
        case set(Target, Expression)
        /// `{% set x %}…{% endset %}`, perhaps with filters
        case setBlock(Target, [FilterUse], [Statement])
        case macro(MacroDefinition)
        /// `{% call(…) macro(…) %}…{% endcall %}`
        case callBlock(MacroDefinition, Expression)
        case filterBlock([FilterUse], [Statement])
        case with([(target: Target, value: Expression)], [Statement])
        case leave
        case next
        /// A block whose body is written as if it were not there.
        case transparent([Statement])
    }

    let kind: Kind
    let line: Int
}

/// `{% for target in iterable if test %}`
struct Loop {
    let target: Target
    let iterable: Expression
    let test: Expression?
    let body: [Statement]
    let otherwise: [Statement]
}

/// A filter and its arguments.
struct FilterUse {
    let name: String
    let arguments: Arguments
}

/// A macro as it was written.
final class MacroDefinition {
    let name: String
    let parameters: [(name: String, standard: Expression?)]
    let body: [Statement]

    init(name: String, parameters: [(name: String, standard: Expression?)], body: [Statement]) {
        self.name = name
        self.parameters = parameters
        self.body = body
    }
}
