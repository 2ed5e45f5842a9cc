import ForetokenModel
import ForetokenSpeculation
import ForetokenTestSupport
import Testing

/// Log-probabilities of generated tokens are the same with every draft length.
@Suite(.serialized)
struct LogProbabilityTests {
    private let model: Model
    private let prompt: [Int32] = [0, 1043, 445, 1336, 517]

    init() throws { model = try Model.load(Fixtures.demoModel) }

    private func run(
        _ count: Int?, _ draft: DraftMode, tokens: Int = 48, temperature: Float = 0, drawable: Int? = nil
    ) throws -> GenerationResult {
        let generator = try Generator(model: model, capacity: 256, drawable: drawable)
        var request = GenerationRequest(prompt: prompt)
        request.draft = draft
        request.maximumTokens = tokens
        request.logProbabilities = count
        request.sampling.temperature = temperature
        request.sampling.topK = temperature > 0 ? 50 : 0
        request.sampling.frequencyPenalty = temperature > 0 ? 0.5 : 0
        return try generator.generate(request)
    }

    private func same(_ a: [TokenLogProbabilities], _ b: [TokenLogProbabilities]) -> Bool {
        a.count == b.count
            && zip(a, b).allSatisfy { x, y in
                x.token == y.token && x.logProbability == y.logProbability && x.top.count == y.top.count
                    && zip(x.top, y.top).allSatisfy { $0 == $1 }
            }
    }

    @Test(arguments: [Float(0), 0.9])
    func theSameAtEveryDraftLength(temperature: Float) throws {
        let reference = try run(5, .off, temperature: temperature)
        #expect(reference.logProbabilities.map(\.token) == reference.tokens)
        #expect(reference.logProbabilities.allSatisfy { $0.top.count == 5 })
        for mode in [DraftMode.fixed(1), .fixed(2), .fixed(4), .fixed(8), .auto] {
            let drafted = try run(5, mode, temperature: temperature)
            #expect(same(drafted.logProbabilities, reference.logProbabilities), "\(mode)")
        }
        #expect(try run(nil, .off, temperature: temperature).logProbabilities.isEmpty)
        #expect(try run(nil, .off, temperature: temperature).tokens == reference.tokens, "asking changes nothing")
    }

    /// Those of the events are those of the result, and are there only if the request streams them.
    @Test(arguments: [DraftMode.off, .fixed(4), .auto]) func eventsHaveThem(draft: DraftMode) throws {
        let generator = try Generator(model: model, capacity: 256)
        var request = GenerationRequest(prompt: prompt)
        request.draft = draft
        request.maximumTokens = 40
        request.logProbabilities = 3
        for streams in [true, false] {
            request.streamsLogProbabilities = streams
            var (seen, tokens) = ([TokenLogProbabilities](), 0)
            generator.clear()
            let result = try generator.generate(request) { event in
                guard case .token(let token, _, let logProbabilities) = event else { return .proceed }
                tokens += 1
                if let logProbabilities {
                    #expect(logProbabilities.token == token)
                    seen.append(logProbabilities)
                }
                return .proceed
            }
            #expect(tokens == 40 && same(seen, streams ? result.logProbabilities : []))
        }
    }

    @Test func greedyTokensAreTheLikeliest() throws {
        let result = try run(20, .fixed(2))
        for entry in result.logProbabilities {
            #expect(entry.top[0].token == entry.token && entry.top[0].logProbability == entry.logProbability)
            #expect(entry.top.count == 20 && Set(entry.top.map(\.token)).count == 20)
            #expect(zip(entry.top, entry.top.dropFirst()).allSatisfy { $0.logProbability >= $1.logProbability })
        }
    }

    @Test func aSmallVocabularyHasNoTwentyTokens() throws {
        let folder = try TemporaryFolder()
        try TinyModel(TinyGeometry { $0.vocabulary = 12 }).write(to: folder)
        let generator = try Generator(model: try Model.load(folder.path), capacity: 64)
        var request = GenerationRequest(prompt: [1, 2, 3])
        request.logProbabilities = 20
        request.maximumTokens = 8
        let entries = try generator.generate(request).logProbabilities
        #expect(entries.count == 8)
        #expect(entries.allSatisfy { $0.top.count == 12 })
    }
}
