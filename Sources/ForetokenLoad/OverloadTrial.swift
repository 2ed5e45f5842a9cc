/// Clients for all places, and four times as many as there are in the queue. They come again at once.
struct OverloadTrial {
    let bench: LoadBench

    private enum Outcome: Sendable { case accepted, refused(tellsWhen: Bool), failed(String) }

    func run() async throws -> OverloadFigures {
        guard let queue = bench.facts.mostWaiting, queue > 0 else {
            throw LoadError("the server does not tell how many requests may wait")
        }
        var figures = OverloadFigures(clients: (bench.facts.parallel ?? 0) + 4 * queue)
        let seconds = bench.plan.overloadSeconds
        let begin = Clock.now
        let deadline = begin + Int64(seconds * 1e9)
        let (bench, clients) = (bench, figures.clients)
        let (outcomes, early) = await withTaskGroup(of: [Outcome].self) { group in
            for client in 0..<clients {
                group.addTask { await Self.press(bench, client, clients, until: deadline) }
            }
            // Queues and buffers have grown by then.
            try? await Task.sleep(for: .seconds(seconds / 4))
            let early = await bench.residentBytes()
            return (await group.reduce(into: []) { $0 += $1 }, early)
        }
        try Task.checkCancellation()
        if let early, let late = await bench.residentBytes() {
            figures.memory = MemoryFigures(begin: early, end: late)
        }
        figures.seconds = Double(Clock.now - begin) / 1e9
        for outcome in outcomes { Self.count(outcome, into: &figures) }
        return figures
    }

    private static func count(_ outcome: Outcome, into figures: inout OverloadFigures) {
        switch outcome {
        case .accepted: figures.accepted += 1
        case .refused(let tellsWhen):
            figures.refused += 1
            if !tellsWhen { figures.withoutRetryAfter += 1 }
        case .failed(let reason):
            figures.failed += 1
            figures.failure = figures.failure ?? reason
        }
    }

    /// One client.
    private static func press(
        _ bench: LoadBench, _ client: Int, _ clients: Int, until deadline: Int64
    ) async -> [Outcome] {
        var outcomes: [Outcome] = []
        var number = client
        repeat {
            if client == 0 { bench.progress("too many requests", 0) }
            let answer = await bench.ask(bench.request(number % bench.plan.requests))
            number += clients + 1
            switch answer.ending {
            case .whole: outcomes.append(.accepted)
            case .crowded:
                outcomes.append(.refused(tellsWhen: answer.retryAfter != nil))
                // Well before it was told to, but not in a storm of connections alone.
                try? await Task.sleep(for: .milliseconds(50))
            case .cancelled: return outcomes
            case .refused, .broken: outcomes.append(.failed(answer.ending.reason ?? ""))
            }
        } while Clock.now < deadline && !Task.isCancelled
        return outcomes
    }
}
