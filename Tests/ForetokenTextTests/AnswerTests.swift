import ForetokenSpeculation
import ForetokenText
import ForetokenTokenizer
import Testing

/// The embedded model, answering through the room's own doors.
@Suite struct AnswerTests {
    private struct GivenUp: Error {}

    private let open: OpenModel
    private let crew: Crew

    init() throws {
        open = try OpenModel(ModelSettings()) { _ in }
        crew = try Crew.make(threads: 1) { _ in }
    }

    private func generator(context: Int = 128) throws -> Generator {
        try open.makeGenerator(open.load(contexts: [context], on: crew), context: context, drafting: true)
    }

    private func settings(_ tokens: Int = 24, stop: [String] = []) -> AnswerSettings {
        var settings = AnswerSettings(endTokens: open.endTokens)
        settings.maximumTokens = tokens
        settings.stopStrings = stop
        return settings
    }

    @Test("Pieces of text add up to the answer, and the engine's are the generator's")
    func piecesAddUp() throws {
        let prompt = try open.encode(.text("func reverse("))
        let model = try open.load(contexts: [128], on: crew)
        let generator = try open.makeGenerator(model, context: 128, drafting: true)
        let whole = try #require(
            try generator.answer(prompt, settings(), tokenizer: open.tokenizer) { _ in true }.text)
        let stop = String(whole.dropFirst(20).prefix(3))
        try #require(stop.count == 3)
        for settings in [settings(), settings(stop: ["never in there", stop])] {
            var story = Story()
            generator.clear()
            let alone = try generator.answer(prompt, settings, tokenizer: open.tokenizer) { story.take($0) }
            #expect(story.hasEnded && story.promptCount == prompt.count)
            #expect(String(decoding: story.text, as: UTF8.self) == alone.text)
            #expect(story.tokens == alone.result.tokens)
            #expect(alone.promptTokens == prompt && !alone.wasInterrupted)
            if !settings.stopStrings.isEmpty {
                #expect(alone.result.reason == .stop)
                #expect(whole.hasPrefix(try #require(alone.text) + stop))
            }

            var other = Story()
            var answers: [Answer] = []
            let engine = try open.makeEngine(model, contexts: [128, 128], parallel: 2, drafting: true, chunkShare: 0.5)
            #expect(engine.context == 128)
            try engine.submit(
                prompt, settings, tokenizer: open.tokenizer, observe: { other.take($0) },
                completion: { answers += (try? $0.get()).map { [$0] } ?? [] })
            try engine.submit(
                Array(prompt.reversed()), settings, tokenizer: open.tokenizer, observe: { _ in true },
                completion: { _ in })
            engine.run()
            #expect(answers.map(\.text) == [alone.text] && answers.map(\.result.tokens) == [alone.result.tokens])
            #expect(other.text == story.text && other.tokens == story.tokens && other.hasEnded)
        }
    }

    @Test func whoeverLooksOnMayGiveUpOrThrow() throws {
        let generator = try generator()
        let prompt = try open.encode(.text("func reverse("))
        var seen = 0
        let answer = try generator.answer(prompt, settings(), tokenizer: open.tokenizer) { event in
            if case .token = event { seen += 1 }
            return seen < 3
        }
        #expect(answer.wasInterrupted && answer.result.tokens.count == 3)
        generator.clear()
        #expect(throws: GivenUp.self) {
            try generator.answer(prompt, settings(), tokenizer: open.tokenizer) { event in
                if case .token = event { throw GivenUp() }
                return true
            }
        }
    }

    @Test("A second question goes on where the first answer ended; one that is too long changes nothing")
    func conversation() throws {
        let generator = try generator(context: 144)
        let conversation = Conversation(open, generator, system: nil, thinking: nil)
        let first = try conversation.ask("Write a func.", settings(8)) { _ in true }
        #expect(throws: InputError.self) {
            try conversation.ask(String(repeating: "word ", count: 150), settings(8)) { _ in true }
        }
        let second = try conversation.ask("Another.", settings(8)) { _ in true }
        let whole = try open.tokens(
            of: .chat(
                ChatPrompt([
                    ChatMessage(.user, "Write a func."), ChatMessage(.assistant, first.text),
                    ChatMessage(.user, "Another."),
                ])))
        #expect(whole == first.promptTokens + first.result.tokens + second.promptTokens)
        // What has to be read again is there still.
        let size = conversation.size.tokens
        #expect(size == whole.count + second.result.tokens.count)
        conversation.forgetTokens()
        #expect(conversation.size.tokens == size)
        let third = try conversation.ask("One more.", settings(1)) { _ in true }
        #expect(conversation.size.tokens == third.promptTokens.count + 1 && third.promptTokens.count > size)
        let turns = conversation.turns
        conversation.clear()
        #expect(conversation.size.tokens == 0)
        try conversation.replace(with: turns, system: nil)
        #expect(conversation.size.tokens > size)
        conversation.clear()
        #expect(try conversation.ask("Write a func.", settings(8)) { _ in true }.text == first.text)
    }
}

/// What an observer saw.
private struct Story {
    var promptCount = 0
    var tokens: [Int32] = []
    var fates: [TokenFate] = []
    var pieces: [TextPiece] = []
    var hasEnded = false

    var text: [UInt8] { pieces.bytes }

    mutating func take(_ event: AnswerEvent) -> Bool {
        switch event {
        case .prompt(let done, _): promptCount = done
        case .promptScored: break
        case .token(let token, let fate, _, let text):
            tokens.append(token)
            fates.append(fate)
            pieces += text
        case .end(let text):
            hasEnded = true
            pieces += text
        }
        return true
    }
}
