/// What config.json says for published models, as far as this program reads it: spelling, keys and numbers are theirs.
enum PublishedConfiguration {
    /// The largest checkpoints of one family share most keys.
    private static let deepSeekV3Keys = """
        "attention_bias": false, "attention_dropout": 0.0, "bos_token_id": 0, "eos_token_id": 1, "ep_size": 1,
        "first_k_dense_replace": 3, "hidden_act": "silu", "hidden_size": 7168, "initializer_range": 0.02,
        "intermediate_size": 18432, "kv_lora_rank": 512, "max_position_embeddings": 163840,
        "moe_intermediate_size": 2048, "moe_layer_freq": 1, "n_group": 8, "n_routed_experts": 256,
        "n_shared_experts": 1, "norm_topk_prob": true, "num_attention_heads": 128, "num_experts_per_tok": 8,
        "num_hidden_layers": 61, "num_key_value_heads": 128, "num_nextn_predict_layers": 1, "q_lora_rank": 1536,
        "qk_nope_head_dim": 128, "qk_rope_head_dim": 64, "rms_norm_eps": 1e-06,
        "rope_scaling": {"beta_fast": 32, "beta_slow": 1, "factor": 40, "mscale": 1.0, "mscale_all_dim": 1.0,
                         "original_max_position_embeddings": 4096, "type": "yarn"},
        "rope_theta": 10000, "routed_scaling_factor": 2.5, "scoring_func": "sigmoid", "tie_word_embeddings": false,
        "topk_group": 4, "topk_method": "noaux_tc", "torch_dtype": "bfloat16", "use_cache": true, "v_head_dim": 128,
        "vocab_size": 129280,
        "quantization_config": {"activation_scheme": "dynamic", "fmt": "e4m3", "quant_method": "fp8",
                                "weight_block_size": [128, 128]}
        """

    static let deepSeekV3 = """
        {"architectures": ["DeepseekV3ForCausalLM"], "model_type": "deepseek_v3", \(deepSeekV3Keys)}
        """

    static let deepSeekV32 = """
        {"architectures": ["DeepseekV32ForCausalLM"], "model_type": "deepseek_v32", "index_head_dim": 128,
         "index_n_heads": 64, "index_topk": 2048, \(deepSeekV3Keys)}
        """

    static let joyAIFlash = """
        {"architectures": ["DeepseekV3ForCausalLM"], "model_type": "joyai_llm_flash", "attention_bias": false,
         "bos_token_id": 0, "eos_token_id": 1, "first_k_dense_replace": 1, "hidden_act": "silu", "hidden_size": 2048,
         "intermediate_size": 7168, "kv_lora_rank": 512, "max_position_embeddings": 131072,
         "moe_intermediate_size": 768, "moe_layer_freq": 1, "n_group": 1, "n_routed_experts": 256,
         "n_shared_experts": 1, "norm_topk_prob": true, "num_attention_heads": 32, "num_experts_per_tok": 8,
         "num_hidden_layers": 40, "num_key_value_heads": 32, "num_nextn_predict_layers": 1, "q_lora_rank": 1536,
         "qk_nope_head_dim": 128, "qk_rope_head_dim": 64, "rms_norm_eps": 1e-06, "rope_scaling": null,
         "rope_theta": 32000000, "routed_scaling_factor": 2.5, "scoring_func": "sigmoid",
         "tie_word_embeddings": false, "topk_group": 1, "topk_method": "noaux_tc", "v_head_dim": 128,
         "vocab_size": 129280}
        """

    /// The numbers of groups, dense layers and rotation have not been seen; they are those that fit the published size.
    static let gigaChat3 = """
        {"architectures": ["DeepseekV3ForCausalLM"], "model_type": "deepseek_v3", "attention_bias": false,
         "bos_token_id": 1, "eos_token_id": 2, "first_k_dense_replace": 1, "hidden_act": "silu", "hidden_size": 1536,
         "intermediate_size": 8960, "kv_lora_rank": 512, "max_position_embeddings": 262144,
         "moe_intermediate_size": 1280, "moe_layer_freq": 1, "n_group": 1, "n_routed_experts": 64,
         "n_shared_experts": 1, "norm_topk_prob": true, "num_attention_heads": 32, "num_experts_per_tok": 4,
         "num_hidden_layers": 26, "num_key_value_heads": 32, "num_nextn_predict_layers": 1, "q_lora_rank": null,
         "qk_nope_head_dim": 128, "qk_rope_head_dim": 64, "rms_norm_eps": 1e-06, "rope_scaling": null,
         "rope_theta": 100000, "routed_scaling_factor": 2.5, "scoring_func": "sigmoid", "tie_word_embeddings": false,
         "topk_group": 1, "topk_method": "noaux_tc", "v_head_dim": 192, "vocab_size": 128256,
         "quantization_config": {"activation_scheme": "dynamic", "fmt": "e4m3", "quant_method": "fp8",
                                 "weight_block_size": [128, 128]}}
        """

    static let moonlight = """
        {"architectures": ["DeepseekV3ForCausalLM"], "model_type": "deepseek_v3", "attention_bias": false,
         "bos_token_id": 163584, "eos_token_id": 163585, "first_k_dense_replace": 1, "hidden_act": "silu",
         "hidden_size": 2048, "intermediate_size": 11264, "kv_lora_rank": 512, "max_position_embeddings": 8192,
         "moe_intermediate_size": 1408, "moe_layer_freq": 1, "n_group": 1, "n_routed_experts": 64,
         "n_shared_experts": 2, "norm_topk_prob": true, "num_attention_heads": 16, "num_experts_per_tok": 6,
         "num_hidden_layers": 27, "num_key_value_heads": 16, "num_nextn_predict_layers": 0, "q_lora_rank": null,
         "qk_nope_head_dim": 128, "qk_rope_head_dim": 64, "rms_norm_eps": 1e-05, "rope_scaling": null,
         "rope_theta": 50000.0, "routed_scaling_factor": 2.446, "scoring_func": "sigmoid",
         "tie_word_embeddings": false, "topk_group": 1, "topk_method": "noaux_tc", "v_head_dim": 128,
         "vocab_size": 163840}
        """

    /// Without the braces, since newer files have it under a key.
    private static let kimiKeys = """
        "attention_bias": false, "bos_token_id": 163584, "eos_token_id": 163585, "first_k_dense_replace": 1,
        "hidden_act": "silu", "hidden_size": 7168, "intermediate_size": 18432, "kv_lora_rank": 512,
        "moe_intermediate_size": 2048, "moe_layer_freq": 1, "n_group": 1, "n_routed_experts": 384,
        "n_shared_experts": 1, "norm_topk_prob": true, "num_attention_heads": 64, "num_experts_per_tok": 8,
        "num_hidden_layers": 61, "num_key_value_heads": 64, "num_nextn_predict_layers": 0, "q_lora_rank": 1536,
        "qk_nope_head_dim": 128, "qk_rope_head_dim": 64, "rope_theta": 50000.0, "routed_scaling_factor": 2.827,
        "scoring_func": "sigmoid", "tie_word_embeddings": false, "topk_group": 1, "topk_method": "noaux_tc",
        "v_head_dim": 128, "vocab_size": 163840, "architectures": ["DeepseekV3ForCausalLM"]
        """

    static let kimiK2 = """
        {"model_type": "kimi_k2", \(kimiKeys), "max_position_embeddings": 131072, "rms_norm_eps": 1e-06,
         "rope_scaling": {"beta_fast": 1.0, "beta_slow": 1.0, "factor": 32.0, "mscale": 1.0, "mscale_all_dim": 1.0,
                          "original_max_position_embeddings": 4096, "type": "yarn"},
         "quantization_config": {"activation_scheme": "dynamic", "fmt": "e4m3", "quant_method": "fp8",
                                 "weight_block_size": [128, 128]}}
        """

    /// What lies under `text_config`, without the braces and without the quantisation.
    static let kimiK25Text = """
        "model_type": "kimi_k2", \(kimiKeys), "max_position_embeddings": 262144, "rms_norm_eps": 1e-05,
         "rope_scaling": {"beta_fast": 32.0, "beta_slow": 1.0, "factor": 64.0, "mscale": 1.0, "mscale_all_dim": 1.0,
                          "original_max_position_embeddings": 4096, "type": "yarn"}
        """

    static let kimiK25 = """
        {"architectures": ["KimiK25ForConditionalGeneration"], "model_type": "kimi_k25", "bos_token_id": 163584,
         "eos_token_id": 163585, "tie_word_embeddings": false, "media_placeholder_token_id": 163605,
         "text_config": {\(kimiK25Text)}, "vision_config": {"model_type": "kimi_k25_vision", "hidden_size": 1152}}
        """

    /// Without the braces.
    private static let glmKeys = """
        "attention_bias": false, "attention_dropout": 0.0, "eos_token_id": [154820, 154827, 154829], "head_dim": 64,
        "hidden_act": "silu", "kv_lora_rank": 512, "n_group": 1, "n_shared_experts": 1, "norm_topk_prob": true,
        "num_nextn_predict_layers": 1, "pad_token_id": 154820, "partial_rotary_factor": 1.0, "qk_nope_head_dim": 192,
        "qk_rope_head_dim": 64, "rms_norm_eps": 1e-05, "rope_scaling": null, "tie_word_embeddings": false,
        "topk_group": 1, "topk_method": "noaux_tc", "v_head_dim": 256, "vocab_size": 154880, "dtype": "bfloat16",
        "max_position_embeddings": 202752
        """

    static let glmFlash = """
        {"architectures": ["Glm4MoeLiteForCausalLM"], "model_type": "glm4_moe_lite", \(glmKeys),
         "first_k_dense_replace": 1, "hidden_size": 2048, "intermediate_size": 10240, "moe_intermediate_size": 1536,
         "n_routed_experts": 64, "num_attention_heads": 20, "num_experts_per_tok": 4, "num_hidden_layers": 47,
         "num_key_value_heads": 20, "q_lora_rank": 768, "rope_theta": 1000000, "routed_scaling_factor": 1.8}
        """

    /// As transformers 5 writes it: kinds of layers and parameters of the rotation in place of older keys.
    static let glmFlashOf5 = """
        {"architectures": ["Glm4MoeLiteForCausalLM"], "model_type": "glm4_moe_lite", "attention_bias": false,
         "attention_dropout": 0.0, "bos_token_id": null, "dtype": "bfloat16",
         "eos_token_id": [154820, 154827, 154829], "hidden_act": "silu", "hidden_size": 2048,
         "initializer_range": 0.02, "intermediate_size": 10240, "kv_lora_rank": 512,
         "max_position_embeddings": 202752, "mlp_layer_types": \(kinds(dense: 1, of: 47)),
         "moe_intermediate_size": 1536, "n_group": 1, "n_routed_experts": 64, "n_shared_experts": 1,
         "norm_topk_prob": true, "num_attention_heads": 20, "num_experts_per_tok": 4, "num_hidden_layers": 47,
         "num_key_value_heads": 20, "num_nextn_predict_layers": 1, "output_router_logits": false,
         "pad_token_id": 154820, "pretraining_tp": 1, "q_lora_rank": 768, "qk_head_dim": 256,
         "qk_nope_head_dim": 192, "qk_rope_head_dim": 64, "rms_norm_eps": 1e-05, "rope_interleave": true,
         "rope_parameters": {"partial_rotary_factor": 1.0, "rope_theta": 1000000, "rope_type": "default"},
         "routed_scaling_factor": 1.8, "tie_word_embeddings": false, "topk_group": 1, "topk_method": "noaux_tc",
         "transformers_version": "5.23.0", "use_cache": true, "v_head_dim": 256, "vocab_size": 154880}
        """

    static let glm5 = """
        {"architectures": ["GlmMoeDsaForCausalLM"], "model_type": "glm_moe_dsa", \(glmKeys),
         "first_k_dense_replace": 3, "hidden_size": 6144, "index_head_dim": 128, "index_n_heads": 32,
         "index_topk": 2048, "indexer_rope_interleave": true, "intermediate_size": 12288,
         "moe_intermediate_size": 2048, "n_routed_experts": 256, "num_attention_heads": 64, "num_experts_per_tok": 8,
         "num_hidden_layers": 78, "num_key_value_heads": 64, "q_lora_rank": 2048, "rope_theta": 1000000,
         "routed_scaling_factor": 2.5, "scoring_func": "sigmoid"}
        """

    /// Without the braces.
    private static let deepSeekV2Keys = """
        "architectures": ["DeepseekV2ForCausalLM"], "model_type": "deepseek_v2", "attention_bias": false,
        "aux_loss_alpha": 0.001, "bos_token_id": 100000, "eos_token_id": 100001, "first_k_dense_replace": 1,
        "hidden_act": "silu", "kv_lora_rank": 512, "max_position_embeddings": 163840, "moe_layer_freq": 1,
        "n_shared_experts": 2, "norm_topk_prob": false, "num_experts_per_tok": 6, "qk_nope_head_dim": 128,
        "qk_rope_head_dim": 64, "rms_norm_eps": 1e-06,
        "rope_scaling": {"beta_fast": 32, "beta_slow": 1, "factor": 40, "mscale": 0.707, "mscale_all_dim": 0.707,
                         "original_max_position_embeddings": 4096, "type": "yarn"},
        "rope_theta": 10000, "scoring_func": "softmax", "seq_aux": true, "tie_word_embeddings": false,
        "torch_dtype": "bfloat16", "v_head_dim": 128, "vocab_size": 102400
        """

    static let deepSeekV2 = """
        {\(deepSeekV2Keys), "hidden_size": 5120, "intermediate_size": 12288, "moe_intermediate_size": 1536,
         "n_group": 8, "n_routed_experts": 160, "num_attention_heads": 128, "num_hidden_layers": 60,
         "num_key_value_heads": 128, "q_lora_rank": 1536, "routed_scaling_factor": 16.0, "topk_group": 3,
         "topk_method": "group_limited_greedy"}
        """

    static let deepSeekV2Lite = """
        {\(deepSeekV2Keys), "hidden_size": 2048, "intermediate_size": 10944, "moe_intermediate_size": 1408,
         "n_group": 1, "n_routed_experts": 64, "num_attention_heads": 16, "num_hidden_layers": 27,
         "num_key_value_heads": 16, "q_lora_rank": null, "routed_scaling_factor": 1.0, "topk_group": 1,
         "topk_method": "greedy"}
        """

    /// The list of `mlp_layer_types`.
    static func kinds(dense: Int, of count: Int) -> String {
        let kinds = (0..<count).map { $0 < dense ? "\"dense\"" : "\"sparse\"" }
        return "[\(kinds.joined(separator: ", "))]"
    }
}
