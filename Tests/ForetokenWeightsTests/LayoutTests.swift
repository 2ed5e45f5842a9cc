import ForetokenTestSupport
import ForetokenWeights
import Testing

@Suite struct LayoutTests {
    @Test(.enabled(if: DemoModel.isPresent)) func demoModelIsComplete() throws {
        let checkpoint = try Checkpoint(directory: DemoModel.directory)
        #expect(checkpoint.tensors.count == 2597)
        let layout = try WeightLayout(checkpoint)
        #expect(layout.warnings.isEmpty)
        #expect(layout.layers.count == 12)
        #expect(layout.mtp.count == 1)
        #expect(layout.mtp[0].lmHead != nil && layout.mtp[0].embedding != nil)
        #expect(layout.mtp[0].projection.columns == 512)
        #expect(layout.layers[0].attention.latentDown.scale?.shape == [1, 2])
        guard case .dense(let mlp) = layout.layers[0].feedForward,
            case .moe(let router, let bias, let experts, let shared) = layout.layers[1].feedForward
        else {
            Issue.record("layer 0 is dense, layer 1 has experts")
            return
        }
        #expect(mlp.down.scale?.shape == [2, 6])
        #expect(router.weight.type == .bf16 && bias?.type == .f32)
        #expect(experts.count == 32 && shared != nil)
    }

    @Test(arguments: TinyGeometry.Storage.allCases, [1, 3])
    func everyStorage(_ storage: TinyGeometry.Storage, shards: Int) throws {
        let model = TinyModel(TinyGeometry { $0.storage = storage })
        try withCheckpoint(model.files(shards: shards)) { checkpoint in
            let layout = try WeightLayout(checkpoint)
            #expect(layout.warnings.isEmpty && layout.mtp.count == 1)
            let query = layout.layers[2].attention.query
            #expect((query.rows, query.columns) == (192, 72))
            #expect((query.scale != nil) == (query.weight.type == .fp8))
        }
    }

    /// Where the head is tied to the embedding, another one is said to be ignored; a copy of the embedding is no news.
    @Test func anotherHeadIsSaidToBeIgnored() throws {
        var model = TinyModel(TinyGeometry { $0.tiedHead = true })
        let embedding = try #require(model.tensor("model.embed_tokens.weight"))
        func warnings(_ values: [Float]) throws -> [String] {
            let head = StoredTensor(name: "lm_head.weight", embedding.type, shape: embedding.shape, values: values)
            var other = model
            other.tensors.append(head)
            return try withCheckpoint(other.files()) { try WeightLayout($0).warnings }
        }
        #expect(try warnings(embedding.values).isEmpty)
        let different = try warnings(embedding.values.map { -$0 })
        #expect(different.count == 1 && different[0].contains("lm_head.weight differs"), "\(different)")
        model.tensors.removeAll { $0.name == "model.embed_tokens.weight" }
        #expect(throws: CheckpointError.self) { try warnings(embedding.values) }
    }

    @Test(arguments: [0, 1, 2], [0, 1, 2]) func sharedExpertsAndModules(shared: Int, modules: Int) throws {
        let geometry = TinyGeometry {
            $0.sharedExperts = shared
            $0.mtpModules = modules
            $0.mtpCopies = modules == 1
            $0.queryRank = shared == 0 ? nil : 72
            $0.tiedHead = shared == 2
        }
        try withCheckpoint(TinyModel(geometry).files()) { checkpoint in
            let layout = try WeightLayout(checkpoint)
            #expect(layout.warnings.isEmpty && layout.mtp.count == modules)
            #expect(layout.mtp.allSatisfy { ($0.lmHead != nil) == geometry.mtpCopies })
            #expect((layout.lmHead == layout.embedding) == geometry.tiedHead)
            #expect((layout.layers[0].attention.queryDown == nil) == (shared == 0))
            guard case .moe(_, _, let experts, let mlp) = layout.layers[1].feedForward else {
                Issue.record("layer 1 has experts")
                return
            }
            #expect(experts.count == 16 && (mlp?.gate.rows ?? 0) == 48 * shared)
        }
    }

    /// The limit is against work that grows with the square of their number.
    @Test(.timeLimit(.minutes(15))) func asManyTensorsAsThePublishedModel() throws {
        let geometry = TinyGeometry {
            ($0.layers, $0.denseLayers, $0.experts, $0.groups, $0.keptGroups) = (61, 3, 256, 8, 4)
            ($0.vocabulary, $0.hidden, $0.intermediate, $0.expertIntermediate) = (8, 8, 4, 2)
            ($0.queryRank, $0.latentRank, $0.heads, $0.nope, $0.rope, $0.value) = (4, 4, 2, 2, 2, 2)
        }
        let folder = try TemporaryFolder()
        try TinyModel(geometry).write(to: folder, shards: 163)
        let checkpoint = try Checkpoint(directory: folder.path)
        #expect(checkpoint.fileNames.count == 163 && checkpoint.tensors.count == 91_991)
        let layout = try WeightLayout(checkpoint)
        #expect(layout.layers.count == 61 && layout.mtp.count == 1 && layout.warnings.isEmpty)
    }

    @Test("Every family's names, and what its layers are made of")
    func families() throws {
        for geometry in [TinyGeometry.glmFlash, .gigaChat, .joyAI, .deepSeekV2, .kimiK25] {
            for shards in [1, 3] {
                try withCheckpoint(TinyModel(geometry).files(shards: shards)) { checkpoint in
                    let layout = try WeightLayout(checkpoint)
                    #expect(layout.warnings.isEmpty && layout.remarks.isEmpty, "\(layout.warnings)")
                    #expect(layout.mtp.count == geometry.mtpModules)
                    guard case .moe(_, let bias, _, _) = layout.layers[1].feedForward else {
                        Issue.record("layer 1 has experts")
                        return
                    }
                    #expect((bias == nil) == (geometry.family.routerRule == .softmax))
                    for module in layout.mtp {
                        if case .dense = module.block.feedForward {
                            #expect(geometry.denseModules)
                        } else {
                            #expect(!geometry.denseModules)
                        }
                    }
                    #expect((layout.draftBytes(checkpoint.configuration, .stored) == nil) == layout.mtp.isEmpty)
                }
            }
        }
    }

    @Test func otherPartsOfAModelAreLeftOut() throws {
        var model = TinyModel(.kimiK25)
        for name in ["vision_tower.a", "vision_tower.b", "mm_projector.c"] {
            model.tensors.append(StoredTensor(name: name, .f32, shape: [1], values: [1]))
        }
        try withCheckpoint(model.files()) { checkpoint in
            let layout = try WeightLayout(checkpoint)
            #expect(layout.warnings.isEmpty && layout.remarks.count == 1)
            #expect(layout.remarks[0].contains("vision_tower.* and mm_projector.* (3 tensors)"), "\(layout.remarks)")
        }
        // Of another family they are strange.
        var other = TinyModel()
        other.tensors.append(StoredTensor(name: "vision_tower.a", .f32, shape: [1], values: [1]))
        #expect(try withCheckpoint(other.files()) { try WeightLayout($0).warnings }.count == 1)
        // And names without the prefix are not the text model's.
        model.tensors.append(StoredTensor(name: "lm_head.weight", .f32, shape: [1], values: [1]))
        #expect(try withCheckpoint(model.files()) { try WeightLayout($0).warnings }.count == 1)
        model.remove("language_model.lm_head.weight")
        let text = complaint { try withCheckpoint(model.files()) { _ = try WeightLayout($0) } }
        #expect(text.contains("language_model.lm_head.weight is missing"), "\(text)")
    }

    @Test func wrongKindsOfLayersAreTold() throws {
        let router = "model.layers.3.mlp.gate.weight"
        let cases: [(TinyGeometry, mention: [String], change: (inout TinyModel) -> Void)] = [
            (
                TinyGeometry(), ["layer 1 is dense", "at most 1", "found 2"],
                { $0.configuration["first_k_dense_replace"] = "2" }
            ),
            (
                TinyGeometry(), ["layer 0 is one with routed experts", "above 0"],
                { $0.configuration["first_k_dense_replace"] = "0" }
            ),
            (
                .joyAI, ["layers.3.mlp.gate_proj.weight_scale_inv", "missing"],
                { $0.remove("model.layers.3.mlp.gate_proj.weight_scale_inv") }
            ),
            (
                .joyAI, ["layers.3.mlp.down_proj.weight is missing"],
                { $0.remove("model.layers.3.mlp.down_proj.weight") }
            ),
            (
                .joyAI, ["layers.3.mlp.gate_proj.weight is missing"],
                { $0.remove("model.layers.3.mlp.gate_proj.weight") }
            ),
            (
                .joyAI, ["layers.3.mlp has both"],
                { $0.tensors.append(StoredTensor(name: router, .f32, shape: [1], values: [1])) }
            ),
            (TinyGeometry(), [router, "missing"], { $0.remove(router) }),
            (
                .deepSeekV2, ["layers.2.mlp.shared_experts.up_proj.weight is missing"],
                { $0.remove("model.layers.2.mlp.shared_experts.up_proj.weight") }
            ),
            (
                .glmFlash, ["e_score_correction_bias is missing"],
                { $0.remove("model.layers.1.mlp.gate.e_score_correction_bias") }
            ),
            (
                TinyGeometry(), ["model.layers.2.input_layernorm.weight is missing"],
                { $0.tensors.removeAll { $0.name.hasPrefix("model.layers.2.") } }
            ),
        ]
        for (geometry, mention, change) in cases {
            var model = TinyModel(geometry)
            change(&model)
            let text = complaint { try withCheckpoint(model.files()) { _ = try WeightLayout($0) } }
            for word in mention { #expect(text.contains(word), "\(text)") }
        }
    }

    @Test func aBiasThatTheRouterDoesNotUseIsStrange() throws {
        var model = TinyModel(.deepSeekV2)
        let name = "model.layers.1.mlp.gate.e_score_correction_bias"
        model.tensors.append(StoredTensor(name: name, .f32, shape: [16], values: .init(repeating: 0, count: 16)))
        let warnings = try withCheckpoint(model.files()) { try WeightLayout($0).warnings }
        #expect(warnings.count == 1 && warnings[0].contains(name), "\(warnings)")
    }

    @Test func missingModuleIsAWarning() throws {
        var model = TinyModel()
        model.tensors.removeAll { $0.name.hasPrefix("model.layers.3.") }
        try withCheckpoint(model.files()) { checkpoint in
            let layout = try WeightLayout(checkpoint)
            #expect(layout.mtp.isEmpty && layout.warnings.count == 1)
        }
    }

    @Test func unexpectedTensorsGetOneWarning() throws {
        var model = TinyModel()
        model.tensors.append(StoredTensor(name: "extra.one", .f32, shape: [1], values: [1]))
        model.tensors.append(StoredTensor(name: "extra.two", .f32, shape: [1], values: [1]))
        let frequencies = "model.layers.0.self_attn.rotary_emb.inv_freq"
        model.tensors.append(StoredTensor(name: frequencies, .f32, shape: [1], values: [1]))
        try withCheckpoint(model.files()) { checkpoint in
            let warnings = try WeightLayout(checkpoint).warnings
            #expect(warnings.count == 1 && warnings[0].contains("2 unexpected") && warnings[0].contains("extra.one"))
        }
    }

    @Test func refusesWrongTensors() throws {
        let down = "model.layers.0.mlp.down_proj.weight"
        let cases: [(mention: [String], change: (inout TinyModel) -> Void)] = [
            (["lm_head.weight", "missing"], { $0.remove("lm_head.weight") }),
            (["model.layers.3.enorm.weight", "missing"], { $0.remove("model.layers.3.enorm.weight") }),
            ([down + "_scale_inv", "missing"], { $0.remove(down + "_scale_inv") }),
            ([down, "[200, 136]", "[136, 200]"], { $0.change(down) { $0.shape = [136, 200] } }),
            ([down + "_scale_inv", "[2, 2]", "[4]"], { $0.change(down + "_scale_inv") { $0.shape = [4] } }),
            (
                [down + "_scale_inv", "BF16, F32, F8_E8M0", "F16"],
                {
                    $0.change(down + "_scale_inv") {
                        $0 = StoredTensor(name: $0.name, .f16, shape: $0.shape, values: $0.values)
                    }
                }
            ),
            ([down, "F8_E4M3", "F8_E4M3FNUZ"], { $0.change(down) { $0.type = .fp8E4M3FNUZ } }),
            (
                ["model.norm.weight", "BF16", "U16"], { $0.change("model.norm.weight") { $0.type = .u16 } }
            ),
            (
                ["e_score_correction_bias", "missing"],
                { $0.remove("model.layers.1.mlp.gate.e_score_correction_bias") }
            ),
            (["shared_experts", "n_shared_experts"], { $0.configuration["n_shared_experts"] = "0" }),
            (["missing"], { $0.configuration["num_hidden_layers"] = "10000" }),
        ]
        for (mention, change) in cases {
            var model = TinyModel()
            change(&model)
            let text = complaint { try withCheckpoint(model.files()) { _ = try WeightLayout($0) } }
            for word in mention { #expect(text.contains(word), "\(text)") }
        }
    }
}

extension TinyModel {
    mutating func remove(_ name: String) { tensors.removeAll { $0.name == name } }

    mutating func change(_ name: String, _ body: (inout StoredTensor) -> Void) {
        body(&tensors[tensors.firstIndex { $0.name == name }!])
    }
}
