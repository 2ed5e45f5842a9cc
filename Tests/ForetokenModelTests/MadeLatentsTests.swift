import ForetokenModel
import ForetokenTestSupport
import Testing

/// Latents that no text left behind.
struct MadeLatentsTests {
    /// Attention sees them, wherever they are.
    @Test func madeLatentsAreThere() throws {
        let model = try Model.load(Fixtures.demoModel)
        for type in CacheType.allCases {
            let sequence = try model.makeSequence(context: 700, cacheType: type)
            sequence.append(.init(repeating: 5, count: 700))
            func logits() -> [Float] {
                sequence.jump(to: 600)
                var step = Step()
                step.add(sequence, count: 1)
                model.verifier.run(step)
                model.verifier.computeLogits(first: 0, count: 1)
                return Array(model.verifier.logits(row: 0))
            }
            let before = logits()
            sequence.makeLatents(0..<300)
            let half = logits()
            sequence.makeLatents(300..<600)
            let all = logits()
            #expect(before != half && half != all && all == logits() && all.allSatisfy(\.isFinite))
            #expect(
                sequence.pageByteCount
                    == Model.cacheBytes(model.configuration, modules: 1, contexts: [700], cacheType: type))
        }
    }
}
