import ForetokenTestSupport
import ForetokenWeights
import Testing

@Suite struct RoutingFingerprintTests {
    private func fingerprint(_ model: TinyModel, shards: Int = 1) throws -> String {
        try withCheckpoint(model.files(shards: shards)) { try $0.routingFingerprint(WeightLayout($0)) }
    }

    /// The biases of all layers with experts but the modules', or only theirs.
    private func biases(_ model: TinyModel, ofModules: Bool) -> [Int] {
        model.tensors.indices.filter { index in
            let name = model.tensors[index].name
            guard name.hasSuffix("e_score_correction_bias") else { return false }
            return name.hasPrefix("model.layers.\(model.geometry.layers).") == ofModules
        }
    }

    @Test func theSameModelHasTheSame() throws {
        let model = TinyModel()
        let whole = try fingerprint(model)
        #expect(whole.count == 16 && whole.allSatisfy(\.isHexDigit))
        #expect(try fingerprint(model, shards: 3) == whole)
        // Experts and norms decide nothing about which experts there are to choose from.
        var other = TinyModel()
        other.tensors[0].bytes[0] ^= 1
        #expect(try fingerprint(other) == whole)
        other.configuration["max_position_embeddings"] = "256"
        #expect(try fingerprint(other) == whole)
    }

    @Test(arguments: [false, true]) func everyBiasCounts(ofModules: Bool) throws {
        let model = TinyModel()
        let own = try fingerprint(model)
        let indices = biases(model, ofModules: ofModules)
        #expect(!indices.isEmpty)
        for index in indices {
            var other = model
            other.tensors[index].bytes[other.tensors[index].bytes.count - 3] ^= 1
            #expect(try fingerprint(other) != own)
        }
    }

    /// Routers without a bias are told apart by themselves.
    @Test func routersCountWhereThereIsNoBias() throws {
        let model = TinyModel(.deepSeekV2)
        let own = try fingerprint(model)
        var other = model
        other.change("model.layers.2.mlp.gate.weight") { $0.bytes[1] ^= 1 }
        #expect(try fingerprint(other) != own)
        var expert = model
        expert.change("model.layers.2.mlp.experts.1.up_proj.weight") { $0.bytes[1] ^= 1 }
        #expect(try fingerprint(expert) == own)
    }

    @Test func theShapeCounts() throws {
        let own = try fingerprint(TinyModel())
        var chosen = TinyModel()
        chosen.configuration["num_experts_per_tok"] = "\(chosen.geometry.expertsPerToken - 1)"
        #expect(try fingerprint(chosen) != own)
        #expect(try fingerprint(TinyModel(TinyGeometry { $0.mtpModules = 0 })) != own)
    }

    @Test func aFileThatShrankIsNamed() throws {
        let folder = try TemporaryFolder()
        try TinyModel().write(to: folder)
        let checkpoint = try Checkpoint(directory: folder.path)
        let layout = try WeightLayout(checkpoint)
        try folder.truncate("model.safetensors", to: 4096)
        let error = #expect(throws: CheckpointError.self) { try checkpoint.routingFingerprint(layout) }
        #expect("\(error, default: "")".contains("e_score_correction_bias"))
    }

    @Test func theDemoModelHasOne() throws {
        let checkpoint = try Checkpoint.demo()
        #expect(try checkpoint.routingFingerprint(WeightLayout(checkpoint)).count == 16)
    }
}
