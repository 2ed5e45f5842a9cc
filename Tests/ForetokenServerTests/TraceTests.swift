import ForetokenJSON
import ForetokenSpeculation
import Testing

extension ServerTests {
    /// What streams tell those who ask for a trace.
    @Suite struct Traces {
        private func begin(_ server: TestServer, _ content: String, _ members: String) async throws -> Connection {
            let port = server.port
            return try await blocking {
                let connection = try Connection(port: port)
                let body =
                    "{\"messages\":[{\"role\":\"user\",\"content\":\"\(content)\"}],\"stream\":true,\(members)}"
                try connection.send(requestText("POST", "/v1/chat/completions", [:], body))
                return connection
            }
        }

        /// What the events of a stream tell of its request, in order.
        private func headway(_ text: String) throws -> [JSONValue] {
            let lines = text.split(whereSeparator: \.isNewline).filter { $0.hasPrefix("data: {") }
            let events = try lines.map { try JSONValue(Array($0.dropFirst(6).utf8)) }
            let headway = events.prefix { $0["choices"] == .array([]) }
            #expect(events.dropFirst(headway.count).allSatisfy { $0["foretoken"]?["queue"] == nil })
            #expect(events.dropFirst(headway.count).allSatisfy { $0["foretoken"]?["prompt"] == nil })
            return headway.compactMap { $0["foretoken"] }
        }

        @Test("Who waits is told how many are before, and then how much of the prompt is read")
        func headway() async throws {
            try await TestServer.run({
                $0.parallel = 1
                $0.context = 4096
            }) { server in
                let long = String(repeating: "let word = words[index]; ", count: 150)
                let wish = "\"max_tokens\":3,\"foretoken\":{\"trace\":true},\"stream_options\":{\"include_usage\":true}"
                let first = try await begin(server, "Hi", "\"ignore_eos\":true,\"max_tokens\":100000")
                _ = try await blocking { try first.read(until: "\"content\":\"") }
                let second = try await begin(server, "Hi", wish)
                _ = try await blocking { try second.read(until: "{\"queue\":{\"before\":0}}") }
                let third = try await begin(server, long, wish)
                _ = try await blocking { try third.read(until: "{\"queue\":{\"before\":1}}") }
                first.close()
                let rest = try await blocking { try third.read(until: "[DONE]") }
                let told = try headway(rest)
                #expect(told.first?["queue"]?["before"]?.integer == 0)
                let prompt = told.compactMap { $0["prompt"] }
                let done = prompt.compactMap { $0["done"]?.integer }
                let count = try #require(prompt.last?["of"]?.integer)
                #expect(done == done.sorted() && Set(done).count == done.count && done.last == count)
                #expect(prompt.allSatisfy { $0["of"]?.integer == count && $0["cached"]?.integer == 0 })
                #expect(rest.contains("\"prompt_tokens\":\(count),") && count > 1024)

                let again = try await begin(server, long, wish)
                let found = try headway(await blocking { try again.read(until: "[DONE]") }).compactMap { $0["prompt"] }
                let cached = try #require(found.first?["cached"]?.integer)
                #expect(cached >= 1024 && cached % 512 == 0 && found.allSatisfy { $0["cached"]?.integer == cached })
                #expect(found.last?["done"]?.integer == count && found.last?["of"]?.integer == count)
                #expect(found.compactMap { $0["done"]?.integer }.allSatisfy { $0 >= cached })

                let silent = try await begin(server, "Hi", "\"max_tokens\":3")
                #expect(try headway(await blocking { try silent.read(until: "[DONE]") }).isEmpty)
            }
        }

        @Test("Drafts that did not hold come beside the text that came in their place")
        func rejectedDrafts() async throws {
            try await TestServer.run({ $0.draft = .fixed(3) }) { server in
                let stream = try await server.chat(
                    "\"max_tokens\":60,\"seed\":3,\"temperature\":0,\"stream\":true,\"foretoken\":{\"trace\":true}")
                let events = try stream.events.dropLast().map { try JSONValue(Array($0.utf8)) }
                // A chunk may end within a round.
                var (pieces, rejected) = ([JSONValue](), [(place: Int, draft: JSONValue)]())
                for own in events.compactMap({ $0["foretoken"] }) {
                    for draft in own["rejected"]?.list ?? [] {
                        rejected.append((pieces.count + (try #require(draft["at"]?.integer)), draft))
                    }
                    pieces += own["pieces"]?.list ?? []
                }
                for (place, draft) in rejected {
                    #expect(draft.keys == ["at", "text", "source", "draft"])
                    let depth = try #require(draft["draft"]?.integer)
                    #expect((1...3).contains(depth) && ["mtp", "lookup"].contains(draft["source"]?.string))
                    guard place < pieces.count else { continue }
                    #expect(pieces[place]["source"]?.string == "own" && pieces[place]["text"] != draft["text"])
                    // The drafts before it held.
                    #expect(pieces[..<place].suffix(depth - 1).compactMap { $0["draft"]?.integer } == Array(1..<depth))
                }
                let end = try #require(events.last?["foretoken"])
                let (drafted, accepted) = (end["drafted"]?.integers ?? [], end["accepted"]?.integers ?? [])
                #expect(!rejected.isEmpty && rejected.count <= drafted.reduce(0, +) - accepted.reduce(0, +))
            }
        }
    }
}
