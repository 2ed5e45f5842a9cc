import Synchronization
import Testing

import ForetokenLoad

/// A server of OpenAI's API that answers like Foretoken.
private struct Pretender: Sendable {
    /// What a request gets; the stream of a usual server where nil.
    var answer: @Sendable (ScriptedServer.Request) -> [ScriptedServer.Step]? = { _ in nil }
    var tokenizes = true
    var queue = 2
    var pause: Int64 = 0

    func script(_ request: ScriptedServer.Request, _ book: ScriptedServer.Book) -> [ScriptedServer.Step] {
        switch request.path {
        case "/v1/models": return whole(200, #"{"data":[{"id":"m","max_model_len":400}]}"#)
        case "/foretoken/status":
            return whole(200, #"{"version":"9","parallel":8,"max_queue":\#(queue),"context":400}"#)
        case "/tokenize":
            guard tokenizes else { return whole(404, "{}") }
            // The token that begins all texts, then one for each byte.
            let text = request.body.firstRange(of: #""prompt":""#).map {
                request.body[$0.upperBound...].prefix { $0 != "\"" }
            }
            let ids = [0] + (text ?? "").utf8.map { Int($0) }
            return whole(200, #"{"tokens":\#(ids)}"#)
        case "/metrics":
            let running = book.open("/v1/completions")
            return whole(
                200, "foretoken_num_requests_running \(running)\nforetoken_pages{state=\"used\"} \(3 + running)\n")
        case "/v1/completions":
            if let answer = answer(request) { return answer }
            let count = request.body.firstRange(of: #""max_tokens":"#).flatMap {
                Int(request.body[$0.upperBound...].prefix { $0.isNumber })
            }
            let seed = request.body.firstRange(of: #""seed":"#).map {
                request.body[$0.upperBound...].prefix { $0.isNumber }
            }
            return stream(count ?? 1, pause: pause) { "\(seed ?? "").\($0) " }
        default: return whole(404, "{}")
        }
    }
}

/// What a benchmark of a pretender reports.
private func measure(_ pretender: Pretender, _ change: (inout LoadPlan) -> Void) async throws -> LoadReport {
    let server = try await ScriptedServer { pretender.script($0, $1) }
    let client = LoadClient(try ServerAddress(server.url), key: nil, silenceSeconds: 20)
    var plan = LoadPlan(salt: 1)
    plan.hurry()
    plan.concurrency = [1, 3]
    plan.requests = 4
    plan.promptTokens = 8
    plan.maximumTokens = 6
    change(&plan)
    let result: Result<LoadReport, any Error>
    do {
        result = .success(try await LoadBench(client, plan, texts: ["some words", "and more of them"]).run())
    } catch {
        result = .failure(error)
    }
    await client.shutDown()
    try await server.stop()
    return try result.get()
}

/// Times that a busy machine may stretch are only bounded from below.
@Suite(.serialized) struct TrialTests {
    @Test func levelsCountAndCompare() async throws {
        let report = try await measure(Pretender(pause: 2)) { $0.trials = [.levels] }
        #expect(report.server.program == "foretoken 9" && report.server.tokenizes && report.promptsAreTokens)
        #expect(report.levels.map(\.concurrency) == [1, 3])
        #expect(report.levels.map(\.requests) == [4, 6] && report.levels.map(\.failed) == [0, 0])
        #expect(report.levels.map(\.outputTokens) == [24, 36])
        #expect(report.levels[0].equality.compared == 0)
        #expect(report.levels[1].equality.compared == 6 && report.levels[1].equality.identical == 6)
        for level in report.levels {
            #expect(level.goodShare == 1 && level.firstToken?.count == level.requests && level.perToken!.p50 > 0)
            #expect(level.drafted.isEmpty && level.acceptance == nil && level.rowsPerStep == nil)
        }
    }

    @Test func aDifferentAnswerIsFound() async throws {
        // The warm-up, one alone, then six, of which one is wrong from its third token on.
        let report = try await measure(
            Pretender(answer: { request in
                request.number == 6 ? stream(6) { $0 < 2 ? "1.\($0) " : "wrong" } : nil
            })
        ) {
            $0.trials = [.levels]
            $0.requests = 1
        }
        #expect(report.levels.map(\.requests) == [1, 6])
        let equality = report.levels[1].equality
        #expect(equality.compared == 6 && equality.identical == 5)
        #expect(equality.firstDifference == "request 0 parts after 8 bytes of text and 6 tokens")
    }

    @Test func requestsThatFailAreCounted() async throws {
        let report = try await measure(
            Pretender(answer: { $0.number == 3 ? whole(500, #"{"error":{"message":"no"}}"#) : nil })
        ) { $0.trials = [.levels] }
        #expect(report.levels.map(\.failed) == [1, 0] && report.levels[0].failure == "500: no")
        #expect(report.levels[0].goodShare == 0.75)
        // What failed alone is nothing to compare with.
        #expect(report.levels[1].equality.compared == 5 && report.levels[1].equality.identical == 5)
    }

    @Test func aServerThatDoesNotTokenizeGetsTexts() async throws {
        let report = try await measure(Pretender(tokenizes: false)) { $0.trials = [.levels] }
        #expect(!report.promptsAreTokens && report.levels.allSatisfy { $0.failed == 0 })
    }

    @Test func aCachedBeginningIsTimed() async throws {
        let report = try await measure(
            Pretender(answer: { request in
                // The warm-up, then: new, cached, cached with others behind.
                guard request.body.contains(#""max_tokens":8"#) else { return nil }
                return [.pause(request.number == 1 ? 2000 : 20)] + stream(1)
            })
        ) {
            $0.trials = [.prefix]
            $0.prefixTokens = 100
        }
        let figures = try #require(report.prefix)
        #expect(figures.promptTokens == 164 && figures.others == 16)
        #expect(figures.cold >= 1900 && figures.cached < figures.cold && figures.ratio < 0.9, "\(figures)")
    }

    @Test func aStallIsFound() async throws {
        let report = try await measure(
            Pretender(answer: { request in
                // Long prompts take their time. The stream pauses meanwhile, whenever that is on a busy machine.
                if request.body.contains(#""max_tokens":1,"#) { return [.pause(800)] + stream(1) }
                guard !request.body.contains(#""max_tokens":6"#) else { return nil }
                let steps = stream(400, pause: 5)
                return steps.indices.flatMap { $0 > 100 && $0 % 40 == 0 ? [.pause(600), steps[$0]] : [steps[$0]] }
            })
        ) {
            $0.trials = [.stall]
            $0.longPromptTokens = 50
        }
        let figures = try #require(report.stall)
        #expect(figures.prompts == 2 && figures.promptTokens == 50)
        #expect(figures.beside!.longest >= 500 && figures.quiet!.count >= 40, "\(figures)")
        #expect(figures.windowsLongest! > 3 && figures.firstToken!.p50 >= 700)
    }

    @Test func clientsThatGoAreSeen() async throws {
        let report = try await measure(Pretender(pause: 5)) { $0.trials = [.cancel] }
        let figures = try #require(report.cancel, "\(report.leftOut)")
        #expect(figures.busy == 8 && figures.latency?.count == 8)
        #expect(figures.pagesBefore == 3 && figures.pagesAfter == 3 && figures.pagesFreed != nil)
        #expect(figures.window! > 0 && figures.question > 0)
    }

    @Test func moreThanAServerTakesIsRefused() async throws {
        let report = try await measure(
            Pretender(answer: { request in
                // The warm-up, then at least one request of each client.
                switch request.number {
                case 5: whole(429, "{}")
                case 6: whole(500, "x")
                case let number where number % 2 == 1: whole(429, "{}", "Retry-After: 1")
                default: nil
                }
            })
        ) {
            $0.trials = [.overload]
            $0.overloadSeconds = 0.3
        }
        let figures = try #require(report.overload)
        #expect(figures.clients == 16 && figures.accepted >= 7 && figures.refused >= 8)
        #expect(figures.withoutRetryAfter == 1 && figures.failed == 1 && figures.failure == "500: x")
    }

    @Test func aSoakComparesAndCounts() async throws {
        let report = try await measure(Pretender(pause: 1)) {
            $0.soakSeconds = 1
            $0.soakClients = 4
        }
        let figures = try #require(report.soak)
        #expect(report.levels.isEmpty && figures.clients == 4 && figures.failed == 0)
        #expect(figures.whole > 4 && figures.equality.identical == figures.whole)
        #expect(figures.cancelled > 0 && figures.beginnings == figures.cancelled)
        #expect(figures.runningAfter == 0 && figures.pagesAfter == 3 && figures.pagesBefore == 3)
    }

    @Test func whatAServerRefusesIsLeftOut() async throws {
        let pretender = Pretender(
            answer: { request in
                request.body.utf8.count > 400 ? whole(400, #"{"error":{"message":"too long"}}"#) : nil
            }, queue: 0)
        let report = try await measure(pretender) { $0.trials = [.prefix, .stall, .overload] }
        #expect(report.prefix == nil && report.stall == nil && report.overload == nil)
        #expect(
            report.leftOut == [
                "prefix: the server answers 400: too long", "stall: the server answers 400: too long",
                "overload: the server does not tell how many requests may wait",
            ])
    }

    @Test func whoeverStopsItGetsWhatThereIs() async throws {
        let (begun, bell) = AsyncStream<Void>.makeStream()
        let task = Task {
            try await measure(
                Pretender(
                    answer: { request in
                        if request.number == 3 { bell.yield() }
                        return nil
                    }, pause: 20)
            ) {
                $0.trials = [.levels]
                $0.requests = 50
            }
        }
        for await _ in begun { break }
        task.cancel()
        let report = try await task.value
        #expect(report.isPartial && report.levels.isEmpty)
    }
}
