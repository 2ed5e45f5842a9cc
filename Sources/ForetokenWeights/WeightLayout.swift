/// A matrix W [rows, columns] of the checkpoint, y = W x. FP8 weights carry one multiplier per 128×128 block, INT4 codes one
/// for each row and some columns.
public struct LinearSource: Sendable, Equatable {
    /// The weight, [rows, columns], F8_E4M3, BF16, F16 or F32; or its INT4 codes, I32 [rows, columns/8].
    public let weight: TensorInfo
    /// For F8_E4M3: `weight_scale_inv` or `weight_scale`, F32, BF16 or F8_E8M0 [⌈rows/128⌉, ⌈columns/128⌉].
    /// Multiplied under either name. For codes: `weight_scale`, BF16 [rows, columns/32, /64 or /128].
    public let scale: TensorInfo?
    /// For codes: `weight_shape`, the matrix's rows and columns once more, if there is one.
    public let packedShape: TensorInfo?

    init(weight: TensorInfo, scale: TensorInfo?, packedShape: TensorInfo? = nil) {
        self.weight = weight
        self.scale = scale
        self.packedShape = packedShape
    }

    /// Outputs.
    public var rows: Int { weight.shape[0] }
    /// Inputs.
    public var columns: Int { isPacked ? 8 * weight.shape[1] : weight.shape[1] }

    /// The format that the weight is packed in where it is kept as stored.
    var storedFormat: PackedFormat {
        guard let format = PackedFormat(weight.type) else {
            preconditionFailure("a layout's matrices are of types that can be packed, not \(weight.type)")
        }
        return format
    }

    /// The same for a matrix that is taken apart: the halves of kv_b_proj, one of which is turned. Codes are widened for it.
    var dividedFormat: PackedFormat { isPacked ? .f32 : storedFormat }
}

/// The tensors of one multi-head latent attention. H: hidden size, Q: query dimension (nope + rope).
public struct AttentionSource: Sendable {
    /// `input_layernorm` [H].
    public let inputNorm: TensorInfo
    /// `q_a_proj` [query rank, H]; nil when the query has no down-projection.
    public let queryDown: LinearSource?
    /// `q_a_layernorm` [query rank]; nil when the query has no down-projection.
    public let queryNorm: TensorInfo?
    /// `q_b_proj` [heads·Q, query rank], or `q_proj` [heads·Q, H]. Head-major, unrotated part first.
    public let query: LinearSource
    /// `kv_a_proj_with_mqa` [latent rank + rope, H]: the latent, then the shared rotated key.
    public let latentDown: LinearSource
    /// `kv_a_layernorm` [latent rank]; applies to the latent only.
    public let latentNorm: TensorInfo
    /// `kv_b_proj` [heads·(nope + value), latent rank]: per head first key rows, then value rows.
    public let latentUp: LinearSource
    /// `o_proj` [H, heads·value].
    public let output: LinearSource
    /// `indexer`; nil in layers without one.
    public let indexer: IndexerSource?

    /// The matrices of attention and of its indexer but for `weights_proj`.
    var projections: [LinearSource] {
        [queryDown, query, latentDown, latentUp, output, indexer?.query, indexer?.key].compactMap(\.self)
    }
}

/// down( silu(gate x) ⊙ up x ). I: width.
public struct MLPSource: Sendable {
    /// `gate_proj` [I, H].
    public let gate: LinearSource
    /// `up_proj` [I, H].
    public let up: LinearSource
    /// `down_proj` [H, I].
    public let down: LinearSource

    /// All of them.
    var matrices: [LinearSource] { [gate, up, down] }
}

/// The tensors of one layer's feed-forward part.
public enum FeedForwardSource: Sendable {
    /// A plain MLP of the configuration's intermediate size.
    case dense(MLPSource)
    /// Routed experts: `router` [experts, H], `bias` [experts] (`e_score_correction_bias`), nil where the family's routers
    /// have none, the experts in order, and the shared experts as one MLP, nil when there are none.
    case moe(router: LinearSource, bias: TensorInfo?, experts: [MLPSource], shared: MLPSource?)
}

/// The tensors of one decoder layer.
public struct LayerSource: Sendable {
    /// The attention with the norm before it.
    public let attention: AttentionSource
    /// `post_attention_layernorm` [H], the norm before the feed-forward part.
    public let feedForwardNorm: TensorInfo
    /// The feed-forward part.
    public let feedForward: FeedForwardSource
}

/// The tensors of one MTP module.
public struct MTPSource: Sendable {
    /// `enorm` [H], norm of the next token's embedding.
    public let embeddingNorm: TensorInfo
    /// `hnorm` [H], norm of the hidden state.
    public let hiddenNorm: TensorInfo
    /// `eh_proj` [H, 2H]; columns 0..<H take the embedding, the rest the hidden state.
    public let projection: LinearSource
    /// The decoder block.
    public let block: LayerSource
    /// `shared_head.norm` [H].
    public let finalNorm: TensorInfo
    /// The module's own copy of the embedding [vocabulary, H], if the file has one.
    public let embedding: LinearSource?
    /// The module's own copy of lm_head [vocabulary, H], if the file has one.
    public let lmHead: LinearSource?
}

/// Every tensor the model needs, found and checked for type, shape and scale before any weight is read.
public struct WeightLayout: Sendable {
    /// `model.embed_tokens` [vocabulary, H].
    public let embedding: LinearSource
    /// The main layers, in order.
    public let layers: [LayerSource]
    /// `model.norm` [H].
    public let finalNorm: TensorInfo
    /// `lm_head` [vocabulary, H]; the embedding when the configuration ties them.
    public let lmHead: LinearSource
    /// The MTP modules that the files hold; may be fewer than the configuration announces.
    public let mtp: [MTPSource]
    /// What is left out on purpose, one sentence each: parts of the model that are not run.
    public let remarks: [String]
    /// The checkpoint's warnings, and what is odd about its tensors, one sentence each.
    public let warnings: [String]
    /// Which of the modules' copies differ from the main tables, once somebody has asked.
    let comparedCopies: SharedCopies.Memory

    /// Finds and checks all tensors.
    /// - Throws: `CheckpointError` for the first problem: a missing tensor, a wrong shape or type, a missing scale.
    public init(_ checkpoint: Checkpoint) throws {
        let (layout, problems) = WeightLayout.resolve(checkpoint)
        try problems.throwFirst()
        self = layout
    }

    /// The layout and all problems. With problems, the layout holds placeholders and must be thrown away.
    static func resolve(_ checkpoint: Checkpoint) -> (WeightLayout, [CheckpointError]) {
        var resolver = TensorResolver(checkpoint)
        let layout = WeightLayout(&resolver, checkpoint)
        return (layout, resolver.problems + (misplacedModule(checkpoint).map { [$0] } ?? []))
    }

    /// An MTP module where the configuration has a main layer: run as one, it would spoil every token.
    private static func misplacedModule(_ checkpoint: Checkpoint) -> CheckpointError? {
        let count = checkpoint.configuration.layerCount
        for layer in 0..<count {
            for part in ["eh_proj", "enorm", "hnorm"] {
                let name = checkpoint.configuration.family.name("model.layers.\(layer).\(part).weight")
                guard let tensor = checkpoint.tensor(name) else { continue }
                return CheckpointError(
                    "\(checkpoint.fileNames[tensor.file]): \(tensor.name) belongs to an MTP module, but config.json says "
                        + "that layer \(layer) is a main one",
                    expected: "`num_hidden_layers` of at most \(layer)", found: "\(count)",
                    hint: "set `num_hidden_layers` to the number of main layers; MTP modules are counted apart")
            }
        }
        return nil
    }

    /// What is said of an lm_head of its own where the configuration ties it to the embedding; nil where there is none, or
    /// it is the embedding once more as far as a few places show.
    private static func ignoredLMHead(_ checkpoint: Checkpoint, _ embedding: LinearSource) -> String? {
        guard let lmHead = checkpoint.tensor(checkpoint.configuration.family.name("lm_head.weight")) else { return nil }
        let weight = embedding.weight
        let isSame =
            lmHead.type == weight.type && lmHead.shape == weight.shape && lmHead.range.count == weight.range.count
            && (try? isSimilar(lmHead, weight, checkpoint)) == true
        return isSame
            ? nil
            : "lm_head.weight differs from the embedding and is ignored, since `tie_word_embeddings` of config.json says "
                + "that the embedding is the head"
    }

    /// Whether 64 places of two tensors of the same size hold the same bytes.
    private static func isSimilar(_ left: TensorInfo, _ right: TensorInfo, _ checkpoint: Checkpoint) throws -> Bool {
        let size = left.range.count
        let length = min(size, 4096)
        for place in 0..<64 {
            let offset = (size - length) / 63 * place
            let pieces = try [left, right].map { tensor in
                var bytes = [UInt8](repeating: 0, count: length)
                try bytes.withUnsafeMutableBytes { try checkpoint.read(tensor, fromByte: offset, into: $0) }
                return bytes
            }
            guard pieces[0] == pieces[1] else { return false }
        }
        return true
    }

    private init(_ resolver: inout TensorResolver, _ checkpoint: Checkpoint) {
        let configuration = checkpoint.configuration
        embedding = resolver.embedding()
        layers = (0..<configuration.layerCount).map { resolver.layer($0) }
        finalNorm = resolver.finalNorm()
        if configuration.tiesEmbeddings {
            lmHead = embedding
            resolver.tolerateLMHead()
        } else {
            lmHead = resolver.lmHead()
        }
        let found = resolver.mtpModuleCount()
        mtp = (0..<found).map { resolver.mtpModule($0) }
        var warnings = checkpoint.warnings
        if found < configuration.mtpModuleCount {
            let announced = configuration.mtpModuleCount
            warnings.append(
                "the configuration announces \(announced) MTP module\(announced == 1 ? "" : "s"), "
                    + "the weight files hold \(found)")
        }
        if configuration.tiesEmbeddings, let remark = Self.ignoredLMHead(checkpoint, embedding) {
            warnings.append(remark)
        }
        remarks = resolver.otherParts() + resolver.sharedChoices()
        self.warnings = warnings + resolver.unexpectedTensors()
        comparedCopies = SharedCopies.Memory()
    }
}
