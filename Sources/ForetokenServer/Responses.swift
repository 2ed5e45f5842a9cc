import ForetokenAPI
import HTTPTypes
import Hummingbird

/// Responses of the shapes that there are.
enum Responses {
    static let requestID = HTTPField.Name("x-request-id")!
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

    static func error(_ error: APIError) -> Response {
        var response = json(error.json, status: HTTPResponse.Status(code: error.status))
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

    /// The body of an error that is found before there is a request.
    static func error(status: Int, _ message: String) -> [UInt8] { APIError(status, message).json }
}
