import ForetokenModel
import ForetokenTestSupport
import ForetokenWeights
import Testing

/// The prompt route (OpenBLAS, naive attention) and the decode route (own kernels, absorbed attention) are two
/// computations of one function.
@Suite(.serialized)
struct PromptRouteTests {
    @Test(arguments: [17, 64, 65, 256, 257, 512, 545, 700])
    func agreesWithDecoding(length: Int) throws {
        let model = try Model.load(Fixtures.demoModel)
        let tokens = (0..<Int32(length)).map { ($0 * 911 + 17) % 4000 }
        let chunked = try SingleText(model, context: length)
        let stepped = try SingleText(model, context: length)
        while chunked.position < length {
            chunked.run(tokens[chunked.position..<min(chunked.position + Step.chunkRows, length)])
        }
        chunked.computeLogits(first: chunked.verifier.rowCount - 1, count: 1)
        let expected = Array(chunked.logits(row: 0))
        for position in 0..<length { stepped.run(tokens[position...position]) }
        stepped.computeLogits(first: 0, count: 1)
        let worst = zip(expected, stepped.logits(row: 0)).map { abs($0 - $1) }.max()!
        #expect(worst < 1e-3)
    }
}
