/// A published model by its dimensions, in the spelling of its config.json.
///
/// What is quantised follows from `quantization_config`, as in a checkpoint; without one weights are BF16, but for the experts
/// where `files` says so.
struct PublishedShape: Sendable {
    /// What the command line calls it.
    let name: String
    /// What its makers call it.
    let title: String
    /// config.json, without keys that say nothing about shape.
    let configuration: String
    /// How the published files keep their weights.
    var files = PublishedFiles.asConfigured
    /// Whether each MTP module in the published files has copies of embedding and lm_head, which count on disk alone.
    var repeatsTables = false
    /// What is not known of the model or not made of it, as sentences without a full stop.
    var remarks: [String] = []
}

/// How a model's published files keep its weights.
package enum PublishedFiles: Sendable {
    /// FP8 where `quantization_config` says so, or BF16.
    case asConfigured
    /// Routed experts in 4 bits with a BF16 scale for 32 columns (compressed-tensors, `pack-quantized`), everything else BF16.
    case expertsInt4
}

extension PublishedShape {
    /// All that are known, families together, smaller ones first.
    static let all = deepSeek + glm + others + kimi

    private static let fp8 = """
        "quantization_config": {"quant_method": "fp8", "fmt": "e4m3", "weight_block_size": [128, 128]}
        """

    private static func yarn(_ factor: Int, betaFast: Int = 32, mscale: Double = 1) -> String {
        """
        "rope_scaling": {"type": "yarn", "factor": \(factor), "original_max_position_embeddings": 4096,
        "beta_fast": \(betaFast), "beta_slow": 1, "mscale": \(mscale), "mscale_all_dim": \(mscale)}
        """
    }

    /// Keys of sparse attention.
    private static func sparse(heads: Int) -> String {
        "\"index_n_heads\": \(heads), \"index_head_dim\": 128, \"index_topk\": 2048"
    }

    // MARK: DeepSeek

    private static let deepSeek: [PublishedShape] = [
        PublishedShape(
            name: "deepseek-v2-lite", title: "DeepSeek-V2-Lite, Coder-V2-Lite",
            configuration: """
                {"model_type": "deepseek_v2", "architectures": ["DeepseekV2ForCausalLM"], "vocab_size": 102400,
                 "hidden_size": 2048, "intermediate_size": 10944, "moe_intermediate_size": 1408,
                 "num_hidden_layers": 27, "first_k_dense_replace": 1, "n_routed_experts": 64, "n_shared_experts": 2,
                 "num_experts_per_tok": 6, "n_group": 1, "topk_group": 1, "topk_method": "greedy",
                 "scoring_func": "softmax", "norm_topk_prob": false, "routed_scaling_factor": 1.0,
                 "num_attention_heads": 16, "q_lora_rank": null, "kv_lora_rank": 512, "qk_nope_head_dim": 128,
                 "qk_rope_head_dim": 64, "v_head_dim": 128, "rms_norm_eps": 1e-6,
                 "max_position_embeddings": 163840, "rope_theta": 10000, \(yarn(40, mscale: 0.707))}
                """),
        PublishedShape(
            name: "deepseek-v2", title: "DeepSeek-V2, V2.5, Coder-V2",
            configuration: """
                {"model_type": "deepseek_v2", "architectures": ["DeepseekV2ForCausalLM"], "vocab_size": 102400,
                 "hidden_size": 5120, "intermediate_size": 12288, "moe_intermediate_size": 1536,
                 "num_hidden_layers": 60, "first_k_dense_replace": 1, "n_routed_experts": 160, "n_shared_experts": 2,
                 "num_experts_per_tok": 6, "n_group": 8, "topk_group": 3, "topk_method": "group_limited_greedy",
                 "scoring_func": "softmax", "norm_topk_prob": false, "routed_scaling_factor": 16.0,
                 "num_attention_heads": 128, "q_lora_rank": 1536, "kv_lora_rank": 512, "qk_nope_head_dim": 128,
                 "qk_rope_head_dim": 64, "v_head_dim": 128, "rms_norm_eps": 1e-6,
                 "max_position_embeddings": 163840, "rope_theta": 10000, \(yarn(40, mscale: 0.707))}
                """),
        PublishedShape(
            name: "deepseek-v3", title: "DeepSeek-V3, V3.1, R1",
            configuration: deepSeekV3("deepseek_v3", "DeepseekV3ForCausalLM", fp8), repeatsTables: true),
        PublishedShape(
            name: "deepseek-v3.2", title: "DeepSeek-V3.2, V3.2-Exp",
            configuration: deepSeekV3("deepseek_v32", "DeepseekV32ForCausalLM", "\(sparse(heads: 64)), \(fp8)"),
            repeatsTables: true),
    ]

    private static func deepSeekV3(_ type: String, _ architecture: String, _ more: String) -> String {
        """
        {"model_type": "\(type)", "architectures": ["\(architecture)"], "vocab_size": 129280,
         "hidden_size": 7168, "intermediate_size": 18432, "moe_intermediate_size": 2048, "num_hidden_layers": 61,
         "num_nextn_predict_layers": 1, "first_k_dense_replace": 3, "n_routed_experts": 256, "n_shared_experts": 1,
         "num_experts_per_tok": 8, "n_group": 8, "topk_group": 4, "topk_method": "noaux_tc",
         "scoring_func": "sigmoid", "norm_topk_prob": true, "routed_scaling_factor": 2.5,
         "num_attention_heads": 128, "q_lora_rank": 1536, "kv_lora_rank": 512, "qk_nope_head_dim": 128,
         "qk_rope_head_dim": 64, "v_head_dim": 128, "rms_norm_eps": 1e-6, "max_position_embeddings": 163840,
         "rope_theta": 10000, \(yarn(40)), \(more)}
        """
    }

    // MARK: GLM

    private static let glm: [PublishedShape] = [
        PublishedShape(
            name: "glm-4.7-flash", title: "GLM-4.7-Flash",
            configuration: """
                {"model_type": "glm4_moe_lite", "architectures": ["Glm4MoeLiteForCausalLM"], "vocab_size": 154880,
                 "hidden_size": 2048, "intermediate_size": 10240, "moe_intermediate_size": 1536,
                 "num_hidden_layers": 47, "num_nextn_predict_layers": 1, "first_k_dense_replace": 1,
                 "n_routed_experts": 64, "n_shared_experts": 1, "num_experts_per_tok": 4, "n_group": 1,
                 "topk_group": 1, "topk_method": "noaux_tc", "norm_topk_prob": true, "routed_scaling_factor": 1.8,
                 "num_attention_heads": 20, "q_lora_rank": 768, "kv_lora_rank": 512, "qk_nope_head_dim": 192,
                 "qk_rope_head_dim": 64, "v_head_dim": 256, "partial_rotary_factor": 1.0, "rms_norm_eps": 1e-5,
                 "max_position_embeddings": 202752, "rope_theta": 1000000, "rope_scaling": null}
                """, repeatsTables: true),
        PublishedShape(
            name: "glm-5", title: "GLM-5, 5.1", configuration: glm5(theta: 1_000_000, positions: 202_752, fp8),
            remarks: ["the base of its rotation, 1,000,000, is not certain"]),
        PublishedShape(
            name: "glm-5.2", title: "GLM-5.2, 5.3",
            configuration: glm5(
                theta: 8_000_000, positions: 1_048_576,
                "\"index_topk_freq\": 4, \"index_skip_topk_offset\": 3, \(fp8)"),
            remarks: [
                "three layers in four have no indexer of their own; with fewer than --layers 4 they are projected as if they "
                    + "had one"
            ]),
    ]

    private static func glm5(theta: Int, positions: Int, _ more: String) -> String {
        """
        {"model_type": "glm_moe_dsa", "architectures": ["GlmMoeDsaForCausalLM"], "vocab_size": 154880, "hidden_size": 6144, "intermediate_size": 12288,
         "moe_intermediate_size": 2048, "num_hidden_layers": 78, "num_nextn_predict_layers": 1,
         "first_k_dense_replace": 3, "n_routed_experts": 256, "n_shared_experts": 1, "num_experts_per_tok": 8,
         "n_group": 1, "topk_group": 1, "topk_method": "noaux_tc", "scoring_func": "sigmoid",
         "norm_topk_prob": true, "routed_scaling_factor": 2.5, "num_attention_heads": 64, "q_lora_rank": 2048,
         "kv_lora_rank": 512, "qk_nope_head_dim": 192, "qk_rope_head_dim": 64, "v_head_dim": 256,
         "rms_norm_eps": 1e-5, "max_position_embeddings": \(positions), "rope_theta": \(theta),
         "rope_scaling": null, "indexer_rope_interleave": true, \(sparse(heads: 32)), \(more)}
        """
    }

    // MARK: GigaChat, JoyAI, Moonlight

    private static let others: [PublishedShape] = [
        // The dense layer's number and width fit the size of the published files; groups, scale and rotation are guesses.
        PublishedShape(
            name: "gigachat3-10b", title: "GigaChat3-10B-A1.8B",
            configuration: """
                {"model_type": "deepseek_v3", "architectures": ["DeepseekV3ForCausalLM"], "vocab_size": 128256,
                 "hidden_size": 1536, "intermediate_size": 8960, "moe_intermediate_size": 1280,
                 "num_hidden_layers": 26, "num_nextn_predict_layers": 1, "first_k_dense_replace": 1,
                 "n_routed_experts": 64, "n_shared_experts": 1, "num_experts_per_tok": 4, "n_group": 1,
                 "topk_group": 1, "topk_method": "noaux_tc", "scoring_func": "sigmoid", "norm_topk_prob": true,
                 "routed_scaling_factor": 1.0, "num_attention_heads": 32, "q_lora_rank": null, "kv_lora_rank": 512,
                 "qk_nope_head_dim": 128, "qk_rope_head_dim": 64, "v_head_dim": 192, "rms_norm_eps": 1e-6,
                 "max_position_embeddings": 262144, "rope_theta": 100000, \(fp8)}
                """,
            remarks: [
                "of its dense layers only the published size is known, which one of width 8,960 would fit; expert groups, "
                    + "routing scale and rotation are guesses, which change no time"
            ]),
        PublishedShape(
            name: "moonlight-16b", title: "Moonlight-16B-A3B",
            configuration: """
                {"model_type": "deepseek_v3", "architectures": ["DeepseekV3ForCausalLM"], "vocab_size": 163840,
                 "hidden_size": 2048, "intermediate_size": 11264, "moe_intermediate_size": 1408,
                 "num_hidden_layers": 27, "num_nextn_predict_layers": 0, "first_k_dense_replace": 1,
                 "n_routed_experts": 64, "n_shared_experts": 2, "num_experts_per_tok": 6, "n_group": 1,
                 "topk_group": 1, "topk_method": "noaux_tc", "scoring_func": "sigmoid", "norm_topk_prob": true,
                 "routed_scaling_factor": 2.446, "num_attention_heads": 16, "q_lora_rank": null,
                 "kv_lora_rank": 512, "qk_nope_head_dim": 128, "qk_rope_head_dim": 64, "v_head_dim": 128,
                 "rms_norm_eps": 1e-5, "max_position_embeddings": 8192, "rope_theta": 50000}
                """),
        PublishedShape(
            name: "joyai-flash", title: "JoyAI-LLM-Flash",
            configuration: """
                {"model_type": "joyai_llm_flash", "architectures": ["DeepseekV3ForCausalLM"], "vocab_size": 129280,
                 "hidden_size": 2048, "intermediate_size": 7168, "moe_intermediate_size": 768,
                 "num_hidden_layers": 40, "num_nextn_predict_layers": 1, "first_k_dense_replace": 1,
                 "n_routed_experts": 256, "n_shared_experts": 1, "num_experts_per_tok": 8, "n_group": 1,
                 "topk_group": 1, "topk_method": "noaux_tc", "scoring_func": "sigmoid", "norm_topk_prob": true,
                 "routed_scaling_factor": 2.5, "num_attention_heads": 32, "q_lora_rank": 1536, "kv_lora_rank": 512,
                 "qk_nope_head_dim": 128, "qk_rope_head_dim": 64, "v_head_dim": 128, "rms_norm_eps": 1e-6,
                 "max_position_embeddings": 131072, "rope_theta": 32000000, "rope_scaling": null, \(fp8)}
                """),
    ]

    // MARK: Kimi

    private static let kimi: [PublishedShape] = [
        PublishedShape(
            name: "kimi-k2", title: "Kimi-K2-Instruct",
            configuration: kimiK2(epsilon: "1e-6", positions: 131_072, "\(yarn(32, betaFast: 1)), \(fp8)")),
        PublishedShape(
            name: "kimi-k2-thinking", title: "Kimi-K2-Thinking, K2.5, K2.6",
            configuration: kimiK2(epsilon: "1e-5", positions: 262_144, yarn(64)), files: .expertsInt4),
    ]

    private static func kimiK2(epsilon: String, positions: Int, _ more: String) -> String {
        """
        {"model_type": "kimi_k2", "architectures": ["DeepseekV3ForCausalLM"], "vocab_size": 163840,
         "hidden_size": 7168, "intermediate_size": 18432, "moe_intermediate_size": 2048, "num_hidden_layers": 61,
         "num_nextn_predict_layers": 0, "first_k_dense_replace": 1, "n_routed_experts": 384,
         "n_shared_experts": 1, "num_experts_per_tok": 8, "n_group": 1, "topk_group": 1,
         "topk_method": "noaux_tc", "scoring_func": "sigmoid", "norm_topk_prob": true,
         "routed_scaling_factor": 2.827, "num_attention_heads": 64, "q_lora_rank": 1536, "kv_lora_rank": 512,
         "qk_nope_head_dim": 128, "qk_rope_head_dim": 64, "v_head_dim": 128, "rms_norm_eps": \(epsilon),
         "max_position_embeddings": \(positions), "rope_theta": 50000, \(more)}
        """
    }
}
