import ForetokenModel
import ForetokenSpeculation
import ForetokenTestSupport
import Testing

/// Log-probabilities of generated tokens are the scorer's, and the same with every draft length.
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

    /// 16 rows in all: the scorer then takes the same route as the generator, and the bits agree.
    @Test func agreeExactlyWithTheScorer() throws {
        let result = try run(3, .fixed(4), tokens: 11, temperature: 1.2)
        let score = try Scorer(model: model, context: 64).score(prompt + result.tokens, topCount: 3)
        for (index, entry) in result.logProbabilities.enumerated() {
            let position = prompt.count + index
            #expect(entry.logProbability == score.logProbabilities[position])
            #expect(entry.top.map(\.token) == score.top[position - 1].map(\.token))
            let gaps = zip(entry.top, entry.top.dropFirst()).map { $0.logProbability - $1.logProbability }
            let logits = score.top[position - 1].map(\.logit)
            #expect(zip(gaps, zip(logits, logits.dropFirst())).allSatisfy { abs($0 - Double($1.0 - $1.1)) < 1e-5 })
        }
    }

    @Test func agreeWithTheScorerOnLongerTexts() throws {
        let result = try run(0, .auto, tokens: 200)
        let score = try Scorer(model: model, context: 256).score(prompt + result.tokens)
        let differences = zip(result.logProbabilities, score.logProbabilities.dropFirst(prompt.count))
            .map { abs($0.logProbability - ($1 ?? 0)) }
        #expect(differences.count == 200)
        #expect(differences.max()! < 1e-4, "\(differences.max()!)")
        #expect(result.logProbabilities.allSatisfy { $0.top.isEmpty })
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
