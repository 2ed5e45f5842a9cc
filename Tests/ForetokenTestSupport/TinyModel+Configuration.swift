import ForetokenWeights

extension TinyModel {
    /// config.json of a geometry in the original spelling of its family.
    public static func configuration(_ shape: TinyGeometry) -> [String: String] {
        var keys = textKeys(shape)
        let family = shape.indexer?.family ?? shape.family
        keys["model_type"] = "\"\(family.modelTypes[0])\""
        keys["architectures"] = "[\"\(family.architectures[0])\"]"
        switch family {
        case .glmFlash:
            for key in ["scoring_func", "moe_layer_freq"] { keys[key] = nil }
            keys["head_dim"] = "\(shape.rope)"
            keys["partial_rotary_factor"] = "1.0"
        case .deepSeekV2:
            keys["scoring_func"] = "\"softmax\""
            keys["topk_method"] = shape.groups > 1 ? "\"group_limited_greedy\"" : "\"greedy\""
        default: break
        }
        guard let nested = family.nestedKey else { return keys }
        var inner = keys
        inner["model_type"] = "\"kimi_k2\""
        inner["architectures"] = "[\"DeepseekV3ForCausalLM\"]"
        let members = inner.sorted { $0.key < $1.key }.map { "\"\($0.key)\": \($0.value)" }.joined(separator: ", ")
        return [
            "model_type": keys["model_type"]!, "architectures": keys["architectures"]!, nested: "{\(members)}",
            "vision_config": "{\"model_type\": \"kimi_k25_vision\"}", "tie_word_embeddings": "true",
        ]
    }

    /// What all families share.
    private static func textKeys(_ shape: TinyGeometry) -> [String: String] {
        var keys = [
            "vocab_size": "\(shape.vocabulary)", "hidden_size": "\(shape.hidden)",
            "intermediate_size": "\(shape.intermediate)", "moe_intermediate_size": "\(shape.expertIntermediate)",
            "num_hidden_layers": "\(shape.layers)", "num_nextn_predict_layers": "\(shape.mtpModules)",
            "first_k_dense_replace": "\(shape.denseLayers)", "moe_layer_freq": "1",
            "n_routed_experts": "\(shape.experts)", "n_shared_experts": "\(shape.sharedExperts)",
            "num_experts_per_tok": "\(shape.expertsPerToken)", "n_group": "\(shape.groups)",
            "topk_group": "\(shape.keptGroups)", "scoring_func": "\"sigmoid\"", "topk_method": "\"noaux_tc\"",
            "norm_topk_prob": "\(shape.normalizesExpertWeights)", "routed_scaling_factor": "2.5",
            "q_lora_rank": shape.queryRank.map(String.init) ?? "null", "kv_lora_rank": "\(shape.latentRank)",
            "qk_nope_head_dim": "\(shape.nope)", "qk_rope_head_dim": "\(shape.rope)", "v_head_dim": "\(shape.value)",
            "num_attention_heads": "\(shape.heads)", "num_key_value_heads": "\(shape.heads)",
            "hidden_act": "\"silu\"", "rms_norm_eps": shape.epsilon, "max_position_embeddings": "\(shape.positions)",
            "rope_theta": "10000", "rope_scaling": "null", "attention_bias": "false", "attention_dropout": "0.0",
            "tie_word_embeddings": "\(shape.tiedHead)", "bos_token_id": "0", "eos_token_id": "1",
            "torch_dtype": "\"bfloat16\"",
        ]
        if shape.yarn {
            keys["rope_scaling"] = """
                {"type": "yarn", "factor": 8, "original_max_position_embeddings": 64, "beta_fast": 32, "beta_slow": 1, \
                "mscale": 1.0, "mscale_all_dim": 1.0}
                """
        }
        if let indexer = shape.indexer {
            keys["index_topk"] = "\(indexer.chosen)"
            keys["index_n_heads"] = "\(indexer.heads)"
            keys["index_head_dim"] = "\(indexer.width)"
            keys["index_topk_pattern"] = indexer.pattern.map { "\"\($0)\"" } ?? "null"
        }
        if shape.storage == .fp8 || shape.storage == .mixed {
            keys["quantization_config"] = """
                {"quant_method": "fp8", "fmt": "e4m3", "activation_scheme": "dynamic", "weight_block_size": [128, 128]}
                """
        }
        return keys
    }
}
