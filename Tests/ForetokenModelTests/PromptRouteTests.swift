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
        let chunked = try model.makeVerifier(context: length)
        let stepped = try model.makeVerifier(context: length)
        tokens.withUnsafeBufferPointer { buffer in
            while chunked.position < length {
                let count = min(Verifier.chunkRows, length - chunked.position)
                chunked.forward(buffer.baseAddress! + chunked.position, count: count)
            }
            for position in 0..<length { stepped.forward(buffer.baseAddress! + position, count: 1) }
        }
        chunked.computeLogits(first: chunked.rowCount - 1, count: 1)
        stepped.computeLogits(first: 0, count: 1)
        let worst = zip(chunked.logits(row: 0), stepped.logits(row: 0)).map { abs($0 - $1) }.max()!
        #expect(worst < 1e-3)
    }
}
