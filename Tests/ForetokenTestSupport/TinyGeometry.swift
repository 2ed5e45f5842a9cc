import ForetokenWeights

/// The indexers of a `TinyModel` with sparse attention.
public struct TinyIndexer: Sendable {
    /// Entries that a token attends to.
    public var chosen: Int
    /// Index heads.
    public var heads = 6
    /// Width of an index head.
    public var width = 32
    /// By main layer, F where it has an indexer and S where it goes by another layer's choice; GLM's spelling then. nil:
    /// all have one, in DeepSeek's spelling.
    public var pattern: String?

    /// Indexers of that pattern.
    public init(chosen: Int = 8, pattern: String? = nil) {
        self.chosen = chosen
        self.pattern = pattern
    }

    /// Whose spelling it is in.
    var family: ModelFamily { pattern == nil ? .deepSeekV32 : .glm5 }

    func isIn(layer: Int) -> Bool { pattern.map { Array($0).dropFirst(layer).first != "S" } ?? true }
}

/// The shape of a `TinyModel`. The defaults are small, ragged against the 128-wide FP8 blocks, and use every feature.
public struct TinyGeometry: Sendable {
    /// How matrices are stored. Norms follow; the router's bias and the scales are always F32.
    public enum Storage: Sendable, CaseIterable {
        /// As published: FP8 with block scales; embedding, head, router and `eh_proj` BF16.
        case fp8
        /// All BF16.
        case bf16
        /// All F16.
        case f16
        /// All F32.
        case f32
        /// Every matrix in a format of its own, FP8 included.
        case mixed
    }

    /// Whose files they are like.
    public var family = ModelFamily.deepSeekV3
    /// Storage of the matrices.
    public var storage = Storage.fp8
    /// Rows of embedding and head.
    public var vocabulary = 96
    /// Width of the residual stream.
    public var hidden = 200
    /// Width of dense MLPs.
    public var intermediate = 136
    /// Width of an expert.
    public var expertIntermediate = 48
    /// Main layers.
    public var layers = 3
    /// MTP modules.
    public var mtpModules = 1
    /// Whether each MTP module brings its own copies of embedding and head, equal to the main ones.
    public var mtpCopies = true
    /// Whether the MTP modules' blocks have a dense MLP in place of experts.
    public var denseModules = false
    /// Whether the MTP modules lie in a file of their own that no index names.
    public var modulesApart = false
    /// Dense layers at the start.
    public var denseLayers = 1
    /// Routed experts a layer.
    public var experts = 16
    /// Shared experts.
    public var sharedExperts = 1
    /// Experts a token.
    public var expertsPerToken = 4
    /// Expert groups.
    public var groups = 4
    /// Groups kept for a token.
    public var keptGroups = 2
    /// Rank of the query's down-projection; nil for a single `q_proj`.
    public var queryRank: Int? = 72
    /// Width of the latent.
    public var latentRank = 64
    /// Unrotated width of a head.
    public var nope = 32
    /// Rotated width of a head.
    public var rope = 16
    /// Width of a head's value.
    public var value = 24
    /// Attention heads.
    public var heads = 4
    /// ε of the norms, as a JSON number.
    public var epsilon = "1e-06"
    /// Whether YaRN extends the context (factor 8 over 64 positions), or the rotation is plain.
    public var yarn = true
    /// Longest context.
    public var positions = 512
    /// Whether the head is the embedding.
    public var tiedHead = false
    /// Whether the chosen experts' weights are normalised.
    public var normalizesExpertWeights = true
    /// Sparse attention; nil for attention to the whole context.
    public var indexer: TinyIndexer?

    /// The default geometry.
    public init() {}

    /// The default geometry after a few changes: `TinyGeometry { $0.mtpModules = 2 }`.
    public init(_ change: (inout TinyGeometry) -> Void) { change(&self) }

    /// A geometry with GLM-4.7-Flash's heads: 192 + 64 wide, values of 256, so that kv_b_proj has 448 rows a head.
    public static let glmFlash = TinyGeometry {
        $0.family = .glmFlash
        ($0.groups, $0.keptGroups, $0.epsilon, $0.yarn) = (1, 1, "1e-05", false)
        ($0.nope, $0.rope, $0.value, $0.heads, $0.latentRank, $0.queryRank) = (192, 64, 256, 3, 144, 96)
    }

    /// A geometry with GigaChat3's heads: 128 + 64 wide, values of 192, so that kv_b_proj has 320 rows a head.
    public static let gigaChat = TinyGeometry {
        ($0.groups, $0.keptGroups, $0.denseLayers) = (1, 1, 1)
        ($0.nope, $0.rope, $0.value, $0.heads, $0.latentRank, $0.queryRank) = (128, 64, 192, 3, 160, nil)
    }

    /// A geometry with JoyAI-LLM-Flash's module: dense, in a file of its own.
    public static let joyAI = TinyGeometry {
        $0.family = .joyAIFlash
        ($0.groups, $0.keptGroups, $0.yarn) = (1, 1, false)
        ($0.denseModules, $0.modulesApart) = (true, true)
    }

    /// A geometry with DeepSeek-V2's router: softmax, groups, two shared experts, and no module.
    public static let deepSeekV2 = TinyGeometry {
        $0.family = .deepSeekV2
        $0.storage = .bf16
        ($0.sharedExperts, $0.mtpModules, $0.normalizesExpertWeights) = (2, 0, false)
    }

    /// A geometry with Kimi-K2.5's names.
    public static let kimiK25 = TinyGeometry {
        $0.family = .kimiK25
        ($0.groups, $0.keptGroups, $0.mtpModules, $0.epsilon) = (1, 1, 0, "1e-05")
    }
}
