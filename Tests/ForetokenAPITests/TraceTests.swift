import ForetokenAPI
import ForetokenJSON
import ForetokenSpeculation
import ForetokenText
import ForetokenTokenizer
import Testing

/// What streams tell those who ask for a trace.
@Suite struct TraceTests {
    private func order(_ model: ScriptedModel, _ members: String) throws -> Order {
        let body = #"{"messages":[{"role":"user","content":"u"}],"stream":true,\#(members)}"#
        return try Order(.chat, Array(body.utf8), model.served, seed: 1)
    }

    private func event(_ bytes: [UInt8]) throws -> JSONValue {
        let text = String(decoding: bytes, as: UTF8.self)
        #expect(text.hasPrefix("data: ") && text.hasSuffix("\n\n"))
        return try JSONValue(Array(text.dropFirst(6).utf8))
    }

    @Test("Only news is told: the line moves forward, and ends where the prompt is read")
    func news() {
        let told: [(Headway, after: Headway?, Bool)] = [
            (.queued(before: 3), nil, true), (.queued(before: 2), .queued(before: 3), true),
            (.queued(before: 2), .queued(before: 2), false), (.queued(before: 3), .queued(before: 2), false),
            (.prompt(done: 0, of: 9, cached: 0), nil, true),
            (.prompt(done: 0, of: 9, cached: 0), .queued(before: 1), true),
            (.prompt(done: 0, of: 9, cached: 0), .prompt(done: 0, of: 9, cached: 0), false),
            (.prompt(done: 5, of: 9, cached: 0), .prompt(done: 0, of: 9, cached: 0), true),
            (.queued(before: 0), .prompt(done: 5, of: 9, cached: 0), false),
        ]
        for (headway, last, isNews) in told {
            #expect(headway.isNews(after: last) == isNews, "\(headway) after \(String(describing: last))")
        }
    }

    @Test func eventsOfHeadwayHaveNoChoices() throws {
        let model = try ScriptedModel(ScriptedModel.v3)
        let order = try order(model, #""stream_options":{"include_usage":true},"foretoken":{"trace":true}"#)
        let writer = StreamWriter(model.reply(order))
        let queue = try event(writer.event(.queued(before: 3)))
        #expect(queue["object"]?.string == "chat.completion.chunk" && queue["choices"] == .array([]))
        #expect(queue["usage"] == .null && queue["id"]?.string == "chatcmpl-abc")
        #expect(queue["foretoken"]?["queue"]?["before"]?.integer == 3)
        let prompt = try event(writer.event(.prompt(done: 512, of: 2000, cached: 500)))
        #expect(prompt["foretoken"]?.keys == ["prompt"])
        #expect(prompt["foretoken"]?["prompt"]?.object?.members.compactMap(\.value.integer) == [512, 2000, 500])
    }

    @Test("Rejected drafts keep their places when news is joined")
    func rejectedDrafts() throws {
        let model = try ScriptedModel(ScriptedModel.v3)
        let order = try order(model, #""foretoken":{"trace":true}"#)
        func news(_ text: String, _ fate: TokenFate = .own) throws -> ChoiceNews {
            var news = ChoiceNews()
            news.tokens = try model.tokenizer.encode(text)
            news.fates = .init(repeating: fate, count: news.tokens.count)
            news.pieces = [TextPiece(bytes: Array(text.utf8), fate: fate)]
            return news
        }
        let (wrong, silent) = try (model.tokenizer.encode("let")[0], model.tokenizer.encode("é")[0])
        var all = try news("func", TokenFate(.mtp, draft: 1))
        var second = try news(" name")
        second.rejected = [(0, RejectedDraft(wrong, .lookup, draft: 2))]
        var third = ChoiceNews()
        third.tokens = [silent]
        third.fates = [.own]
        third.rejected = [(0, RejectedDraft(wrong, .mtp, draft: 1))]
        all.append(second)
        all.append(third)
        var writer = StreamWriter(model.reply(order))
        let chunks = String(decoding: writer.events(0, all), as: UTF8.self).split(separator: "\n\n")
        let own = try #require(try JSONValue(Array(chunks[1].dropFirst(6).utf8))["foretoken"])
        #expect(own.keys == ["tokens", "pieces", "rejected"])
        #expect(own["pieces"]?.list.count == 2)
        let rejected = own["rejected"]?.list ?? []
        #expect(rejected.map { $0["at"]?.integer } == [1, 2], "before the second piece, and behind both")
        #expect(rejected.map { $0["text"]?.string } == ["let", "let"])
        #expect(rejected.map { $0["source"]?.string } == ["lookup", "mtp"])
        #expect(rejected.map { $0["draft"]?.integer } == [2, 1])
    }
}
