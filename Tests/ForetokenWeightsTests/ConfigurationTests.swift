import ForetokenTestSupport
import ForetokenWeights
import Testing

/// A config.json with a few keys changed; nil removes a key.
private func configuration(_ changes: [String: String?] = [:]) throws -> ModelConfiguration {
    var members = TinyModel.configuration(TinyGeometry())
    for (key, value) in changes { members[key] = value }
    let text = members.map { "\"\($0.key)\": \($0.value)" }.joined(separator: ", ")
    return try ModelConfiguration(json: Array("{\(text)}".utf8), file: "config.json")
}

@Suite struct ConfigurationTests {
    @Test func readsEveryKey() throws {
        let model = try configuration(["eos_token_id": "[1, 2]", "num_nextn_predict_layers": "2"])
        #expect(model.modelType == "deepseek_v3")
        #expect(model.vocabularySize == 96 && model.hiddenSize == 200 && model.layerCount == 3)
        #expect(model.mtpModuleCount == 2 && model.denseLayerCount == 1)
        #expect(model.routedExpertCount == 16 && model.sharedExpertCount == 1 && model.expertsPerToken == 4)
        #expect(model.expertGroupCount == 4 && model.keptGroupCount == 2)
        #expect(model.normalizesExpertWeights && model.routedScalingFactor == 2.5)
        #expect(model.queryRank == 72 && model.latentRank == 64)
        #expect(model.nopeDimension == 32 && model.ropeDimension == 16 && model.valueDimension == 24)
        #expect(model.normEpsilon == 1e-6 && model.maximumPositions == 512)
        #expect(model.bosToken == 0 && model.eosTokens == [1, 2] && !model.tiesEmbeddings)
        #expect(model.rope.yarn?.factor == 8)
        #expect(!model.isMoE(layer: 0) && model.isMoE(layer: 2) && !model.isMoE(layer: 3))
    }

    @Test func readsHuggingFace5Spelling() throws {
        let parameters = """
            {"rope_type": "yarn", "rope_theta": 10000.0, "factor": 8.0, "original_max_position_embeddings": 64, \
            "beta_fast": 32.0, "beta_slow": 1.0, "mscale": 1.0, "mscale_all_dim": 1.0}
            """
        let changed = try configuration([
            "rope_scaling": nil, "rope_theta": nil, "rope_parameters": parameters,
            "n_routed_experts": nil, "num_local_experts": "16", "num_nextn_predict_layers": nil,
            "num_mtp_layers": "1", "scoring_func": nil, "topk_method": nil, "rope_interleave": "true",
        ])
        #expect(try changed == configuration())
        let plain = try configuration([
            "rope_scaling": nil, "rope_theta": nil,
            "rope_parameters": #"{"rope_type": "default", "rope_theta": 50000}"#,
        ])
        #expect(plain.rope == RopeConfiguration(theta: 50_000))
    }

    @Test func readsRelativesThatRun() throws {
        let kimi = try configuration([
            "model_type": "\"kimi_k2\"", "n_group": "1", "topk_group": "1", "num_nextn_predict_layers": "0",
            "rope_scaling": """
            {"type": "yarn", "factor": 32, "original_max_position_embeddings": 4096, "beta_fast": 1.0, "beta_slow": 1.0, \
            "mscale": 1.0, "mscale_all_dim": 1.0}
            """,
        ])
        #expect(kimi.modelType == "kimi_k2" && kimi.inverseFrequencies.allSatisfy(\.isFinite))
        #expect(try configuration(["q_lora_rank": "null"]).queryRank == nil)
        #expect(try configuration(["n_shared_experts": "null"]).sharedExpertCount == 0)
        #expect(try configuration(["num_nextn_predict_layers": nil]).mtpModuleCount == 0)
        #expect(try configuration(["bos_token_id": "null", "eos_token_id": nil]).bosToken == nil)
    }

    @Test(arguments: [
        ("model_type", "\"deepseek_v2\"", "DeepseekV2ForCausalLM"), ("model_type", "\"kimi_k25\"", "KimiK25For"),
        ("model_type", "\"glm4_moe\"", "GLM"), ("model_type", "\"llama\"", "llama"), ("model_type", "7", "7"),
        ("index_topk", "2048", "sparse attention"), ("scoring_func", "\"softmax\"", "sigmoid"),
        ("topk_method", "\"group_limited_greedy\"", "noaux_tc"), ("hidden_act", "\"gelu\"", "silu"),
        ("attention_bias", "true", "attention_bias"), ("moe_layer_freq", "2", "moe_layer_freq"),
        ("rope_interleave", "false", "rope_interleave"), ("architectures", "[\"LlamaForCausalLM\"]", "architectures"),
        ("hidden_size", "0", "hidden_size"), ("hidden_size", "-3", "hidden_size"), ("hidden_size", "2.5", "2.5"),
        ("hidden_size", "99999999999999999999", "hidden_size"), ("hidden_size", "\"200\"", "hidden_size"),
        ("num_attention_heads", "2147483647", "matrix"), ("first_k_dense_replace", "4", "first_k_dense_replace"),
        ("n_group", "3", "multiple"), ("n_group", "16", "groups of one"), ("topk_group", "5", "topk_group"),
        ("num_experts_per_tok", "9", "num_experts_per_tok"), ("qk_rope_head_dim", "15", "odd"),
        ("rms_norm_eps", "0", "rms_norm_eps"), ("rms_norm_eps", "1e-60", "rms_norm_eps"),
        ("routed_scaling_factor", "1e999", "1e999"), ("rope_theta", "1", "rope_theta"),
        ("rope_scaling", "{\"type\": \"linear\", \"factor\": 2}", "yarn"), ("rope_scaling", "[]", "rope_scaling"),
        ("rope_scaling", "{\"type\": \"yarn\", \"factor\": 0.5, \"original_max_position_embeddings\": 64}", "factor"),
        ("rope_scaling", "{\"type\": \"yarn\", \"factor\": 2}", "original_max_position_embeddings"),
        ("num_local_experts", "8", "differ"), ("eos_token_id", "96", "eos_token_id"), ("norm_topk_prob", "1", "true"),
        ("quantization_config", "{\"quant_method\": \"gptq\"}", "quant_method"),
        ("quantization_config", "{\"quant_method\": \"fp8\", \"weight_block_size\": [64, 64]}", "[64, 64]"),
    ])
    func refuses(_ key: String, _ value: String, _ mention: String) throws {
        let text = complaint { _ = try configuration([key: value]) }
        #expect(text.contains(mention), "\(text)")
        #expect(text.contains("config.json"), "\(text)")
    }

    @Test(
        "Values count, not their spelling",
        arguments: [
            ["hidden_size": "200.0"], ["hidden_size": "2e2"], ["n_routed_experts": "16", "num_local_experts": "16.0"],
            ["moe_layer_freq": "1.0"], ["routed_scaling_factor": "25e-1"], ["eos_token_id": "[1.0]"],
            ["unknown": "[Infinity, -Infinity, NaN]"], ["rope_parameters": "null"],
            [
                "quantization_config": """
                {"quant_method": "fp8", "fmt": "e4m3", "weight_block_size": [128.0, 1.28e2], "scale_fmt": "ue8m0", \
                "activation_scheme": "dynamic"}
                """
            ],
        ])
    func spellings(_ changes: [String: String]) throws {
        let plain: [String: String?] = changes["eos_token_id"] == nil ? [:] : ["eos_token_id": "1"]
        #expect(try configuration(changes.mapValues(Optional.some)) == configuration(plain))
    }

    @Test("Rope may be told twice, under old and new names, as long as it is the same")
    func ropeTwice() throws {
        let scaling = #"{"type": "yarn", "factor": 8.0, "original_max_position_embeddings": 64}"#
        func twice(_ parameters: String, theta: String = "10000") throws -> RopeConfiguration {
            try configuration(["rope_scaling": scaling, "rope_theta": theta, "rope_parameters": parameters]).rope
        }
        let same = #"{"rope_type": "yarn", "factor": 8, "original_max_position_embeddings": 64.0, "rope_theta": 1e4}"#
        let expected = try configuration(["rope_scaling": scaling, "rope_theta": "10000"]).rope
        #expect(try twice(same) == expected)
        #expect(try twice(same.replacing("\"rope_type\"", with: "\"type\": \"yarn\", \"rope_type\"")) == expected)
        #expect(complaint { _ = try twice(same, theta: "20000.0") }.contains("rope_theta"))
        #expect(complaint { _ = try twice(same.replacing("8", with: "9")) }.contains("differ in `factor`"))
        let other = same.replacing("{", with: "{\"type\": \"default\", ")
        #expect(complaint { _ = try twice(other) }.contains("`type` and `rope_type`"))
    }

    @Test("A byte-order mark and a key repeated with the same value are fine")
    func markAndRepetition() throws {
        var members = TinyModel.configuration(TinyGeometry()).map { "\"\($0.key)\": \($0.value)" }
        members += ["\"hidden_size\": 200.0"]
        let text = "\u{FEFF}{\(members.joined(separator: ", "))}"
        let same = try ModelConfiguration(json: Array(text.utf8), file: "config.json")
        #expect(try same == configuration())
    }

    @Test("Infinity is no value of a key that needs a number")
    func infinity() {
        let text = complaint { _ = try configuration(["routed_scaling_factor": "Infinity"]) }
        #expect(text.contains("`routed_scaling_factor`") && text.contains("found Infinity"), "\(text)")
    }

    @Test(arguments: ["model_type", "hidden_size", "q_lora_rank", "n_shared_experts", "n_group", "rope_theta"])
    func requires(_ key: String) throws {
        let text = complaint { _ = try configuration([key: nil]) }
        #expect(text.contains(key), "\(text)")
    }

    @Test(arguments: [
        "", "[]", "{", "{\"a\": 1,}", "{\"a\": 1, \"a\": 2}", "{\"a\": 01}", "{\"a\": NaN}", "{} x",
        "{\"a\": \"\u{1}\"}",
        "{\"a\": \"\\ud800\"}", String(repeating: "[", count: 3_000),
        "{\"a\": " + String(repeating: "{\"a\":", count: 50),
    ])
    func refusesBadJSON(_ text: String) throws {
        let message = complaint { _ = try ModelConfiguration(json: Array(text.utf8), file: "config.json") }
        #expect(message.contains("config.json"), "\(message)")
    }

    @Test func countsFurtherProblems() throws {
        let text = complaint {
            _ = try configuration(["hidden_size": "0", "vocab_size": "0", "n_routed_experts": "0"])
        }
        #expect(text.contains("2 more problems"), "\(text)")
    }
}

@Suite struct RopeTests {
    private static let published = """
        {"type": "yarn", "factor": 40, "original_max_position_embeddings": 4096, "beta_fast": 32, "beta_slow": 1, \
        "mscale": 1.0, "mscale_all_dim": 1.0}
        """

    private func published(_ scaling: String = RopeTests.published) throws -> ModelConfiguration {
        try configuration(["qk_rope_head_dim": "64", "qk_nope_head_dim": "128", "rope_scaling": scaling])
    }

    @Test func frequenciesOfThePublishedModel() throws {
        let expected: [Double] = [
            1, 0.749894209, 0.562341325, 0.421696503, 0.316227766, 0.237137371, 0.177827941, 0.133352143, 0.1,
            0.0749894209, 0.0562341325, 0.0390069266, 0.0268793601, 0.0183781462, 0.0124479559, 0.00833450895, 0.0055,
            0.00356199749, 0.0022493653, 0.00137051364, 0.000790569415, 0.000414990398, 0.000177827941, 3.33380358e-5,
            2.5e-5, 1.87473552e-5, 1.40585331e-5, 1.05424126e-5, 7.90569415e-6, 5.92843426e-6, 4.44569853e-6,
            3.33380358e-6,
        ]
        let found = try published().inverseFrequencies
        #expect(found.count == expected.count)
        for (one, other) in zip(found, expected) { #expect(abs(one - other) <= 2e-7 * other, "\(one) \(other)") }
    }

    @Test func scaleOfThePublishedModel() throws {
        let model = try published()
        #expect(abs(model.attentionScale - 0.1352337789) < 1e-8)
        #expect(model.rotationMagnitude == 1)
        let lite = try published(RopeTests.published.replacing("1.0", with: "0.707"))
        #expect(abs(lite.attentionScale - 0.1147213868) < 1e-8)
        #expect(lite.rotationMagnitude == 1)
    }

    @Test func withoutMscaleAllDimTheRotationCarriesTheMagnitude() throws {
        let model = try published(RopeTests.published.replacing(", \"mscale_all_dim\": 1.0", with: ""))
        #expect(abs(model.rotationMagnitude - 1.3688879) < 1e-6)
        #expect(abs(model.attentionScale - 1 / Float(192).squareRoot()) < 1e-8)
    }

    @Test func plainRotation() throws {
        let model = try published("null")
        #expect(model.rotationMagnitude == 1)
        #expect(abs(model.attentionScale - 1 / Float(192).squareRoot()) < 1e-8)
        #expect(abs(model.inverseFrequencies[31] - 0.000133352143) < 1e-10)
    }
}
