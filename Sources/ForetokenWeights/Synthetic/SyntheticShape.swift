/// The dimensions of a model that is to be measured without its weights.
public struct SyntheticShape: Sendable {
    /// What reports call it.
    public let name: String
    /// The whole model, of which only some layers will be made.
    public let whole: ModelConfiguration

    /// The shapes known by name.
    public static let names = ["deepseek-v3", "v3-lite"]

    /// A shape known by name.
    /// - Throws: `CheckpointError` of kind `missingPath` for other names.
    public init(named name: String) throws {
        let json: String
        switch name {
        case "deepseek-v3": json = Self.deepSeekV3
        case "v3-lite": json = Self.v3Lite
        default:
            throw CheckpointError(
                "there is no shape '\(shown(name))'",
                expected: "\(Self.names.joined(separator: ", ")), or the path of a config.json", kind: .missingPath)
        }
        try self.init(name: name, json: Array(json.utf8), file: name)
    }

    /// The shape that a config.json describes.
    /// - Parameters:
    ///   - name: what reports are to call it.
    ///   - json: the file's bytes.
    ///   - file: its name, for messages.
    /// - Throws: `CheckpointError` as `ModelConfiguration` does.
    public init(name: String, json: [UInt8], file: String) throws {
        self.name = name
        whole = try ModelConfiguration(json: json, file: file)
    }

    /// The configuration of a model with so many MoE layers, at most one dense layer before them, and at most one MTP
    /// module behind them. Everything else is the whole model's.
    public func part(moeLayers: Int, mtp: Bool) -> ModelConfiguration {
        var part = whole
        part.denseLayerCount = min(1, whole.denseLayerCount)
        part.layerCount = part.denseLayerCount + moeLayers
        part.mtpModuleCount = mtp ? min(1, whole.mtpModuleCount) : 0
        return part
    }

    /// Standard deviation of the logits of a made model's routers.
    package var routerLogitDeviation: Double { SyntheticTensors.logitDeviation(whole) }

    // MARK: Published dimensions

    private static let deepSeekV3 = """
        {"model_type": "deepseek_v3", "vocab_size": 129280, "hidden_size": 7168, "intermediate_size": 18432,
         "moe_intermediate_size": 2048, "num_hidden_layers": 61, "num_nextn_predict_layers": 1,
         "first_k_dense_replace": 3, "n_routed_experts": 256, "n_shared_experts": 1, "num_experts_per_tok": 8,
         "n_group": 8, "topk_group": 4, "norm_topk_prob": true, "routed_scaling_factor": 2.5, "q_lora_rank": 1536,
         "kv_lora_rank": 512, "qk_nope_head_dim": 128, "qk_rope_head_dim": 64, "v_head_dim": 128,
         "num_attention_heads": 128, "rms_norm_eps": 1e-6, "max_position_embeddings": 163840, "rope_theta": 10000,
         "rope_scaling": {"type": "yarn", "factor": 40, "original_max_position_embeddings": 4096, "beta_fast": 32,
                          "beta_slow": 1, "mscale": 1.0, "mscale_all_dim": 1.0}}
        """

    private static let v3Lite = """
        {"model_type": "deepseek_v3", "vocab_size": 102400, "hidden_size": 2048, "intermediate_size": 10944,
         "moe_intermediate_size": 1408, "num_hidden_layers": 27, "num_nextn_predict_layers": 1,
         "first_k_dense_replace": 1, "n_routed_experts": 64, "n_shared_experts": 2, "num_experts_per_tok": 6,
         "n_group": 1, "topk_group": 1, "norm_topk_prob": true, "routed_scaling_factor": 2.5, "q_lora_rank": null,
         "kv_lora_rank": 512, "qk_nope_head_dim": 128, "qk_rope_head_dim": 64, "v_head_dim": 128,
         "num_attention_heads": 16, "rms_norm_eps": 1e-6, "max_position_embeddings": 163840, "rope_theta": 10000}
        """
}
