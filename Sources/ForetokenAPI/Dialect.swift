/// A way to write requests and answers: which endpoint of whose API is asked.
package enum Dialect: Sendable {
    /// OpenAI's chat and completions, which this server's own words are.
    case chat, completion
    /// Anthropic's messages.
    case messages
    /// OpenAI's responses.
    case responses

    /// What the ids of answers begin with.
    var idBeginning: String {
        switch self {
        case .chat: "chatcmpl-"
        case .completion: "cmpl-"
        case .messages: "msg_"
        case .responses: "resp_"
        }
    }

    /// The HTTP status of an error.
    package func status(_ error: APIError) -> Int {
        // Anthropic's clients know another number for a server that cannot answer now.
        self == .messages && error.status == 503 && error.retryAfter != nil ? 529 : error.status
    }

    /// The body of a response that tells an error.
    /// - Parameter id: the request's; empty where it has none.
    package func body(_ error: APIError, id: String) -> [UInt8] {
        guard self == .messages else { return error.json }
        var writer = JSONWriter()
        writer.object { body in
            body.member("type", "error")
            body.object("error") { members in
                members.member("type", anthropicType(error))
                // Claude Code shortens the conversation when it reads these words.
                let isLong = error.code == "context_length_exceeded"
                members.member("message", (isLong ? "prompt is too long: " : "") + error.message)
            }
            body.member("request_id", id.isEmpty ? nil : id)
        }
        return writer.bytes
    }

    private func anthropicType(_ error: APIError) -> String {
        switch status(error) {
        case 401: "authentication_error"
        case 403: "permission_error"
        case 404: "not_found_error"
        case 413: "request_too_large"
        case 429: "rate_limit_error"
        case 529: "overloaded_error"
        case 500...: "api_error"
        default: "invalid_request_error"
        }
    }
}
