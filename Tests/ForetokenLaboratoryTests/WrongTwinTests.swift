import ForetokenModel
import ForetokenTestSupport
import ForetokenWeights
import Testing

/// The references can tell right from nearly right: a checkpoint of which one thing was changed is far from them, or refused.
@Suite(.serialized)
struct WrongTwinTests {
    /// A key of a golden model's config.json, its text there, and another one.
    struct Change: Sendable, CustomTestStringConvertible {
        let golden: String
        let old: String
        let new: String
        /// What a refusal speaks of.
        let subject: String

        init(_ golden: String, _ old: String, _ new: String, about subject: String = "") {
            self.golden = golden
            self.old = old
            self.new = new
            self.subject = subject
        }

        var testDescription: String { "\(golden): \(old) → \(new)" }
    }

    private func load(_ change: Change) throws -> Model {
        let copy = try FixtureCopy(.named(change.golden))
        try copy.changeConfiguration(change.old, to: change.new)
        return try Model.load(copy.path)
    }

    @Test(arguments: [
        Change("glm-4.7-flash", #""rms_norm_eps": 1e-05"#, #""rms_norm_eps": 1e-06"#),
        Change("glm-4.7-flash", #""norm_topk_prob": true"#, #""norm_topk_prob": false"#),
        Change("glm-4.7-flash", #""routed_scaling_factor": 1.8"#, #""routed_scaling_factor": 2.5"#),
        Change("glm-4.7-flash", #""rope_theta": 1000000.0"#, #""rope_theta": 10000.0"#),
        Change("gigachat3", #""norm_topk_prob": true"#, #""norm_topk_prob": false"#),
        Change("joyai-flash", #""rope_theta": 32000000"#, #""rope_theta": 10000"#),
        Change("moonlight", #""routed_scaling_factor": 2.446"#, #""routed_scaling_factor": 1.0"#),
        Change("kimi-k2", #""beta_fast": 1.0"#, #""beta_fast": 32.0"#),
        Change("kimi-k2", #""mscale_all_dim": 1.0"#, #""mscale_all_dim": 0.707"#),
        Change("deepseek-v2", #""topk_group": 2"#, #""topk_group": 4"#),
        Change("deepseek-v2", #""routed_scaling_factor": 4.0"#, #""routed_scaling_factor": 1.0"#),
        Change("deepseek-v2", #""mscale_all_dim": 0.707"#, #""mscale_all_dim": 1.0"#),
        Change("deepseek-v32", #""index_topk": 8"#, #""index_topk": 64"#),
        Change("deepseek-v32", #""index_topk": 8"#, #""index_topk": 8, "indexer_rope_interleave": true"#),
        Change("glm-5", #""indexer_rope_interleave": true"#, #""indexer_rope_interleave": false"#),
    ])
    func isFarFromTheReference(change: Change) throws {
        #expect(try GoldenModel.named(change.golden).worstLogit(of: load(change)) > 1e-2)
    }

    @Test(arguments: [
        Change("glm-4.7-flash", #""q_lora_rank""#, #""scoring_func": "softmax", "q_lora_rank""#, about: "scoring_func"),
        Change("glm-4.7-flash", #""mlp_layer_types""#, #""layer_kinds""#, about: "first_k_dense_replace"),
        Change("glm-4.7-flash", "\"dense\",\n", "\"sparse\",\n", about: "layer 0"),
        Change("glm-4.7-flash", "\"sparse\"\n", "\"dense\"\n", about: "only at the start"),
        Change("glm-4.7-flash", #""v_head_dim": 32"#, #""v_head_dim": 24"#, about: "_proj"),
        Change("gigachat3", #""v_head_dim": 192"#, #""v_head_dim": 128"#, about: "_proj"),
        Change("gigachat3", #""q_lora_rank": null"#, #""q_lora_rank": 24"#, about: "_proj"),
        Change("joyai-flash", #""first_k_dense_replace": 1"#, #""first_k_dense_replace": 0"#, about: "layer 0"),
        Change("deepseek-v2", #""model_type": "deepseek_v2""#, #""model_type": "deepseek_v3""#, about: "architectures"),
        Change("deepseek-v2", #""topk_group": 2"#, #""topk_group": null"#, about: "topk_group"),
        Change("deepseek-v2", #""norm_topk_prob": false"#, #""norm_topk_prob": true"#, about: "norm_topk_prob"),
        Change("deepseek-v2", #""topk_method": "group_limited_greedy""#, #""topk_method": "greedy""#, about: "greedy"),
        Change(
            "deepseek-v2", #""topk_method": "group_limited_greedy""#, #""topk_method": "noaux_tc""#, about: "noaux_tc"),
        Change("deepseek-v2", #""scoring_func": "softmax""#, #""scoring_func": "sigmoid""#, about: "scoring_func"),
        Change("moonlight", #""model_type": "deepseek_v3""#, #""model_type": "deepseek_v2""#, about: "architectures"),
        Change("deepseek-v32", #""index_n_heads": 16"#, #""index_n_heads": 8"#, about: "wq_b"),
        Change(
            "glm-5.2", #""index_skip_topk_offset": 3"#, #""index_skip_topk_offset": 2"#,
            about: "layers.5.self_attn.indexer"),
    ])
    func isRefused(change: Change) {
        let error = #expect(throws: CheckpointError.self) { try load(change) }
        #expect(error?.description.contains(change.subject) == true, "\(error?.description ?? "")")
    }

    /// What says the same in other words.
    @Test(arguments: [
        Change("glm-4.7-flash", #""q_lora_rank""#, #""scoring_func": "sigmoid", "q_lora_rank""#),
        Change("glm-4.7-flash", #""q_lora_rank""#, #""first_k_dense_replace": 1, "q_lora_rank""#),
        Change("glm-4.7-flash", #""head_dim": 8"#, #""head_dim": 24"#),
        Change("deepseek-v2", #""scoring_func": "softmax""#, #""scoring_func": null"#),
        Change("deepseek-v2-lite", #""n_group": 1"#, #""n_group": null"#),
        Change("kimi-k2", #""model_type": "kimi_k2""#, #""model_type": "deepseek_v3""#),
        Change("joyai-flash", #""model_type": "joyai_llm_flash""#, #""model_type": "deepseek_v3""#),
        Change("glm-5", #""indexer_rope_interleave": true"#, #""indexer_rope_interleave": null"#),
        Change("glm-5.2", #""index_topk_pattern": null"#, #""index_topk_pattern": "FFFSSSF""#),
    ])
    func isTheSame(change: Change) throws {
        #expect(try GoldenModel.named(change.golden).worstLogit(of: load(change)) < GoldenLogitTests.tolerance)
    }

    @Test func aMissingLayerIsRefused() throws {
        for (name, layer) in [("glm-4.7-flash", 1), ("kimi-k2", 0), ("deepseek-v2", 1)] {
            let copy = try FixtureCopy(.named(name))
            try copy.changeNames { $0.replacing("model.layers.\(layer).", with: "model.layers.9.") }
            let error = #expect(throws: CheckpointError.self, "\(name)") { try Model.load(copy.path) }
            #expect(error?.description.contains("model.layers.\(layer).") == true, "\(error?.description ?? "")")
        }
    }

    /// Without its file the module is gone, and the main model is what it was.
    @Test func aModuleInAFileOfItsOwn() throws {
        let golden = GoldenModel.named("joyai-flash")
        #expect(try Model.load(golden.directory).draftHead != nil)
        let copy = try FixtureCopy(golden)
        try copy.remove("mtp-1-of-1.safetensors")
        let model = try Model.load(copy.path)
        #expect(model.draftHead == nil)
        #expect(try golden.worstLogit(of: model) < GoldenLogitTests.tolerance)
    }

    /// Kimi-K2.5 is Kimi-K2 with a prefix before its names, its keys under `text_config`, and a vision tower.
    @Test func kimisTwinWithAVisionTower() throws {
        let golden = GoldenModel.named("kimi-k2")
        let copy = try FixtureCopy(golden)
        try copy.changeNames { header in
            header.replacing("\"model.", with: "\"language_model.model.")
                .replacing("\"lm_head.", with: "\"language_model.lm_head.")
        }
        try copy.add("vision_tower.patch_embed.proj.bias", bytes: .init(repeating: 0xFF, count: 64))
        try copy.add("mm_projector.proj.0.bias", bytes: .init(repeating: 0xFF, count: 8))
        let text = try copy.configuration()
        try copy.folder.write(
            Array(
                """
                {"architectures": ["KimiK25ForConditionalGeneration"], "model_type": "kimi_k25",
                 "tie_word_embeddings": true, "vision_config": {"hidden_size": 64, "model_type": "kimi_k25_vision"},
                 "text_config": \(text)}
                """.utf8), "config.json")
        let model = try Model.load(copy.path)
        #expect(try golden.worstLogit(of: model) < GoldenLogitTests.tolerance)
        for name in ["\"model_type\": \"kimi_k2\"", "\"text_config\""] {
            let wrong = try FixtureCopy(golden)
            for file in try copy.folder.names() { try wrong.folder.write(copy.folder.read(file), file) }
            try wrong.changeConfiguration(
                name, to: name == "\"text_config\"" ? "\"text\"" : "\"model_type\": \"llama\"")
            #expect(throws: CheckpointError.self, "\(name)") { try Model.load(wrong.path) }
        }
    }
}
