import ForetokenAPI
import HTTPTypes
import Hummingbird

/// Responses of the shapes that there are.
enum Responses {
    static let requestID = HTTPField.Name("x-request-id")!
    /// The same as Anthropic's clients call it.
    static let anthropicRequestID = HTTPField.Name("request-id")!
    private static let retry = HTTPField.Name("x-should-retry")!

    static func json(_ body: [UInt8], status: HTTPResponse.Status = .ok) -> Response {
        Response(
            status: status, headers: [.contentType: "application/json", .xContentTypeOptions: "nosniff"],
            body: ResponseBody(byteBuffer: ByteBuffer(bytes: body)))
    }

    static func text(_ text: String, type: String) -> Response {
        Response(
            status: .ok, headers: [.contentType: type, .xContentTypeOptions: "nosniff"],
            body: ResponseBody(byteBuffer: ByteBuffer(string: text)))
    }

    /// - Parameter id: the request's.
    static func error(_ error: APIError, _ dialect: Dialect = .chat, id: String = "") -> Response {
        var response = json(
            dialect.body(error, id: id), status: HTTPResponse.Status(code: dialect.status(error)))
        if let seconds = error.retryAfter {
            response.headers[.retryAfter] = "\(seconds)"
            response.headers[retry] = "true"
        } else if error.status >= 500 {
            // Clients would compute what fails for good three times.
            response.headers[retry] = "false"
        }
        if error.status == 401 { response.headers[.wwwAuthenticate] = "Bearer" }
        return response
    }
}
