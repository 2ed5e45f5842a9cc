import ForetokenJSON
import ForetokenSpeculation
import ForetokenText
import ForetokenTokenizer

/// Why a request has no answer, in the words of OpenAI's API.
package struct APIError: Error, Sendable {
    /// HTTP status.
    package let status: Int
    /// OpenAI's kind of error.
    package let type: String
    /// What a program can tell errors apart by; nil for none.
    package let code: String?
    /// The request's field that is to blame; nil for none.
    package let param: String?
    /// What is wrong, and what to do.
    package let message: String
    /// Seconds after which trying again may help; nil where it will not.
    package let retryAfter: Int?

    package init(
        _ status: Int, type: String = "invalid_request_error", code: String? = nil, param: String? = nil,
        retryAfter: Int? = nil, _ message: String
    ) {
        self.status = status
        self.type = type
        self.code = code
        self.param = param
        self.message = Self.cut(message)
        self.retryAfter = retryAfter
    }

    /// A message may quote the request: long ones are cut, and what steers terminals is left out.
    private static func cut(_ message: String) -> String {
        var text = ""
        for (index, scalar) in message.unicodeScalars.enumerated() {
            if index == 600 { return text + "…" }
            let isControl = scalar.value < 0x20 || (0x7F..<0xA0).contains(scalar.value)
            text.unicodeScalars.append(isControl ? " " : scalar)
        }
        return text
    }

    /// The body of the response.
    package var json: [UInt8] {
        var writer = JSONWriter()
        writer.object { $0.object("error") { write(into: &$0) } }
        return writer.bytes
    }

    /// Its members, into an object.
    package func write(into writer: inout JSONWriter) {
        writer.member("message", message)
        writer.member("type", type)
        writer.member("param", param)
        writer.member("code", code)
    }

    // MARK: Kinds

    /// A field that cannot be what it is.
    static func value(_ param: String?, _ message: String) -> APIError {
        APIError(400, code: "invalid_value", param: param, message)
    }

    /// A field whose value asks for what this server does not do.
    static func unsupported(_ param: String, _ message: String) -> APIError {
        APIError(400, code: "unsupported_parameter", param: param, message)
    }

    /// A text that no context can hold.
    static func tooLong(_ count: Int, context: Int, param: String) -> APIError {
        APIError(
            400, code: "context_length_exceeded", param: param,
            "this server's maximum context length is \(context) tokens, but the prompt has \(count); shorten it")
    }

    /// The same for anything that the rooms below throw.
    /// - Parameter param: the field that was being read.
    package init(_ error: any Error, param: String? = nil) {
        if let error = error as? APIError {
            self = error
        } else if let error = error as? GenerationError, error.kind == .nothingAllowed {
            self.init(400, code: "no_allowed_token", param: param, error.description)
        } else if let fault = Fault(error), fault != .system {
            self.init(400, code: "invalid_value", param: param, "\(error)")
        } else if error is CancellationError {
            self.init(
                503, type: "server_error", code: "cancelled", retryAfter: 1,
                "the server gave this request up before it began")
        } else if let error = error as? GenerationError {
            self.init(500, type: "server_error", code: "engine_error", error.description)
        } else {
            // What it says may name files.
            self.init(500, type: "server_error", code: "internal_error", "the server failed; its log says why")
        }
    }

    /// The same with fields called as the request calls them.
    /// - Parameter names: of fields, by their paths in OpenAI's chat; [] stands for any index.
    func renamed(_ names: [String: String]) -> APIError {
        guard !names.isEmpty else { return self }
        var parts = message.split(separator: "`", omittingEmptySubsequences: false).map { String($0) }
        for index in stride(from: 1, to: parts.count - 1, by: 2) { parts[index] = Self.renamed(parts[index], names) }
        return APIError(
            status, type: type, code: code, param: param.map { Self.renamed($0, names) }, retryAfter: retryAfter,
            parts.joined(separator: "`"))
    }

    /// A path whose longest beginning that has another name is called by that.
    private static func renamed(_ path: String, _ names: [String: String]) -> String {
        // Messages are not at the same places: which one it is is not told.
        if let name = names["messages"], path == "messages" || path.hasPrefix("messages[") { return name }
        var rest = ""
        var beginning = Substring(path)
        while true {
            let (plain, index) = withoutIndex(beginning)
            if let name = names[String(beginning)] { return name + rest }
            if let name = names[plain] { return name.replacing("[]", with: index) + rest }
            guard let end = beginning.lastIndex(where: { $0 == "." || $0 == "[" }) else { return path }
            rest = beginning[end...] + rest
            beginning = beginning[..<end]
        }
    }

    /// A path with [] in the place of its first index, and that.
    private static func withoutIndex(_ path: Substring) -> (String, String) {
        guard let start = path.firstIndex(of: "["), let end = path[start...].firstIndex(of: "]") else {
            return (String(path), "")
        }
        return (path[..<start] + "[]" + path[path.index(after: end)...], String(path[start...end]))
    }

    /// Runs something that reads the field `param`.
    static func reading<Result>(_ param: String?, _ body: () throws -> Result) throws(APIError) -> Result {
        do { return try body() } catch { throw APIError(error, param: param) }
    }
}
