import ForetokenLaboratory
import ForetokenModel
import ForetokenTestSupport
import ForetokenWeights
import Testing

/// Parity with Hugging Face transformers in FP32: logits within 2e-3, drafts identical.
@Suite(.serialized)
struct GoldenLogitTests {
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
        let tensors = try golden.tensors()
        let vocabulary = model.configuration.vocabularySize
        for (index, prompt) in try golden.prompts().enumerated() {
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

    @Test(arguments: GoldenModel.all)
    func draftsAtEveryPosition(golden: GoldenModel) throws {
        let model = try Model.load(golden.directory)
        for prompt in try golden.prompts() {
            let text = prompt.prompt_ids + prompt.greedy_ids
            let depth = prompt.mtp_recursive_drafts == nil ? 0 : 4
            let score = try Scorer(model: model, context: 4096).score(text, mtp: true, mtpDepth: depth)
            let mtp = try #require(score.mtp)
            #expect(mtp.modules.map(\.argmax) == prompt.mtp_greedy_drafts)
            #expect(mtp.recursive == prompt.mtp_recursive_drafts?["post"] ?? [])
        }
    }
}
