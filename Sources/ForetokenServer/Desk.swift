import ForetokenAPI
import ForetokenHardware
import ForetokenModel
import ForetokenSpeculation
import ForetokenText
import Synchronization

/// Between connections and the engine: knows whether there is a model, how many requests there are, and ends them.
package final class Desk: Sendable {
    /// A model that is loaded, and the thread that runs it.
    struct LoadedModel: Sendable {
        let served: ServedModel
        let thread: EngineThread
        /// Most texts at once.
        let parallel: Int
    }

    private enum Phase {
        /// With the fraction done.
        case loading(Double)
        case ready(LoadedModel)
    }

    private struct State {
        var phase = Phase.loading(0)
        var isDraining = false
        /// Requests that are not answered yet, by number.
        var feeds: [Int: AnswerFeed] = [:]
        var numbered = 0
        /// Texts that wait for room, with their prompts' tokens, and those that have it.
        var waiting = 0
        var waitingTokens = 0
        var running = 0
        var line = WaitingLine()
        /// Requests whose response is being written.
        var responses = 0
    }

    let settings: ServerSettings
    let metrics = Metrics()
    private let state = Mutex(State())
    private let wakes = WakeList()

    package init(_ settings: ServerSettings) { self.settings = settings }

    // MARK: Life

    /// Says how much of the model is loaded.
    package func setLoaded(_ fraction: Double) { state.withLock { $0.phase = .loading(fraction) } }

    /// Opens for requests and answers them until the thread's `finish` is called. To be called on the engine's thread.
    package func serve(_ served: ServedModel, on engine: Engine, _ thread: EngineThread, ready: () -> Void) {
        let loaded = LoadedModel(served: served, thread: thread, parallel: engine.parallel)
        state.withLock { $0.phase = .ready(loaded) }
        ready()
        thread.serve(engine) {
            self.wakes.wakeAll()
            self.metrics.set(engine)
        }
    }

    /// Takes no more requests.
    package func drain() { state.withLock { $0.isDraining = true } }

    /// Gives up all requests.
    func cancelAll() {
        for feed in state.withLock({ Array($0.feeds.values) }) { cancel(feed, .shutdown) }
    }

    /// Texts that are not answered yet.
    var textCount: Int { state.withLock { $0.waiting + $0.running } }

    /// Whether no request is left and everything is written.
    package var isIdle: Bool { state.withLock { $0.feeds.isEmpty && $0.responses == 0 } }

    func beginResponse() { state.withLock { $0.responses += 1 } }
    func endResponse() { state.withLock { $0.responses -= 1 } }

    /// What is to be done every second: comments in streams without news.
    func tick() {
        let feeds = state.withLock { Array($0.feeds.values) }
        for feed in feeds where feed.order.isStreamed {
            feed.ping(after: Int64(settings.limits.pingSeconds * 1e9))
        }
    }

    // MARK: Requests

    /// Why a request may not be answered now.
    private func refusal(_ state: State, _ order: Order?) -> APIError? {
        if state.isDraining { return .draining }
        guard case .ready(let loaded) = state.phase else {
            if case .loading(let fraction) = state.phase { return .loading(fraction) }
            return nil
        }
        guard let order else { return nil }
        let tokens = order.prompts.reduce(0) { $0 + $1.count } * order.choicesPerPrompt
        let (texts, most) = (state.waiting + state.running, loaded.parallel + settings.mostWaiting)
        if order.choiceCount > most { return .tooManyChoices(order.choiceCount, most: most) }
        let isLong = state.waitingTokens + tokens > settings.mostWaitingTokens && state.waiting > 0
        guard texts + order.choiceCount > most || isLong else { return nil }
        return .crowded(texts: texts, loaded.parallel, settings.mostWaiting, retryAfter: metrics.typicalSeconds)
    }

    /// The model, when there is one and requests are taken.
    func loadedModel() throws(APIError) -> LoadedModel {
        let result = state.withLock { state -> Result<LoadedModel, APIError> in
            if let refusal = refusal(state, nil) { return .failure(refusal) }
            guard case .ready(let loaded) = state.phase else { return .failure(.loading(0)) }
            return .success(loaded)
        }
        return try result.get()
    }

    /// Hands a request to the engine.
    /// - Parameter hangUp: closes the connection.
    /// - Throws: an error where there are too many.
    func submit(
        _ order: Order, _ loaded: LoadedModel, hangUp: @escaping @Sendable () -> Void
    ) throws(APIError) -> AnswerFeed {
        let feed = AnswerFeed(order, mostUnread: settings.limits.unreadTokens, hangUp: hangUp)
        let number = state.withLock { state -> Result<Int, APIError> in
            if let refusal = refusal(state, order) { return .failure(refusal) }
            state.numbered += 1
            state.feeds[state.numbered] = feed
            state.waiting += order.choiceCount
            state.line.join(state.numbered, feed)
            for choice in 0..<order.choiceCount { state.waitingTokens += order.prompt(choice: choice).count }
            return .success(state.numbered)
        }
        if case .failure(let refusal) = number { metrics.refused(refusal) }
        let id = try number.get()
        tellLine()
        for choice in 0..<order.choiceCount {
            loaded.thread.post(
                { engine in
                    Text(self, feed, choice, id).submit(to: engine, loaded.served)
                },
                orElse: { error in
                    Text(self, feed, choice, id).end(.failure(APIError(error)))
                })
        }
        return feed
    }

    /// Tells those who want to know how many texts wait before theirs.
    private func tellLine() {
        for (feed, before) in state.withLock({ $0.line.places }) where feed.take(.queued(before: before)) {
            feed.wake()
        }
    }

    /// Gives a request up; the engine does so before its next step.
    func cancel(_ feed: AnswerFeed, _ reason: CancelReason) {
        if feed.cancel() { metrics.cancelled(reason) }
    }

    enum CancelReason: String, CaseIterable { case disconnected, shutdown, slow }

    // MARK: Figures

    struct Figures {
        var waiting = 0
        var running = 0
        var fraction: Double?
        var isDraining = false
        var isStuck = false
        var loaded: LoadedModel?
    }

    var figures: Figures {
        state.withLock { state in
            var figures = Figures()
            (figures.waiting, figures.running) = (state.waiting, state.running)
            figures.isDraining = state.isDraining
            switch state.phase {
            case .loading(let fraction): figures.fraction = fraction
            case .ready(let loaded):
                figures.loaded = loaded
                let since = Double(loaded.thread.sinceLastLook ?? 0) / 1e9
                figures.isStuck = since > max(30, 10 * metrics.longestSilence)
            }
            return figures
        }
    }

    // MARK: Texts

    /// One choice of a request on its way through the engine. Everything but its making happens on the engine's thread.
    private final class Text: @unchecked Sendable {
        let desk: Desk
        let feed: AnswerFeed
        let choice: Int
        let id: Int
        private let promptCount: Int
        private var hasBegun = false
        private var lastToken: Int64 = 0

        init(_ desk: Desk, _ feed: AnswerFeed, _ choice: Int, _ id: Int) {
            (self.desk, self.feed, self.choice, self.id) = (desk, feed, choice, id)
            promptCount = feed.order.prompt(choice: choice).count
        }

        func submit(to engine: Engine, _ served: ServedModel) {
            // Gone before its turn came.
            if feed.isCancelled { return end(.failure(APIError(CancellationError()))) }
            do {
                var settings = feed.order.settings(choice: choice)
                settings.cancellation = feed.cancellation
                try engine.submit(
                    feed.order.prompt(choice: choice), settings, tokenizer: served.open.tokenizer, observe: take,
                    completion: finish)
            } catch {
                end(.failure(APIError(error)))
            }
        }

        private func take(_ event: AnswerEvent) -> Bool {
            begin()
            var news = ChoiceNews()
            switch event {
            case .prompt(let done, let total):
                let cached = promptCount - total
                if feed.take(.prompt(done: cached + done, of: promptCount, cached: cached)) { desk.wakes.add(feed) }
                return !feed.isCancelled
            case .promptScored(let entries): news.promptLogProbabilities = entries
            case .token(let token, let fate, let logProbabilities, let text):
                let now = MonotonicClock.now
                if lastToken == 0 {
                    desk.metrics.firstToken(now - feed.submitted)
                } else {
                    desk.metrics.nextToken(now - lastToken)
                }
                lastToken = now
                news.tokens = [token]
                news.fates = [fate]
                news.pieces = text
                if feed.order.isTraced, let rejected = fate.rejected {
                    news.rejected = [(max(0, text.count - 1), rejected)]
                }
                if let logProbabilities { news.logProbabilities = [logProbabilities] }
            case .end(let text): news.pieces = text
            }
            if !feed.take(news, choice: choice) {
                desk.cancel(feed, .slow)
                // Whoever writes waits for the client, perhaps for ever.
                feed.hangUp()
            }
            if feed.order.isStreamed { desk.wakes.add(feed) }
            return !feed.isCancelled
        }

        /// The first sign of it means that it has room.
        private func begin() {
            guard !hasBegun else { return }
            hasBegun = true
            desk.state.withLock { state in
                state.waiting -= 1
                state.waitingTokens -= promptCount
                state.line.leave(id)
                state.running += 1
            }
            desk.tellLine()
        }

        private func finish(_ outcome: Result<Answer, any Error>) {
            switch outcome {
            case .success(let answer):
                let timings = answer.result.timings
                let total = MonotonicClock.now - feed.submitted
                let queued = max(0, total - timings.promptNanoseconds - timings.predictedNanoseconds)
                desk.metrics.ended(answer, queued: queued, total: total, feed.order)
                end(.success(ChoiceResult(answer, queued: queued)))
            case .failure(let error):
                if !(error is CancellationError) { desk.metrics.failed() }
                end(.failure(APIError(error)))
            }
        }

        func end(_ ending: AnswerFeed.Ending) {
            desk.state.withLock { state in
                if hasBegun {
                    state.running -= 1
                } else {
                    state.waiting -= 1
                    state.waitingTokens -= promptCount
                    state.line.leave(id)
                }
            }
            if !hasBegun { desk.tellLine() }
            if let time = feed.end(choice, ending) { desk.metrics.cancelTook(time) }
            desk.forget(feed, id)
        }
    }

    /// Forgets a request all of whose choices have ended.
    private func forget(_ feed: AnswerFeed, _ id: Int) {
        if feed.hasEnded { state.withLock { state in state.feeds[id] = nil } }
    }
}

/// Feeds with news of the window in progress. Belongs to the engine's thread: that makes it sendable.
private final class WakeList: @unchecked Sendable {
    private var feeds: [AnswerFeed] = []

    func add(_ feed: AnswerFeed) { if feeds.last !== feed { feeds.append(feed) } }

    func wakeAll() {
        for feed in feeds { feed.wake() }
        feeds.removeAll(keepingCapacity: true)
    }
}

extension APIError {
    static func loading(_ fraction: Double) -> APIError {
        APIError(
            503, type: "unavailable_error", code: "loading", retryAfter: 2,
            "the model is being loaded: \(Int(fraction * 100)) % done")
    }

    static let draining = APIError(
        503, type: "unavailable_error", code: "draining", retryAfter: 5,
        "the server is about to end and takes no more requests")

    /// For a request that was taken and then given up.
    static let givenUp = APIError(
        503, type: "server_error", code: "shutting_down", retryAfter: 5,
        "the server is ending and gave this request up before its answer was complete")

    static func crowded(texts: Int, _ parallel: Int, _ mostWaiting: Int, retryAfter: Int) -> APIError {
        APIError(
            429, type: "rate_limit_error", code: "rate_limit_exceeded", retryAfter: retryAfter,
            "this server has \(texts) texts to answer and takes \(parallel) at once and \(mostWaiting) that wait; try "
                + "again later")
    }

    /// No waiting would help.
    static func tooManyChoices(_ count: Int, most: Int) -> APIError {
        APIError(
            400, code: "invalid_value", param: "n",
            "the request asks for \(count) answers, but this server never has more than \(most) texts, those that wait "
                + "included")
    }
}
