import ForetokenAPI
import ForetokenText

extension Desk {
    /// Waits for all choices of a request.
    /// - Throws: why one of them has no answer.
    func results(of feed: AnswerFeed) async throws(APIError) -> [ChoiceResult] {
        var results = [ChoiceResult?](repeating: nil, count: feed.order.choiceCount)
        for await _ in feed.bell {
            for (index, ending) in feed.takeNews().endings {
                // A part of an answer is none.
                let isPart = (try? ending.get())?.answer.wasInterrupted == true
                do throws(APIError) {
                    results[index] = try (isPart ? .failure(.givenUp) : ending).get()
                } catch {
                    cancel(feed, .shutdown)
                    throw error
                }
            }
            if results.allSatisfy({ $0 != nil }) { return results.compactMap(\.self) }
        }
        // The task was cancelled.
        cancel(feed, .shutdown)
        throw .givenUp
    }
}

/// Writes one request's answer as it comes.
struct AnswerStream: Sendable {
    let desk: Desk
    let feed: AnswerFeed
    private let writer: any AnswerWriter

    init(_ desk: Desk, _ feed: AnswerFeed, _ writer: any AnswerWriter) {
        (self.desk, self.feed, self.writer) = (desk, feed, writer)
    }

    /// - Parameter send: takes bytes as soon as the client has room for them.
    /// - Throws: what `send` throws.
    func write(_ send: ([UInt8]) async throws -> Void) async throws {
        var writer = writer
        var results = [ChoiceResult?](repeating: nil, count: feed.order.choiceCount)
        let beginning = writer.begin()
        if !beginning.isEmpty { try await send(beginning) }
        for await _ in feed.bell {
            let taken = feed.takeNews()
            var events: [UInt8] = []
            if let headway = taken.headway { events += writer.event(headway) }
            for (index, news) in taken.choices { events += writer.events(index, news) }
            for (index, ending) in taken.endings {
                switch ending {
                case .success(let result):
                    results[index] = result
                    events += writer.end(index, result)
                case .failure(let error):
                    desk.cancel(feed, .shutdown)
                    return try await send(events + writer.failure(error))
                }
            }
            let all = results.compactMap(\.self)
            if all.count == results.count {
                if all.contains(where: \.answer.wasInterrupted) {
                    return try await send(events + writer.failure(.givenUp))
                }
                return try await send(events + writer.close(all))
            }
            if events.isEmpty && taken.isPingDue { events = writer.ping() }
            if !events.isEmpty { try await send(events) }
        }
        // The task was cancelled.
        desk.cancel(feed, .shutdown)
        try await send(writer.failure(.givenUp))
    }
}
