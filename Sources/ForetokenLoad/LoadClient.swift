import ForetokenJSON
import Glibc
import NIOCore
import NIOHTTP1
import NIOPosix

/// Asks one server. It knows what OpenAI's clients know; where the server tells more, it reads that, too.
package final class LoadClient: Sendable {
    package let address: ServerAddress
    private let key: String?
    private let silence: TimeAmount
    private let loops: MultiThreadedEventLoopGroup

    /// - Parameters:
    ///   - key: the API key that requests bring.
    ///   - silenceSeconds: how long the server may send nothing before a request counts as broken.
    package init(_ address: ServerAddress, key: String?, silenceSeconds: Int64 = 600) {
        self.address = address
        self.key = key
        silence = .seconds(silenceSeconds)
        loops = MultiThreadedEventLoopGroup(numberOfThreads: 1)
    }

    /// Ends the client's thread. It must not be used afterwards.
    package func shutDown() async { try? await loops.shutdownGracefully() }

    private func open(_ method: HTTPMethod, _ path: String, _ body: [UInt8]?) async throws -> Exchange {
        var headers: HTTPHeaders = [
            "Host": address.authority, "Connection": "close", "Accept": "*/*", "User-Agent": "foretoken-bench",
        ]
        if let key { headers.add(name: "Authorization", value: "Bearer \(key)") }
        if let body {
            headers.add(name: "Content-Type", value: "application/json")
            headers.add(name: "Content-Length", value: "\(body.count)")
        }
        let head = HTTPRequestHead(version: .http1_1, method: method, uri: address.prefix + path, headers: headers)
        return try await Exchange(address, head, ByteBuffer(bytes: body ?? []), loops: loops, silence: silence)
    }

    // MARK: Single responses

    /// A whole response.
    struct Response: Sendable {
        let status: Int
        let body: [UInt8]
    }

    func get(_ path: String) async throws -> Response { try await response(open(.GET, path, nil)) }

    func post(_ path: String, _ body: [UInt8]) async throws -> Response {
        try await response(open(.POST, path, body))
    }

    private func response(_ exchange: Exchange) async throws -> Response {
        defer { exchange.close() }
        var status = 0
        var body: [UInt8] = []
        for try await part in exchange.parts {
            switch part {
            case .head(let head): status = Int(head.status.code)
            case .body(let buffer, _): body += buffer.readableBytesView
            case .end: return Response(status: status, body: body)
            }
        }
        throw CancellationError()
    }

    // MARK: Answers

    /// Asks for a completion. Whatever goes wrong is the answer's ending.
    /// - Parameter goOn: told the number of deliveries so far at each; false breaks the connection off.
    package func ask(
        _ request: LoadRequest, model: String, while goOn: @Sendable (Int) -> Bool = { _ in true }
    ) async -> LoadAnswer {
        var reader = AnswerReader(began: Clock.now)
        do {
            let exchange = try await open(.POST, "/v1/completions", request.body(model: model))
            defer { exchange.close() }
            reader = AnswerReader(began: exchange.began)
            return try await read(exchange, &reader, goOn)
        } catch {
            var answer = reader.answer
            if answer.ended == 0 { answer.ended = Clock.now }
            answer.ending = Task.isCancelled ? .cancelled : .broken(Self.reason(error))
            return answer
        }
    }

    private func read(
        _ exchange: Exchange, _ reader: inout AnswerReader, _ goOn: @Sendable (Int) -> Bool
    ) async throws -> LoadAnswer {
        var refusal: HTTPResponseHead?
        var body: [UInt8] = []
        for try await part in exchange.parts {
            switch part {
            case .head(let head): refusal = head.status == .ok ? nil : head
            case .body(let buffer, let time):
                guard refusal == nil else {
                    body += buffer.readableBytesView
                    continue
                }
                let before = reader.answer.deliveries.count
                try reader.read(buffer.readableBytesView, at: time)
                let count = reader.answer.deliveries.count
                if count > before && !goOn(count) { return cancelled(reader.answer) }
            case .end(let time):
                if let refusal { return refused(reader.answer, refusal, body, at: time) }
                reader.finish(at: time)
                return reader.answer
            }
        }
        return cancelled(reader.answer)
    }

    private func cancelled(_ answer: LoadAnswer) -> LoadAnswer {
        var answer = answer
        answer.ended = Clock.now
        answer.ending = .cancelled
        return answer
    }

    private func refused(
        _ answer: LoadAnswer, _ head: HTTPResponseHead, _ body: [UInt8], at time: Int64
    ) -> LoadAnswer {
        var answer = answer
        answer.ended = time
        answer.retryAfter = head.headers.first(name: "Retry-After").flatMap { Int($0) }
        let status = Int(head.status.code)
        answer.ending = status == 429 ? .crowded : .refused(status: status, message: Self.message(of: body))
        return answer
    }

    /// What a refusal's body says, in OpenAI's form or any other.
    static func message(of body: [UInt8]) -> String {
        let fields = try? JSONField(JSONValue(body)).fields()
        if let message = try? fields?["error"].fields()["message"].string() { return message }
        return String(String(decoding: body, as: UTF8.self).prefix(200))
    }

    private static func reason(_ error: NIOConnectionError) -> String {
        guard let first = error.connectionErrors.first?.error else {
            return "the name \(error.host) is not known"
        }
        return first is ChannelError ? "nobody answers at port \(error.port)" : reason(first)
    }

    static func reason(_ error: any Error) -> String {
        switch error {
        case let error as LoadError: error.description
        case let error as JSONError: "JSON that is none, or not a chunk's: \(error)"
        case HTTPParserError.invalidEOFState: "the server broke the connection off"
        case let error as NIOConnectionError: "there is no connection: \(reason(error))"
        case is ChannelError: "there is no connection (\(error))"
        case let error as IOError: String(cString: strerror(error.errnoCode))
        default: "\(error)"
        }
    }
}
