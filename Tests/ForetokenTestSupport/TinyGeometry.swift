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
    /// Whether YaRN extends the context (factor 8 over 64 positions), or the rotation is plain.
    public var yarn = true
    /// Longest context.
    public var positions = 512
    /// Whether the head is the embedding.
    public var tiedHead = false
    /// Whether the chosen experts' weights are normalised.
    public var normalizesExpertWeights = true

    /// The default geometry.
    public init() {}

    /// The default geometry after a few changes: `TinyGeometry { $0.mtpModules = 2 }`.
    public init(_ change: (inout TinyGeometry) -> Void) { change(&self) }
}
