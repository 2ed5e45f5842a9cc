/// Many clients for a long time, of which a third go before they have their answer. What comes is compared with what the
/// same request gets alone.
struct SoakTrial {
    let bench: LoadBench
    let seconds: Double

    /// Different requests: prompts of three lengths, answers of four, two temperatures.
    private static let different = 32

    private struct Outcome: Sendable {
        let request: Int
        let answer: LoadAnswer
    }

    func run() async throws -> SoakFigures {
        var figures = SoakFigures(clients: bench.plan.soakClients)
        var alone: [LoadAnswer] = []
        for number in 0..<Self.different {
            bench.progress("alone", Double(number) / Double(Self.different))
            alone.append(try await bench.whole(request(number)))
        }
        let before = try await bench.idle()
        figures.pagesBefore = before.requestPages
        let begin = Clock.now
        let (outcomes, early) = try await soak(begin)
        figures.seconds = Double(Clock.now - begin) / 1e9
        let idle = before.running ?? 0
        let after = try await bench.settle(seconds: 10) {
            ($0.running ?? 0) <= idle && ($0.requestPages ?? 0) <= (before.requestPages ?? 0)
        }
        figures.runningAfter = after.running
        figures.pagesAfter = after.requestPages
        figures.cachedPages = after.cachedPages
        if let early, let late = await bench.residentBytes() {
            figures.memory = MemoryFigures(begin: early, end: late)
        }
        for outcome in outcomes { Self.count(outcome, alone[outcome.request], into: &figures) }
        return figures
    }

    private func request(_ number: Int) -> LoadRequest {
        let plan = bench.plan
        var request = LoadRequest(
            prompt: bench.prompts.usual(number, tokens: plan.promptTokens * (2 + number % 3) / 2),
            maximumTokens: max(1, plan.maximumTokens * (1 + number % 4) / 4))
        request.temperature = number % 2 == 0 ? plan.temperature : max(0.8, plan.temperature)
        request.seed = 1 + number
        request.showsLogProbabilities = plan.showsLogProbabilities
        return request
    }

    private func soak(_ begin: Int64) async throws -> (outcomes: [Outcome], early: Int?) {
        let (bench, soak) = (bench, self)
        let result = await withTaskGroup(of: [Outcome].self) { group in
            for client in 0..<bench.plan.soakClients {
                group.addTask { await soak.live(client, from: begin) }
            }
            // Caches have filled by then.
            try? await Task.sleep(for: .seconds(seconds / 4))
            let early = await bench.residentBytes()
            return (await group.reduce(into: []) { $0 += $1 }, early)
        }
        try Task.checkCancellation()
        return result
    }

    /// One client.
    private func live(_ client: Int, from begin: Int64) async -> [Outcome] {
        var outcomes: [Outcome] = []
        var random = SplitMix(state: bench.plan.salt &+ UInt64(client))
        while !Task.isCancelled {
            let passed = Double(Clock.now - begin) / 1e9
            guard passed < seconds else { break }
            if client == 0 { bench.progress("soaking", passed / seconds) }
            let number = Int.random(in: 0..<Self.different, using: &random)
            let request = request(number)
            let leaves = Int.random(in: 0..<3, using: &random) == 0
            let patience = Int.random(in: 1...max(1, request.maximumTokens), using: &random)
            let answer = await bench.ask(request) { !leaves || $0 < patience }
            outcomes.append(Outcome(request: number, answer: answer))
            if answer.ending == .crowded { try? await Task.sleep(for: .milliseconds(50)) }
        }
        return outcomes
    }

    private static func count(_ outcome: Outcome, _ alone: LoadAnswer, into figures: inout SoakFigures) {
        switch outcome.answer.ending {
        case .whole:
            figures.whole += 1
            figures.equality.compare(outcome.answer, with: alone, request: outcome.request)
        case .cancelled:
            figures.cancelled += 1
            if outcome.answer.isBeginning(of: alone) { figures.beginnings += 1 }
        case .crowded: figures.refused += 1
        case .refused, .broken:
            figures.failed += 1
            figures.failure = figures.failure ?? outcome.answer.ending.reason
        }
    }
}

/// A small generator with a seed.
private struct SplitMix: RandomNumberGenerator {
    var state: UInt64

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var hash = state
        hash = (hash ^ hash >> 30) &* 0xBF58_476D_1CE4_E5B9
        hash = (hash ^ hash >> 27) &* 0x94D0_49BB_1331_11EB
        return hash ^ hash >> 31
    }
}
