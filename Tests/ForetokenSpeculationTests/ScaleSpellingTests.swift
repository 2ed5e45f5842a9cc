import ForetokenModel
import ForetokenSpeculation
import ForetokenTestSupport
import ForetokenWeights
import Testing

/// How block scales are stored changes no token.
@Suite(.serialized) struct ScaleSpellingTests {
    private static let geometry = TinyGeometry {
        ($0.layers, $0.mtpModules, $0.experts, $0.groups, $0.keptGroups) = (2, 1, 4, 2, 1)
        $0.expertsPerToken = 2
    }

    private func tokens(_ model: TinyModel, _ format: ResidentFormat) throws -> [Int32] {
        let folder = try TemporaryFolder()
        try model.write(to: folder)
        let generator = try Generator(model: Model.load(folder.path, format: format), capacity: 64)
        var request = GenerationRequest(prompt: [2, 3, 5, 7, 11])
        request.draft = .fixed(2)
        request.sampling.temperature = 1
        request.maximumTokens = 12
        return try generator.generate(request) { _ in .proceed }.tokens
    }

    @Test(arguments: ScaleSpelling.all, [ResidentFormat.stored, .bf16, .int8, .int4, .expertsInt4])
    func tokensAreThoseOfFP32Scales(spelling: ScaleSpelling, format: ResidentFormat) throws {
        let model = TinyModel(Self.geometry).roundingScales(to: spelling.type)
        let reference = try tokens(model, format)
        #expect(reference.count == 12)
        let stored = model.storingScales(as: spelling.type, suffix: spelling.suffix)
        #expect(try tokens(stored, format) == reference)
    }
}
