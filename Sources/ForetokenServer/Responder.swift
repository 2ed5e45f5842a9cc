import ForetokenAPI
import ForetokenModel
import ForetokenSpeculation
import ForetokenText
import FoundationEssentials
import HTTPTypes
import Hummingbird
import Logging
import NIOCore

/// What a request's connection is.
struct ConnectionContext: InitializableFromSource, Sendable {
    let channel: any Channel

    init(source: ApplicationRequestContextSource) { channel = source.channel }
}

/// Finds out what a request asks for and answers it.
struct Responder: HTTPResponder {
    let desk: Desk
    let connections: Connections
    let access: Access
    let page: Page
    let version: String
    let workbench = Workbench()

    /// Something that can be asked for.
    enum Endpoint {
        case page, description, health, metrics, version, status, models, model(String), tokenizerInfo
        case answer(Dialect)
        case countTokens, tokenize, detokenize

        var method: HTTPRequest.Method {
            switch self {
            case .answer, .countTokens, .tokenize, .detokenize: .post
            default: .get
            }
        }

        /// Whether it needs no key.
        var isOpen: Bool {
            switch self {
            case .page, .description, .health: true
            default: false
            }
        }

        /// What a path means, with /v1 or without, or with /beta as DeepSeek's clients write it.
        init?(path: String) {
            let path = Self.plain(path)
            switch path {
            case "/": self = .page
            case "/openapi.json": self = .description
            case "/health": self = .health
            case "/metrics": self = .metrics
            case "/version": self = .version
            case "/foretoken/status": self = .status
            case "/models": self = .models
            case "/tokenizer_info": self = .tokenizerInfo
            case "/chat/completions": self = .answer(.chat)
            case "/completions": self = .answer(.completion)
            case "/messages": self = .answer(.messages)
            case "/messages/count_tokens": self = .countTokens
            case "/responses": self = .answer(.responses)
            case "/tokenize": self = .tokenize
            case "/detokenize": self = .detokenize
            default:
                guard path.hasPrefix("/models/"), let name = Self.decoded(path.dropFirst(8)), !name.isEmpty
                else { return nil }
                self = .model(name)
            }
        }

        private static func plain(_ path: String) -> String {
            let base = ["/v1", "/beta"].first { path.hasPrefix($0 + "/") } ?? ""
            return String(path.dropFirst(base.count))
        }

        /// In which words errors are told to whoever asks for a path, right or wrong.
        static func dialect(path: String) -> Dialect {
            let path = plain(path)
            return path == "/messages" || path.hasPrefix("/messages/") ? .messages : .chat
        }

        /// A part of a path without its percent signs; nil where they mean nothing.
        private static func decoded(_ part: Substring) -> String? {
            var bytes: [UInt8] = []
            var rest = part.utf8[...]
            while let byte = rest.popFirst() {
                guard byte == UInt8(ascii: "%") else {
                    bytes.append(byte)
                    continue
                }
                guard let code = UInt8(String(rest.prefix(2)) ?? "", radix: 16), rest.count >= 2 else { return nil }
                bytes.append(code)
                rest = rest.dropFirst(2)
            }
            return String(validating: bytes, as: UTF8.self)
        }
    }

    func respond(to request: Request, context: ConnectionContext) async throws -> Response {
        let id = Self.identifier()
        let dialect = Endpoint.dialect(path: request.uri.path)
        var origin: String?
        var response: Response
        do throws(APIError) {
            try access.checkHost(request.head)
            origin = try access.allowedOrigin(request.head)
            response = try await answer(request, context, id: id, origin: origin)
        } catch {
            response = Responses.error(error, dialect, id: id)
        }
        response.headers[Responses.requestID] = id
        if dialect == .messages { response.headers[Responses.anthropicRequestID] = id }
        if let origin {
            response.headers[.accessControlAllowOrigin] = origin
            response.headers[.vary] = "Origin"
            response.headers[HTTPField.Name("access-control-expose-headers")!] = "Retry-After, X-Request-Id"
        }
        return request.method == .head ? response.createHeadResponse() : response
    }

    private static func identifier() -> String {
        String((0..<24).map { _ in "0123456789abcdef".randomElement()! })
    }

    private func answer(
        _ request: Request, _ context: ConnectionContext, id: String, origin: String?
    ) async throws(APIError) -> Response {
        let endpoint = Endpoint(path: request.uri.path)
        if request.method == .options && origin != nil { return Self.preflight(endpoint, request.head) }
        let salt = endpoint?.isOpen == true ? "" : try access.checkKey(request.head)
        guard let endpoint else {
            throw APIError(404, code: "not_found", "there is nothing at \(request.uri.path.prefix(200))")
        }
        guard request.method == endpoint.method || request.method == .head && endpoint.method == .get else {
            var response = Responses.error(
                APIError(
                    405, code: "method_not_allowed",
                    "\(request.uri.path.prefix(200)) takes \(endpoint.method.rawValue), "
                        + "not \(request.method.rawValue.prefix(20))"), Endpoint.dialect(path: request.uri.path), id: id
            )
            response.headers[.allow] = endpoint.method == .get ? "GET, HEAD" : "POST"
            return response
        }
        switch endpoint {
        case .page: return page.response(request.head)
        case .description: return Responses.json(APIDescription.json)
        case .health: return health
        case .metrics:
            let text = desk.metrics.text(desk.figures, connections: connections.count, version: version)
            return Responses.text(text, type: "text/plain; version=0.0.4; charset=utf-8")
        case .version: return Responses.json(Self.object { $0.member("version", version) })
        case .status: return status
        case .models: return Responses.json(try desk.loadedModel().served.list)
        case .model(let name): return Responses.json(try desk.loadedModel().served.entry(name))
        case .tokenizerInfo: return Responses.json(try desk.loadedModel().served.tokenizerInfo())
        case .tokenize: return try await computed(request) { model, body throws(APIError) in try model.tokenize(body) }
        case .detokenize:
            return try await computed(request) { model, body throws(APIError) in try model.detokenize(body) }
        case .countTokens:
            return try await computed(request) { model, body throws(APIError) in try model.countTokens(body) }
        case .answer(let dialect): return try await generate(dialect, request, context, id: id, salt: salt)
        }
    }

    private func computed(
        _ request: Request, _ work: @escaping @Sendable (ServedModel, [UInt8]) throws(APIError) -> [UInt8]
    ) async throws(APIError) -> Response {
        let served = try desk.loadedModel().served
        let body = try await body(of: request)
        return Responses.json(try await workbench.compute(body) { body throws(APIError) in try work(served, body) })
    }

    /// Whoever may ask may send what headers it likes: clients have some of their own.
    private static func preflight(_ endpoint: Endpoint?, _ head: HTTPRequest) -> Response {
        Response(
            status: .noContent,
            headers: [
                .accessControlAllowMethods: endpoint?.method.rawValue ?? "GET, POST",
                .accessControlAllowHeaders: head.headerFields[HTTPField.Name("access-control-request-headers")!]
                    ?? "Authorization, Content-Type, X-Api-Key",
                .accessControlMaxAge: "600",
            ])
    }

    /// The whole body.
    private func body(of request: Request) async throws(APIError) -> [UInt8] {
        let most = desk.settings.limits.bodyBytes
        let length = request.headers[.contentLength].flatMap { Int($0) }
        if let length, length > most { throw .tooLarge(most) }
        var body: [UInt8] = []
        body.reserveCapacity(length ?? 0)
        do {
            for try await part in request.body {
                if body.count + part.readableBytes > most { throw APIError.tooLarge(most) }
                body.append(contentsOf: part.readableBytesView)
            }
        } catch let error as APIError {
            throw error
        } catch {
            throw APIError(400, code: "incomplete_body", "the request's body ended before its end")
        }
        if let length, body.count != length {
            throw APIError(400, code: "incomplete_body", "the body has \(body.count) bytes, not \(length)")
        }
        return body
    }

    // MARK: The server's state

    private static func object(_ write: (inout JSONWriter) -> Void) -> [UInt8] {
        var writer = JSONWriter()
        writer.object(write)
        return writer.bytes
    }

    /// 200 while requests are answered, 503 while they are not.
    private var health: Response {
        let figures = desk.figures
        if let fraction = figures.fraction { return Self.unhealthy("loading", .loading(fraction), progress: fraction) }
        if figures.isDraining { return Self.unhealthy("draining", .draining) }
        if figures.isStuck {
            return Self.unhealthy(
                "stuck",
                APIError(
                    503, type: "server_error", code: "stuck", "the engine has not finished its step for a long time"))
        }
        return Responses.json(Self.object { $0.member("status", "ok") })
    }

    private static func unhealthy(_ state: String, _ error: APIError, progress: Double? = nil) -> Response {
        var response = Responses.error(error)
        let body = object { health in
            health.member("status", state)
            if let progress { health.member("progress", progress) }
            health.object("error") { error.write(into: &$0) }
        }
        response.body = ResponseBody(byteBuffer: ByteBuffer(bytes: body))
        return response
    }

    private var status: Response {
        let figures = desk.figures
        return Responses.json(
            Self.object { status in
                let state = figures.fraction != nil ? "loading" : figures.isDraining ? "draining" : "ready"
                status.member("state", figures.isStuck ? "stuck" : state)
                status.member("version", version)
                status.member("running", figures.running)
                status.member("waiting", figures.waiting)
                status.member("connections", connections.count)
                status.member("max_queue", desk.settings.mostWaiting)
                guard let loaded = figures.loaded else {
                    status.member("progress", figures.fraction ?? 0)
                    return
                }
                status.member("model", loaded.served.name)
                status.member("context", loaded.served.context)
                status.member("parallel", loaded.parallel)
                status.member("system_fingerprint", loaded.served.fingerprint)
                status.member("temperature", Double(loaded.served.base.sampling.temperature))
                status.member("bits", "exact")
                let engine = desk.metrics.engine
                status.object("pages") { pages in
                    pages.member("positions", LatentPool.pagePositions)
                    pages.member("count", engine.pages)
                    pages.member("free", engine.freePages)
                    pages.member("cached", engine.cache.pages)
                    pages.member("most_cached", engine.mostCachePages)
                }
                status.object("cached_tokens") { tokens in
                    tokens.member("sought", engine.cache.soughtTokens)
                    tokens.member("found", engine.cache.foundTokens)
                }
            })
    }

    // MARK: Answers

    private func generate(
        _ dialect: Dialect, _ request: Request, _ context: ConnectionContext, id: String, salt: String
    ) async throws(APIError) -> Response {
        // Before anybody sends 16 MiB for nothing.
        let loaded = try desk.loadedModel()
        let body = try await body(of: request)
        let order = try await workbench.compute(body) { body throws(APIError) in
            try Order(dialect, body, loaded.served, seed: .random(in: .min ... .max), salt: salt)
        }
        let watch = connections.watch(context.channel)
        let feed = try desk.submit(order, loaded) { watch?.close() }
        let desk = desk
        watch?.whenGone { desk.cancel(feed, .disconnected) }
        let reply = Reply(order, loaded.served, id: id, created: Int(Date().timeIntervalSince1970))
        let mark = ResponseMark(desk)
        if order.isStreamed {
            return Self.stream(AnswerStream(desk, feed, reply.writer), watch, mark)
        }
        defer {
            withExtendedLifetime(mark) {}
            watch?.forget()
        }
        return Responses.json(reply.writer.whole(try await desk.results(of: feed)))
    }

    private static func stream(
        _ stream: AnswerStream, _ watch: Connections.Watch?, _ mark: ResponseMark
    ) -> Response {
        Response(
            status: .ok,
            headers: [
                .contentType: "text/event-stream; charset=utf-8", .cacheControl: "no-cache",
                HTTPField.Name("x-accel-buffering")!: "no", .xContentTypeOptions: "nosniff",
            ],
            body: ResponseBody { writer in
                defer {
                    withExtendedLifetime(mark) {}
                    watch?.forget()
                }
                do {
                    try await stream.write { try await writer.write(ByteBuffer(bytes: $0)) }
                    try await writer.finish(nil)
                } catch {
                    stream.desk.cancel(stream.feed, .disconnected)
                    throw error
                }
            })
    }
}

extension APIError {
    static func tooLarge(_ most: Int) -> APIError {
        APIError(413, code: "request_too_large", "the request's body has more than \(most) bytes")
    }
}
