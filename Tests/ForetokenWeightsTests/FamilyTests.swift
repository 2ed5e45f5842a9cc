import ForetokenTestSupport
import ForetokenWeights
import Testing

private func read(_ json: String) throws -> ModelConfiguration {
    try ModelConfiguration(json: Array(json.utf8), file: "config.json")
}

/// The published files of every family, and files that are nearly like them.
@Suite struct FamilyTests {
    typealias Published = PublishedConfiguration

    @Test func deepSeekV3() throws {
        let model = try read(Published.deepSeekV3)
        #expect(model.family == .deepSeekV3 && model.family.routerRule == .sigmoid)
        #expect(model.layerCount == 61 && model.denseLayerCount == 3 && model.mtpModuleCount == 1)
        #expect(model.normEpsilon == 1e-6 && model.maximumPositions == 163_840)
    }

    @Test func joyAI() throws {
        let model = try read(Published.joyAIFlash)
        #expect(model.family.name == "JoyAI-LLM-Flash" && model.modelType == "joyai_llm_flash")
        #expect(model.layerCount == 40 && model.mtpModuleCount == 1 && model.rope == RopeConfiguration(theta: 3.2e7))
        #expect(abs(model.attentionScale - 0.0721688) < 1e-7)
    }

    @Test func gigaChatAndMoonlight() throws {
        let gigaChat = try read(Published.gigaChat3)
        #expect(gigaChat.family == .deepSeekV3 && gigaChat.queryRank == nil)
        #expect(gigaChat.nopeDimension + gigaChat.valueDimension == 320)
        let moonlight = try read(Published.moonlight)
        #expect(moonlight.family == .deepSeekV3 && moonlight.normEpsilon == 1e-5)
        #expect(moonlight.sharedExpertCount == 2 && moonlight.routedScalingFactor == 2.446)
    }

    @Test func kimi() throws {
        let old = try read(Published.kimiK2)
        #expect(old.family == .kimiK2 && old.routedExpertCount == 384 && old.normEpsilon == 1e-6)
        #expect(abs(old.attentionScale - 0.1308608) < 1e-7)
        let new = try read(Published.kimiK25)
        #expect(new.family == .kimiK25 && new.modelType == "kimi_k25" && new.normEpsilon == 1e-5)
        #expect(new.maximumPositions == 262_144 && new.eosTokens == [163_585] && !new.tiesEmbeddings)
        #expect(abs(new.attentionScale - 0.1446796) < 1e-7)
    }

    @Test func glmFlash() throws {
        let model = try read(Published.glmFlash)
        #expect(model.family == .glmFlash && model.family.routerRule == .sigmoid && model.normalizesExpertWeights)
        #expect(model.nopeDimension == 192 && model.ropeDimension == 64 && model.valueDimension == 256)
        #expect(model.attentionScale == 0.0625 && model.normEpsilon == 1e-5 && model.routedScalingFactor == 1.8)
        #expect(model.eosTokens == [154_820, 154_827, 154_829] && model.bosToken == nil)
        #expect(model.denseLayerCount == 1 && model.mtpModuleCount == 1)
        #expect(try read(Published.glmFlashOf5) == model)
    }

    @Test func deepSeekV2() throws {
        let model = try read(Published.deepSeekV2)
        #expect(model.family == .deepSeekV2 && model.family.routerRule == .softmax && !model.normalizesExpertWeights)
        #expect(model.expertGroupCount == 8 && model.keptGroupCount == 3 && model.routedScalingFactor == 16)
        #expect(abs(model.attentionScale - 0.1147214) < 1e-7 && model.rotationMagnitude == 1)
        let lite = try read(Published.deepSeekV2Lite)
        #expect(lite.queryRank == nil && lite.expertGroupCount == 1 && lite.mtpModuleCount == 0)
    }

    @Test func keysThatV2FilesMayLeaveOut() throws {
        let lite = Published.deepSeekV2Lite
        let model = try read(lite)
        for missing in [
            #""scoring_func": "softmax", "#, #""norm_topk_prob": false, "#, #",\#n "topk_method": "greedy""#,
        ] {
            #expect(lite.contains(missing))
            #expect(try read(lite.replacing(missing, with: "")) == model)
        }
        let withNulls = lite.replacing("\"n_group\": 1", with: "\"n_group\": null")
            .replacing("\"topk_group\": 1", with: "\"topk_group\": null")
        #expect(try read(withNulls) == model)
    }

    private static let twins: [(text: String, old: String, new: String, mentions: [String])] = [
        (Published.deepSeekV3, #""sigmoid""#, #""softmax""#, ["scoring_func", "sigmoid", "DeepSeek-V2"]),
        (Published.deepSeekV3, #""noaux_tc""#, #""greedy""#, ["topk_method", "noaux_tc"]),
        (Published.joyAIFlash, #""sigmoid""#, #""softmax""#, ["scoring_func"]),
        (Published.glmFlash, #""head_dim": 64"#, #""scoring_func": "softmax""#, ["scoring_func", "sigmoid"]),
        (Published.glmFlash, #"factor": 1.0"#, #"factor": 0.5"#, ["partial_rotary_factor", "0.5"]),
        (Published.glmFlashOf5, #"factor": 1.0"#, #"factor": 0.5"#, ["partial_rotary_factor", "0.5"]),
        (Published.glmFlash, "Glm4MoeLiteForCausalLM", "Glm4MoeForCausalLM", ["architectures", "Glm4MoeLite"]),
        (Published.glmFlashOf5, #"["dense""#, #"["sparse", "dense""#, ["mlp_layer_types", "47 times"]),
        (Published.glmFlashOf5, #"["dense", "sparse""#, #"["sparse", "dense""#, ["mlp_layer_types", "layer 1"]),
        (Published.glmFlashOf5, #"["dense""#, #"["linear""#, ["mlp_layer_types"]),
        (
            Published.glmFlashOf5, #""n_group": 1"#, #""n_group": 1, "first_k_dense_replace": 2"#,
            ["first_k_dense_replace", "mlp_layer_types", "differ"]
        ),
        (Published.glmFlash, #""first_k_dense_replace": 1,"#, "", ["first_k_dense_replace", "missing"]),
        (Published.deepSeekV2, #""softmax""#, #""sigmoid""#, ["scoring_func", "softmax", "DeepSeek-V3"]),
        (Published.deepSeekV2, "prob\": false", "prob\": true", ["norm_topk_prob", "false"]),
        (Published.deepSeekV2, #""group_limited_greedy""#, #""noaux_tc""#, ["topk_method", "greedy"]),
        (Published.deepSeekV2, #""group_limited_greedy""#, #""greedy""#, ["greedy", "n_group"]),
        (Published.deepSeekV2, #""group_limited_greedy""#, "null", ["topk_method", "missing"]),
        (Published.deepSeekV2, #""topk_group": 3"#, #""topk_group": 9"#, ["topk_group"]),
        (Published.kimiK25, #""model_type": "kimi_k2","#, #""model_type": "kimi_k3","#, ["text_config.model_type"]),
        (Published.kimiK25, #""model_type": "kimi_k2","#, "", ["text_config.model_type", "nothing"]),
        (Published.kimiK25, "\"text_config\"", "\"texts\"", ["text_config", "missing"]),
        (Published.kimiK25, #""sigmoid""#, #""softmax""#, ["text_config", "scoring_func"]),
        (Published.kimiK25, "DeepseekV3ForCausalLM", "LlamaForCausalLM", ["text_config", "architectures"]),
    ]

    @Test(arguments: twins.indices) func wrongTwins(index: Int) throws {
        let (text, old, new, mentions) = Self.twins[index]
        try #require(text.contains(old))
        let found = complaint { _ = try read(text.replacing(old, with: new)) }
        for mention in mentions { #expect(found.contains(mention), "\(found)") }
    }

    /// Patterns of dense layers by both keys.
    @Test func kindsOfLayers() throws {
        let key = #""first_k_dense_replace": 1"#
        for dense in [0, 1, 5, 47] {
            let list = "\"mlp_layer_types\": \(Published.kinds(dense: dense, of: 47))"
            #expect(try read(Published.glmFlash.replacing(key, with: list)).denseLayerCount == dense)
            let both = "\(list), \"first_k_dense_replace\": \(dense)"
            #expect(try read(Published.glmFlash.replacing(key, with: both)).denseLayerCount == dense)
        }
    }

    @Test("How Kimi-K2.5's weights are quantised may be said inside or outside of the text model's object")
    func nestedQuantisation() throws {
        let fp8 = """
            "quantization_config": {"quant_method": "fp8", "fmt": "e4m3", "weight_block_size": [128, 128]}
            """
        let other = fp8.replacing("128, 128", with: "64, 64")
        let text = Published.kimiK25Text
        func nested(_ inner: String, _ outer: String) throws -> ModelConfiguration {
            try read(
                Published.kimiK25.replacing(text, with: inner.isEmpty ? text : "\(text), \(inner)")
                    .replacing("\"bos_token_id\": 163584,\n \"eos", with: "\(outer.isEmpty ? "" : outer + ", ")\"eos"))
        }
        var plain = try read(Published.kimiK25)
        #expect(try nested("", "") == plain)
        plain.quantization = .fp8Blocks
        for (inner, outer) in [(fp8, ""), ("", fp8), (fp8, fp8)] {
            #expect(try nested(inner, outer) == plain)
        }
        #expect(complaint { _ = try nested("", other) }.contains("weight_block_size"))
        #expect(complaint { _ = try nested(fp8, other) }.contains("inside and outside"))
    }

    @Test("Sparse attention as published", arguments: [(Published.deepSeekV32, 64, false), (Published.glm5, 32, true)])
    func sparseAttention(text: String, heads: Int, isInterleaved: Bool) throws {
        let configuration = try read(text)
        let layers = [Bool](repeating: true, count: configuration.layerCount)
        #expect(
            configuration.sparseAttention
                == SparseAttention(
                    chosenCount: 2048, headCount: heads, headDimension: 128, hasInterleavedRotation: isInterleaved,
                    ownIndexers: layers))
    }

    @Test(
        "What shares the skeleton but computes something else is refused by name",
        arguments: [
            ("mistral4", "softmax"), ("axk1", "norms"), ("youtu", "no routed experts"), ("glm4_moe", "grouped-query"),
            ("glm5_next", "linear attention"), ("deepseek_v4", "DeepSeek-V4"), ("kimi_linear", "linear attention"),
            ("kimi_k3", "Kimi-K3"), ("longcat_flash", "LongCat"), ("bailing_hybrid", "Ling"), ("hy_v4", "Hunyuan"),
            ("dots3_note", "dots3"), ("sarvam_mla", "Sarvam"), ("qwen3_moe", "not a model of the DeepSeek-V3 family"),
            ("llama", "not a model of the DeepSeek-V3 family"),
        ])
    func refusals(type: String, reason: String) {
        let text = complaint { _ = try read("{\"model_type\": \"\(type)\", \"hidden_size\": 0}") }
        #expect(text.contains(type) && text.contains(reason), "\(text)")
        // One reason alone, and what would run.
        #expect(text.contains("glm4_moe_lite") && !text.contains("hidden_size") && !text.contains("more problem"))
    }
}
