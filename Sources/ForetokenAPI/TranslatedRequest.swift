import ForetokenJSON

/// A request of any dialect as OpenAI's chat or completions would have it: settings, tools and messages are read and checked in one
/// place, whoever asks.
struct TranslatedRequest {
    let fields: RequestFields
    /// What the request calls fields, by their names there.
    var names: [String: String] = [:]
    /// What the answer repeats of the request.
    var repeated = JSONObject()

    /// Fields of the chat that other dialects may have too: each is taken or refused where the chat's is.
    private static let shared =
        [
            "model", "stream", "stream_options", "temperature", "top_p", "top_k", "min_p", "repetition_penalty",
            "presence_penalty", "frequency_penalty", "logit_bias", "seed", "cache_salt", "ignore_eos", "min_tokens",
            "max_tokens", "max_completion_tokens", "stop", "stop_token_ids", "prediction", "response_format",
            "top_logprobs", "return_tokens_as_token_ids", "best_of", "foretoken", "thinking", "reasoning_effort",
            "parallel_tool_calls", "functions", "function_call",
        ] + ChatFields.templateFields + Order.refusedFields

    init(_ dialect: Dialect, _ fields: RequestFields) throws(APIError) {
        switch dialect {
        case .chat, .completion: self.fields = fields
        case .messages: self = try MessagesFields.translated(fields)
        case .responses: self = try ResponsesFields.translated(fields)
        }
    }

    /// - Parameters:
    ///   - fields: the request, whose shared members are taken as they are.
    ///   - own: which of these the dialect has in its own way.
    ///   - chat: the other members as the chat has them.
    init(
        _ fields: RequestFields, own: Set<String>, _ chat: JSONObject, names: [String: String],
        repeated: JSONObject = JSONObject()
    ) throws(APIError) {
        try Self.refuseUnseen(fields)
        var all = chat
        var names = names
        for key in Self.shared where !own.contains(key) {
            guard let value = fields.value(key) else { continue }
            if chat[key] != nil {
                throw .value(key, "`\(key)` says the same as `\(names[key] ?? key)`; leave one of them out")
            }
            all[key] = value
            names = names.filter { $0.key != key && !$0.key.hasPrefix(key + ".") }
        }
        self.fields = try RequestFields(all)
        self.names = names
        self.repeated = repeated
    }

    /// Refuses what only the chat's answers can show.
    private static func refuseUnseen(_ fields: RequestFields) throws(APIError) {
        let reason = "only the chat's answers show it"
        try fields.refuse("n", unless: { $0.integer == 1 }, "only the chat has several answers")
        for key in ["logprobs", "return_token_ids"] {
            try fields.refuse(key, unless: { $0 == .bool(false) }, reason)
        }
        if try fields.fields("foretoken")?.flag("trace") == true {
            throw .unsupported("foretoken", "`foretoken.trace` is not supported: \(reason)")
        }
    }
}

extension JSONObject {
    /// These members, but those without a value.
    init(_ members: KeyValuePairs<String, JSONValue?>) {
        self.init()
        for (key, value) in members { self[key] = value }
    }
}

extension JSONValue {
    /// A message of the chat.
    static func message(_ role: String, _ text: String, callID: String? = nil) -> JSONValue {
        .object(
            JSONObject([
                "role": .string(role), "content": .string(text), "tool_call_id": callID.map { .string($0) },
            ]))
    }

    /// A tool of the chat.
    static func tool(
        _ name: JSONField, _ description: JSONField, _ parameters: JSONField, _ strict: JSONField
    ) throws -> JSONValue {
        let isStrict = try strict.given?.flag() ?? false
        _ = try (name.string(), description.given?.string(), parameters.given?.fields())
        let function = JSONObject([
            "name": name.value, "description": description.given?.value, "parameters": parameters.given?.value,
            "strict": isStrict ? .bool(true) : nil,
        ])
        return .object(JSONObject(["type": .string("function"), "function": .object(function)]))
    }

    /// The choice of one tool in the chat.
    static func choice(of name: JSONField) throws -> JSONValue {
        let function = JSONObject(["name": .string(try name.string())])
        return .object(JSONObject(["type": .string("function"), "function": .object(function)]))
    }
}

/// A message of the model's, put together from its parts.
struct AssistantMessage {
    var text: String?
    var reasoning: String?
    private(set) var calls: [JSONValue] = []

    var isEmpty: Bool { text == nil && reasoning == nil && calls.isEmpty }

    /// - Parameter arguments: an object, or its JSON text.
    mutating func call(_ id: String, _ name: String, _ arguments: JSONValue) {
        let function = JSONObject(["name": .string(name), "arguments": arguments])
        calls.append(
            .object(JSONObject(["id": .string(id), "type": .string("function"), "function": .object(function)])))
    }

    /// The message as the chat has it.
    var message: JSONValue {
        let content: JSONValue = text.map { .string($0) } ?? (calls.isEmpty ? .string("") : .null)
        return .object(
            JSONObject([
                "role": .string("assistant"), "content": content,
                "reasoning_content": reasoning.map { .string($0) }, "tool_calls": calls.isEmpty ? nil : .array(calls),
            ]))
    }
}

/// A part of what a message says.
struct ContentPart {
    let type: String
    let field: JSONField
    private let plain: String?

    /// The parts of a content, which may be one plain text.
    /// - Parameter type: what a plain text is called.
    static func list(_ field: JSONField, plain type: String) throws -> [ContentPart] {
        if let text = field.value?.string { return [ContentPart(type: type, field: field, plain: text)] }
        guard case .array = field.value else { throw field.mismatch("a string or a list of parts") }
        return try field.list().map {
            ContentPart(type: try $0.fields()["type"].string(), field: $0, plain: nil)
        }
    }

    /// A member of the part.
    subscript(key: String) -> JSONField { get throws { try field.fields()[key] } }

    /// What stands under a key.
    func text(_ key: String = "text") throws -> String {
        if let plain { return plain }
        return try self[key].string()
    }

    /// The error for a part that cannot be read here.
    func refusal(_ known: String) -> APIError {
        .unsupported(field.path, "`\(field.path)` is of type \"\(type.prefix(60))\"; only \(known) can be read")
    }

    /// The texts of a content that has nothing else.
    static func texts(_ field: JSONField, _ types: [String]) throws -> [String] {
        try list(field, plain: types[0]).map { part in
            guard types.contains(part.type) else { throw part.refusal(types.joined(separator: " and ")) }
            return try part.text()
        }
    }
}
