import ForetokenJSON

/// Requests of Anthropic's messages.
enum MessagesFields {
    private static let names = [
        "messages": "messages", "stop": "stop_sequences", "max_completion_tokens": "max_tokens",
        "reasoning_effort": "thinking", "parallel_tool_calls": "tool_choice.disable_parallel_tool_use",
        "tools[].function": "tools[]", "tools[].function.parameters": "tools[].input_schema",
    ]
    /// What is called as in the chat, but is another thing.
    private static let own: Set = ["max_tokens", "thinking"]

    /// - Parameter isCounted: whether only the prompt's tokens are asked for, so that there need be no limit of the answer's.
    static func translated(_ fields: RequestFields, isCounted: Bool = false) throws(APIError) -> TranslatedRequest {
        try refuseUnsupported(fields)
        guard let turns = try fields.read("messages", messages) else {
            throw APIError(400, code: "missing_required_parameter", param: "messages", "`messages` is missing")
        }
        let instructions = try fields.read("system", system) ?? []
        var chat = JSONObject()
        chat["messages"] = .array(instructions + turns)
        chat["tools"] = try fields.read("tools") { .array(try $0.list().map(tool)) }
        if let choice = try fields.fields("tool_choice") {
            chat["tool_choice"] = try APIError.reading("tool_choice") { try toolChoice(choice) }
            chat["parallel_tool_calls"] = try choice.flag("disable_parallel_tool_use").map { .bool(!$0) }
        }
        chat["reasoning_effort"] = try thinking(fields)
        chat["stop"] = try fields.read("stop_sequences") { .array(try $0.strings().map { .string($0) }) }
        var names = Self.names
        let format = try fields.fields("output_config")?.read("format", answerFormat)
        // As it was called earlier.
        let older = try fields.read("output_format", answerFormat)
        chat["response_format"] = format ?? older
        let formatName = format == nil && older != nil ? "output_format" : "output_config.format"
        for key in ["response_format", "response_format.json_schema"] { names[key] = formatName }
        if try fields.integer("max_tokens", in: 1 ... .max) == nil && !isCounted {
            throw APIError(400, code: "missing_required_parameter", param: "max_tokens", "`max_tokens` is missing")
        }
        chat["max_completion_tokens"] = fields.value("max_tokens")
        if let temperature = try fields.float("temperature"), !(0...1).contains(temperature) {
            throw .value("temperature", "`temperature` must be 0...1, not \(temperature)")
        }
        return try TranslatedRequest(fields, own: own, chat, names: names)
    }

    private static func refuseUnsupported(_ fields: RequestFields) throws(APIError) {
        try fields.refuse("mcp_servers", unless: { $0 == .array([]) }, "the server calls no tools itself")
        try fields.refuse("container", "the server runs nothing")
        // Earlier thoughts and results may be left out of a prompt, and need not be.
        let edits = try fields.fields("context_management")?.read("edits") { edits in
            try edits.list().map { (try $0.fields()["type"].string(), $0.path) }
        }
        for (type, path) in edits ?? [] where !type.hasPrefix("clear_") {
            throw .unsupported(
                path, "`\(path)` is of type \"\(type.prefix(60))\"; nothing but clearing can be asked for")
        }
    }

    // MARK: Messages

    private static func system(_ field: JSONField) throws -> [JSONValue] {
        let texts = try ContentPart.texts(field, ["text"]).map(ChatFields.withoutBilling).filter { !$0.isEmpty }
        return texts.isEmpty ? [] : [.message("system", texts.joined(separator: "\n\n"))]
    }

    private static func messages(_ field: JSONField) throws -> [JSONValue] {
        try field.list().flatMap { message -> [JSONValue] in
            let fields = try message.fields()
            let content = fields["content"]
            switch try fields["role"].string() {
            case "user": return try user(content)
            case "assistant": return [try assistant(content)]
            case "system": return try system(content)
            case let role:
                throw APIError.value(
                    "messages",
                    "`\(message.path).role` must be user, assistant or system, not \"\(role.prefix(60))\"")
            }
        }
    }

    /// A user's words, and what tools gave back: messages of their own in the chat.
    private static func user(_ content: JSONField) throws -> [JSONValue] {
        var messages: [JSONValue] = []
        var texts: [String] = []
        func endWords() {
            if !texts.isEmpty { messages.append(.message("user", texts.joined(separator: "\n\n"))) }
            texts = []
        }
        for part in try ContentPart.list(content, plain: "text") {
            switch part.type {
            case "text": texts.append(try part.text())
            case "tool_result":
                endWords()
                messages.append(try result(part))
            default: throw part.refusal("text and tool_result")
            }
        }
        endWords()
        return messages.isEmpty ? [.message("user", "")] : messages
    }

    private static func result(_ part: ContentPart) throws -> JSONValue {
        let texts = try part["content"].given.map { try ContentPart.list($0, plain: "text").map(resultText) } ?? []
        let isError = try part["is_error"].given?.flag() ?? false
        return .message(
            "tool", (isError ? "Error: " : "") + texts.joined(separator: "\n\n"), callID: try part.text("tool_use_id"))
    }

    /// What a tool gave back stays in the conversation: one picture would have all that follows refused. So it is told.
    private static func resultText(_ part: ContentPart) throws -> String {
        switch part.type {
        case "text": try part.text()
        case "image", "document": "[\(part.type) left out: this model reads text only]"
        default: throw part.refusal("text, image and document")
        }
    }

    private static func assistant(_ content: JSONField) throws -> JSONValue {
        var message = AssistantMessage()
        for part in try ContentPart.list(content, plain: "text") {
            switch part.type {
            case "text": message.text = (message.text ?? "") + (try part.text())
            case "thinking": message.reasoning = (message.reasoning ?? "") + (try part.text("thinking"))
            // Thoughts of another model that nobody can read.
            case "redacted_thinking": break
            case "tool_use":
                let input = try part["input"]
                let object = try input.fields()
                // What the model wrote in place of JSON, as its call was told.
                let unsound = object.keys == [MessageWriter.unsound] ? object[MessageWriter.unsound].value : nil
                message.call(
                    try part.text("id"), try part.text("name"), unsound?.string.map { .string($0) } ?? input.value!)
            default: throw part.refusal("text, thinking and tool_use")
            }
        }
        return message.message
    }

    // MARK: Settings

    private static func tool(_ field: JSONField) throws -> JSONValue {
        let fields = try field.fields()
        if let type = try fields["type"].given?.string(), type != "custom" {
            throw APIError.unsupported(
                "\(field.path).type",
                "`\(field.path)` has the type \"\(type.prefix(60))\"; only tools that the client runs can be called")
        }
        _ = try fields["input_schema"].fields()
        return try .tool(fields["name"], fields["description"], fields["input_schema"], fields["strict"])
    }

    private static func toolChoice(_ choice: RequestFields) throws -> JSONValue {
        switch try choice.string("type") {
        case "auto": return .string("auto")
        case "any": return .string("required")
        case "none": return .string("none")
        case "tool":
            guard let choice = try choice.read("name", { try JSONValue.choice(of: $0) }) else {
                throw APIError.value("tool_choice", "`tool_choice.name` is missing")
            }
            return choice
        default: throw APIError.value("tool_choice", "`tool_choice.type` must be auto, any, tool or none")
        }
    }

    /// A hint for models that can think or not; how long they do is their own affair.
    private static func thinking(_ fields: RequestFields) throws(APIError) -> JSONValue? {
        guard let thinking = try fields.fields("thinking") else { return nil }
        _ = try thinking.integer("budget_tokens", in: 1 ... .max)
        switch try thinking.string("type") {
        case "enabled", "adaptive", "between_tools": return .string("high")
        case "disabled": return .string("none")
        default: throw .value("thinking", "`thinking.type` must be enabled, adaptive or disabled")
        }
    }

    private static func answerFormat(_ field: JSONField) throws -> JSONValue {
        let fields = try field.fields()
        let type = try fields["type"].string()
        guard type == "json_schema" else {
            throw APIError.value(
                field.path, "`\(field.path).type` must be json_schema, not \"\(type.prefix(60))\"")
        }
        _ = try fields["schema"].fields()
        let schema = JSONObject([
            "name": .string("answer"), "schema": fields["schema"].value, "strict": .bool(true),
        ])
        return .object(JSONObject(["type": .string(type), "json_schema": .object(schema)]))
    }
}

extension ServedModel {
    /// What POST /v1/messages/count_tokens answers: how many tokens the prompt of a request has.
    package func countTokens(_ body: [UInt8]) throws(APIError) -> [UInt8] {
        let request = try MessagesFields.translated(RequestFields(body), isCounted: true)
        try check(name: request.fields.string("model"))
        let count: Int
        do {
            let chat = try ChatFields(request.fields)
            count = try APIError.reading("messages") { try chat.allTokens(self) }.count
        } catch {
            throw error.renamed(request.names)
        }
        var writer = JSONWriter()
        writer.object { $0.member("input_tokens", count) }
        return writer.bytes
    }
}
