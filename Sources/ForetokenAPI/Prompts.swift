import ForetokenJSON
import ForetokenText
import ForetokenTokenizer

/// What a chat request says of the conversation.
struct ChatFields {
    private let prompt: ChatPrompt

    static let mostMessages = 4096

    init(_ fields: RequestFields) throws(APIError) {
        guard let messages = try fields.read("messages", { try ChatMessage.list($0) }) else {
            throw APIError(400, code: "missing_required_parameter", param: "messages", "`messages` is missing")
        }
        guard (1...Self.mostMessages).contains(messages.count) else {
            throw .value(
                "messages", "`messages` must have 1...\(Self.mostMessages) messages, not \(messages.count)")
        }
        prompt = ChatPrompt(messages, thinking: try Self.thinking(fields))
        let goesOn = try fields.flag("continue_final_message")
        if goesOn == true && !prompt.continuesAnswer {
            throw .value("continue_final_message", "the last message must be the assistant's to be gone on with")
        }
        if try fields.flag("add_generation_prompt") == false && !prompt.continuesAnswer {
            throw .unsupported(
                "add_generation_prompt", "false is only possible where the last message is the assistant's")
        }
    }

    func tokens(_ served: ServedModel) throws(APIError) -> [Int32] {
        try served.encode(.chat(prompt), param: "messages")
    }

    /// The same, however long.
    func allTokens(_ served: ServedModel) throws -> [Int32] { try served.open.tokens(of: .chat(prompt)) }

    /// Whether the model is to think, by whichever of the names in use.
    private static func thinking(_ fields: RequestFields) throws(APIError) -> Bool? {
        if let type = try fields.fields("thinking")?.string("type") {
            switch type {
            case "enabled": return true
            case "disabled": return false
            default: throw .value("thinking", "`thinking.type` must be \"enabled\" or \"disabled\"")
            }
        }
        if let variables = try fields.fields("chat_template_kwargs") {
            if let flag = try variables.flag("thinking") { return flag }
            if let flag = try variables.flag("enable_thinking") { return flag }
        }
        switch try fields.string("reasoning_effort") {
        case nil: return nil
        case "none", "minimal": return false
        case "low", "medium", "high", "xhigh", "max": return true
        case let other?: throw .value("reasoning_effort", "`reasoning_effort` cannot be \"\(other.prefix(60))\"")
        }
    }
}

/// What a completion request says of its prompts.
enum CompletionFields {
    /// The tokens of one prompt or of several.
    static func prompts(_ fields: RequestFields, _ served: ServedModel) throws(APIError) -> [[Int32]] {
        guard let prompts = try fields.read("prompt", list) else {
            throw APIError(400, code: "missing_required_parameter", param: "prompt", "`prompt` is missing")
        }
        guard (1...Order.mostChoices).contains(prompts.count) else {
            throw .value("prompt", "`prompt` must be 1...\(Order.mostChoices) prompts, not \(prompts.count)")
        }
        var tokens: [[Int32]] = []
        for prompt in prompts { tokens.append(try served.encode(prompt, param: "prompt")) }
        return tokens
    }

    /// A text, ids, or a list of either.
    private static func list(_ field: JSONField) throws -> [Prompt] {
        if let text = field.value?.string { return [.text(text)] }
        guard case .array(let elements) = field.value else {
            throw field.mismatch("a string, a list of strings, a list of token ids or a list of such lists")
        }
        switch elements.first {
        case .number: return [.tokens(try field.integers())]
        case .array: return try field.list().map { .tokens(try $0.integers()) }
        default: return try field.strings().map { .text($0) }
        }
    }
}
