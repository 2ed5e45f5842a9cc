import Testing

import ForetokenLoad

/// Asks a scripted server once.
private func ask(
    key: String? = nil, silence: Int64 = 20, _ script: @escaping ScriptedServer.Script,
    while goOn: @Sendable (Int) -> Bool = { _ in true }
) async throws -> LoadAnswer {
    let server = try await ScriptedServer(script)
    let client = LoadClient(try ServerAddress(server.url), key: key, silenceSeconds: silence)
    let request = LoadRequest(prompt: .tokens([1, 2]), maximumTokens: 9)
    let answer = await client.ask(request, model: "m", while: goOn)
    await client.shutDown()
    try await server.stop()
    return answer
}

@Suite struct ClientTests {
    typealias Step = ScriptedServer.Step

    @Test func requestsHaveOpenAIsFields() async throws {
        let answer = try await ask(key: "secret") { request in
            let wanted = [
                "\"model\":\"m\"", "\"prompt\":[1,2]", "\"max_tokens\":9", "\"stream\":true",
                "\"stream_options\":{\"include_usage\":true}",
            ]
            let isRight =
                request.method == "POST" && request.path == "/v1/completions"
                && request.head.contains("Authorization: Bearer secret") && request.head.contains("Host: 127.0.0.1:")
                && wanted.allSatisfy(request.body.contains)
            return isRight ? stream(2) : whole(400, request.body)
        }
        #expect(answer.ending == .whole, "\(answer.ending)")
    }

    @Test("Tokens are counted by the server, deliveries by time")
    func counts() async throws {
        let answer = try await ask { _ in
            [
                .streamHead, .chunk(": ping\n\n"),
                .events(#"{"choices":[{"index":0,"text":"","finish_reason":null}]}"#),
                .pause(300), .events(Step.token("a", id: 3)), .pause(300),
                .events(Step.token("b", id: 4), Step.token("c", id: 5)), .pause(300),
                .events(#"{"choices":[{"index":0,"text":"de","finish_reason":null}]}"#), .events(Step.finish),
                .events(Step.usage(prompt: 5, completion: 6)), .done, .endOfBody,
            ]
        }
        #expect(answer.ending == .whole)
        #expect(String(decoding: answer.text, as: UTF8.self) == "abcde" && answer.tokens == [3, 4, 5])
        #expect(answer.tokenCount == 6 && answer.promptTokens == 5 && answer.finishReason == "length")
        #expect(answer.deliveries.count == 3)
        #expect(answer.firstToken! >= 290_000_000, "an event without tokens is no first token")
        #expect(answer.gaps.count == 2 && answer.gaps.allSatisfy { $0 >= 100_000_000 })
        let perToken = try #require(answer.timePerToken)
        #expect(abs(perToken * 5 - Double(answer.gaps.reduce(0, +))) < 10)
    }

    @Test func whatForetokenTellsIsRead() async throws {
        let own = """
            {"choices":[{"index":0,"text":"","finish_reason":"length"}],"timings":{"draft_n":5,"draft_n_accepted":3},\
            "foretoken":{"rounds":4,"drafted":[4,1],"accepted":[3,0],\
            "company":{"steps":4,"rows":9,"shared":2}}}
            """
        let answer = try await ask { _ in
            [.streamHead, .events(Step.token("a", id: 1)), .events(own), .done, .endOfBody]
        }
        #expect(answer.own?.drafted == [4, 1] && answer.own?.accepted == [3, 0] && answer.own?.rounds == 4)
        #expect(answer.own?.rows == 9 && answer.own?.shared == 2)
    }

    @Test func draftsOfLlamaServerAreRead() async throws {
        let last = """
            {"choices":[{"index":0,"text":"","finish_reason":"length"}],"usage":{"prompt_tokens":1,"completion_tokens":1},\
            "timings":{"draft_n":5,"draft_n_accepted":3}}
            """
        let content = #"{"choices":[{"index":0,"text":"a","logprobs":{"content":[{"logprob":-0.5}]}}]}"#
        let answer = try await ask { _ in [.streamHead, .events(content), .events(last), .done, .endOfBody] }
        #expect(answer.own?.drafted == [5] && answer.own?.accepted == [3] && answer.own?.rounds == nil)
        #expect(answer.logProbabilities == [-0.5])
    }

    @Test func refusalsAreTold() async throws {
        let crowded = try await ask { _ in whole(429, "{}", "Retry-After: 7") }
        #expect(crowded.ending == .crowded && crowded.retryAfter == 7)
        let wrong = try await ask { _ in whole(400, #"{"error":{"message":"no such field"}}"#) }
        #expect(wrong.ending == .refused(status: 400, message: "no such field"))
        let odd = try await ask { _ in whole(502, "<html>") }
        #expect(odd.ending == .refused(status: 502, message: "<html>"))
    }

    @Test(arguments: [
        ([Step.streamHead, .events(Step.token("a", id: 1)), .close], "broke"),
        ([.streamHead, .events("{\"choices\":"), .done, .endOfBody], "JSON"),
        ([.streamHead, .events(#"{"choices":[{"text":7}]}"#), .done, .endOfBody], "text"),
        ([.streamHead, .events(Step.token("a", id: 1)), .events(Step.finish), .endOfBody], "[DONE]"),
        ([.streamHead, .events(Step.token("a", id: 1)), .done, .endOfBody], "finish_reason"),
        ([.streamHead, .events(#"{"error":{"message":"out of paper"}}"#), .done, .endOfBody], "out of paper"),
        ([.streamHead, .done, .events(Step.finish), .endOfBody], "behind [DONE]"),
        ([.send("SSH-2.0-OpenSSH\r\n")], ""), ([.close], "broke"),
    ])
    func brokenAnswersAreTold(steps: [Step], reason: String) async throws {
        let answer = try await ask { _ in steps }
        guard case .broken(let told) = answer.ending else {
            Issue.record("\(answer.ending)")
            return
        }
        #expect(told.contains(reason), "\(told)")
    }

    @Test func aSilentServerIsGivenUp() async throws {
        let answer = try await ask(silence: 1) { _ in [.streamHead, .events(Step.token("a", id: 1))] }
        #expect(answer.ending == .broken("the server sent nothing for 1 s") && answer.tokens == [1])
    }

    @Test func nobodyThere() async throws {
        let server = try await ScriptedServer { _ in [] }
        try await server.stop()
        let client = LoadClient(try ServerAddress(server.url), key: nil)
        await #expect { try await client.survey() } throws: { "\($0)".contains("does not answer") }
        await client.shutDown()
    }

    @Test func aClientThatGoesIsGone() async throws {
        let server = try await ScriptedServer { _ in stream(1000, pause: 100) }
        let client = LoadClient(try ServerAddress(server.url), key: nil)
        let request = LoadRequest(prompt: .text("a"), maximumTokens: 1000)
        let answer = await client.ask(request, model: "m") { $0 < 3 }
        #expect(answer.ending == .cancelled && answer.deliveries.count == 3)
        let task = Task { await client.ask(request, model: "m") }
        while server.count("/v1/completions") < 2 { try await Task.sleep(for: .milliseconds(1)) }
        task.cancel()
        #expect(await task.value.ending == .cancelled)
        for _ in 0..<1000 where server.open("/v1/completions") > 0 { try await Task.sleep(for: .milliseconds(5)) }
        #expect(server.open("/v1/completions") == 0)
        await client.shutDown()
        try await server.stop()
    }

    @Test(arguments: [
        (whole(401, "{}"), "FORETOKEN_API_KEY"), (whole(500, "x"), "500"), (whole(200, "[]"), "OpenAI"),
        (whole(200, #"{"data":[]}"#), "no model"),
    ])
    func serversThatCannotBeMeasuredAreExplained(steps: [Step], message: String) async throws {
        let server = try await ScriptedServer { _ in steps }
        let client = LoadClient(try ServerAddress(server.url), key: nil)
        await #expect { try await client.survey() } throws: { "\($0)".contains(message) }
        await client.shutDown()
        try await server.stop()
    }
}
