import ForetokenJSON

/// The shape of a DeepSeek-V3-family model, as its config.json gives it and as this program understands it.
public struct ModelConfiguration: Sendable, Equatable {
    /// `model_type`, one of the family's.
    public var modelType: String
    /// What the files of such models leave unsaid, and how they name tensors.
    public var family: ModelFamily
    /// Rows of the embedding and of lm_head; may exceed the tokenizer's ids.
    public var vocabularySize: Int
    /// Width of the residual stream.
    public var hiddenSize: Int
    /// Width of the dense layers' MLP.
    public var intermediateSize: Int
    /// Width of one routed expert.
    public var expertIntermediateSize: Int
    /// Main decoder layers; MTP modules are not counted.
    public var layerCount: Int
    /// MTP modules that the configuration announces; the weight files may hold fewer.
    public var mtpModuleCount: Int
    /// How many layers at the start have a dense MLP (`first_k_dense_replace`).
    public var denseLayerCount: Int
    /// Routed experts of one MoE layer.
    public var routedExpertCount: Int
    /// Shared experts; they form one MLP of width `sharedExpertCount · expertIntermediateSize`. May be 0.
    public var sharedExpertCount: Int
    /// Routed experts that one token uses.
    public var expertsPerToken: Int
    /// Groups that the router divides the experts into.
    public var expertGroupCount: Int
    /// Groups that one token may choose from.
    public var keptGroupCount: Int
    /// Whether the chosen experts' weights are divided by their sum.
    public var normalizesExpertWeights: Bool
    /// Factor of the routed sum, applied after normalisation.
    public var routedScalingFactor: Float
    /// Rank of the query down-projection; nil when queries come from a single matrix.
    public var queryRank: Int?
    /// Width of the cached latent (`kv_lora_rank`).
    public var latentRank: Int
    /// Unrotated part of a head's query and key.
    public var nopeDimension: Int
    /// Rotated part of a head's query and key, even.
    public var ropeDimension: Int
    /// Width of a head's value.
    public var valueDimension: Int
    /// Attention heads.
    public var headCount: Int
    /// ε of every RMSNorm (`rms_norm_eps`), those of the query's and the key's latent included.
    public var normEpsilon: Float
    /// Longest context, in tokens.
    public var maximumPositions: Int
    /// Rotary embedding.
    public var rope: RopeConfiguration
    /// Whether lm_head is the embedding.
    public var tiesEmbeddings: Bool
    /// Beginning-of-sequence token.
    public var bosToken: Int32?
    /// Tokens that end a sequence.
    public var eosTokens: [Int32]
    /// How some of the weights are quantised; nil where none is.
    public var quantization: QuantizationScheme?
    /// How attention chooses what it reads; nil where it reads the whole context.
    public var sparseAttention: SparseAttention?
    /// How the checkpoint was enlarged without changing what it computes (`foretoken_growth`, which only this program
    /// writes).
    public var growth: GrowthFactors

    static let growthKey = "foretoken_growth"

    /// Reads config.json in the original or the Hugging Face 5 spelling.
    /// - Parameters:
    ///   - json: the file's bytes.
    ///   - file: its name, for messages.
    /// - Throws: `CheckpointError` for the first of all problems found: bad JSON, a relative that this program does not
    ///   run, a missing key, a value out of range.
    public init(json: [UInt8], file: String) throws {
        let (configuration, problems) = ModelConfiguration.read(
            try ModelConfiguration.parse(json, file: file), file: file)
        try problems.throwFirst()
        self = configuration!
    }

    private init(_ reader: inout ConfigurationReader, modelType: String, family: ModelFamily) {
        let dimension = 1...Int(Int32.max)
        self.modelType = modelType
        self.family = family
        vocabularySize = reader.integer("vocab_size", in: dimension)
        hiddenSize = reader.integer("hidden_size", in: dimension)
        intermediateSize = reader.integer("intermediate_size", in: dimension)
        expertIntermediateSize = reader.integer("moe_intermediate_size", in: dimension)
        layerCount = reader.integer("num_hidden_layers", in: 1...10_000)
        mtpModuleCount = reader.integer("num_nextn_predict_layers", "num_mtp_layers", in: 0...1_000, default: 0)
        denseLayerCount = reader.denseLayers(of: layerCount)
        routedExpertCount = reader.integer("n_routed_experts", "num_local_experts", in: 1...65_536)
        sharedExpertCount = reader.integer("n_shared_experts", in: 0...1_024, null: 0)
        expertsPerToken = reader.integer("num_experts_per_tok", in: 1...routedExpertCount)
        expertGroupCount = reader.integer("n_group", in: 1...routedExpertCount, null: 1)
        // Of several groups the file must say how many are kept.
        keptGroupCount = reader.integer(
            "topk_group", in: 1...expertGroupCount, null: expertGroupCount == 1 ? 1 : nil)
        normalizesExpertWeights = reader.flag("norm_topk_prob", default: family.routerRule == .softmax ? false : nil)
        routedScalingFactor = Float(reader.number("routed_scaling_factor") { $0 > 0 })
        queryRank = reader.optionalInteger("q_lora_rank", in: dimension)
        latentRank = reader.integer("kv_lora_rank", in: dimension)
        nopeDimension = reader.integer("qk_nope_head_dim", in: dimension)
        ropeDimension = reader.integer("qk_rope_head_dim", in: dimension)
        valueDimension = reader.integer("v_head_dim", in: dimension)
        headCount = reader.integer("num_attention_heads", in: dimension)
        normEpsilon = Float(reader.number("rms_norm_eps") { $0 > 0 && $0 < 1 })
        maximumPositions = reader.integer("max_position_embeddings", in: dimension)
        rope = reader.rope()
        tiesEmbeddings = reader.flag("tie_word_embeddings", default: false)
        bosToken = reader.tokens("bos_token_id", below: vocabularySize).first
        eosTokens = reader.tokens("eos_token_id", below: vocabularySize)
        quantization = reader.quantization()
        sparseAttention = reader.sparseAttention(family, layers: layerCount, rope: ropeDimension)
        growth = reader.growth(ModelConfiguration.growthKey)
    }

    static func parse(_ json: [UInt8], file: String) throws -> JSONValue {
        do {
            return try JSONValue(json)
        } catch {
            throw CheckpointError(error, in: file)
        }
    }

    /// The configuration, when there is no problem, or all problems.
    static func read(_ json: JSONValue, file: String) -> (ModelConfiguration?, [CheckpointError]) {
        guard case .object(let members) = json else {
            return (nil, [CheckpointError("\(file) is not a JSON object", found: json.shortDescription)])
        }
        var reader = ConfigurationReader(members, file: file)
        guard let family = reader.family() else { return (nil, reader.problems) }
        let modelType = members["model_type"]?.string ?? ""
        let configuration = ModelConfiguration(&reader, modelType: modelType, family: family)
        if reader.problems.isEmpty { reader.check(configuration) }
        return (reader.problems.isEmpty ? configuration : nil, reader.problems)
    }

    /// Whether a main layer has routed experts. Of the MTP modules' blocks only `WeightLayout` knows.
    public func isMoE(layer: Int) -> Bool { denseLayerCount..<layerCount ~= layer }

    /// Whether a main layer was trained, or is a copy that growth put behind a trained one and that adds nothing.
    public func isTrained(layer: Int) -> Bool {
        !isMoE(layer: layer) || (layer - denseLayerCount).isMultiple(of: growth.layers)
    }

    /// Width of a head's query and key: unrotated and rotated part.
    public var queryDimension: Int { nopeDimension + ropeDimension }
}
