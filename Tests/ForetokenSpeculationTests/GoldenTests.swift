import FoundationEssentials
import ForetokenModel
import ForetokenSpeculation
import ForetokenTestSupport
import ForetokenWeights
import Testing

/// One prompt of a golden.json; see the schema beside the fixtures.
private struct GoldenPrompt: Decodable {
    let prompt_ids: [Int32]
    let greedy_ids: [Int32]
    let mtp_greedy_drafts: [[Int32]]
    let mtp_recursive_drafts: [String: [[Int32]]]?
}

private struct Golden: Decodable {
    let prompts: [GoldenPrompt]
}

/// A checkpoint with reference results.
struct GoldenModel: Sendable, CustomTestStringConvertible {
    let testDescription: String
    let directory: String

    static let demo = GoldenModel(testDescription: "demo", directory: Fixtures.demoModel)
    static let all = [
        demo,
        GoldenModel(testDescription: "bf16-plain", directory: Fixtures.golden("bf16-plain")),
        GoldenModel(testDescription: "fp8-ragged", directory: Fixtures.golden("fp8-ragged")),
    ]
}

/// Parity with Hugging Face transformers in FP32: logits within 2e-3, tokens and drafts identical.
@Suite(.serialized)
struct GoldenTests {
    private func prompts(_ golden: GoldenModel) throws -> [GoldenPrompt] {
        let file = Fixtures.golden(golden.testDescription) + "/golden.json"
        return try JSONDecoder().decode(Golden.self, from: Data(contentsOf: URL(filePath: file))).prompts
    }

    private func tensors(_ golden: GoldenModel) throws -> GoldenTensors {
        try GoldenTensors(path: Fixtures.golden(golden.testDescription) + "/golden.safetensors")
    }

    /// (token, logit) pairs of every row the reference has: all tokens, or the 16 largest.
    private func reference(_ tensors: GoldenTensors, prompt: Int, vocabulary: Int) -> [[(Int, Float)]] {
        let full = tensors.floats("p\(prompt).logits")
        if !full.isEmpty {
            return (0..<full.count / vocabulary).map { row in
                (0..<vocabulary).map { ($0, full[row * vocabulary + $0]) }
            }
        }
        let ids = tensors.integers("p\(prompt).top16_ids")
        let values = tensors.floats("p\(prompt).top16_values")
        return (0..<ids.count / 16).map { row in (0..<16).map { (Int(ids[row * 16 + $0]), values[row * 16 + $0]) } }
    }

    @Test(arguments: GoldenModel.all)
    func logits(golden: GoldenModel) throws {
        let model = try Model.load(golden.directory)
        let tensors = try tensors(golden)
        let vocabulary = model.configuration.vocabularySize
        for (index, prompt) in try prompts(golden).enumerated() {
            let score = try Scorer(model: model, context: 4096).score(prompt.prompt_ids, topCount: vocabulary)
            let rows = reference(tensors, prompt: index, vocabulary: vocabulary)
            #expect(!rows.isEmpty)
            for (row, expected) in rows.enumerated() {
                var logits = [Float](repeating: 0, count: vocabulary)
                for entry in score.top[row] { logits[Int(entry.token)] = entry.logit }
                let worst = expected.map { abs(logits[$0.0] - $0.1) }.max()!
                #expect(worst < 2e-3, "prompt \(index), row \(row)")
            }
        }
    }

    @Test(arguments: GoldenModel.all, [DraftMode.off, .fixed(1), .fixed(2), .fixed(4), .fixed(8), .auto])
    func greedyContinuations(golden: GoldenModel, draft: DraftMode) throws {
        let model = try Model.load(golden.directory)
        let generator = try Generator(model: model, capacity: 512)
        for prompt in try prompts(golden) {
            generator.clear()
            var request = GenerationRequest(prompt: prompt.prompt_ids)
            request.maximumTokens = prompt.greedy_ids.count
            request.draft = draft
            #expect(try generator.generate(request).tokens == prompt.greedy_ids)
        }
    }

    @Test(arguments: GoldenModel.all)
    func draftsAtEveryPosition(golden: GoldenModel) throws {
        let model = try Model.load(golden.directory)
        for prompt in try prompts(golden) {
            let text = prompt.prompt_ids + prompt.greedy_ids
            let depth = prompt.mtp_recursive_drafts == nil ? 0 : 4
            let score = try Scorer(model: model, context: 4096).score(text, mtp: true, mtpDepth: depth)
            let mtp = try #require(score.mtp)
            #expect(mtp.modules.map(\.argmax) == prompt.mtp_greedy_drafts)
            #expect(mtp.recursive == prompt.mtp_recursive_drafts?["post"] ?? [])
        }
    }
}
