import ForetokenTestSupport
import ForetokenWeights
import Testing

/// The tests' own tools, which other rooms' tests build on.
@Suite struct TestSupportTests {
    @Test func fp8CodesRoundTrip() {
        for code in UInt8.min...UInt8.max where code & 0x7F != 0x7F {
            #expect(TestNumbers.fp8Code(TestNumbers.fp8(code)) == code)
        }
        // Between two codes the nearer one, in the middle the even one.
        for code in UInt8(0)..<0x7E {
            let (low, high) = (TestNumbers.fp8(code), TestNumbers.fp8(code + 1))
            let middle = (low + high) / 2
            #expect(TestNumbers.fp8Code(middle) == (code % 2 == 0 ? code : code + 1))
            #expect(TestNumbers.fp8Code(middle.nextDown) == code && TestNumbers.fp8Code(middle.nextUp) == code + 1)
        }
        #expect(TestNumbers.fp8Code(1e9) == 0x7E && TestNumbers.fp8Code(-449) == 0xFE)
    }

    @Test func knownValues() {
        #expect(TestNumbers.fp8(0x38) == 1 && TestNumbers.fp8(0x01) == 0x1p-9 && TestNumbers.fp8(0x7E) == 448)
        #expect(TestNumbers.bf16(1.00390625) == 0x3F80 && TestNumbers.bf16(1.01171875) == 0x3F82)
    }

    @Test func modelsRepeatAndStayOfOrderOne() throws {
        let model = TinyModel(seed: 4)
        #expect(model.files().map(\.bytes) == TinyModel(seed: 4).files().map(\.bytes))
        #expect(model.files().map(\.bytes) != TinyModel(seed: 5).files().map(\.bytes))
        let values = model.values("model.layers.0.self_attn.q_a_proj.weight")
        let variance = values.reduce(0) { $0 + $1 * $1 } / Float(values.count)
        #expect(abs(variance * 200 - 1) < 0.1)
        let biases = try #require(model.tensor("model.layers.1.mlp.gate.e_score_correction_bias")).values
        #expect(biases.contains { $0 > 0 } && biases.contains { $0 < 0 })
    }
}
