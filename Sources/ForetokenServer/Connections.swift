import ForetokenAPI
import HTTPTypes
import NIOCore
import NIOHTTP1
import NIOHTTPTypes
import Synchronization

/// The open connections, and what is to happen when their clients go.
final class Connections: Sendable {
    /// One connection, as those who answer on it see it.
    final class Watch: Sendable {
        private struct State {
            var isGone = false
            var action: (@Sendable () -> Void)?
        }

        fileprivate let channel: any Channel
        private let state = Mutex(State())

        fileprivate init(_ channel: any Channel) { self.channel = channel }

        /// Does something once when the client has gone, at once if it has already; in place of what was to be done before.
        func whenGone(_ action: @escaping @Sendable () -> Void) {
            let isGone = state.withLock { state in
                state.action = action
                return state.isGone
            }
            if isGone { action() }
        }

        /// Closes the connection at once.
        func close() { channel.close(mode: .all, promise: nil) }

        /// Does nothing any more.
        func forget() { state.withLock { $0.action = nil } }

        fileprivate func gone() {
            let action = state.withLock { state in
                state.isGone = true
                defer { state.action = nil }
                return state.action
            }
            action?()
        }
    }

    private let watches = Mutex<[ObjectIdentifier: Watch]>([:])

    var count: Int { watches.withLock { $0.count } }

    func watch(_ channel: any Channel) -> Watch? { watches.withLock { $0[ObjectIdentifier(channel)] } }

    fileprivate func open(_ channel: any Channel) -> Watch {
        let watch = Watch(channel)
        watches.withLock { $0[ObjectIdentifier(channel)] = watch }
        return watch
    }

    fileprivate func close(_ channel: any Channel) { watches.withLock { $0[ObjectIdentifier(channel)] = nil } }

    /// Closes all at once.
    func closeAll() {
        for watch in watches.withLock({ Array($0.values) }) { watch.close() }
    }
}

/// Sees one connection's requests and responses go by: closes it when a request takes too long to arrive, answers what is no
/// HTTP, and notices when the client goes.
final class ConnectionGuard: ChannelDuplexHandler, RemovableChannelHandler {
    typealias InboundIn = HTTPRequestPart
    typealias InboundOut = HTTPRequestPart
    typealias OutboundIn = HTTPResponsePart
    typealias OutboundOut = HTTPResponsePart

    private let connections: Connections
    private let limits: ServerSettings.Limits
    private var watch: Connections.Watch?
    private var timer: Scheduled<Void>?
    /// Runs while the client has no room for what is to be written.
    private var stall: Scheduled<Void>?
    /// Requests whose response is not written yet.
    private var open = 0
    /// Whether a request's body is still to come.
    private var isReading = false
    private var isAnswering = false
    /// Whether no further request is answered: the client has been told in a response's head.
    private var isLast = false
    /// Whether everything is written, and the client's end is waited for.
    private var isLingering = false
    /// Of the newest request.
    private var dialect = Dialect.chat

    init(_ connections: Connections, _ limits: ServerSettings.Limits) {
        self.connections = connections
        self.limits = limits
    }

    func handlerAdded(context: ChannelHandlerContext) {
        watch = connections.open(context.channel)
        // A peer that vanished without a word is found by the system.
        context.channel.setOption(.socketOption(.so_keepalive), value: 1).whenFailure { _ in }
        start(limits.headSeconds, context)
    }

    func handlerRemoved(context: ChannelHandlerContext) { end(context) }

    func channelInactive(context: ChannelHandlerContext) {
        end(context)
        context.fireChannelInactive()
    }

    /// A client that reads nothing is not waited for.
    func channelWritabilityChanged(context: ChannelHandlerContext) {
        stall?.cancel()
        if !context.channel.isWritable {
            let channel = context.channel
            stall = context.eventLoop.scheduleTask(in: .nanoseconds(Int64(limits.stallSeconds * 1e9))) {
                channel.close(promise: nil)
            }
        }
        context.fireChannelWritabilityChanged()
    }

    private func end(_ context: ChannelHandlerContext) {
        timer?.cancel()
        stall?.cancel()
        connections.close(context.channel)
        watch?.gone()
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if case .some(.inputClosed) = event as? ChannelEvent {
            watch?.gone()
            if isLingering { context.close(promise: nil) }
        }
        context.fireUserInboundEventTriggered(event)
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        // Another request behind the last.
        if isLingering && !isReading { return }
        switch unwrapInboundIn(data) {
        case .head(let head):
            open += 1
            isReading = true
            dialect = Responder.Endpoint.dialect(path: head.path.map { String($0.prefix { $0 != "?" }) } ?? "")
            start(limits.bodySeconds, context)
            let length = head.headerFields[.contentLength].flatMap { Int($0) } ?? 0
            if head.headerFields[.expect]?.lowercased() == "100-continue" && length <= limits.bodyBytes {
                context.writeAndFlush(wrapOutboundOut(.head(HTTPResponse(status: .continue))), promise: nil)
            }
        case .body: break
        case .end:
            isReading = false
            timer?.cancel()
            if isLingering { return context.close(promise: nil) }
        }
        context.fireChannelRead(data)
    }

    func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
        switch unwrapOutboundIn(data) {
        case .head(var head):
            isAnswering = true
            if isReading {
                // Nobody wants the rest of the body.
                isLast = true
                head.headerFields[.connection] = "close"
                return context.write(wrapOutboundOut(.head(head)), promise: promise)
            }
        case .body: break
        case .end:
            isAnswering = false
            open -= 1
            if isLast {
                context.writeAndFlush(data, promise: promise)
                return linger(context)
            }
            if open == 0 { start(limits.idleSeconds, context) }
        }
        context.write(data, promise: promise)
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        guard let error = error as? HTTPParserError else { return context.fireErrorCaught(error) }
        if open > (isReading ? 1 : 0) || isAnswering { return context.close(promise: nil) }
        let isTooLarge = error == .headerOverflow
        refuse(
            isTooLarge ? .requestHeaderFieldsTooLarge : .badRequest,
            isTooLarge ? "the request's head has more than \(limits.headBytes) bytes" : "this is not HTTP/1.1", context)
    }

    private func start(_ seconds: Double, _ context: ChannelHandlerContext) {
        timer?.cancel()
        let isBody = isReading && !isLingering
        let bound = NIOLoopBound((self, context), eventLoop: context.eventLoop)
        timer = context.eventLoop.scheduleTask(in: .nanoseconds(Int64(seconds * 1e9))) {
            let (handler, context) = bound.value
            if isBody && !handler.isAnswering {
                handler.refuse(.requestTimeout, "the request's body took more than \(seconds) seconds", context)
            } else {
                context.close(promise: nil)
            }
        }
    }

    /// Says that nothing more comes and reads what the client still sends, for a while: a connection that is closed before may
    /// take the answer along.
    private func linger(_ context: ChannelHandlerContext) {
        isLingering = true
        context.close(mode: .output, promise: nil)
        start(limits.lingerSeconds, context)
    }

    /// Answers in place of those who would, and closes.
    private func refuse(_ status: HTTPResponse.Status, _ message: String, _ context: ChannelHandlerContext) {
        let body = dialect.body(APIError(status.code, message), id: "")
        var head = HTTPResponse(status: status)
        head.headerFields[.contentType] = "application/json"
        head.headerFields[.contentLength] = "\(body.count)"
        head.headerFields[.connection] = "close"
        context.write(wrapOutboundOut(.head(head)), promise: nil)
        context.write(wrapOutboundOut(.body(ByteBuffer(bytes: body))), promise: nil)
        context.writeAndFlush(wrapOutboundOut(.end(nil)), promise: nil)
        context.close(promise: nil)
    }
}
