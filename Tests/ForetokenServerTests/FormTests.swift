import ForetokenJSON
import ForetokenServer
import ForetokenSpeculation
import Testing

extension ServerTests {
    /// The embedded model knows Swift code and nothing else: what answers to a mask shows the mask.
    @Suite struct Forms {
        private static let schema = """
            {"type":"object","properties":{"name":{"type":"string","maxLength":12},"kind":{"enum":["func","let"]},\
            "lines":{"type":"array","items":{"type":"string","maxLength":6},"minItems":1,"maxItems":3},\
            "isOpen":{"type":"boolean"}},"required":["name","kind","lines","isOpen"]}
            """
        private static let jsonSchema =
            #""response_format":{"type":"json_schema","json_schema":{"name":"n","strict":true,"schema":\#(schema)}}"#
        private static let jsonObject = #""response_format":{"type":"json_object"}"#
        /// Calls as DeepSeek-V3.1 writes them.
        private static let template = """
            {{ bos_token }}{{ tools | tojson if tools }}{% for m in messages %}{% if m.role == 'user' %}\
            {{ '<｜User｜>' + m.content }}{% else %}<｜Assistant｜>{{ m.content or '' }}{% for c in m.tool_calls or [] %}\
            {{ '<｜tool▁calls▁begin｜>' if loop.first }}{{ '<｜tool▁call▁begin｜>' + c.function.name + '<｜tool▁sep｜>' + \
            c.function.arguments + '<｜tool▁call▁end｜>' }}{{ '<｜tool▁calls▁end｜>' if loop.last }}{% endfor %}\
            {{ eos_token }}{% endif %}{% endfor %}{% if add_generation_prompt %}<｜Assistant｜>{% endif %}
            """
        private static let tools = """
            "tools":[{"type":"function","function":{"name":"write_code","strict":true,"parameters":\(schema)}},\
            {"type":"function","function":{"name":"run"}}]
            """
        private static let callsBegin = 4087
        private static let callEnd = 4090

        /// A chat's or a completion's answer, whole or put together from its stream.
        private struct Reply: Equatable {
            var content = ""
            var calls: [[String]] = []
            var reason: String?
            var tokens: [Int] = []
            var logProbabilities: [Double] = []

            init(_ response: Response) throws {
                let isStream = response.headers["content-type"]?.hasPrefix("text/event-stream") == true
                let documents =
                    isStream
                    ? try response.events.dropLast().map { try JSONValue(Array($0.utf8)) } : [try response.json]
                for choice in documents.compactMap({ $0["choices"]?[0] }) {
                    let part = choice["delta"] ?? choice["message"]
                    content += part?["content"]?.string ?? choice["text"]?.string ?? ""
                    for (index, call) in (part?["tool_calls"]?.list ?? []).enumerated() {
                        let place = call["index"]?.integer ?? index
                        if place == calls.count { calls.append([call["function"]?["name"]?.string ?? "", ""]) }
                        calls[place][1] += call["function"]?["arguments"]?.string ?? ""
                    }
                    reason = choice["finish_reason"]?.string ?? reason
                    tokens += choice["token_ids"]?.integers ?? []
                    let entries = choice["logprobs"]?["content"]?.list ?? []
                    logProbabilities += entries.compactMap { $0["logprob"]?.double }
                }
            }

            /// The content, if it is JSON.
            var json: JSONValue? { try? JSONValue(Array(content.utf8)) }
        }

        /// Whether a value fits the schema.
        private static func fits(_ value: JSONValue?) -> Bool {
            guard let value, value.keys == ["name", "kind", "lines", "isOpen"] else { return false }
            let lines = value["lines"]?.list ?? []
            guard case .bool = value["isOpen"] else { return false }
            return value["name"]?.string?.unicodeScalars.count ?? 99 <= 12
                && ["func", "let"].contains(value["kind"]?.string) && (1...3).contains(lines.count)
                && lines.allSatisfy { $0.string?.unicodeScalars.count ?? 99 <= 6 }
        }

        private static func members(_ index: Int, _ more: String) -> String {
            let temperature = ["0", "0.7", "1.3"][index % 3]
            return "\"seed\":\(index),\"temperature\":\(temperature),\"max_tokens\":200,\"return_token_ids\":true,"
                + "\"logprobs\":true,\"top_logprobs\":1,\(more)" + (index % 2 == 1 ? ",\"stream\":true" : "")
        }

        /// The answers to requests of one server, one after the other or all at once.
        private func replies(_ server: TestServer, _ requests: [String], atOnce: Bool) async throws -> [Reply] {
            guard atOnce else {
                var replies: [Reply] = []
                for members in requests { replies.append(try Reply(await server.chat(members))) }
                return replies
            }
            return try await withThrowingTaskGroup(of: (Int, Reply).self) { group in
                for (index, members) in requests.enumerated() {
                    group.addTask { (index, try Reply(await server.chat(members))) }
                }
                return try await group.reduce(into: [Int: Reply]()) { $0[$1.0] = $1.1 }.sorted { $0.key < $1.key }
                    .map(\.value)
            }
        }

        @Test("JSON that ends fits its schema; drafts and company change no bit of it")
        func json() async throws {
            let requests = (0..<12).map { Self.members($0, $0 % 4 == 3 ? Self.jsonObject : Self.jsonSchema) }
            let alone = try await TestServer.run({ $0.draft = .off }) { server in
                try await replies(server, requests, atOnce: false)
            }
            for (index, reply) in alone.enumerated() {
                #expect(reply.reason == "stop" || reply.reason == "length", "\(index)")
                #expect(!reply.tokens.isEmpty && reply.logProbabilities.count == reply.tokens.count)
                guard reply.reason == "stop" else { continue }
                #expect(index % 4 == 3 ? reply.json?.object != nil : Self.fits(reply.json), "\(reply.content)")
            }
            let ended = alone.indices.filter { alone[$0].reason == "stop" }
            #expect(ended.count { $0 % 4 != 3 } >= 8, "\(alone.map(\.content))")
            for draft in [DraftMode.auto, .fixed(1), .fixed(5)] {
                try await TestServer.run({ $0.draft = draft }) { server in
                    let found = try await replies(server, requests, atOnce: true)
                    #expect(found == alone, "\(draft)")
                }
            }
        }

        @Test("Calls that must be made are made, and their arguments fit")
        func calls() async throws {
            let named = #","tool_choice":{"type":"function","function":{"name":"write_code"}}"#
            let requests = (0..<12).map { index in
                Self.members(index, Self.tools + (index % 3 == 2 ? named : #","tool_choice":"required""#))
            }
            let alone = try await TestServer.run({
                $0.draft = .off
                $0.template = Self.template
            }) { server in try await replies(server, requests, atOnce: false) }
            for (index, reply) in alone.enumerated() {
                #expect(reply.content.isEmpty && !reply.tokens.isEmpty)
                guard reply.reason != "length" else { continue }
                #expect(reply.reason == (index % 3 == 2 ? "stop" : "tool_calls"))
                #expect(!reply.calls.isEmpty && (index % 3 != 2 || reply.calls.map(\.[0]) == ["write_code"]))
                for call in reply.calls {
                    let arguments = try? JSONValue(Array(call[1].utf8))
                    #expect(call[0] == "run" ? arguments?.keys == [] : Self.fits(arguments), "\(call)")
                }
            }
            #expect(alone.count { $0.reason != "length" } >= 6, "\(alone.map(\.calls))")
            try await TestServer.run({
                $0.draft = .fixed(3)
                $0.template = Self.template
            }) { server in
                let found = try await replies(server, requests, atOnce: true)
                #expect(found == alone)
            }
        }

        @Test("What leaves no token is an error with a name, before the answer and within it")
        func nothingAllowed() async throws {
            try await TestServer.run({ $0.template = Self.template }) { server in
                for (banned, isBegun) in [(Self.callsBegin, false), (Self.callEnd, true)] {
                    let members =
                        Self.tools + #","tool_choice":{"type":"function","function":{"name":"run"}},"#
                        + #""logit_bias":{"\#(banned)":-100},"seed":1"#
                    let whole = try await server.chat(members)
                    let error = try whole.json["error"]
                    #expect(whole.status == 400 && error?["code"]?.string == "no_allowed_token", "\(whole.text)")
                    #expect(error?["message"]?.string?.contains("no token may stand at position") == true)
                    let stream = try await server.chat(members + #","stream":true"#)
                    #expect(stream.status == 200 && stream.events.last == "[DONE]")
                    let events = try stream.events.dropLast().map { try JSONValue(Array($0.utf8)) }
                    #expect(events.last?["error"] == error)
                    #expect(events.contains { $0["choices"]?[0]?["delta"]?["tool_calls"] != nil } == isBegun)
                }
                // It is nobody else's error.
                #expect(try await server.chat("\"max_tokens\":3").status == 200)
            }
        }

        @Test("The limit of tokens may cut JSON, and a stop string may") func cut() async throws {
            try await TestServer.run { server in
                let limited = try Reply(await server.chat("\"max_tokens\":4,\"seed\":1,\(Self.jsonSchema)"))
                #expect(limited.reason == "length" && limited.content.contains("{") && limited.json == nil)
                let stopped = try Reply(await server.chat("\"stop\":\"kind\",\"seed\":1,\(Self.jsonSchema)"))
                #expect(stopped.reason == "stop" && stopped.content.hasSuffix("\"") && stopped.json == nil)
            }
        }

        @Test("Completions are JSON, each choice its own") func completions() async throws {
            try await TestServer.run { server in
                let answer = try await server.complete(
                    "\"prompt\":[\"let a = \",\"func\"],\"n\":2,\"seed\":3,\"max_tokens\":200,\(Self.jsonSchema)")
                let choices = try answer.json["choices"]?.list ?? []
                #expect(choices.count == 4, "\(answer.text)")
                for choice in choices where choice["finish_reason"]?.string == "stop" {
                    let text = choice["text"]?.string ?? ""
                    #expect(Self.fits(try? JSONValue(Array(text.utf8))), "\(text)")
                }
            }
        }

        @Test("Nothing ends an answer before so many tokens") func minimum() async throws {
            try await TestServer.run { server in
                let members = "\"prompt\":\"func a(\",\"seed\":4,\"temperature\":0,\"return_token_ids\":true,"
                let free = try Reply(await server.complete(members + "\"max_tokens\":40"))
                let early = try #require(free.tokens.dropFirst(3).first)
                let stopping = members + "\"max_tokens\":40,\"stop_token_ids\":[\(early)]"
                let ended = try Reply(await server.complete(stopping))
                #expect(ended.tokens.count <= 4 && ended.reason == "stop")
                let held = try Reply(await server.complete(stopping + ",\"min_tokens\":20"))
                #expect(held.tokens.count >= 20 && !held.tokens.prefix(20).contains(early))
                let letter = String(try #require(free.content.first { $0.isLetter }))
                for minimum in [0, 10] {
                    let reply = try Reply(
                        await server.complete(
                            members + "\"max_tokens\":40,\"stop\":\"\(letter)\",\"min_tokens\":\(minimum)"))
                    #expect(reply.tokens.count > minimum && free.tokens.starts(with: reply.tokens))
                    #expect(minimum > 0 || reply.reason == "stop" && reply.tokens.count < 10)
                }
            }
        }
    }
}
