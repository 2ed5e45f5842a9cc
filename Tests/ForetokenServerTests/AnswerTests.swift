import ForetokenAPI
import ForetokenJSON
import ForetokenSpeculation
import ForetokenText
import ForetokenTokenizer
import Testing

/// Servers are made one after the other: each has an engine that wants a core.
@Suite(.serialized) struct ServerTests {}

extension ServerTests {
    @Suite struct Answers {
        @Test("Tokens, text and log-probabilities are those of the text alone, streamed or not")
        func sameAsAlone() async throws {
            let alone = try await Alone.chat { settings in
                settings.maximumTokens = 40
                settings.sampling.seed = 7
                settings.sampling.temperature = 0.8
                settings.sampling.topP = 0.9
                settings.logProbabilities = 3
            }
            let members =
                "\"max_tokens\":40,\"seed\":7,\"temperature\":0.8,\"top_p\":0.9,\"logprobs\":true,\"top_logprobs\":3,"
                + "\"return_token_ids\":true"
            try await TestServer.run { server in
                let whole = try await server.chat(members)
                #expect(whole.status == 200)
                let json = try whole.json
                #expect(
                    json.keys == [
                        "id", "object", "created", "model", "system_fingerprint", "choices", "prompt_token_ids",
                        "usage",
                        "timings", "foretoken",
                    ])
                #expect(json["object"]?.string == "chat.completion" && json["model"]?.string == "demo")
                let choice = try #require(json["choices"]?[0])
                #expect(choice["message"]?["content"]?.string == alone.text)
                #expect(choice["message"]?["role"]?.string == "assistant")
                #expect(choice["token_ids"]?.integers == alone.result.tokens.map { Int($0) })
                #expect(json["prompt_token_ids"]?.integers == alone.promptTokens.map { Int($0) })
                expectSame(choice["logprobs"]?["content"], alone)
                #expect(json["usage"]?["completion_tokens"]?.integer == alone.result.tokens.count)
                #expect(json["foretoken"]?["seed"]?.integer == 7 && json["foretoken"]?["bits"]?.string == "exact")

                let stream = try await server.chat(members + ",\"stream\":true")
                #expect(stream.headers["content-type"]?.hasPrefix("text/event-stream") == true)
                let chunks = try stream.events.dropLast().map { try JSONValue(Array($0.utf8)) }
                #expect(stream.events.last == "[DONE]")
                let choices = chunks.compactMap { $0["choices"]?[0] }
                #expect(choices.compactMap { $0["delta"]?["content"]?.string }.joined() == alone.text)
                let entries = choices.flatMap { $0["logprobs"]?["content"]?.list ?? [] }
                expectSame(.array(entries), alone)
            }
        }

        private func expectSame(_ content: JSONValue?, _ alone: Answer) {
            let entries = content?.list ?? []
            #expect(entries.compactMap { $0["logprob"]?.double } == alone.logProbabilities?.map(\.logProbability))
            #expect(
                entries.map { ($0["top_logprobs"]?.list ?? []).compactMap { $0["logprob"]?.double } }
                    == alone.logProbabilities?.map { $0.top.map(\.logProbability) })
            #expect(entries.allSatisfy { $0.keys == ["token", "logprob", "bytes", "top_logprobs"] })
        }

        @Test("A stream begins with the role, ends with the reason and counts tokens when asked")
        func stream() async throws {
            try await TestServer.run({ $0.draft = .fixed(2) }) { server in
                let members = "\"max_tokens\":30,\"seed\":3,\"temperature\":0"
                let whole = try await server.chat(members)
                let stream = try await server.chat(
                    members
                        + ",\"stream\":true,\"stream_options\":{\"include_usage\":true},\"foretoken\":{\"trace\":true}")
                #expect(stream.headers["cache-control"] == "no-cache" && stream.headers["x-accel-buffering"] == "no")
                let events = try stream.events.dropLast().map { try JSONValue(Array($0.utf8)) }
                #expect(events.allSatisfy { $0["object"]?.string == "chat.completion.chunk" })
                #expect(Set(events.map { $0["id"]?.string }).count == 1)
                // What comes before tells how far the request is.
                let chunks = Array(events.drop { $0["choices"] == .array([]) })
                let first = try #require(chunks.first?["choices"]?[0])
                #expect(first["delta"]?["role"]?.string == "assistant" && first["delta"]?["content"]?.string == "")
                let usage = try #require(chunks.last)
                #expect(usage["choices"] == .array([]))
                #expect(usage["usage"] == (try whole.json["usage"]))
                let finish = chunks[chunks.count - 2]
                #expect(finish["choices"]?[0]?["finish_reason"]?.string == "length")
                #expect(finish["timings"] != nil && finish["foretoken"]?["accepted"] != nil)
                #expect(chunks.dropLast().allSatisfy { $0["usage"] == .null })
                let text = chunks.compactMap { $0["choices"]?[0]?["delta"]?["content"]?.string }.joined()
                #expect(text == (try whole.json["choices"]?[0]?["message"]?["content"]?.string))
                let pieces = chunks.flatMap { $0["foretoken"]?["pieces"]?.list ?? [] }
                #expect(pieces.compactMap { $0["text"]?.string }.joined() == text)
                #expect(pieces.contains { $0["source"]?.string != "own" })
                let tokens = chunks.flatMap { $0["foretoken"]?["tokens"]?.list ?? [] }
                #expect(tokens.count == 30 && tokens.allSatisfy { $0.list.count == 3 })
            }
        }

        @Test("Prompts of all forms, several answers, and their seeds")
        func completions() async throws {
            let prompts: [Prompt] = [.text("func a("), .text("let b =")]
            let alone = try await Alone.answers(
                prompts.flatMap { prompt in
                    (0..<2).map { choice in
                        Alone.Wanted(prompt: prompt) { settings in
                            settings.maximumTokens = 12
                            settings.sampling.seed = Order.seed(11, choice: choice)
                            settings.logProbabilities = 2
                        }
                    }
                })
            #expect(alone[0].text != alone[1].text)
            try await TestServer.run { server in
                let members = "\"n\":2,\"seed\":11,\"max_tokens\":12,\"logprobs\":2"
                let answer = try await server.complete("\"prompt\":[\"func a(\",\"let b =\"],\(members)").json
                let choices = answer["choices"]?.list ?? []
                #expect(choices.compactMap { $0["index"]?.integer } == [0, 1, 2, 3])
                #expect(choices.compactMap { $0["text"]?.string } == alone.compactMap(\.text))
                #expect(
                    choices.compactMap { $0["logprobs"]?["token_logprobs"]?.doubles }
                        == alone.compactMap { $0.logProbabilities?.map(\.logProbability) })
                for choice in choices {
                    let logprobs = try #require(choice["logprobs"])
                    #expect(logprobs.keys == ["tokens", "token_logprobs", "top_logprobs", "text_offset"])
                    #expect(logprobs["text_offset"]?[0]?.integer == 0)
                    for (own, top) in zip(logprobs["token_logprobs"]!.list, logprobs["top_logprobs"]!.list) {
                        // As lm-evaluation-harness asks whether a token was the likeliest.
                        let values = top.object?.members.compactMap(\.value.double) ?? []
                        #expect((2...3).contains(values.count) && values.contains(own.double ?? 0))
                    }
                }
                let ids = alone[0].promptTokens.map { "\($0)" }.joined(separator: ",")
                for prompt in ["[\(ids)]", "[[\(ids)]]"] {
                    let other = try await server.complete("\"prompt\":\(prompt),\(members)").json
                    #expect(other["choices"]?[1]?["text"]?.string == alone[1].text)
                }
                let short = try await server.complete("\"prompt\":\"func a(\",\"temperature\":0").json
                #expect(short["usage"]?["completion_tokens"]?.integer == 16, "OpenAI's default")
                #expect(short["foretoken"]?["seed"] != nil)
                let stream = try await server.complete("\"prompt\":\"func a(\",\(members),\"stream\":true")
                let chunks = try stream.events.dropLast().map { try JSONValue(Array($0.utf8)) }
                #expect(chunks.allSatisfy { $0["object"]?.string == "text_completion" })
                for index in 0..<2 {
                    let own = chunks.compactMap { $0["choices"]?[0] }.filter { $0["index"]?.integer == index }
                    #expect(own.compactMap { $0["text"]?.string }.joined() == alone[index].text)
                    let offsets = own.flatMap { $0["logprobs"]?["text_offset"]?.list ?? [] }
                    #expect(offsets == choices[index]["logprobs"]?["text_offset"]?.list)
                }
            }
        }

        @Test("A stream shows the ids of all tokens, those within a character as well")
        func idsOfAStream() async throws {
            try await TestServer.run { server in
                for seed in 1...6 {
                    let members =
                        "\"prompt\":\"let text = \\\"日本語 🎉\",\"max_tokens\":40,\"temperature\":1.5,\"seed\":\(seed),"
                        + "\"ignore_eos\":true,\"return_token_ids\":true"
                    let whole = try await server.complete(members).json["choices"]?[0]
                    let stream = try await server.complete(members + ",\"stream\":true")
                    let chunks = try stream.events.dropLast().map { try JSONValue(Array($0.utf8)) }
                    let choices = chunks.compactMap { $0["choices"]?[0] }
                    #expect(choices.flatMap { $0["token_ids"]?.integers ?? [] } == whole?["token_ids"]?.integers)
                    #expect(choices.compactMap { $0["text"]?.string }.joined() == whole?["text"]?.string)
                }
            }
        }

        @Test func stopStringsAndEndTokensEndAnAnswer() async throws {
            let whole = try await Alone.chat { settings in
                settings.maximumTokens = 60
                settings.sampling.temperature = 0
            }
            let text = try #require(whole.text)
            let stop = String(text.dropFirst(20).prefix(3))
            let before = String(text[..<text.firstRange(of: stop)!.lowerBound])
            try await TestServer.run { server in
                let members = "\"max_tokens\":60,\"temperature\":0,\"stop\":[null,\"never in there\",\"\(stop)\"]"
                    .replacing("\n", with: "\\n")
                let answer = try await server.chat(members).json["choices"]?[0]
                #expect(answer?["message"]?["content"]?.string == before)
                #expect(answer?["finish_reason"]?.string == "stop")
                let stream = try await server.chat(members + ",\"stream\":true")
                let chunks = try stream.events.dropLast().map { try JSONValue(Array($0.utf8)) }
                #expect(chunks.compactMap { $0["choices"]?[0]?["delta"]?["content"]?.string }.joined() == before)
                let token = whole.result.tokens[4]
                let byToken = try await server.chat("\"max_tokens\":60,\"temperature\":0,\"stop_token_ids\":[\(token)]")
                #expect(try byToken.json["usage"]?["completion_tokens"]?.integer ?? 99 <= 5)
            }
        }

        /// As lm-evaluation-harness asks: ids in, their log-probabilities out, those that `score` finds.
        @Test func aPromptIsScored() async throws {
            let ids = (0..<40).map { 300 + $0 * 7 }
            let alone = try await Alone.answers([
                Alone.Wanted(prompt: .tokens(ids)) { settings in
                    settings.maximumTokens = 1
                    settings.logProbabilities = 1
                    settings.promptLogProbabilities = 1
                    settings.sampling.temperature = 0
                }
            ])[0]
            let scores = try #require(alone.promptLogProbabilities).map(\.logProbability)
            let members = "{\"prompt\":[\(ids)],\"temperature\":0,\"logprobs\":1,\"echo\":true,\"max_tokens\":"
            try await TestServer.run { server in
                let whole = try await ask(server.port, "POST", "/v1/completions", [:], members + "1}").json
                let choice = try #require(whole["choices"]?[0])
                let found = try #require(choice["logprobs"]?["token_logprobs"]?.list)
                #expect(found.count == ids.count + 1 && found[0] == .null)
                #expect(found[1..<ids.count].map(\.double) == scores)
                #expect(choice["logprobs"]?["top_logprobs"]?[0] == .null)
                let text = try #require(choice["text"]?.string)
                let offsets = try #require(choice["logprobs"]?["text_offset"]?.integers)
                #expect(offsets == offsets.sorted() && offsets.last! < text.unicodeScalars.count + 1)

                let stream = try await ask(server.port, "POST", "/v1/completions", [:], members + "1,\"stream\":true}")
                let chunks = try stream.events.dropLast().map { try JSONValue(Array($0.utf8)) }
                let choices = chunks.compactMap { $0["choices"]?[0] }
                #expect(choices.compactMap { $0["text"]?.string }.joined() == text)
                #expect(choices.flatMap { $0["logprobs"]?["token_logprobs"]?.list ?? [] } == found)

                let bare = try await ask(server.port, "POST", "/v1/completions", [:], members + "0}").json
                #expect(bare["choices"]?[0]?["logprobs"]?["token_logprobs"]?.list == Array(found.dropLast()))
                #expect(bare["choices"]?[0]?["finish_reason"]?.string == "length")
                #expect(bare["usage"]?["completion_tokens"]?.integer == 0)
            }
        }

        @Test func aCachedBeginningChangesNothing() async throws {
            let ids = (0..<700).map { 300 + $0 * 13 % 3000 }
            let members =
                "{\"prompt\":\(ids),\"max_tokens\":20,\"seed\":5,\"return_token_ids\":true,\"logprobs\":2"
            try await TestServer.run { server in
                let cold = try await ask(server.port, "POST", "/v1/completions", [:], members + "}").json
                let warm = try await ask(server.port, "POST", "/v1/completions", [:], members + "}").json
                let other = try await ask(
                    server.port, "POST", "/v1/completions", [:], members + ",\"cache_salt\":\"mine\"}"
                ).json
                func cached(_ reply: JSONValue) -> Int? {
                    reply["usage"]?["prompt_tokens_details"]?["cached_tokens"]?.integer
                }
                #expect(cached(cold) == 0 && cached(warm) == 512 && cached(other) == 0)
                #expect(warm["choices"] == cold["choices"] && other["choices"] == cold["choices"])
                let metrics = try await ask(server.port, "GET", "/metrics")
                #expect(metrics.text.contains("foretoken_prefix_cache_hits_total 512\n"))
            }
        }

        @Test func aPredictionIsCountedAndChangesNoToken() async throws {
            try await TestServer.run({ $0.draft = .fixed(4) }) { server in
                let members = "\"max_tokens\":80,\"temperature\":0"
                let plain = try await server.chat(members).json
                let text = try #require(plain["choices"]?[0]?["message"]?["content"]?.string)
                var writer = JSONWriter()
                writer.value(text)
                let predicted = try await server.chat(
                    members
                        + ",\"prediction\":{\"type\":\"content\",\"content\":\(String(decoding: writer.bytes, as: UTF8.self))}"
                ).json
                #expect(predicted["choices"]?[0]?["message"] == plain["choices"]?[0]?["message"])
                let details = predicted["usage"]?["completion_tokens_details"]
                #expect(details?["accepted_prediction_tokens"]?.integer ?? 0 > 10)
                #expect(details?["rejected_prediction_tokens"]?.integer != nil)
            }
        }

        @Test("Sixteen at once get what each gets alone")
        func company() async throws {
            let wanted = (0..<16).map { index in
                Alone.Wanted(prompt: .text("func number\(index)(")) { settings in
                    settings.maximumTokens = 20 + index * 3
                    settings.sampling.seed = UInt64(index)
                    settings.sampling.temperature = index % 3 == 0 ? 0 : 0.9
                }
            }
            let alone = try await Alone.answers(wanted)
            try await TestServer.run { server in
                try await withThrowingTaskGroup(of: (Int, Response).self) { group in
                    for index in 0..<16 {
                        group.addTask {
                            let temperature = index % 3 == 0 ? 0 : 0.9
                            let stream = index % 2 == 0 ? ",\"stream\":true" : ""
                            return (
                                index,
                                try await server.complete(
                                    "\"prompt\":\"func number\(index)(\",\"max_tokens\":\(20 + index * 3),"
                                        + "\"seed\":\(index),\"temperature\":\(temperature)\(stream)")
                            )
                        }
                    }
                    for try await (index, response) in group {
                        let documents =
                            index % 2 == 0
                            ? try response.events.dropLast().map { try JSONValue(Array($0.utf8)) } : [try response.json]
                        let text = documents.compactMap { $0["choices"]?[0]?["text"]?.string }.joined()
                        #expect(text == alone[index].text, "text \(index)")
                    }
                }
            }
        }
    }
}
