/// Why a template cannot be used, or why it ended while it was rendered.
public struct TemplateError: Error, Equatable, Sendable, CustomStringConvertible {
    /// Whose fault it is.
    public enum Kind: Sendable, Equatable {
        /// The source is no template.
        case syntax
        /// The template asks for something that this interpreter does not do.
        case unsupported
        /// The template itself refused its variables, by `raise_exception`.
        case raised
        /// The template wanted more steps, memory or depth than any honest one needs.
        case limit
        /// An operation met a value it cannot work with.
        case runtime
    }

    /// Whose fault it is.
    public let kind: Kind
    /// The line of the source, from 1.
    public let line: Int
    /// What was expected and what was found; the template's own words where it refused.
    public let reason: String

    /// One line.
    public var description: String { "line \(line): \(reason)" }
}
