#if canImport(Glibc)
    import Glibc
#endif

/// A chat template: the subset of Jinja that published ones use, with the settings and functions that Hugging Face
/// transformers gives them (trim_blocks, lstrip_blocks, break and continue, `raise_exception`, `strftime_now`, its own `tojson`,
/// and an environment in which nothing but a `namespace` can be changed).
///
/// What it does not know is refused with line and reason, never passed over. Steps, depth and memory are bounded.
///
///     let template = try Template("{% for m in messages %}<{{ m.role }}>{{ m.content }}{% endfor %}")
///     let pieces = try template.render(variables)
public struct Template: Sendable {
    private let program: Program

    // Unchecked: nothing in it is written to once it has been parsed.
    private final class Program: @unchecked Sendable {
        let statements: [Statement]
        init(_ statements: [Statement]) { self.statements = statements }
    }

    /// Reads a template.
    /// - Throws: `TemplateError` of the kinds `syntax`, `unsupported` and `limit`.
    public init(_ source: String) throws(TemplateError) { program = Program(try Parser.statements(of: source)) }

    /// Seconds since 1970. Renderings that are compared must be given the same.
    public static var now: Int { time(nil) }

    /// The template's text for these variables, in runs of one origin each.
    ///
    /// - Parameters:
    ///   - variables: names and their values.
    ///   - now: seconds since 1970 that `strftime_now` tells.
    /// - Throws: `TemplateError` where the template refuses its variables, fails at them, or wants too much.
    public func render(
        _ variables: TemplateDictionary, now: Int = Template.now
    ) throws(TemplateError) -> [TemplatePiece] {
        let globals = Scope()
        for name in Renderer.globals { globals[name] = .function(.global(name)) }
        for member in variables.members { globals[member.key.string] = Value(member.value) }
        var renderer = Renderer(now: now)
        defer { renderer.takeApart() }
        _ = try renderer.run(program.statements, in: Scope(inside: globals))
        return TemplateText(units: renderer.output).pieces
    }
}
