import ForetokenLaboratory
import ForetokenModel
import ForetokenTestSupport
import ForetokenWeights
import Testing

extension GoldenModel {
    /// Largest distance of a logit from the reference's, over all rows of all prompts; infinite where one is no number.
    func worstLogit(of model: Model) throws -> Float {
        let tensors = try tensors()
        let vocabulary = model.configuration.vocabularySize
        var worst: Float = 0
        for (index, prompt) in try prompts().enumerated() {
            let score = try Scorer(model: model, context: 4096).score(prompt.prompt_ids, topCount: vocabulary)
            let rows = reference(tensors, prompt: index, vocabulary: vocabulary)
            try #require(rows.count > 0 && rows.count <= score.top.count)
            for (row, expected) in rows.enumerated() {
                var logits = [Float](repeating: .nan, count: vocabulary)
                for entry in score.top[row] { logits[Int(entry.token)] = entry.logit }
                for (token, value) in expected {
                    let distance = abs(logits[token] - value)
                    worst = max(worst, distance.isFinite ? distance : .infinity)
                }
            }
        }
        return worst
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
}

/// Parity with Hugging Face transformers in FP32: logits within 2e-3, drafts identical.
@Suite(.serialized)
struct GoldenLogitTests {
    static let tolerance: Float = 2e-3

    @Test(arguments: GoldenModel.all)
    func logits(golden: GoldenModel) throws {
        #expect(try golden.worstLogit(of: Model.load(golden.directory)) < Self.tolerance)
    }

    @Test(arguments: GoldenModel.all.filter(\.hasModules))
    func draftsAtEveryPosition(golden: GoldenModel) throws {
        let model = try Model.load(golden.directory)
        for prompt in try golden.prompts() {
            let text = prompt.prompt_ids + prompt.greedy_ids
            let depth = prompt.mtp_recursive_drafts == nil ? 0 : 4
            let score = try Scorer(model: model, context: 4096).score(text, mtp: true, mtpDepth: depth)
            let mtp = try #require(score.mtp)
            #expect(!prompt.mtp_greedy_drafts.isEmpty && mtp.modules.map(\.argmax) == prompt.mtp_greedy_drafts)
            #expect(mtp.recursive == prompt.mtp_recursive_drafts?["post"] ?? [])
        }
    }
}
