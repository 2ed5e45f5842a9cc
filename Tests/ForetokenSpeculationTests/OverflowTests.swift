import ForetokenModel
import ForetokenSpeculation
import ForetokenTestSupport
import Testing

/// Finite weights whose products overflow must end in an error, not in token 0.
@Suite(.serialized)
struct OverflowTests {
    @Test(arguments: [Float(0), 1], [DraftMode.off, .fixed(2)])
    func generationStops(temperature: Float, draft: DraftMode) throws {
        let folder = try TemporaryFolder()
        try TinyModel.overflowing().write(to: folder)
        let model = try Model.load(folder.path)
        let generator = try Generator(model: model, capacity: 64)
        var request = GenerationRequest(prompt: [1, 2, 3])
        request.sampling.temperature = temperature
        request.draft = draft
        #expect(throws: GenerationError.self) { try generator.generate(request) }
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
