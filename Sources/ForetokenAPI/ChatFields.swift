import ForetokenJSON
import ForetokenText
import ForetokenTokenizer

/// What a chat request says of the conversation.
struct ChatFields {
    private let prompt: ChatPrompt
    let tools: ToolFields
    /// The field that wants thoughts or none; nil for no wish.
    private let thinkingField: String?

    private static let mostMessages = 4096

    /// Fields that say how the chat template is used.
    static let templateFields = [
        "chat_template", "documents", "add_special_tokens", "chat_template_kwargs", "continue_final_message",
        "add_generation_prompt",
    ]

    init(_ fields: RequestFields) throws(APIError) {
        try Self.refuseUnsupported(fields)
        guard var messages = try fields.read("messages", { try ChatMessage.list($0) }) else {
            throw APIError(400, code: "missing_required_parameter", param: "messages", "`messages` is missing")
        }
        guard (1...Self.mostMessages).contains(messages.count) else {
            throw .value(
                "messages", "`messages` must have 1...\(Self.mostMessages) messages, not \(messages.count)")
        }
        for index in messages.indices where messages[index].role == .system {
            messages[index].content = messages[index].content.map(Self.withoutBilling)
        }
        let wish = try Self.thinking(fields)
        thinkingField = wish?.field
        tools = try ToolFields(fields)
        prompt = ChatPrompt(messages, tools: tools.tools, thinking: wish?.thinks)
        try Self.checkPrefix(fields, prompt)
    }

    /// Refuses what would have the template write another prompt.
    private static func refuseUnsupported(_ fields: RequestFields) throws(APIError) {
        try fields.refuse("chat_template", "the model's own is used")
        try fields.refuse("documents", unless: { $0 == .array([]) }, "write them into `messages`")
        try fields.refuse(
            "add_special_tokens", unless: { $0 == .bool(false) }, "the chat template writes the first token itself")
        let variables = try fields.read("chat_template_kwargs") { try $0.fields().members } ?? []
        for (key, field) in variables where field.given != nil && !["thinking", "enable_thinking"].contains(key) {
            throw .unsupported(
                "chat_template_kwargs",
                "`chat_template_kwargs` has \"\(key.prefix(60))\"; only thinking and enable_thinking can be set")
        }
    }

    /// Claude Code begins its instructions with a line that differs in every request: no prompt would begin as an earlier one.
    static func withoutBilling(_ text: String) -> String {
        guard text.utf8.starts(with: "x-anthropic-billing-header:".utf8) else { return text }
        guard let end = text.utf8.firstIndex(of: UInt8(ascii: "\n")) else { return "" }
        return String(text[end...].dropFirst())
    }

    /// Three ways of saying that the last message is to be gone on with, which it is whenever it is the assistant's.
    private static func checkPrefix(_ fields: RequestFields, _ prompt: ChatPrompt) throws(APIError) {
        let prefixes = try fields.read("messages") { messages in
            try messages.list().map { try $0.fields()["prefix"].given?.flag() ?? false }
        }
        if let place = prefixes?.firstIndex(of: true), place + 1 < prompt.messages.count || !prompt.continuesAnswer {
            throw .value("messages", "`messages[\(place)].prefix` is for the last message, where it is the assistant's")
        }
        if try fields.flag("continue_final_message") == true && !prompt.continuesAnswer {
            throw .value("continue_final_message", "the last message must be the assistant's to be gone on with")
        }
        if try fields.flag("add_generation_prompt") == false && !prompt.continuesAnswer {
            throw .unsupported(
                "add_generation_prompt", "false is only possible where the last message is the assistant's")
        }
    }

    func tokens(_ served: ServedModel) throws(APIError) -> [Int32] {
        let calls = try calls(served)
        if calls == nil && !prompt.tools.isEmpty {
            throw .unsupported(
                "tools", "the chat template of \(served.name) writes no calls of tools that this server can read")
        }
        return try served.encode(.chat(try prompt(for: served)), param: "messages")
    }

    /// The same, however long.
    func allTokens(_ served: ServedModel) throws -> [Int32] {
        try served.open.tokens(of: .chat(try prompt(for: served)))
    }

    private func prompt(for served: ServedModel) throws(APIError) -> ChatPrompt {
        guard let thinkingField, let format = try? served.open.chatFormat() else { return prompt }
        let probe = ChatPrompt([ChatMessage(.user, "?")], thinking: prompt.thinking)
        if (try? format.pieces(of: probe)) != nil { return prompt }
        // An effort is only a hint, for models that can do either.
        guard thinkingField == "reasoning_effort" else {
            throw .unsupported(
                thinkingField,
                "`\(thinkingField)` cannot be followed: the chat format of \(served.name) "
                    + (prompt.thinking == true ? "has no thoughts" : "always begins with thoughts") + "; leave it out")
        }
        var free = prompt
        free.thinking = nil
        return free
    }

    /// How the model calls the tools that it is told of.
    private func calls(_ served: ServedModel) throws(APIError) -> CallFormat? {
        try APIError.reading("tools") { try prompt.tools.isEmpty ? nil : served.open.callFormat() }
    }

    /// How the answer to the prompt with these tokens is told apart; nil where all of it is content.
    func grammar(_ served: ServedModel, _ tokens: [Int32]) throws(APIError) -> AnswerGrammar? {
        guard let tokenizer = served.open.tokenizer else { return nil }
        let turnEnds = (try? served.open.turnEnds()) ?? []
        let grammar = AnswerGrammar(
            tokenizer, prompt: tokens, calls: try calls(served), tools: prompt.tools, turnEnds: turnEnds)
        return grammar.isPlain ? nil : grammar
    }

    /// Whether the model is to think, by whichever of the names in use; nil where none is there.
    private static func thinking(_ fields: RequestFields) throws(APIError) -> (thinks: Bool, field: String)? {
        // All are read before one of them counts: what is wrong is refused.
        let type = try fields.fields("thinking")?.string("type")
        let variables = try fields.fields("chat_template_kwargs")
        let switches = [try variables?.flag("thinking"), try variables?.flag("enable_thinking")]
        let hint: Bool? =
            switch try fields.string("reasoning_effort") {
            case nil: nil
            case "none", "minimal": false
            case "low", "medium", "high", "xhigh", "max": true
            case let other?:
                throw .value("reasoning_effort", "`reasoning_effort` cannot be \"\(other.prefix(60))\"")
            }
        switch type {
        case nil: break
        case "enabled": return (true, "thinking")
        case "disabled": return (false, "thinking")
        default: throw .value("thinking", "`thinking.type` must be \"enabled\" or \"disabled\"")
        }
        if let flag = switches.compactMap(\.self).first { return (flag, "chat_template_kwargs") }
        return hint.map { ($0, "reasoning_effort") }
    }
}
