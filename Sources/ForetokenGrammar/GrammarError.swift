/// Why a schema cannot become a grammar.
public struct GrammarError: Error, Equatable, Sendable, CustomStringConvertible {
    /// Where in the schema, as a JSON pointer behind `#`, such as `#/properties/age/minimum`.
    public let path: String
    /// What was expected and what was found there.
    public let reason: String
    /// Which of several schemas it is about; nil where it is about all of them.
    public package(set) var schema: Int?

    package init(_ path: String, _ reason: String) {
        self.path = path
        self.reason = reason
    }

    /// One line, without a final full stop; a long path is cut.
    public var description: String { "\(SchemaPath.shown(path).dropFirst().dropLast()): \(reason)" }
}
