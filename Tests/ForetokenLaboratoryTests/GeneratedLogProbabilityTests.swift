import ForetokenLaboratory
import ForetokenModel
import ForetokenSpeculation
import ForetokenTestSupport
import Testing

/// Log-probabilities of generated tokens are the scorer's.
@Suite(.serialized)
struct GeneratedLogProbabilityTests {
    private let model: Model
    private let prompt: [Int32] = [0, 1043, 445, 1336, 517]

    init() throws { model = try Model.load(Fixtures.demoModel) }

    private func run(
        _ count: Int, _ draft: DraftMode, tokens: Int, _ sampling: SamplingOptions = SamplingOptions()
    ) throws -> GenerationResult {
        var request = GenerationRequest(prompt: prompt)
        request.draft = draft
        request.maximumTokens = tokens
        request.logProbabilities = count
        request.sampling = sampling
        return try Generator(model: model, capacity: 256).generate(request)
    }

    /// 16 rows in all: the scorer then takes the same route as the generator, and the bits agree.
    @Test func agreeExactlyWithTheScorer() throws {
        var sampling = SamplingOptions()
        (sampling.temperature, sampling.topK, sampling.frequencyPenalty) = (1.2, 50, 0.5)
        let result = try run(3, .fixed(4), tokens: 11, sampling)
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
}
