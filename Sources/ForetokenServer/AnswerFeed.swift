import ForetokenAPI
import ForetokenHardware
import ForetokenSpeculation
import ForetokenText
import Synchronization

/// What the engine's thread has to tell to whoever writes one request's answer. The engine never waits for it.
final class AnswerFeed: Sendable {
    /// What became of a choice.
    typealias Ending = Result<ChoiceResult, APIError>

    /// What has come since the last time.
    struct News {
        var choices: [(index: Int, news: ChoiceNews)] = []
        var endings: [(index: Int, ending: Ending)] = []
        var isPingDue = false
        /// How far the request is; nil where that is no news.
        var headway: Headway?
    }

    private struct State {
        var news: [ChoiceNews]
        var endings: [(Int, Ending)] = []
        var endedCount = 0
        var unread = 0
        var isPingDue = false
        var headway: Headway?
        var isHeadwayNew = false
        /// When the writer was last given something.
        var lastTaken = MonotonicClock.now
        /// When the client went, or the server gave the request up.
        var cancelled: Int64?
    }

    let order: Order
    /// Lets all choices end before the engine's next step.
    let cancellation = Cancellation()
    /// When the request came.
    let submitted = MonotonicClock.now
    /// Rings when there is something to take.
    let bell: AsyncStream<Void>

    private let ring: AsyncStream<Void>.Continuation
    private let state: Mutex<State>
    private let mostUnread: Int
    /// Closes the connection.
    let hangUp: @Sendable () -> Void

    init(_ order: Order, mostUnread: Int, hangUp: @escaping @Sendable () -> Void) {
        self.order = order
        self.hangUp = hangUp
        self.mostUnread = mostUnread
        (bell, ring) = AsyncStream.makeStream(bufferingPolicy: .bufferingNewest(1))
        state = Mutex(State(news: .init(repeating: ChoiceNews(), count: order.choiceCount)))
    }

    // MARK: The engine's thread

    /// Takes a token or text.
    /// - Returns: false when too many wait for the client to read them.
    func take(_ news: ChoiceNews, choice: Int) -> Bool {
        guard order.isStreamed else { return true }
        return state.withLock { state in
            state.news[choice].append(news)
            state.unread += news.tokens.count
            return state.unread <= mostUnread
        }
    }

    /// Takes what became of a choice.
    /// - Returns: nanoseconds since the request was cancelled, if it was; nil otherwise.
    @discardableResult
    func end(_ choice: Int, _ ending: Ending) -> Int64? {
        let cancelled = state.withLock { state in
            state.endings.append((choice, ending))
            state.endedCount += 1
            return state.cancelled
        }
        ring.yield()
        return cancelled.map { MonotonicClock.now - $0 }
    }

    /// Lets the writer know that there is something to take.
    func wake() { ring.yield() }

    // MARK: All threads

    /// Whether the client is to be told how far its request is.
    var wantsHeadway: Bool { order.isStreamed && order.isTraced }

    /// Takes how far the request is.
    /// - Returns: whether that is news for the client.
    func take(_ headway: Headway) -> Bool {
        guard wantsHeadway else { return false }
        return state.withLock { state in
            guard headway.isNews(after: state.headway) else { return false }
            state.headway = headway
            state.isHeadwayNew = true
            return true
        }
    }

    /// Whether all choices have ended.
    var hasEnded: Bool { state.withLock { $0.endedCount == order.choiceCount } }

    var isCancelled: Bool { cancellation.isRequested }

    /// Gives the request up.
    /// - Returns: whether that is news.
    func cancel() -> Bool {
        let isNews = state.withLock { state in
            guard state.cancelled == nil else { return false }
            state.cancelled = MonotonicClock.now
            return true
        }
        cancellation.request()
        return isNews
    }

    /// Lets the writer write a comment, if it had nothing else for so long.
    func ping(after nanoseconds: Int64) {
        let isDue = state.withLock { state in
            state.isPingDue = MonotonicClock.now - state.lastTaken >= nanoseconds
            return state.isPingDue
        }
        if isDue { ring.yield() }
    }

    /// What has come since the last time.
    func takeNews() -> News {
        state.withLock { state in
            var taken = News()
            for index in state.news.indices where !state.news[index].isEmpty {
                taken.choices.append((index, state.news[index]))
                state.news[index] = ChoiceNews()
            }
            taken.endings = state.endings
            taken.isPingDue = state.isPingDue
            if state.isHeadwayNew { taken.headway = state.headway }
            state.endings = []
            state.unread = 0
            state.isPingDue = false
            state.isHeadwayNew = false
            state.lastTaken = MonotonicClock.now
            return taken
        }
    }
}
