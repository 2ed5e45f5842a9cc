import ForetokenJSON

/// Requests of OpenAI's responses. The server keeps none: each brings its whole conversation.
enum ResponsesFields {
    private static let names = [
        "messages": "input", "max_completion_tokens": "max_output_tokens", "max_tokens": "max_output_tokens",
        "response_format": "text.format", "response_format.json_schema": "text.format",
        "reasoning_effort": "reasoning.effort", "tools[].function": "tools[]",
    ]
    /// What is called as in the chat, and is read here.
    private static let own: Set = ["parallel_tool_calls", "top_logprobs"]

    static func translated(_ fields: RequestFields) throws(APIError) -> TranslatedRequest {
        try refuseUnsupported(fields)
        guard var messages = try fields.read("input", Self.messages) else {
            throw APIError(400, code: "missing_required_parameter", param: "input", "`input` is missing")
        }
        // Codex finds out with nothing whether anybody answers.
        if messages.isEmpty { messages = [.message("user", "")] }
        if let instructions = try fields.string("instructions") {
            messages.insert(.message("system", instructions), at: 0)
        }
        var chat = JSONObject()
        chat["messages"] = .array(messages)
        var names = Self.names
        chat["tools"] = try fields.read("tools") { field in
            var tools: [JSONValue] = []
            for (place, one) in try field.list().enumerated() {
                guard let tool = try tool(one) else { continue }
                if place > tools.count {
                    for own in ["", ".function"] { names["tools[\(tools.count)]\(own)"] = "tools[\(place)]" }
                }
                tools.append(tool)
            }
            return .array(tools)
        }
        chat["tool_choice"] = try fields.read("tool_choice", toolChoice)
        chat["parallel_tool_calls"] = fields.value("parallel_tool_calls")
        chat["reasoning_effort"] = try fields.fields("reasoning")?.string("effort").map { .string($0) }
        chat["response_format"] = try fields.fields("text")?.read("format", answerFormat)
        _ = try fields.integer("max_output_tokens", in: 1 ... .max)
        chat["max_completion_tokens"] = fields.value("max_output_tokens")
        return try TranslatedRequest(fields, own: own, chat, names: names, repeated: repeated(fields))
    }

    private static func refuseUnsupported(_ fields: RequestFields) throws(APIError) {
        let keepsNone = "the server keeps no conversations; send the whole one as `input`"
        for key in ["previous_response_id", "conversation"] { try fields.refuse(key, keepsNone) }
        try fields.refuse("background", unless: { $0 == .bool(false) }, "answers come at once")
        try fields.refuse("prompt", "the server keeps no prompts")
        try fields.refuse("context_management", unless: { $0 == .array([]) }, "the server shortens no conversations")
        try fields.refuse(
            "truncation", unless: { $0.string == "disabled" }, "the server shortens no conversations")
        try fields.refuse("top_logprobs", unless: { $0.integer == 0 }, "the chat has log-probabilities")
        _ = try fields.flag("store")
        let included = try fields.read("include") { try $0.strings() } ?? []
        if included.contains("message.output_text.logprobs") {
            throw .unsupported("include", "`include` asks for log-probabilities, which only the chat has")
        }
    }

    // MARK: Input

    private static func messages(_ field: JSONField) throws -> [JSONValue] {
        if let text = field.value?.string { return [.message("user", text)] }
        var messages: [JSONValue] = []
        // What the model said at one time are several items.
        var answer = AssistantMessage()
        func endAnswer() {
            if !answer.isEmpty { messages.append(answer.message) }
            answer = AssistantMessage()
        }
        for item in try field.list() {
            let fields = try item.fields()
            let type = try fields["type"].given?.string() ?? "message"
            switch type {
            case "message":
                let role = try fields["role"].string()
                if role == "assistant" {
                    if answer.text != nil || !answer.calls.isEmpty { endAnswer() }
                    answer.text = try said(fields["content"])
                } else {
                    endAnswer()
                    messages.append(try message(role, fields["content"], item.path))
                }
            case "reasoning":
                if answer.text != nil || !answer.calls.isEmpty { endAnswer() }
                let thoughts = try fields["content"].given.map { try ContentPart.texts($0, ["reasoning_text"]) }
                if let thoughts { answer.reasoning = (answer.reasoning ?? "") + thoughts.joined() }
            case "function_call":
                try answer.call(
                    fields["call_id"].string(), fields["name"].string(), .string(fields["arguments"].string()))
            case "function_call_output":
                endAnswer()
                let text = try ContentPart.texts(fields["output"], ["input_text", "output_text", "text"]).joined()
                messages.append(.message("tool", text, callID: try fields["call_id"].string()))
            default:
                throw APIError.unsupported(
                    item.path,
                    "`\(item.path)` is of type \"\(type.prefix(60))\"; only message, reasoning, function_call and "
                        + "function_call_output can be read")
            }
        }
        endAnswer()
        return messages
    }

    private static func message(_ role: String, _ content: JSONField, _ path: String) throws -> JSONValue {
        guard ["user", "system", "developer"].contains(role) else {
            throw APIError.value(
                "input", "`\(path).role` must be user, assistant, system or developer, not \"\(role.prefix(60))\"")
        }
        return .message(role, try ContentPart.texts(content, ["input_text", "text"]).joined())
    }

    private static func said(_ content: JSONField) throws -> String {
        try ContentPart.list(content, plain: "output_text").map { part in
            switch part.type {
            case "output_text", "input_text", "text": try part.text()
            case "refusal": try part.text("refusal")
            default: throw part.refusal("output_text and refusal")
            }
        }.joined()
    }

    // MARK: Settings

    /// Tools of other kinds than functions are offers that this model cannot take up.
    private static func tool(_ field: JSONField) throws -> JSONValue? {
        let fields = try field.fields()
        guard try fields["type"].string() == "function" else { return nil }
        return try .tool(fields["name"], fields["description"], fields["parameters"], fields["strict"])
    }

    private static func toolChoice(_ field: JSONField) throws -> JSONValue? {
        if field.value?.string != nil { return field.value }
        let fields = try field.fields()
        let type = try fields["type"].string()
        guard type == "function" else {
            throw APIError.unsupported(
                "tool_choice", "`tool_choice` has the type \"\(type.prefix(60))\"; only a function can be chosen")
        }
        return try .choice(of: fields["name"])
    }

    private static func answerFormat(_ field: JSONField) throws -> JSONValue? {
        let fields = try field.fields()
        guard try fields["type"].string() == "json_schema" else { return field.value }
        let schema = JSONObject([
            "name": fields["name"].value, "description": fields["description"].value,
            "schema": fields["schema"].value, "strict": fields["strict"].value,
        ])
        return .object(JSONObject(["type": .string("json_schema"), "json_schema": .object(schema)]))
    }

    /// Members of the answer that say what was asked.
    private static func repeated(_ fields: RequestFields) throws(APIError) -> JSONObject {
        let usual: KeyValuePairs<String, JSONValue> = [
            "instructions": .null, "max_output_tokens": .null, "max_tool_calls": .null, "metadata": .object(.init()),
            "parallel_tool_calls": .bool(true), "prompt_cache_key": .null, "reasoning": .object(.init()),
            "safety_identifier": .null,
            "text": .object(JSONObject(["format": .object(JSONObject(["type": .string("text")]))])),
            "tool_choice": .string("auto"), "tools": .array([]), "user": .null,
        ]
        var repeated = JSONObject()
        for (key, value) in usual { repeated[key] = fields.value(key) ?? value }
        for key in ["temperature", "top_p"] { repeated[key] = fields.value(key) }
        if let member = repeated.members.first(where: { !$0.value.isFinite }) {
            throw .value(member.key, "`\(member.key)` has a number that is not finite; the answer cannot repeat it")
        }
        return repeated
    }
}
