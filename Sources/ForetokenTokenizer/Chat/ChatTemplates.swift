import ForetokenTemplate

/// The chat templates of a checkpoint, each with its name; most have one, named "default".
public struct ChatTemplates: Sendable {
    private var templates: [String: Template] = [:]

    /// No template at all.
    public var isEmpty: Bool { templates.isEmpty }

    /// One template under the name "default". Throws `TokenizerError.chat` where it cannot be understood.
    public init(_ source: String) throws(TokenizerError) { try self.init([Self.usual: source]) }

    /// Templates by name. Throws `TokenizerError.chat` where one cannot be understood.
    public init(_ sources: [String: String]) throws(TokenizerError) {
        for (name, source) in sources.sorted(by: { $0.key < $1.key }) {
            do {
                templates[name] = try Template(source)
            } catch {
                let which = name == Self.usual ? "The chat template" : "The chat template \"\(name)\""
                throw .chat(
                    reason:
                        "\(which) cannot be used: \(error). Use this checkpoint on plain text, or give another template."
                )
            }
        }
    }

    /// The name of the only template, and of the one that is taken unless there is reason for another.
    public static let usual = "default"
    /// The name that some checkpoints give a template for conversations with tools.
    private static let forTools = "tool_use"

    /// The template for a conversation, as transformers chooses it.
    func template(withTools: Bool) throws(TokenizerError) -> Template {
        if withTools, let template = templates[Self.forTools] { return template }
        if let template = templates[Self.usual] ?? (templates.count == 1 ? templates.values.first : nil) {
            return template
        }
        let names = templates.keys.sorted().joined(separator: ", ")
        throw .chat(reason: "The checkpoint has the chat templates \(names), and none is named \"\(Self.usual)\".")
    }
}
