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
        let modules = min(1, shape.whole.mtpModuleCount)
        let part = shape.part(moeLayers: 2, mtp: true)
        #expect(part.layerCount == 3 && part.denseLayerCount == 1 && part.mtpModuleCount == modules)
        #expect(part.hiddenSize == shape.whole.hiddenSize && shape.part(moeLayers: 1, mtp: false).mtpModuleCount == 0)
        let layout = try WeightLayout(try shape.checkpoint(part, label: name))
        #expect(layout.warnings.isEmpty && layout.layers.count == 3 && layout.mtp.count == modules)
        // Without an end of its name, and with one that it does not have.
        for near in [String(name.dropLast()), name.uppercased(), name + "-fp8"] {
            #expect(complaint { _ = try SyntheticShape(named: near) }.contains("perhaps"), "\(near)")
        }
    }

    @Test("Shapes of every family have its tensors") func families() throws {
        typealias Published = PublishedConfiguration
        for (text, hasModule) in [
            (Published.deepSeekV3, true), (Published.joyAIFlash, true), (Published.glmFlash, true),
            (Published.gigaChat3, true), (Published.kimiK25, false), (Published.deepSeekV2, false),
        ] {
            let shape = try SyntheticShape(name: "x", json: Array(text.utf8), file: "config.json")
            let layout = try WeightLayout(try shape.checkpoint(shape.part(moeLayers: 1, mtp: true), label: "x"))
            #expect(layout.warnings.isEmpty && layout.mtp.count == (hasModule ? 1 : 0))
            if case .dense = layout.mtp.first?.block.feedForward { #expect(text == Published.joyAIFlash) }
            guard case .moe(_, let bias, _, _) = layout.layers[1].feedForward else {
                Issue.record("layer 1 has experts")
                return
            }
            #expect((bias == nil) == (text == Published.deepSeekV2))
        }
    }

    /// What the makers say, or what follows from their dimensions, without MTP modules: billions of parameters in
    /// all and in a step; gigabytes of the published files; bytes of BF16 latents a token.
    private static let published: [(name: String, total: Double, active: Double, files: Double, cache: Int)] = [
        ("deepseek-v2-lite", 15.7, 2.45, 31.4, 31_104), ("deepseek-v2", 235.7, 20.8, 471, 69_120),
        ("deepseek-v3", 671.0, 36.6, 688.6, 70_272), ("deepseek-v3.2", 671.9, 37.5, 689.5, 70_272),
        ("glm-4.7-flash", 29.9, 3.58, 62.5, 54_144), ("glm-5", 743.9, 40.8, 756, 89_856),
        ("glm-5.2", 743.4, 40.3, 756, 89_856), ("gigachat3-10b", 10.7, 1.63, 11.5, 29_952),
        ("moonlight-16b", 16.0, 2.58, 31.9, 31_104), ("joyai-flash", 48.9, 3.04, 49.6, 46_080),
        ("kimi-k2", 1026.4, 31.7, 1029, 70_272), ("kimi-k2-thinking", 1026.4, 31.7, 594, 70_272),
    ]

    @Test func allShapesHaveTheirPublishedSize() throws {
        #expect(Self.published.map(\.name) == SyntheticShape.names)
        for (name, total, active, files, cache) in Self.published {
            let whole = try WholeShape(SyntheticShape(named: name))
            func expect(_ found: Int, near wanted: Double, within tolerance: Double, _ what: String) {
                #expect(
                    abs(Double(found) / 1e9 / wanted - 1) < tolerance, "\(name), \(what): \(found), not \(wanted)e9")
            }
            expect(whole.parameterCount, near: total, within: 0.003, "parameters")
            expect(whole.activeParameterCount, near: active, within: 0.004, "active parameters")
            expect(whole.fileByteCount, near: files, within: 0.01, "files")
            let c = whole.shape.whole
            #expect(2 * c.layerCount * (c.latentRank + c.ropeDimension) == cache)
        }
    }

    @Test func modulesAreThoseOfTheirFamilies() throws {
        // JoyAI's has no experts.
        for (name, billions) in [("joyai-flash", 0.0788), ("glm-4.7-flash", 0.644), ("deepseek-v3", 11.6)] {
            let count = try WholeShape(SyntheticShape(named: name)).moduleParameterCount
            #expect(abs(Double(count) / 1e9 / billions - 1) < 0.01, "\(name): \(count)")
        }
        #expect(try WholeShape(SyntheticShape(named: "kimi-k2")).moduleParameterCount == 0)
    }

    @Test func softmaxScalesAreThePublishedOnes() throws {
        let scales: [(String, Float)] = [
            ("deepseek-v3", 0.1352338), ("glm-4.7-flash", 0.0625), ("glm-5.2", 0.0625), ("joyai-flash", 0.0721688),
            ("kimi-k2", 0.1308608), ("kimi-k2-thinking", 0.1446796), ("moonlight-16b", 0.0721688),
            ("deepseek-v2", 0.1147214), ("deepseek-v2-lite", 0.1147214),
        ]
        for (name, scale) in scales {
            let found = try SyntheticShape(named: name).whole.attentionScale
            #expect(abs(found / scale - 1) < 1e-6, "\(name): \(found)")
        }
    }

    @Test func memoryFollowsFromTheFormat() throws {
        let whole = try WholeShape(SyntheticShape(named: "gigachat3-10b"))
        func gigabytes(_ format: ResidentFormat) -> Double { Double(whole.residentByteCount(format)) / 1e9 }
        // Worked out from the dimensions: parameters with the module times 2, 1 and 0.5625 bytes; the tables besides.
        let (layers, table) = (10.275 + 0.415, 0.197)
        let inEight = Double(layers) + 5 * table
        #expect(abs(gigabytes(.bf16) / (2 * Double(layers) + 5 * table) - 1) < 0.02, "\(gigabytes(.bf16))")
        #expect(abs(gigabytes(.stored) / inEight - 1) < 0.02, "\(gigabytes(.stored))")
        #expect(abs(gigabytes(.int4) / (0.5625 * Double(layers) + 4.03 * table) - 1) < 0.02, "\(gigabytes(.int4))")
        let experts = 26.0 * 64 * 3 * 1536 * 1280 / 1e9
        let saved = gigabytes(.stored) - gigabytes(.expertsInt4)
        #expect(abs(saved / (experts * (1 + 4.0 / 4096 - 0.5625)) - 1) < 0.01, "\(saved)")
        let kept = try SyntheticShape(named: "kimi-k2-thinking")
        #expect(kept.publishedFormat == .expertsInt4 && whole.shape.publishedFormat == .stored)
        // As stored it takes what its files have, not what made-up weights would.
        let packed = try WholeShape(kept)
        #expect(packed.residentByteCount(.stored) == packed.residentByteCount(.expertsInt4))
        #expect(abs(Double(packed.residentByteCount(.stored)) / Double(packed.fileByteCount) - 1) < 0.02)
    }

    @Test func packedExpertsAreThoseOfTheConfiguration() throws {
        func shape(_ model: TinyModel) throws -> SyntheticShape {
            let members = model.configuration.map { "\"\($0.key)\": \($0.value)" }
            let json = "{\(members.joined(separator: ","))}"
            return try SyntheticShape(name: "tiny", json: Array(json.utf8), file: "config.json")
        }
        let (packed, wide) = TinyModel(TinyModel.packableGeometry()).packing()
        let (small, large) = (try shape(packed), try shape(wide))
        #expect(small.publishedFormat == .expertsInt4 && large.publishedFormat == .stored)
        #expect(small.remarks.count == 1 && large.remarks.isEmpty)
        let sizes = try [small, large].map { try WholeShape($0).fileByteCount }
        #expect(sizes[0] < sizes[1])
    }

    @Test func theConfigurationSaysHowWeightsAreStored() throws {
        for (name, type) in [("glm-4.7-flash", ElementType.bf16), ("gigachat3-10b", .fp8)] {
            let shape = try SyntheticShape(named: name)
            let checkpoint = try shape.checkpoint(shape.part(moeLayers: 1, mtp: true), label: name)
            for tensor in ["self_attn.o_proj", "mlp.experts.0.up_proj", "mlp.shared_experts.down_proj"] {
                #expect(checkpoint.tensor("model.layers.1.\(tensor).weight")?.type == type, "\(name), \(tensor)")
            }
            #expect(checkpoint.tensor("model.embed_tokens.weight")?.type == .bf16)
        }
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
        let unknown = complaint { _ = try SyntheticShape(named: "gpt-2") }
        #expect(SyntheticShape.names.allSatisfy(unknown.contains) && !unknown.contains("perhaps"), "\(unknown)")
        let several = complaint { _ = try SyntheticShape(named: "glm") }
        #expect(several.contains("perhaps glm-4.7-flash or glm-5 or glm-5.2;"), "\(several)")
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
