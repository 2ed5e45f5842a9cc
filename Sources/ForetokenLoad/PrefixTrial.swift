/// Time to the first token of prompts that are new, of prompts whose beginning is cached, and of those with others behind
/// them.
struct PrefixTrial {
    let bench: LoadBench

    private static let tail = 64
    /// Tokens shared beyond those that count: engines may look at the ones behind what they keep.
    private static let beyond = 16
    private static let others = 16

    func run() async throws -> PrefixFigures {
        let (plan, prompts) = (bench.plan, bench.prompts)
        let length = plan.prefixTokens + Self.tail
        var figures = PrefixFigures(promptTokens: length, prefixTokens: plan.prefixTokens, others: Self.others)
        var (cold, cached, crowded): ([Int64], [Int64], [Int64]) = ([], [], [])
        for turn in 0..<plan.repeats {
            bench.progress("a cached beginning", Double(turn) / Double(plan.repeats))
            let first = prompts.fresh(turn, tokens: length)
            cold.append(try Self.time(try await bench.whole(asking(first))))
            let branch = other(than: first, 2 * turn)
            let again = try await bench.whole(asking(branch))
            cached.append(try Self.time(again))
            figures.hit = again.cachedTokens
            let next = other(than: first, 2 * turn + 1)
            crowded.append(try Self.time(try await withOthers(behind: asking(next))))
        }
        figures.cold = Self.median(cold)
        figures.cached = Self.median(cached)
        figures.crowded = Self.median(crowded)
        return figures
    }

    private func other(than first: LoadPrompt, _ number: Int) -> LoadPrompt {
        bench.prompts.branch(
            first, keeping: bench.plan.prefixTokens + Self.beyond, number, tokens: Self.tail - Self.beyond)
    }

    private func asking(_ prompt: LoadPrompt) -> LoadRequest {
        var request = LoadRequest(prompt: prompt, maximumTokens: 8)
        request.temperature = bench.plan.temperature
        return request
    }

    /// The answer to a request behind which others came at once.
    private func withOthers(behind request: LoadRequest) async throws -> LoadAnswer {
        let bench = bench
        return try await withThrowingTaskGroup(of: LoadAnswer?.self) { group in
            group.addTask { try await bench.whole(request) }
            // So that it is the first, but has no token yet.
            try await Task.sleep(for: .microseconds(500))
            for number in 0..<Self.others {
                group.addTask {
                    // That the server refuses one of many is no failure of this trial.
                    _ = await bench.ask(bench.request(number % bench.plan.requests))
                    return nil
                }
            }
            var answer: LoadAnswer?
            for try await one in group { answer = one ?? answer }
            guard let answer else { throw CancellationError() }
            return answer
        }
    }

    private static func time(_ answer: LoadAnswer) throws -> Int64 {
        guard let time = answer.firstToken else { throw LoadError("an answer had no token") }
        return time
    }

    /// In milliseconds.
    private static func median(_ times: [Int64]) -> Double { Spread(nanoseconds: times)?.p50 ?? .nan }
}
