/// Clients that go in the middle of their answers, and what the server says of it.
struct CancelTrial {
    let bench: LoadBench

    /// Deliveries after which a stream is under way.
    private static let deliveries = 4
    /// Seconds to wait for a server that goes on regardless.
    private static let patience = 10.0

    private struct Times {
        var latencies: [Int64] = []
        var questions: [Int64] = []
        var gaps: [Int64] = []
        var pagesFreed: [Int64] = []
    }

    func run() async throws -> CancelFigures {
        let before = try await bench.idle()
        guard before.running != nil else { throw LoadError("the server does not tell how many requests are running") }
        var figures = CancelFigures(busy: min(8, bench.facts.parallel ?? 8))
        figures.pagesBefore = before.requestPages
        var times = Times()
        for turn in 0..<bench.plan.repeats {
            bench.progress("clients that go", Double(turn) / Double(bench.plan.repeats))
            figures.pagesAfter = try await leave(figures.busy, before, &times)
        }
        figures.latency = Spread(nanoseconds: times.latencies)
        figures.question = Spread(nanoseconds: times.questions)?.p50 ?? 0
        figures.window = Spread(nanoseconds: times.gaps)?.mean
        if times.pagesFreed.count == bench.plan.repeats {
            figures.pagesFreed = Spread(nanoseconds: times.pagesFreed)?.p50
        }
        return figures
    }

    /// Starts streams and breaks off one after the other.
    /// - Returns: pages of requests that are left.
    private func leave(_ count: Int, _ before: ServerGauges, _ times: inout Times) async throws -> Int? {
        let (ready, bell) = AsyncStream<Void>.makeStream()
        let streams = (0..<count).map { stream(number: $0, bell) }
        defer { for stream in streams { stream.cancel() } }
        var begun = 0
        for await _ in ready {
            begun += 1
            if begun == count { break }
        }
        try Task.checkCancellation()
        let idle = before.running ?? 0
        let busy = try await bench.settle(seconds: Self.patience) { ($0.running ?? 0) >= idle + count }
        guard busy.running == idle + count else {
            for stream in streams {
                stream.cancel()
                let answer = await stream.value
                if answer.ending != .cancelled { try LoadBench.check(answer) }
            }
            throw LoadError("of \(count) long requests only \((busy.running ?? 0) - idle) were running at once")
        }
        for (number, stream) in streams.enumerated() {
            let begin = Clock.now
            stream.cancel()
            let most = idle + count - number - 1
            let after = try await settle(&times) { ($0.running ?? 0) <= most }
            guard (after.running ?? 0) <= most else {
                throw LoadError("\(Int(Self.patience)) s after a client had gone its request was still running")
            }
            times.latencies.append(Clock.now - begin)
            if number == count - 1, let pages = before.requestPages {
                let last = try await settle(&times) { ($0.requestPages ?? .max) <= pages }
                if (last.requestPages ?? .max) <= pages { times.pagesFreed.append(Clock.now - begin) }
            }
        }
        for stream in streams { times.gaps += await stream.value.gaps }
        return try await bench.client.gauges().requestPages
    }

    private func stream(number: Int, _ bell: AsyncStream<Void>.Continuation) -> Task<LoadAnswer, Never> {
        var request = bench.request(number)
        request.maximumTokens = max(1, min(4096, (bench.facts.context ?? 4096) - bench.plan.promptTokens))
        // Some servers send them at the end alone.
        request.showsLogProbabilities = false
        return Task { [bench, request] in
            let answer = await bench.ask(request) { count in
                if count == Self.deliveries { bell.yield() }
                return true
            }
            if answer.deliveries.count < Self.deliveries { bell.yield() }
            return answer
        }
    }

    /// Asks again and again without a pause, and keeps what a question takes.
    private func settle(_ times: inout Times, until isSettled: (ServerGauges) -> Bool) async throws -> ServerGauges {
        let deadline = Clock.now + Int64(Self.patience * 1e9)
        while true {
            let begin = Clock.now
            let gauges = try await bench.client.gauges()
            times.questions.append(Clock.now - begin)
            if isSettled(gauges) || Clock.now > deadline { return gauges }
        }
    }
}
