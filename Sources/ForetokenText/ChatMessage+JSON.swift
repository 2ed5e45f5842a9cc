import ForetokenJSON
import ForetokenTokenizer

/// Messages as OpenAI's clients write them.
extension ChatMessage {
    /// The messages under a key; nil where there are none.
    /// - Throws: `JSONError` or `InputError` for anything but a list of messages.
    package static func list(_ field: JSONField) throws -> [ChatMessage]? {
        try field.given?.list().map { try ChatMessage($0) }
    }

    private init(_ field: JSONField) throws {
        let fields = try field.fields()
        let name = try fields["role"].string()
        guard let role = Role(rawValue: name) else {
            let known = Role.allCases.map(\.rawValue).joined(separator: ", ")
            throw InputError("unknown role \"\(name)\"; roles are \(known)")
        }
        self.init(role, try Self.text(fields["content"]))
        // Two names are in use for the same.
        reasoning = try ["reasoning_content", "reasoning"].compactMap { try fields[$0].given?.string() }.first
        toolCalls =
            try fields["tool_calls"].given?.list().map { call in
                _ = try call.fields()["function"].fields()["name"].string()
                return call.value ?? .null
            } ?? []
        toolCallID = try fields["tool_call_id"].given?.string()
        self.name = try fields["name"].given?.string()
        guard toolCalls.isEmpty || role == .assistant else {
            throw InputError("`\(field.path).tool_calls` belong to an assistant's message, not to one of \(name)")
        }
        // Some templates write no calls beside a text, even an empty one.
        if !toolCalls.isEmpty && content == "" { content = nil }
        // Only the model may say nothing at all, when it calls tools.
        guard content == nil && toolCalls.isEmpty else { return }
        if fields["content"].value == nil { throw fields["content"].mismatch(Self.contentForms) }
        content = ""
    }

    private static let contentForms = "a string, null or a list of text parts"

    /// A string, null for none, or a list of parts of text.
    package static func text(_ field: JSONField) throws -> String? {
        switch field.value {
        case nil, .null: return nil
        case .array: break
        default:
            guard let text = field.value?.string else { throw field.mismatch(contentForms) }
            return text
        }
        return try field.list().map { part in
            let members = try part.fields()
            let type = try members["type"].string()
            guard type == "text" else {
                throw InputError(
                    "`\(part.path)` is a part of type \"\(type)\"; only parts of type \"text\" can be read")
            }
            return try members["text"].string()
        }.joined()
    }
}
