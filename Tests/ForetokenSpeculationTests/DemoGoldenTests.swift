import FoundationEssentials
import ForetokenModel
import ForetokenSpeculation
import ForetokenTestSupport
import ForetokenWeights
import Testing

/// One prompt of a golden.json; see the schema beside it.
private struct GoldenPrompt: Decodable {
    let prompt_ids: [Int32]
    let greedy_ids: [Int32]
    let mtp_greedy_drafts: [[Int32]]
    let mtp_recursive_drafts: [String: [[Int32]]]
}

private struct Golden: Decodable {
    let prompts: [GoldenPrompt]
}

/// Parity with Hugging Face transformers in FP32 on the embedded model.
@Suite(.serialized)
struct DemoGoldenTests {
    private let golden: Golden
    private let tensors: GoldenTensors
    private let model: Model

    init() throws {
        let folder = Fixtures.golden("demo")
        golden = try JSONDecoder().decode(Golden.self, from: Data(contentsOf: URL(filePath: folder + "/golden.json")))
        tensors = try GoldenTensors(path: folder + "/golden.safetensors")
        model = try Model.load(Fixtures.demoModel)
    }

    @Test func logitsOfPromptRows() throws {
        var worst: Float = 0
        for (index, prompt) in golden.prompts.enumerated() {
            let ids = tensors.integers("p\(index).top16_ids")
            let values = tensors.floats("p\(index).top16_values")
            let score = try Scorer(model: model, context: 4096)
                .score(prompt.prompt_ids, topCount: model.configuration.vocabularySize)
            for row in 0..<ids.count / 16 {
                let logits = Dictionary(uniqueKeysWithValues: score.top[row].map { ($0.token, $0.logit) })
                for i in row * 16..<row * 16 + 16 { worst = max(worst, abs(logits[ids[i]]! - values[i])) }
            }
        }
        #expect(worst < 2e-3)
    }

    @Test(arguments: [DraftMode.off, .fixed(1), .fixed(4), .auto])
    func greedyContinuations(draft: DraftMode) throws {
        let generator = try Generator(model: model, capacity: 4096)
        for prompt in golden.prompts {
            generator.clear()
            var request = GenerationRequest(prompt: prompt.prompt_ids)
            request.maximumTokens = prompt.greedy_ids.count
            request.draft = draft
            #expect(try generator.generate(request).tokens == prompt.greedy_ids)
        }
    }

    @Test func draftsAtEveryPosition() throws {
        for prompt in golden.prompts {
            let text = prompt.prompt_ids + prompt.greedy_ids
            let score = try Scorer(model: model, context: 4096).score(text, mtp: true, mtpDepth: 4)
            let mtp = try #require(score.mtp)
            #expect(mtp.modules.map(\.argmax) == prompt.mtp_greedy_drafts)
            #expect(mtp.recursive == prompt.mtp_recursive_drafts["post"])
        }
    }
}
