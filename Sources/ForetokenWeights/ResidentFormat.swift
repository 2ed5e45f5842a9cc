import CForetokenKernels

/// How the large matrices lie in memory: attention projections, experts, shared and dense feed-forwards, lm_head and
/// the MTP modules' input projections. Norms, routers, embeddings and the halves of kv_b_proj stay as stored always.
///
/// Formats other than the stored one are made while loading, by all threads, from the stored values; every step then reads
/// fewer (or more) bytes, and the model is not quite the same any more. What speculation promises holds for each of them.
public enum ResidentFormat: String, CaseIterable, Sendable {
    /// Every matrix as the checkpoint stores it. INT4 codes keep their values: activations are not quantised.
    case stored
    /// FP8 (e4m3). Matrices stored so stay exactly as they are, with their block scales; others get one FP32 scale for each
    /// row and 128 columns, amax / 448.
    case fp8
    /// BF16. A stored FP8 weight times its scale rarely fits its eight significant bits: the product is rounded to nearest
    /// even. Matrices stored as BF16 stay as they are.
    case bf16
    /// INT8 with a BF16 scale for each row and 64 columns; 8.25 bits a weight. Activations are quantised as well.
    case int8
    /// 4-bit codes with a BF16 scale for each row and 32 columns; 4.5 bits a weight. lm_head and MTP input projections
    /// are INT8. Codes that are stored are taken as they are. Activations are quantised as well, to INT8.
    case int4
    /// The routed experts, those of MTP modules included, as in `int4`; everything else as stored. A step of few rows reads
    /// mostly experts, so this saves most of what `int4` does and leaves alone what every token passes through.
    case expertsInt4 = "experts-int4"

    /// The format of a layer's matrix that is stored as `stored`, where it belongs to no routed expert.
    func resident(_ stored: PackedFormat) -> PackedFormat {
        switch self {
        case .stored, .expertsInt4: stored
        case .fp8: .fp8
        case .bf16: .bf16
        case .int8: .int8
        case .int4: .int4
        }
    }

    /// The same for matrices of routed experts. A module's are kept like the main layers', since a plan's experts are all
    /// of one size; what it drafts cannot change the output.
    var forExperts: ResidentFormat { self == .expertsInt4 ? .int4 : self }

    /// The same for lm_heads and MTP input projections, which are worth more bits: of the published checkpoints they
    /// are the matrices that were not stored as FP8.
    var forLMHeads: ResidentFormat {
        switch self {
        case .int4: .int8
        case .fp8: .stored
        default: self
        }
    }
}
