import NIOCore
import NIOHTTP1
import NIOPosix

/// Nanoseconds of a clock that never jumps.
enum Clock {
    static var now: Int64 { Int64(NIODeadline.now().uptimeNanoseconds) }
}

/// A part of a response, with the time at which it arrived.
enum ResponsePart: Sendable {
    case head(HTTPResponseHead)
    case body(ByteBuffer, at: Int64)
    case end(at: Int64)
}

/// One request and its response, on a connection of its own.
struct Exchange: Sendable {
    /// The response. A connection that breaks, or a server that is silent for too long, is an error.
    let parts: AsyncThrowingStream<ResponsePart, any Error>
    /// When it began, which was before there was a connection.
    let began: Int64
    private let channel: any Channel

    /// Most bytes of a response.
    static let mostBytes = 64 << 20

    /// Connects and sends a request.
    /// - Parameter silence: how long the server may send nothing.
    init(
        _ address: ServerAddress, _ head: HTTPRequestHead, _ body: ByteBuffer, loops: any EventLoopGroup,
        silence: TimeAmount
    ) async throws {
        let (parts, feed) = AsyncThrowingStream<ResponsePart, any Error>.makeStream()
        self.parts = parts
        began = Clock.now
        channel = try await ClientBootstrap(group: loops).connectTimeout(.seconds(10))
            .channelOption(.tcpOption(.tcp_nodelay), value: 1)
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    let pipeline = channel.pipeline.syncOperations
                    try pipeline.addHTTPClientHandlers()
                    try pipeline.addHandler(IdleStateHandler(readTimeout: silence))
                    try pipeline.addHandler(Asker(head, body, feed, silence))
                }
            }
            .connect(host: address.host, port: address.port).get()
    }

    /// Breaks the connection off, as a client does that has gone.
    func close() { channel.close(promise: nil) }
}

/// Sends a request when there is a connection, and hands on what comes back with the time. It runs on the event loop, so
/// that times are those of arrival, however busy the readers are.
private final class Asker: ChannelInboundHandler {
    typealias InboundIn = HTTPClientResponsePart
    typealias OutboundOut = HTTPClientRequestPart

    private let head: HTTPRequestHead
    private let body: ByteBuffer
    private let feed: AsyncThrowingStream<ResponsePart, any Error>.Continuation
    private let silence: TimeAmount
    private var bytes = 0

    init(
        _ head: HTTPRequestHead, _ body: ByteBuffer, _ feed: AsyncThrowingStream<ResponsePart, any Error>.Continuation,
        _ silence: TimeAmount
    ) {
        (self.head, self.body, self.feed, self.silence) = (head, body, feed, silence)
    }

    func channelActive(context: ChannelHandlerContext) {
        context.write(wrapOutboundOut(.head(head)), promise: nil)
        if body.readableBytes > 0 { context.write(wrapOutboundOut(.body(.byteBuffer(body))), promise: nil) }
        context.writeAndFlush(wrapOutboundOut(.end(nil)), promise: nil)
        context.fireChannelActive()
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        let now = Clock.now
        switch unwrapInboundIn(data) {
        case .head(let head): feed.yield(.head(head))
        case .body(let buffer):
            bytes += buffer.readableBytes
            if bytes > Exchange.mostBytes {
                fail(context, LoadError("the response has more than \(Exchange.mostBytes) bytes"))
            } else {
                feed.yield(.body(buffer, at: now))
            }
        case .end:
            feed.yield(.end(at: now))
            feed.finish()
            context.close(promise: nil)
        }
    }

    func channelInactive(context: ChannelHandlerContext) {
        feed.finish(throwing: LoadError("the server broke the connection off"))
        context.fireChannelInactive()
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if event is IdleStateHandler.IdleStateEvent {
            fail(context, LoadError("the server sent nothing for \(silence.nanoseconds / 1_000_000_000) s"))
        }
        context.fireUserInboundEventTriggered(event)
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) { fail(context, error) }

    private func fail(_ context: ChannelHandlerContext, _ error: any Error) {
        feed.finish(throwing: error)
        context.close(promise: nil)
    }
}
