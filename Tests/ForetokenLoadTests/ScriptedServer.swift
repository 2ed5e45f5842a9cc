import NIOCore
import NIOPosix
import Synchronization

/// A server that does what a test says, to the byte.
final class ScriptedServer: Sendable {
    /// What happens to a connection, one after the other.
    enum Step: Sendable {
        case send(String)
        /// Milliseconds without anything.
        case pause(Int64)
        /// The end of the connection, in order or not.
        case close
    }

    struct Request: Sendable {
        let method: String
        let path: String
        let head: String
        let body: String
        /// How many there were at this path before it.
        let number: Int
    }

    typealias Script = @Sendable (Request) -> [Step]

    let port: Int
    private let channel: any Channel
    private let loops: MultiThreadedEventLoopGroup
    fileprivate let book: Book

    /// What the server has seen.
    final class Book: Sendable {
        private let state = Mutex((counts: [String: Int](), open: [String: Int]()))

        func begin(_ path: String) -> Int {
            state.withLock { state in
                state.open[path, default: 0] += 1
                defer { state.counts[path, default: 0] += 1 }
                return state.counts[path, default: 0]
            }
        }

        func end(_ path: String) { state.withLock { $0.open[path, default: 0] -= 1 } }
        func open(_ path: String) -> Int { state.withLock { $0.open[path, default: 0] } }
        func count(_ path: String) -> Int { state.withLock { $0.counts[path, default: 0] } }
    }

    convenience init(_ script: @escaping Script) async throws { try await self.init { request, _ in script(request) } }

    /// - Parameter script: may look at what the server has seen.
    init(_ script: @escaping @Sendable (Request, Book) -> [Step]) async throws {
        let book = Book()
        self.book = book
        loops = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        channel = try await ServerBootstrap(group: loops)
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(Performer(book) { script($0, book) })
                }
            }
            .bind(host: "127.0.0.1", port: 0).get()
        port = channel.localAddress?.port ?? 0
    }

    var url: String { "http://127.0.0.1:\(port)" }

    /// Connections at a path that the client has not closed.
    func open(_ path: String) -> Int { book.open(path) }
    /// Requests at a path.
    func count(_ path: String) -> Int { book.count(path) }

    func stop() async throws {
        try await channel.close().get()
        try await loops.shutdownGracefully()
    }
}

/// Reads one request and performs its script.
private final class Performer: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer

    private let book: ScriptedServer.Book
    private let script: ScriptedServer.Script
    private var received = ""
    private var path: String?

    init(_ book: ScriptedServer.Book, _ script: @escaping ScriptedServer.Script) {
        self.book = book
        self.script = script
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        received += String(buffer: unwrapInboundIn(data))
        guard path == nil, let split = received.firstRange(of: "\r\n\r\n") else { return }
        let (head, body) = (received[..<split.lowerBound], received[split.upperBound...])
        let length = head.split(separator: "\r\n").first { $0.lowercased().hasPrefix("content-length:") }
            .flatMap { Int($0.drop { !$0.isNumber }) }
        guard body.utf8.count >= length ?? 0 else { return }
        let words = head.split(separator: " ")
        path = String(words[1])
        let request = ScriptedServer.Request(
            method: String(words[0]), path: String(words[1]), head: String(head), body: String(body),
            number: book.begin(String(words[1])))
        perform(script(request), on: context.channel)
    }

    private func perform(_ steps: [ScriptedServer.Step], on channel: any Channel) {
        var delay = TimeAmount.nanoseconds(0)
        for step in steps {
            switch step {
            case .pause(let milliseconds): delay = delay + .milliseconds(milliseconds)
            case .send(let text):
                channel.eventLoop.scheduleTask(in: delay) {
                    channel.writeAndFlush(ByteBuffer(string: text), promise: nil)
                }
            case .close: channel.eventLoop.scheduleTask(in: delay) { channel.close(promise: nil) }
            }
        }
    }

    func channelInactive(context: ChannelHandlerContext) {
        if let path { book.end(path) }
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }
}

// MARK: What servers say

extension ScriptedServer.Step {
    static let streamHead = Self.send(
        "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n")

    /// Text in one write, as one part of a chunked body.
    static func chunk(_ text: String) -> Self {
        .send(String(text.utf8.count, radix: 16) + "\r\n\(text)\r\n")
    }

    /// Events in one write.
    static func events(_ data: String...) -> Self { chunk(data.map { "data: \($0)\n\n" }.joined()) }

    static let done = Self.events("[DONE]")
    static let endOfBody = Self.send("0\r\n\r\n")

    static func token(_ text: String, id: Int) -> String {
        #"{"choices":[{"index":0,"text":"\#(text)","token_ids":[\#(id)],"finish_reason":null}]}"#
    }

    static let finish = #"{"choices":[{"index":0,"text":"","finish_reason":"length"}]}"#

    static func usage(prompt: Int, completion: Int) -> String {
        #"{"choices":[],"usage":{"prompt_tokens":\#(prompt),"completion_tokens":\#(completion)}}"#
    }
}

/// A whole response.
func whole(_ status: Int, _ body: String, _ headers: String...) -> [ScriptedServer.Step] {
    let lines = headers.map { "\($0)\r\n" }.joined()
    return [
        .send(
            "HTTP/1.1 \(status) X\r\nContent-Type: application/json\r\nContent-Length: \(body.utf8.count)\r\n\(lines)\r\n"
                + body)
    ]
}

/// A stream of so many tokens, one event each, with pauses between them.
func stream(_ count: Int, pause: Int64 = 0, text: (Int) -> String = { "\($0) " }) -> [ScriptedServer.Step] {
    var steps: [ScriptedServer.Step] = [.streamHead]
    for number in 0..<count { steps += [.events(ScriptedServer.Step.token(text(number), id: number)), .pause(pause)] }
    return steps + [
        .events(ScriptedServer.Step.finish), .events(ScriptedServer.Step.usage(prompt: 5, completion: count)), .done,
        .endOfBody,
    ]
}
