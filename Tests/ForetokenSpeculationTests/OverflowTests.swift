import ForetokenModel
import ForetokenSpeculation
import ForetokenTestSupport
import Testing

/// Finite weights whose products overflow must end in an error, not in token 0.
@Suite(.serialized)
struct OverflowTests {
    private func overflowing(_ norm: String = "model.norm.weight") throws -> (Model, TemporaryFolder) {
        var tiny = TinyModel(TinyGeometry { $0.storage = .bf16 })
        let index = try #require(tiny.tensors.firstIndex { $0.name.hasSuffix(norm) })
        tiny.tensors[index].bytes = (0..<tiny.tensors[index].bytes.count).map { _ in 0x7F }
        let folder = try TemporaryFolder()
        try tiny.write(to: folder)
        return (try Model.load(folder.path), folder)
    }

    @Test(arguments: [Float(0), 1], [DraftMode.off, .fixed(2)])
    func generationStops(temperature: Float, draft: DraftMode) throws {
        let (model, folder) = try overflowing()
        defer { withExtendedLifetime(folder) {} }
        let generator = try Generator(model: model, capacity: 64)
        var request = GenerationRequest(prompt: [1, 2, 3])
        request.sampling.temperature = temperature
        request.draft = draft
        #expect(throws: GenerationError.self) { try generator.generate(request) }
    }

    @Test func scoringStops() throws {
        let (model, folder) = try overflowing()
        defer { withExtendedLifetime(folder) {} }
        #expect(throws: GenerationError.self) { try Scorer(model: model, context: 64).score([1, 2, 3]) }
    }

    @Test func scoringOfAModuleStops() throws {
        let (model, folder) = try overflowing("shared_head.norm.weight")
        defer { withExtendedLifetime(folder) {} }
        let scorer = Scorer(model: model, context: 64)
        #expect(try scorer.score([1, 2, 3]).negativeLogLikelihood.isFinite)
        #expect(throws: GenerationError.self) { try scorer.score([1, 2, 3], mtp: true) }
    }

    @Test func tinyTemperaturesAreGreedy() throws {
        let model = try Model.load(Fixtures.demoModel)
        let generator = try Generator(model: model, capacity: 64)
        func tokens(_ temperature: Float, topK: Int) throws -> [Int32] {
            generator.clear()
            var request = GenerationRequest(prompt: [0, 1043, 445])
            request.maximumTokens = 12
            request.sampling.temperature = temperature
            request.sampling.topK = topK
            return try generator.generate(request).tokens
        }
        let greedy = try tokens(0, topK: 0)
        for temperature in [Float.leastNonzeroMagnitude, 1e-38, 1e-20] {
            #expect(try tokens(temperature, topK: 0) == greedy)
            #expect(try tokens(temperature, topK: 5) == greedy)
        }
    }
}
