import Dispatch
import ForetokenAPI
import ForetokenSpeculation
import Glibc
import Hummingbird
import HummingbirdCore
import Logging
import NIOCore
import NIOPosix
import ServiceLifecycle
import Synchronization
import UnixSignals

/// A server's life: it listens, loads the model meanwhile, answers, and ends in order.
package final class Server: Sendable {
    /// What happens in it.
    private enum Event: Sendable {
        case listening(port: Int)
        case stopAsked
        case drained
        case engineEnded((any Error)?)
        case closed((any Error)?)
    }

    package let desk: Desk
    private let settings: ServerSettings
    private let version: String
    private let connections = Connections()
    private let events: AsyncStream<Event>
    private let bell: AsyncStream<Event>.Continuation

    /// - Parameter version: this program's.
    package init(_ settings: ServerSettings, version: String) {
        self.settings = settings
        self.version = version
        desk = Desk(settings)
        (events, bell) = AsyncStream.makeStream()
    }

    /// Lets requests under way end, then everything.
    package func stop() { bell.yield(.stopAsked) }

    /// Runs the server on the calling thread until a signal or a failure ends it.
    ///
    /// - Parameters:
    ///   - listening: told the port.
    ///   - ending: told how many texts are still to be answered when the server begins to end.
    ///   - exitAtOnce: called at a second signal.
    ///   - runModel: runs on the engine's thread, told the port: loads the model and calls `Desk.serve`.
    /// - Returns: whether the engine's thread has ended, too.
    /// - Throws: `ListenError`, or what `runModel` throws.
    package func run(
        listening: @escaping @Sendable (Int) -> Void, ending: @escaping @Sendable (Int) -> Void,
        exitAtOnce: @escaping @Sendable () -> Void, runModel: @escaping @Sendable (EngineThread, Int) throws -> Void
    ) throws -> Bool {
        let outcome = Mutex<Result<Bool, any Error>>(.success(true))
        let done = DispatchSemaphore(value: 0)
        Task {
            let signals = Task {
                for await _ in await UnixSignalsSequence(trapping: .sigterm, .sigint) { self.stop() }
            }
            do {
                let hasEnded = try await self.serve(
                    listening: listening, ending: ending, exitAtOnce: exitAtOnce, runModel: runModel)
                outcome.withLock { $0 = .success(hasEnded) }
            } catch {
                outcome.withLock { $0 = .failure(error) }
            }
            signals.cancel()
            done.signal()
        }
        done.wait()
        return try outcome.withLock { $0 }.get()
    }

    /// The same as a task.
    @discardableResult
    package func serve(
        listening: @escaping @Sendable (Int) -> Void, ending: @escaping @Sendable (Int) -> Void = { _ in },
        exitAtOnce: @escaping @Sendable () -> Void = {},
        runModel: @escaping @Sendable (EngineThread, Int) throws -> Void
    ) async throws -> Bool {
        // One thread: all others are the engine's.
        let loops = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        let logger = Logger(label: "foretoken") { _ in SwiftLogNoOpLogHandler() }
        let services = ServiceGroup(
            configuration: .init(services: [application(loops, logger)], logger: logger))
        let listener = Task {
            do {
                try await services.run()
                bell.yield(.closed(nil))
            } catch {
                bell.yield(.closed(error))
            }
        }
        let ticks = Task {
            while (try? await Task.sleep(for: .seconds(1))) != nil { desk.tick() }
        }
        var thread: EngineThread?
        var failure: (any Error)?
        var isStopping = false
        loop: for await event in events {
            switch event {
            case .listening(let port):
                listening(port)
                do {
                    thread = try EngineThread { [bell] thread in
                        do {
                            try runModel(thread, port)
                            bell.yield(.engineEnded(nil))
                        } catch {
                            bell.yield(.engineEnded(error))
                            throw error
                        }
                    }
                } catch {
                    bell.yield(.engineEnded(error))
                }
            case .stopAsked:
                if isStopping { exitAtOnce() }
                isStopping = true
                ending(desk.textCount)
                Task { await drain() }
            case .engineEnded(let error):
                failure = failure ?? error
                bell.yield(.drained)
            case .drained:
                await services.triggerGracefulShutdown()
                // Whoever keeps a connection open has had time to see the last answer.
                Task {
                    try? await Task.sleep(for: .seconds(1))
                    connections.closeAll()
                }
            case .closed(let error):
                failure = failure ?? error.map { ListenError(settings, $0) }
                break loop
            }
        }
        listener.cancel()
        ticks.cancel()
        thread?.finish()
        // A model that is still being loaded cannot be waited for.
        let hasEnded = thread?.wait(nanoseconds: desk.figures.loaded == nil ? 0 : 10_000_000_000) ?? true
        try await loops.shutdownGracefully()
        if let failure { throw failure }
        return hasEnded
    }

    private func application(_ loops: any EventLoopGroup, _ logger: Logger) -> some ApplicationProtocol {
        let (limits, connections, bell) = (settings.limits, connections, bell)
        var http = HTTP1Channel.Configuration(additionalChannelHandlers: [ConnectionGuard(connections, limits)])
        http.httpDecoder.maxHeaderFieldSize = limits.headBytes
        http.httpDecoder.maxHeaderListSize = limits.headBytes
        return Application(
            responder: Responder(
                desk: desk, connections: connections, access: Access(settings), page: Page(), version: version),
            server: .http1(configuration: http),
            configuration: ApplicationConfiguration(
                address: .hostname(settings.host, port: settings.port), serverName: "foretoken",
                availableConnectionsDelegate: MaximumAvailableConnections(limits.connections, logger: logger)),
            onServerRunning: { channel in bell.yield(.listening(port: channel.localAddress?.port ?? 0)) },
            eventLoopGroupProvider: .shared(loops), logger: logger)
    }

    /// Takes no more requests and waits until those that there are have ended, or for as long as they may.
    private func drain() async {
        desk.drain()
        func waitUntilIdle(_ seconds: Double) async {
            let deadline = ContinuousClock.now + .seconds(seconds)
            while !desk.isIdle && ContinuousClock.now < deadline { try? await Task.sleep(for: .milliseconds(10)) }
        }
        await waitUntilIdle(settings.drainSeconds)
        desk.cancelAll()
        await waitUntilIdle(5)
        bell.yield(.drained)
    }
}

/// The server cannot listen.
package struct ListenError: Error, CustomStringConvertible {
    package let description: String

    fileprivate init(_ settings: ServerSettings, _ error: any Error) {
        let reason =
            switch error {
            case let error as IOError where error.errnoCode == EADDRINUSE:
                "another program listens there; --port takes another"
            case let error as IOError: String(cString: strerror(error.errnoCode))
            case SocketAddressError.unknown: "there is no such name or address"
            default: "\(error)"
            }
        description = "cannot listen at \(settings.host), port \(settings.port): \(reason)"
    }
}
