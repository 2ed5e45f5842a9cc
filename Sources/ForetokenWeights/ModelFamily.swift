import CForetokenKernels

/// How a router makes scores of its logits z, and which experts a row then goes to.
public enum RouterRule: Sendable, Equatable {
    /// DeepSeek-V3 (`noaux_tc`): s = sigmoid(z). Experts are chosen by s + bias, groups by the sum of their two best;
    /// other groups are masked with −∞. Weights are s, divided by their sum where the configuration says so.
    case sigmoid
    /// DeepSeek-V2 (`greedy`, `group_limited_greedy`): s = softmax(z) over all experts. Experts are chosen by s, groups by
    /// their best; other groups are masked with 0. Weights are s and never divided by their sum. There is no bias.
    case softmax

    /// The rule's number in the kernels.
    package var raw: Int32 { Int32((self == .sigmoid ? FORETOKEN_SIGMOID : FORETOKEN_SOFTMAX).rawValue) }
    /// Whether every router has an `e_score_correction_bias`.
    var hasBias: Bool { self == .sigmoid }
    /// The rule's name under `scoring_func`.
    var scoringFunction: String { self == .sigmoid ? "sigmoid" : "softmax" }
    /// The rule's names under `topk_method`.
    var methods: [String] { self == .sigmoid ? ["noaux_tc"] : ["greedy", "group_limited_greedy"] }
    /// Experts that a group needs, since so many of them say how good it is.
    var smallestGroup: Int { self == .sigmoid ? 2 : 1 }
}

/// Models whose files follow one convention: what config.json leaves unsaid or spells in its own way, and how tensors are
/// called. All share DeepSeek-V3's skeleton: multi-head latent attention, a few dense layers, then routed experts, and
/// perhaps MTP modules.
///
/// Every RMSNorm takes ε from `rms_norm_eps`, those of the query's and the key's latent (`q_a_layernorm`,
/// `kv_a_layernorm`) included, as vLLM, SGLang and llama.cpp do, which the models are served by. The classes of Hugging
/// Face transformers take 1e-6 for these two whatever the file says; it is another value for GLM and for some of Kimi.
public struct ModelFamily: Sendable, Equatable {
    /// What people call it.
    public let name: String
    /// Values of `model_type`.
    public let modelTypes: [String]
    /// Values of `architectures`, one of which must be among the file's, if it names any.
    package let architectures: [String]
    /// The rule of all routers, also where `scoring_func` is absent.
    public var routerRule = RouterRule.sigmoid
    /// The key of config.json under which the keys of the text model lie; nil where they lie at the top.
    package var nestedKey: String?
    /// Values of the nested object's `model_type`.
    var nestedTypes: [String] = []
    /// What the names of the text model's tensors begin with.
    var tensorPrefix = ""
    /// What the names of tensors begin with that belong to other parts of the model, which are not run.
    var otherParts: [String] = []
    /// Whether attention looks only at entries that an indexer chooses.
    var hasSparseAttention = false
    /// Whether an indexer rotates neighbouring elements together where config.json does not say.
    var hasInterleavedIndexer = false
    /// Whether the published MTP modules have a dense MLP. Where there are files, their tensors decide.
    var hasDenseModules = false

    /// A tensor's name in the files.
    package func name(_ tensor: String) -> String { tensorPrefix + tensor }

    /// The family of a `model_type`; nil for one that is not run.
    static func of(modelType: String) -> ModelFamily? { all.first { $0.modelTypes.contains(modelType) } }
}

extension ModelFamily {
    private static let deepSeekClasses = ["DeepseekV3ForCausalLM", "KimiK2ForCausalLM"]

    /// DeepSeek-V3, V3.1 and R1; GigaChat3 and Moonlight are published under the same type.
    public static let deepSeekV3 = ModelFamily(
        name: "DeepSeek-V3", modelTypes: ["deepseek_v3"], architectures: deepSeekClasses)

    /// DeepSeek-V3 but for the dense MTP module, which lies in a file that the index does not name.
    public static let joyAIFlash = ModelFamily(
        name: "JoyAI-LLM-Flash", modelTypes: ["joyai_llm_flash"], architectures: ["DeepseekV3ForCausalLM"],
        hasDenseModules: true)

    /// Kimi-K2, without MTP modules.
    public static let kimiK2 = ModelFamily(name: "Kimi-K2", modelTypes: ["kimi_k2"], architectures: deepSeekClasses)

    /// Kimi-K2.5 and K2.6: Kimi-K2 beside a vision tower, which is not run.
    public static let kimiK25 = ModelFamily(
        name: "Kimi-K2.5", modelTypes: ["kimi_k25"],
        architectures: ["KimiK25ForConditionalGeneration", "Kimi_K25ForConditionalGeneration"],
        nestedKey: "text_config", nestedTypes: ["kimi_k2", "deepseek_v3"], tensorPrefix: "language_model.",
        otherParts: ["vision_tower.", "mm_projector."])

    /// GLM-4.7-Flash. Its files have no `scoring_func`, and some have `mlp_layer_types` instead of
    /// `first_k_dense_replace`.
    public static let glmFlash = ModelFamily(
        name: "GLM-4.7-Flash", modelTypes: ["glm4_moe_lite"], architectures: ["Glm4MoeLiteForCausalLM"])

    /// DeepSeek-V2, V2.5 and their Lite and Coder versions, without MTP modules.
    public static let deepSeekV2 = ModelFamily(
        name: "DeepSeek-V2", modelTypes: ["deepseek_v2"], architectures: ["DeepseekV2ForCausalLM"],
        routerRule: .softmax)

    /// DeepSeek-V3.2 and V3.2-Exp: DeepSeek-V3 with sparse attention.
    public static let deepSeekV32 = ModelFamily(
        name: "DeepSeek-V3.2", modelTypes: ["deepseek_v32"], architectures: ["DeepseekV32ForCausalLM"],
        hasSparseAttention: true)

    /// GLM-5 and later: GLM-4.7-Flash at another size, with sparse attention.
    public static let glm5 = ModelFamily(
        name: "GLM-5", modelTypes: ["glm_moe_dsa"], architectures: ["GlmMoeDsaForCausalLM"], hasSparseAttention: true,
        hasInterleavedIndexer: true)

    /// All families that are run.
    public static let all = [
        deepSeekV3, joyAIFlash, kimiK2, kimiK25, glmFlash, deepSeekV2, deepSeekV32, glm5,
    ]
}

extension ModelFamily {
    /// Why a model is not run that shares tensors or keys with DeepSeek-V3 but computes something else, by `model_type`.
    static let refusals = [
        "axk1": "A.X-K1 has norms that DeepSeek-V3 does not have",
        "axk2": "A.X-K2 gates its attention and its norms",
        "bailing_hybrid": "Ling-3.0 mixes linear attention with latent attention",
        "deepseek_v4": "DeepSeek-V4 compresses keys and values otherwise and routes its first layers by hashes",
        "dots3_note": "dots3 gates its attention heads",
        "glm4_moe": "GLM-4.5 to 4.7 (not Flash) use grouped-query attention instead of a latent cache",
        "glm5_next": "GLM-5.3-Flash mixes linear attention with latent attention that has no rotation",
        "hy_v4": "Hunyuan-4 gates its attention and mixes several residual streams",
        "kimi_k3": "Kimi-K3 mixes linear attention with latent attention",
        "kimi_linear": "Kimi-Linear mixes linear attention with latent attention",
        "longcat_flash": "LongCat-Flash has two attentions a layer and experts that compute nothing",
        "mistral4": "Mistral-4 routes with a softmax whose groups count by their two best experts",
        "mistral_large4": "Mistral-Large-4 has another router and other draft modules",
        "sarvam_mla": "Sarvam has another variant of latent attention",
        "youtu": "Youtu-LLM has no routed experts",
    ]
}
