import ForetokenLaboratory
import ForetokenModel
import ForetokenSpeculation
import ForetokenTestSupport
import Testing

/// What a request hears of its prompt is what scoring the same tokens gives, and asking changes nothing else.
@Suite(.serialized)
struct PromptScoreTests {
    private let model: Model
    /// 900 tokens.
    private let text: [Int32]

    init() throws {
        model = try Model.load(Fixtures.demoModel)
        text = try #require(GoldenScore.all.last?.ids)
    }

    private func request(_ count: Int, tokens: Int, top: Int? = 3) -> GenerationRequest {
        var request = GenerationRequest(prompt: Array(text.prefix(count)))
        request.maximumTokens = tokens
        request.promptLogProbabilities = top
        request.logProbabilities = top
        request.draft = .fixed(3)
        return request
    }

    private func expect(_ found: [TokenLogProbabilities], areThoseOf score: Score, _ name: String) {
        #expect(found.map(\.logProbability) == score.logProbabilities.dropFirst().map { $0 ?? 0 }, "\(name)")
        #expect(found.map { $0.top.map(\.token) } == score.top.dropLast().map { $0.map(\.token) }, "\(name)")
        #expect(found.map(\.top[0].logProbability) == score.favourites.dropFirst().map { $0?.logProbability ?? 0 })
    }

    private func same(_ a: [TokenLogProbabilities], _ b: [TokenLogProbabilities]) -> Bool {
        a.count == b.count
            && zip(a, b).allSatisfy { x, y in
                x.token == y.token && x.logProbability == y.logProbability && zip(x.top, y.top).allSatisfy { $0 == $1 }
            }
    }

    /// Alone, beside others, with a cache, and with no token wanted behind the prompt.
    @Test(arguments: [1, 2, 15, 16, 17, 511, 512, 513, 528, 529, 900]) func promptsAreScored(count: Int) throws {
        let score = try Scorer(model: model, context: 1024).score(Array(text.prefix(count)), topCount: 3)
        var plain = request(count, tokens: 12)
        plain.promptLogProbabilities = nil
        let expected = try Generator(model: model, capacity: 1024).generate(plain)
        for tokens in [0, 1, 12] {
            let alone = try Generator(model: model, capacity: 1024).generate(request(count, tokens: tokens))
            expect(alone.promptLogProbabilities, areThoseOf: score, "\(tokens) tokens")
            #expect(alone.promptLogProbabilities.map(\.token) == Array(text[1..<max(1, count)]))
            #expect(alone.tokens == Array(expected.tokens.prefix(tokens)) && alone.reason == .length)
            #expect(same(alone.logProbabilities, Array(expected.logProbabilities.prefix(tokens))))
            #expect(alone.timings.promptCount == count && alone.timings.predictedCount == tokens)

            var settings = Engine.Settings(context: 1024)
            settings.chunkShare = 0.05
            settings.cachePages = 8
            let engine = try Engine(model, settings)
            var other = GenerationRequest(prompt: Array(text.prefix(40)))
            other.maximumTokens = 300
            var (found, told, company) = (GenerationResult?.none, [TokenLogProbabilities](), GenerationResult?.none)
            try engine.submit(plain) { _ in }
            try engine.submit(other) { company = try? $0.get() }
            try engine.submit(
                request(count, tokens: tokens),
                observe: { event in
                    if case .token = event { #expect(!told.isEmpty || count == 1, "scores come first") }
                    if case .promptScored(let entries) = event { told = entries }
                    return .proceed
                }, completion: { found = try? $0.get() })
            engine.run()
            let result = try #require(found)
            #expect(result.cachedCount == 0 && same(told, alone.promptLogProbabilities))
            #expect(same(result.promptLogProbabilities, alone.promptLogProbabilities))
            #expect(result.tokens == alone.tokens && same(result.logProbabilities, alone.logProbabilities))
            #expect(result.telemetry == alone.telemetry)
            #expect(company?.tokens == (try Generator(model: model, capacity: 1024).generate(other).tokens))
        }
    }

    /// In a conversation each prompt's tokens are scored behind all before them, the first of it as well.
    @Test func laterPromptsAreScoredToo() throws {
        let generator = try Generator(model: model, capacity: 256)
        let first = try generator.generate(request(20, tokens: 5))
        var second = request(20, tokens: 0)
        second.prompt = Array(text[30..<60])
        let result = try generator.generate(second)
        #expect(first.promptLogProbabilities.count == 19 && result.promptLogProbabilities.count == 30)
        #expect(result.promptLogProbabilities.map(\.token) == second.prompt)
        #expect(result.promptLogProbabilities.allSatisfy { $0.top.count == 3 && $0.logProbability < 0 })
        // The context is whole: what comes next follows from all of it.
        #expect(generator.contextCount == 55)
    }

    @Test(arguments: [4, 40]) func scoringCanBeGivenUp(event: Int) throws {
        let engine = try Engine(model, Engine.Settings(context: 1024))
        let request = request(900, tokens: 3)
        var (events, result) = (0, GenerationResult?.none)
        var given = request
        given.cancellation = Cancellation()
        try engine.submit(
            given,
            observe: { _ in
                events += 1
                if events == event { given.cancellation?.request() }
                return .proceed
            }, completion: { result = try? $0.get() })
        engine.run()
        #expect(result?.reason == .cancelled && result?.promptLogProbabilities.isEmpty == true && events == event)
        #expect(engine.freePages == engine.pages)
    }

    @Test func whoeverHearsTheScoresMayEndIt() throws {
        let result = try Generator(model: model, capacity: 64).generate(request(20, tokens: 5)) { event in
            if case .promptScored = event { .stop } else { .proceed }
        }
        #expect(result.reason == .stop && result.tokens.isEmpty && result.promptLogProbabilities.count == 19)
        #expect(result.logProbabilities.isEmpty)
    }

    @Test func whatCannotBeScoredIsRefused() throws {
        let generator = try Generator(model: model, capacity: 64)
        #expect(throws: GenerationError.self) { try generator.generate(request(5, tokens: 0, top: nil)) }
        #expect(throws: GenerationError.self) { try generator.generate(request(5, tokens: 0, top: 21)) }
        #expect(throws: GenerationError.self) { try generator.generate(request(5, tokens: -1)) }
        let folder = try TemporaryFolder()
        try TinyModel.overflowing().write(to: folder)
        var given = request(3, tokens: 0)
        given.prompt = [1, 2, 3]
        let overflowing = try Generator(model: try Model.load(folder.path), capacity: 64)
        #expect(throws: GenerationError.self) { try overflowing.generate(given) }
    }
}
