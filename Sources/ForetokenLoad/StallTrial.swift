import Synchronization

/// A stream that goes on while others' long prompts are read.
struct StallTrial {
    let bench: LoadBench

    /// Deliveries of the stream before the others come.
    private static let quiet = 48
    /// Prompts one after another, beside each stream.
    private static let others = 2

    func run() async throws -> StallFigures {
        let plan = bench.plan
        var figures = StallFigures(promptTokens: plan.longPromptTokens)
        // One alone: is there room for it?
        _ = try await bench.whole(asking(-1))
        var (quiet, beside, first): ([Int64], [Int64], [Int64]) = ([], [], [])
        for turn in 0..<plan.repeats {
            bench.progress("others' long prompts", Double(turn) / Double(plan.repeats))
            let scene = try await watch(turn)
            quiet += scene.stream.gaps(from: scene.stream.began, to: scene.begin)
            beside += scene.stream.gaps(from: scene.begin, to: scene.end)
            first += scene.others.compactMap(\.firstToken)
            figures.prompts += scene.others.count
        }
        figures.quiet = Spread(nanoseconds: quiet)
        figures.beside = Spread(nanoseconds: beside)
        figures.firstToken = Spread(nanoseconds: first)
        return figures
    }

    /// A stream, the others, and when the first of them came and the last had its token.
    private struct Scene {
        let stream: LoadAnswer
        var others: [LoadAnswer] = []
        var begin: Int64 = 0
        var end: Int64 = 0
    }

    /// Says when the stream may end.
    private final class Course: Sendable { let isOver = Mutex(false) }

    private func watch(_ turn: Int) async throws -> Scene {
        let course = Course()
        let (ready, bell) = AsyncStream<Void>.makeStream()
        let bench = bench
        let stream = stream
        return try await withThrowingTaskGroup(of: LoadAnswer.self) { group in
            group.addTask {
                defer { bell.finish() }
                return await bench.ask(stream) { count in
                    if count == Self.quiet { bell.yield() }
                    return !course.isOver.withLock { $0 }
                }
            }
            for await _ in ready { break }
            let begin = Clock.now
            var others: [LoadAnswer] = []
            for number in 0..<Self.others {
                others.append(try await bench.whole(asking(turn * Self.others + number)))
            }
            let end = Clock.now
            course.isOver.withLock { $0 = true }
            guard let answer = try await group.next() else { throw CancellationError() }
            // That its client goes is the plan.
            if answer.ending != .cancelled || Task.isCancelled { try LoadBench.check(answer) }
            guard answer.deliveries.count > Self.quiet else {
                throw LoadError("the stream brought its tokens in only \(answer.deliveries.count) deliveries")
            }
            return Scene(stream: answer, others: others, begin: begin, end: end)
        }
    }

    /// Longer than the others take, if there is room.
    private var stream: LoadRequest {
        var request = bench.request(0)
        request.maximumTokens = max(1, min(4096, (bench.facts.context ?? 4096) - bench.plan.promptTokens))
        // Some servers send them at the end alone.
        request.showsLogProbabilities = false
        return request
    }

    private func asking(_ number: Int) -> LoadRequest {
        // Numbers that no other trial has.
        let prompt = bench.prompts.fresh(1000 + number, tokens: bench.plan.longPromptTokens)
        return LoadRequest(prompt: prompt, maximumTokens: 1)
    }
}
