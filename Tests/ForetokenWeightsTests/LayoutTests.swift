import ForetokenWeights
import Testing

@Suite struct LayoutTests {
    @Test func demoModelIsComplete() throws {
        let checkpoint = try Checkpoint(directory: DemoModel.directory)
        #expect(checkpoint.tensors.count == 1313)
        let layout = try WeightLayout(checkpoint)
        #expect(layout.warnings.isEmpty)
        #expect(layout.layers.count == 6)
        #expect(layout.mtp.count == 1)
        #expect(layout.mtp[0].head != nil && layout.mtp[0].embedding != nil)
        #expect(layout.mtp[0].projection.columns == 512)
        #expect(layout.layers[0].attention.latentDown.scale?.shape == [1, 2])
        guard case .dense(let mlp) = layout.layers[0].feedForward else {
            Issue.record("layer 0 is dense")
            return
        }
        #expect(mlp.down.scale?.shape == [2, 6])
        guard case .moe(let router, let bias, let experts, let shared) = layout.layers[1].feedForward else {
            Issue.record("layer 1 has experts")
            return
        }
        #expect(router.weight.type == .bf16 && bias.type == .f32)
        #expect(experts.count == 32 && shared != nil)
    }
}
