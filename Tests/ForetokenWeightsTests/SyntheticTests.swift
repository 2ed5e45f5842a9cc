import ForetokenTestSupport
import ForetokenWeights
import Testing

/// Weights that exist nowhere are complete, finite and the same every time.
struct SyntheticTests {
    private func shape(_ change: (inout TinyGeometry) -> Void = { _ in }) throws -> SyntheticShape {
        let members = TinyModel.configuration(TinyGeometry(change)).map { "\"\($0.key)\": \($0.value)" }
        let json = "{\(members.joined(separator: ","))}"
        return try SyntheticShape(name: "tiny", json: Array(json.utf8), file: "config.json")
    }

    @Test(arguments: SyntheticShape.names)
    func namedShapesAreThoseOfPublishedModels(name: String) throws {
        let shape = try SyntheticShape(named: name)
        let part = shape.part(moeLayers: 2, mtp: true)
        #expect(part.layerCount == 3 && part.denseLayerCount == 1 && part.mtpModuleCount == 1)
        #expect(part.hiddenSize == shape.whole.hiddenSize && shape.part(moeLayers: 1, mtp: false).mtpModuleCount == 0)
        let layout = try WeightLayout(try Checkpoint(synthetic: part, label: name))
        #expect(layout.warnings.isEmpty && layout.layers.count == 3 && layout.mtp.count == 1)
    }

    @Test("Shapes of every family have its tensors") func families() throws {
        typealias Published = PublishedConfiguration
        for (text, hasModule) in [
            (Published.deepSeekV3, true), (Published.joyAIFlash, true), (Published.glmFlash, true),
            (Published.gigaChat3, true), (Published.kimiK25, false), (Published.deepSeekV2, false),
        ] {
            let shape = try SyntheticShape(name: "x", json: Array(text.utf8), file: "config.json")
            let layout = try WeightLayout(try Checkpoint(synthetic: shape.part(moeLayers: 1, mtp: true), label: "x"))
            #expect(layout.warnings.isEmpty && layout.mtp.count == (hasModule ? 1 : 0))
            if case .dense = layout.mtp.first?.block.feedForward { #expect(text == Published.joyAIFlash) }
            guard case .moe(_, let bias, _, _) = layout.layers[1].feedForward else {
                Issue.record("layer 1 has experts")
                return
            }
            #expect((bias == nil) == (text == Published.deepSeekV2))
        }
    }

    /// What relatives of DeepSeek-V3 weigh, in billions of parameters without modules.
    @Test func familiesHaveTheirPublishedSizes() throws {
        typealias Published = PublishedConfiguration
        for (text, billions) in [
            (Published.glmFlash, 29.9), (Published.joyAIFlash, 48.9), (Published.kimiK2, 1026.4),
            (Published.moonlight, 16.0), (Published.deepSeekV2, 235.7), (Published.deepSeekV2Lite, 15.7),
        ] {
            var whole = try SyntheticShape(name: "x", json: Array(text.utf8), file: "config.json").whole
            whole.mtpModuleCount = 0
            let checkpoint = try Checkpoint(synthetic: whole, label: "x")
            let elements = checkpoint.tensors.values.reduce(0) {
                $0 + ($1.name.contains("_scale_inv") ? 0 : $1.shape.reduce(1, *))
            }
            #expect(abs(Double(elements) / (billions * 1e9) - 1) < 0.005, "\(elements)")
        }
    }

    @Test func wholeModelsHaveTheirPublishedSize() throws {
        let whole = try SyntheticShape(named: "deepseek-v3").whole
        let checkpoint = try Checkpoint(synthetic: whole, label: "v3")
        let bytes = checkpoint.tensors.values.reduce(0) { $0 + $1.range.count }
        // The published files have 688.6 GB, of which 3.7 GB are the module's copies of embedding and head.
        #expect(abs(Double(bytes) / 684.9e9 - 1) < 0.005)
    }

    @Test func everyWeightIsFinite() throws {
        for direct in [true, false] {
            let shape = try shape { $0.queryRank = direct ? nil : 72 }
            let checkpoint = try Checkpoint(synthetic: shape.part(moeLayers: 2, mtp: true), label: "tiny")
            #expect(try WeightLayout(checkpoint).warnings.isEmpty)
            for tensor in checkpoint.tensors.values {
                let bytes = try read(checkpoint, tensor)
                let isFinite =
                    switch tensor.type {
                    case .fp8: bytes.allSatisfy { $0 & 0x7F != 0x7F }
                    case .bf16: stride(from: 1, to: bytes.count, by: 2).allSatisfy { bytes[$0] & 0x7F != 0x7F }
                    default: stride(from: 3, to: bytes.count, by: 4).allSatisfy { bytes[$0] & 0x7F != 0x7F }
                    }
                #expect(isFinite, "\(tensor.name)")
            }
        }
    }

    @Test func anyPieceReadsLikeTheWhole() throws {
        let checkpoint = try Checkpoint(synthetic: shape().part(moeLayers: 1, mtp: false), label: "tiny")
        let tensor = try #require(checkpoint.tensor("model.layers.1.mlp.experts.3.up_proj.weight"))
        let whole = try read(checkpoint, tensor)
        #expect(Set(whole).count > 200)
        for range in [0..<1, 3..<8, 5..<23, 64..<200, whole.count - 3..<whole.count] {
            #expect(try read(checkpoint, tensor, range) == Array(whole[range]))
        }
        let other = try #require(checkpoint.tensor("model.layers.1.mlp.experts.4.up_proj.weight"))
        #expect(try read(checkpoint, other) != whole)
    }

    @Test func whatCannotBeMadeIsRefused() throws {
        #expect(complaint { _ = try SyntheticShape(named: "gpt-2") }.contains("deepseek-v3, v3-lite"))
        #expect(complaint { _ = try SyntheticShape(name: "x", json: Array("{}".utf8), file: "x") }.contains("x"))
        let huge = try shape {
            $0.hidden = 1 << 29
            $0.expertIntermediate = 1 << 30
        }
        #expect(
            complaint { _ = try Checkpoint(synthetic: huge.part(moeLayers: 1, mtp: false), label: "huge") }
                .contains("too large"))
    }

    private func read(_ checkpoint: Checkpoint, _ tensor: TensorInfo, _ range: Range<Int>? = nil) throws -> [UInt8] {
        let range = range ?? 0..<tensor.range.count
        var bytes = [UInt8](repeating: 0, count: range.count)
        try bytes.withUnsafeMutableBytes { try checkpoint.read(tensor, fromByte: range.lowerBound, into: $0) }
        return bytes
    }
}
