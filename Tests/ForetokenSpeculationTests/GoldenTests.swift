import ForetokenModel
import ForetokenSpeculation
import ForetokenTestSupport
import Testing

/// Parity with Hugging Face transformers in FP32: greedy continuations are identical at every draft length.
@Suite(.serialized)
struct GoldenTests {
    @Test(arguments: GoldenModel.all, [DraftMode.off, .fixed(1), .fixed(2), .fixed(4), .fixed(8), .auto])
    func greedyContinuations(golden: GoldenModel, draft: DraftMode) throws {
        let model = try Model.load(golden.directory)
        let generator = try Generator(model: model, capacity: 512)
        for prompt in try golden.prompts() {
            generator.clear()
            var request = GenerationRequest(prompt: prompt.prompt_ids)
            request.maximumTokens = prompt.greedy_ids.count
            request.draft = draft
            #expect(try generator.generate(request).tokens == prompt.greedy_ids)
        }
    }
}
