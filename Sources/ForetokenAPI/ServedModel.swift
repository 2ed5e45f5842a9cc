import ForetokenJSON
import ForetokenSpeculation
import ForetokenText
import ForetokenTokenizer
import FoundationEssentials

/// The model that requests are answered with, as the API shows it.
package struct ServedModel: Sendable {
    package let open: OpenModel
    /// Names that requests may call it by; the first is the one that answers have.
    package let names: [String]
    /// Most tokens of a text, its answer included.
    package let context: Int
    /// Settings of requests that say nothing.
    package let base: AnswerSettings
    /// When the server began, in seconds of Unix time.
    package let created: Int
    /// What an answer's bits depend on besides the request.
    package let fingerprint: String
    /// Grammars that answers were to keep to.
    let grammars: GrammarShelf

    package init(
        _ open: OpenModel, names: [String], context: Int, base: AnswerSettings, created: Int, fingerprint: String
    ) {
        precondition(!names.isEmpty)
        self.open = open
        self.names = names
        self.context = context
        self.base = base
        self.created = created
        self.fingerprint = fingerprint
        grammars = GrammarShelf(open)
    }

    package var name: String { names[0] }

    /// Whether it is the model that comes with the program.
    private var isEmbedded: Bool { open.settings.directory == nil }

    /// Refuses a request for another model.
    package func check(name: String?) throws(APIError) {
        guard let name, !names.contains(name) else { return }
        throw APIError(
            404, code: "model_not_found", param: "model",
            "there is no model \"\(name.prefix(200))\" here; this server has \"\(self.name)\"")
    }

    /// The tokens of a prompt that fits the context.
    func encode(_ prompt: Prompt, param: String) throws(APIError) -> [Int32] {
        let ids = try APIError.reading(param) { try open.tokens(of: prompt) }
        if ids.isEmpty { throw .value(param, "the prompt is empty: there is nothing to continue") }
        if ids.count > context { throw .tooLong(ids.count, context: context, param: param) }
        try APIError.reading(param) { try open.checkIDs(ids) }
        return ids
    }

    // MARK: Model list

    /// What GET /v1/models answers.
    package var list: [UInt8] {
        var writer = JSONWriter()
        writer.object { list in
            list.member("object", "list")
            list.list("data") { data in for name in names { write(name, into: &data) } }
            // Anthropic's clients read lists by pages.
            list.member("has_more", false)
            list.member("first_id", names.first)
            list.member("last_id", names.last)
            // Codex's catalogue of models that it has instructions for: it reads no list without one.
            list.list("models") { _ in }
        }
        return writer.bytes
    }

    /// What GET /v1/models/{id} answers.
    package func entry(_ name: String) throws(APIError) -> [UInt8] {
        try check(name: name)
        var writer = JSONWriter()
        write(name, into: &writer)
        return writer.bytes
    }

    private func write(_ name: String, into writer: inout JSONWriter) {
        writer.object { entry in
            entry.member("id", name)
            entry.member("object", "model")
            entry.member("created", created)
            entry.member("owned_by", "foretoken")
            entry.member("root", self.name)
            entry.nullMember("parent")
            entry.member("max_model_len", context)
            // The chat page tells what such a model is good for.
            if isEmbedded { entry.object("foretoken") { $0.member("embedded", true) } }
            // What Anthropic's clients read.
            entry.member("type", "model")
            entry.member("display_name", name)
            entry.member("created_at", Date(timeIntervalSince1970: Double(created)).ISO8601Format())
            entry.member("max_input_tokens", context)
            entry.member("max_tokens", context)
        }
    }
}
