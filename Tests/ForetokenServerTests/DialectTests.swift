import ForetokenJSON
import ForetokenServer
import Testing

extension Response {
    /// The named events of a stream.
    var namedEvents: [(name: String, data: JSONValue)] {
        get throws {
            try text.split(separator: "\n\n").map { event in
                let lines = event.split(separator: "\n")
                guard lines.count == 2, lines[0].hasPrefix("event: "), lines[1].hasPrefix("data: ") else {
                    throw ClientError(what: "no event: \(event)")
                }
                return (String(lines[0].dropFirst(7)), try JSONValue(Array(lines[1].dropFirst(6).utf8)))
            }
        }
    }
}

extension ServerTests {
    /// What is asked and answered in the words of Anthropic's messages and OpenAI's responses.
    @Suite struct Dialects {
        private static let question = "\"messages\":[{\"role\":\"user\",\"content\":\"Write a func.\"}]"

        private func ask(
            _ server: TestServer, _ path: String, _ members: String, _ headers: [String: String] = [:]
        ) async throws -> Response {
            try await ForetokenServerTests.ask(server.port, "POST", path, headers, "{\(members)}")
        }

        @Test("A message is the chat's answer, whole or streamed, and its prompt has the tokens that were counted")
        func messages() async throws {
            try await TestServer.run { server in
                let settings = "\"max_tokens\":30,\"seed\":7,\"temperature\":0.5"
                let chat = try await server.chat(settings).json
                let text = try #require(chat["choices"]?[0]?["message"]?["content"]?.string)
                let whole = try await ask(
                    server, "/v1/messages?beta=true", "\(Self.question),\(settings)",
                    ["anthropic-version": "2023-06-01", "anthropic-beta": "unknown-2026-01-01"])
                #expect(whole.status == 200 && whole.headers["request-id"]?.count == 24)
                let message = try whole.json
                #expect(message["content"]?.list.count == 1 && message["content"]?[0]?["text"]?.string == text)
                #expect(message["id"]?.string == "msg_" + whole.headers["request-id"]!)
                #expect(message["stop_reason"]?.string == "max_tokens" && message["model"]?.string == "demo")
                #expect(message["foretoken"]?["seed"]?.integer == 7)
                let usage = try #require(message["usage"])
                #expect(usage["input_tokens"] == chat["usage"]?["prompt_tokens"])
                #expect(usage["output_tokens"] == chat["usage"]?["completion_tokens"])
                let count = try await ask(server, "/v1/messages/count_tokens", Self.question).json
                #expect(count["input_tokens"] == usage["input_tokens"])

                let stream = try await ask(server, "/v1/messages", "\(Self.question),\(settings),\"stream\":true")
                #expect(stream.headers["content-type"]?.hasPrefix("text/event-stream") == true)
                let events = try stream.namedEvents
                #expect(events.allSatisfy { $0.name == $0.data["type"]?.string })
                let names = events.map(\.name)
                #expect(names.prefix(2) == ["message_start", "content_block_start"])
                #expect(names.suffix(3) == ["content_block_stop", "message_delta", "message_stop"])
                #expect(names.dropFirst(2).dropLast(3).allSatisfy { $0 == "content_block_delta" })
                #expect(events.compactMap { $0.data["delta"]?["text"]?.string }.joined() == text)
                #expect(events[events.count - 2].data["usage"] == usage)
                #expect(events[0].data["message"]?["usage"]?["input_tokens"] == usage["input_tokens"])
            }
        }

        @Test("A stop string is told, and what was cached is no input")
        func messageUsage() async throws {
            try await TestServer.run { server in
                let long = (0..<260).map { "line \($0)" }.joined(separator: " ")
                let question = "\"messages\":[{\"role\":\"user\",\"content\":\"\(long)\"}],\"max_tokens\":2"
                let cold = try await ask(server, "/v1/messages", question).json["usage"]
                let warm = try await ask(server, "/v1/messages", question).json["usage"]
                let events = try await ask(server, "/v1/messages", question + ",\"stream\":true").namedEvents
                let streamed = events.first { $0.name == "message_delta" }?.data["usage"]
                let all = try #require(cold?["input_tokens"]?.integer)
                #expect(cold?["cache_read_input_tokens"]?.integer == 0)
                #expect(warm?["cache_read_input_tokens"]?.integer == 512 && all > 512)
                #expect(warm?["input_tokens"]?.integer == all - 512)
                #expect(streamed?["cache_read_input_tokens"]?.integer == 512)

                let members = "\(Self.question),\"max_tokens\":60,\"temperature\":0"
                let text = try await ask(server, "/v1/messages", members).json["content"]?[0]?["text"]?.string ?? ""
                let stop = String(text.dropFirst(12).prefix(4))
                let stops = "\"stop_sequences\":[\"never in there\",\"\(stop)\"]".replacing("\n", with: "\\n")
                let stopped = try await ask(server, "/v1/messages", "\(members),\(stops)").json
                #expect(stopped["stop_reason"]?.string == "stop_sequence", "\(stopped.text)")
                #expect(stopped["stop_sequence"]?.string == stop)
                #expect(
                    stopped["content"]?[0]?["text"]?.string
                        == String(text[..<(text.firstRange(of: stop)?.lowerBound ?? text.endIndex)]))
            }
        }

        @Test("A response is the chat's answer, whole or streamed")
        func responses() async throws {
            try await TestServer.run { server in
                let chat = try await server.chat("\"max_tokens\":30,\"seed\":7,\"temperature\":0.5").json
                let text = try #require(chat["choices"]?[0]?["message"]?["content"]?.string)
                let members = "\"input\":\"Write a func.\",\"max_output_tokens\":30,\"seed\":7,\"temperature\":0.5"
                let whole = try await ask(server, "/v1/responses", members).json
                #expect(whole["status"]?.string == "incomplete" && whole["temperature"]?.double == 0.5)
                #expect(whole["output"]?[0]?["content"]?[0]?["text"]?.string == text)
                #expect(whole["usage"]?["input_tokens"] == chat["usage"]?["prompt_tokens"])
                let events = try await ask(server, "/v1/responses", members + ",\"stream\":true").namedEvents
                #expect(events.map { $0.data["sequence_number"]?.integer } == Array(0..<events.count))
                #expect(events.allSatisfy { $0.name == $0.data["type"]?.string })
                #expect(events.compactMap { $0.data["delta"]?.string }.joined() == text)
                let last = try #require(events.last)
                #expect(last.name == "response.incomplete")
                #expect(last.data["response"]?["output"]?[0]?["content"] == whole["output"]?[0]?["content"])
                #expect(last.data["response"]?["usage"] == whole["usage"])
                let probe = try await ask(server, "/v1/responses", "\"input\":[],\"max_output_tokens\":1")
                #expect(probe.status == 200, "\(probe.text)")
                let refused = try await ask(server, "/v1/responses", "\"input\":\"a\",\"previous_response_id\":\"r\"")
                #expect(refused.status == 400)
                #expect(try refused.json["error"]?["param"]?.string == "previous_response_id")
            }
        }

        @Test("Errors have Anthropic's shape wherever they are found")
        func errors() async throws {
            try await TestServer.run({
                $0.settings.keys = ["one"]
                $0.settings.limits.bodyBytes = 4000
                $0.context = 512
            }) { server in
                func expect(
                    _ response: Response, _ status: Int, _ type: String, _ message: String = "",
                    sourceLocation: SourceLocation = #_sourceLocation
                ) throws {
                    let body = try response.json
                    #expect(response.status == status, "\(response.text)", sourceLocation: sourceLocation)
                    #expect(body.keys == ["type", "error", "request_id"], sourceLocation: sourceLocation)
                    #expect(body["type"]?.string == "error", sourceLocation: sourceLocation)
                    #expect(body["error"]?.keys == ["type", "message"], sourceLocation: sourceLocation)
                    #expect(body["error"]?["type"]?.string == type, sourceLocation: sourceLocation)
                    #expect(
                        body["error"]?["message"]?.string?.contains(message) == true, "\(response.text)",
                        sourceLocation: sourceLocation)
                    #expect(
                        body["request_id"]?.string == response.headers["request-id"], sourceLocation: sourceLocation)
                }
                let key = ["x-api-key": "one"]
                let path = "/v1/messages"
                try expect(await ask(server, path, Self.question), 401, "authentication_error", "API key")
                try expect(
                    await ask(server, path, Self.question, ["x-api-key": "two"]), 401, "authentication_error", "wrong")
                try expect(await ask(server, path, "", key), 400, "invalid_request_error", "`messages`")
                try expect(await ask(server, path, Self.question, key), 400, "invalid_request_error", "`max_tokens`")
                try expect(await ask(server, path, "\"a", key), 400, "invalid_request_error", "JSON")
                let limited = Self.question + ",\"max_tokens\":2"
                try expect(
                    await ask(server, path, limited + ",\"model\":\"claude-x\"", key), 404, "not_found_error",
                    "\"demo\"")
                try expect(
                    await ask(server, path, "\"a\":\"\(String(repeating: "a", count: 5000))\"", key), 413,
                    "request_too_large")
                let wrong = try await ForetokenServerTests.ask(server.port, "GET", path, key)
                try expect(wrong, 405, "invalid_request_error", "POST")
                #expect(wrong.headers["allow"] == "POST")
                try expect(await ask(server, path + "/batches", limited, key), 404, "not_found_error")
                try expect(
                    await ask(server, path + "/count_tokens", "\"messages\":7", key), 400, "invalid_request_error")
                let words = String(repeating: "word ", count: 700)
                try expect(
                    await ask(
                        server, path, "\"max_tokens\":2,\"messages\":[{\"role\":\"user\",\"content\":\"\(words)\"}]",
                        key),
                    400, "invalid_request_error", "prompt is too long")
                #expect(try await ask(server, path, limited, key).status == 200)
                #expect(try await ask(server, path, limited, ["Authorization": "Bearer one"]).status == 200)
                // The words of other paths stay OpenAI's.
                let other = try await ask(server, "/v1/responses", "\"input\":\"a\"")
                #expect(try other.status == 401 && other.json["error"]?["code"]?.string == "invalid_api_key")
            }
        }

        @Test("No field of the chat's that is described gets lost in the other dialects")
        func noFieldGetsLost() async throws {
            try await TestServer.run { server in
                let description = try await ForetokenServerTests.ask(server.port, "GET", "/openapi.json").json
                let schemas = try #require(description["components"]?["schemas"])
                let parts = [schemas["Generation"], schemas["Conversation"], schemas["ChatRequest"]?["allOf"]?[2]]
                let keys = Set(parts.flatMap { $0?["properties"]?.keys ?? [] }).subtracting(["messages"])
                #expect(keys.count > 50)
                for (path, members, own) in [
                    ("/v1/messages", Self.question + ",\"max_tokens\":1", ["max_tokens"]),
                    ("/v1/responses", "\"input\":\"a\",\"max_output_tokens\":1", ["max_completion_tokens"]),
                ] {
                    for key in keys.subtracting(own).sorted() {
                        let refused = try await ask(server, path, members + ",\"\(key)\":[[]]")
                        #expect(refused.status == 400, "\(path) \(key)")
                        let message = try refused.json["error"]?["message"]?.string ?? ""
                        #expect(message.contains(key), "\(path) \(key): \(message)")
                    }
                }
                let paths = try #require(description["paths"]?.keys)
                for path in ["/v1/messages", "/v1/messages/count_tokens", "/v1/responses"] {
                    #expect(paths.contains(path))
                }
            }
        }

        @Test func whoCannotBeAnsweredNowIsTold() async throws {
            let gate = Gate()
            try await TestServer.run({
                $0.waitsForModel = false
                $0.beforeLoading = { desk in
                    desk.setLoaded(0.25)
                    gate.wait()
                }
            }) { server in
                let refused = try await ask(server, "/v1/messages", Self.question + ",\"max_tokens\":2")
                gate.open()
                #expect(refused.status == 529 && refused.headers["x-should-retry"] == "true")
                #expect(try refused.json["error"]?["type"]?.string == "overloaded_error")
            }
        }

        @Test func modelsAreListedForAll() async throws {
            try await TestServer.run { server in
                let list = try await ForetokenServerTests.ask(server.port, "GET", "/v1/models").json
                #expect(list["models"] == .array([]) && list["has_more"] == .bool(false))
                #expect(list["first_id"]?.string == "demo" && list["last_id"]?.string == "gpt-x")
                let entry = try #require(list["data"]?[1])
                #expect(entry["type"]?.string == "model" && entry["display_name"]?.string == "gpt-x")
                #expect(entry["created_at"]?.string == "1970-01-01T00:00:05Z")
                let one = try await ForetokenServerTests.ask(server.port, "GET", "/v1/models/gpt-x").json
                #expect(one == entry)
            }
        }

        @Test("A stream without news gets pings that its clients know")
        func pings() async throws {
            try await TestServer.run({
                $0.parallel = 1
                $0.context = 4096
                $0.settings.limits.pingSeconds = 0.5
            }) { server in
                let port = server.port
                func begin(_ path: String, _ body: String) async throws -> Connection {
                    try await blocking {
                        let connection = try Connection(port: port)
                        try connection.send(requestText("POST", path, [:], body))
                        return connection
                    }
                }
                let first = try await begin(
                    "/v1/completions",
                    "{\"prompt\":\"a\",\"stream\":true,\"ignore_eos\":true,\"max_tokens\":4000,\"n\":16}")
                _ = try await blocking { try first.read(until: "\"text\":\"") }
                let message = try await begin(
                    "/v1/messages", "{\(Self.question),\"max_tokens\":3,\"stream\":true}")
                let response = try await begin(
                    "/v1/responses", "{\"input\":\"a\",\"max_output_tokens\":3,\"stream\":true}")
                let head = try await blocking { try message.read(until: "event: ping\ndata: {\"type\":\"ping\"}\n\n") }
                #expect(head.contains("event: message_start") && !head.contains("content_block"))
                let news = try await blocking {
                    try response.read(until: "\"type\":\"response.in_progress\",\"sequence_number\":2")
                }
                #expect(news.contains("event: response.created") && !news.contains("output_item"))
                first.close()
                #expect(try await blocking { try message.read(until: "message_stop\"}") }.contains("text_delta"))
                _ = try await blocking { try response.read(until: "event: response.incomplete") }
            }
        }
    }
}
