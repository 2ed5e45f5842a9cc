import CForetokenKernels
import ForetokenHardware

/// Packed weights of one MLA block. Shapes as [outputs, inputs]; `heads` matrices per table.
public struct AttentionWeights: Sendable {
    /// [hidden]
    public let inputNorm: FloatVector
    /// q_a_proj [queryRank, hidden]; nil when queries come straight from the hidden state.
    public let queryDown: Linear?
    /// [queryRank]; nil with `queryDown`.
    public let queryNorm: FloatVector?
    /// q_b_proj or q_proj [heads · (nope + rope), queryRank or hidden]
    public let queryUp: Linear
    /// kv_a_proj_with_mqa [latentRank + rope, hidden]
    public let latentDown: Linear
    /// [latentRank]
    public let latentNorm: FloatVector
    /// Per head the key half of kv_b_proj, transposed: [latentRank, nope]. It carries a query into latent space.
    public let keyUp: MatrixTable
    /// Per head the value half of kv_b_proj: [value, latentRank].
    public let valueUp: MatrixTable
    /// o_proj [hidden, heads · value]
    public let output: Linear
}

/// A SwiGLU feed-forward: down( silu(gate x) ⊙ up x ).
public struct MLPWeights: Sendable {
    /// [intermediate, hidden]
    public let gate: Linear
    /// [intermediate, hidden]
    public let up: Linear
    /// [hidden, intermediate]
    public let down: Linear
}

/// A DeepSeekMoE block.
public struct MoEWeights: Sendable {
    /// [experts, hidden]
    public let router: Linear
    /// e_score_correction_bias [experts]
    public let bias: FloatVector
    /// Per routed expert, in ascending id.
    public let gate: MatrixTable
    /// Per routed expert, in ascending id.
    public let up: MatrixTable
    /// Per routed expert, in ascending id.
    public let down: MatrixTable
    /// nil when the model has no shared expert.
    public let shared: MLPWeights?
}

/// What follows attention in a layer.
public enum FeedForwardWeights: Sendable {
    /// One SwiGLU block for every token.
    case dense(MLPWeights)
    /// Routed experts and, mostly, a shared one.
    case moe(MoEWeights)
}

/// One decoder layer.
public struct LayerWeights: Sendable {
    /// Multi-head latent attention.
    public let attention: AttentionWeights
    /// post_attention_layernorm [hidden]
    public let feedForwardNorm: FloatVector
    /// Dense or mixture of experts.
    public let feedForward: FeedForwardWeights
}

/// One multi-token-prediction module.
public struct MTPWeights: Sendable {
    /// enorm [hidden], for the embedding half of the input.
    public let embeddingNorm: FloatVector
    /// hnorm [hidden], for the hidden-state half.
    public let hiddenNorm: FloatVector
    /// eh_proj [hidden, 2 · hidden]; the embedding half comes first.
    public let projection: Linear
    /// The module's decoder layer.
    public let block: LayerWeights
    /// shared_head.norm [hidden]
    public let headNorm: FloatVector
    /// [vocabulary, hidden]: the main embedding unless the module's own copy differs.
    public let embedding: Linear
    /// [vocabulary, hidden]: the main head unless the module's own copy differs.
    public let head: Linear
    /// INT8 copy of `head`. Drafts come from it; it cannot change the output.
    public let draftHead: DraftHead
}

/// FP32 values in the model's arena.
public struct FloatVector: @unchecked Sendable {
    /// First value; as many follow as the owner's shape says.
    public let values: UnsafePointer<Float>
}

/// A packed matrix in the model's arena, by address: parallel phases refer to it and copy nothing.
public struct Linear: @unchecked Sendable {
    /// The matrix; valid as long as the model's weights.
    public let matrix: UnsafePointer<PackedMatrix>
}

/// Equally shaped matrices in the model's arena.
public struct MatrixTable: @unchecked Sendable {
    /// First matrix.
    public let matrices: UnsafePointer<PackedMatrix>
    /// Number of matrices.
    public let count: Int

    /// Matrix `i`, unchecked.
    public subscript(i: Int) -> Linear { Linear(matrix: matrices + i) }
}

/// Every weight of a checkpoint, packed once into one arena for the kernels. Nothing writes to it after `init`, hence
/// its promise to be safe to share.
public final class ModelWeights: @unchecked Sendable {
    /// The checkpoint's shape.
    public let configuration: ModelConfiguration
    /// [vocabulary, hidden]; rows are looked up. With tied embeddings it is the head as well.
    public let embedding: Linear
    /// Main layers in order.
    public let layers: [LayerWeights]
    /// model.norm [hidden]
    public let finalNorm: FloatVector
    /// lm_head [vocabulary, hidden]
    public let head: Linear
    /// MTP modules in order; empty when the checkpoint has none.
    public let modules: [MTPWeights]
    /// How the large matrices are kept.
    public let format: ResidentFormat
    /// Bytes of packed weights in memory, derived copies included.
    public let byteCount: Int
    /// Bytes of copies made for drafting, which the checkpoint does not hold.
    public let derivedByteCount: Int
    private let arena: MemoryArena

    /// Reads and packs all weights of a validated layout on all threads.
    ///
    /// - Parameters:
    ///   - checkpoint: the files.
    ///   - layout: its tensors, names, shapes and types already checked.
    ///   - format: how the large matrices are kept in memory.
    ///   - reservedBytes: memory the caller will need besides the weights; counted in the fit check.
    ///   - pageCache: what becomes of the file pages that are read on the way.
    ///   - progress: told the fraction done, on the calling thread.
    /// - Throws: `CheckpointError` for unreadable, non-finite or badly scaled weights; `HardwareError` before
    ///   anything is read when weights and `reservedBytes` do not fit.
    public init(
        checkpoint: Checkpoint, layout: WeightLayout, pool: WorkerPool, format: ResidentFormat = .stored,
        reservedBytes: Int = 0, pageCache: PageCacheUse = .keep,
        progress: @escaping @Sendable (Double) -> Void = { _ in }
    ) throws {
        let configuration = checkpoint.configuration
        let shared = try SharedCopies(checkpoint, layout)
        var measure = PackingPlan(format: format)
        _ = PackedModel(layout, configuration, shared, &measure)
        try MemoryBudget.read().check(
            needed: measure.byteCount + reservedBytes, for: "the weights, caches and scratch of \(checkpoint.label)")
        let arena = try MemoryArena(byteCount: measure.byteCount)
        var plan = PackingPlan(format: format, base: arena.allocate(byteCount: measure.byteCount))
        let model = PackedModel(layout, configuration, shared, &plan)
        let storedBytes = Double(max(1, plan.storedByteCount))
        try Packer(checkpoint: checkpoint, tasks: plan.tasks, pageCache: pageCache) {
            progress(min(1, Double($0) / storedBytes))
        }.run(on: pool)
        DraftHeads.build(model.draftHeads, on: pool)
        progress(1)
        self.arena = arena
        self.configuration = configuration
        self.format = format
        embedding = model.embedding
        layers = model.layers
        finalNorm = model.finalNorm
        head = model.head
        modules = model.modules
        byteCount = measure.byteCount
        derivedByteCount = model.draftHeads.reduce(0) { $0 + $1.draftHead.byteCount }
    }
}

/// The model's structure over a plan: which stored weight becomes which packed matrix.
private struct PackedModel {
    let embedding: Linear
    let layers: [LayerWeights]
    let finalNorm: FloatVector
    let head: Linear
    private(set) var modules: [MTPWeights] = []
    /// One copy a distinct head.
    private(set) var draftHeads: [DraftHeadSource] = []

    init(
        _ layout: WeightLayout, _ configuration: ModelConfiguration, _ shared: SharedCopies, _ plan: inout PackingPlan
    ) {
        embedding = plan.linear(layout.embedding, as: .stored)
        layers = layout.layers.map { plan.layer($0, configuration) }
        finalNorm = plan.norm(layout.finalNorm)
        head = layout.head == layout.embedding ? embedding : plan.linear(layout.head, as: plan.format.forHeads)
        for (source, copies) in zip(layout.mtp, shared.modules) {
            let moduleHead = copies.head.map { plan.linear($0, as: plan.format.forHeads) } ?? head
            modules.append(
                MTPWeights(
                    embeddingNorm: plan.norm(source.embeddingNorm), hiddenNorm: plan.norm(source.hiddenNorm),
                    projection: plan.linear(source.projection, as: plan.format.forHeads),
                    block: plan.layer(source.block, configuration),
                    headNorm: plan.norm(source.headNorm),
                    embedding: copies.embedding.map { plan.linear($0, as: .stored) } ?? embedding, head: moduleHead,
                    draftHead: draftHead(of: moduleHead, configuration, &plan)))
        }
    }

    private mutating func draftHead(
        of head: Linear, _ configuration: ModelConfiguration, _ plan: inout PackingPlan
    ) -> DraftHead {
        if let known = draftHeads.first(where: { $0.head.matrix == head.matrix }) { return known.draftHead }
        let copy = plan.draftHead(rows: configuration.vocabularySize, columns: configuration.hiddenSize)
        draftHeads.append(DraftHeadSource(head: head, draftHead: copy))
        return copy
    }
}

extension PackingPlan {
    fileprivate mutating func norm(_ tensor: TensorInfo) -> FloatVector { FloatVector(values: vector(tensor)) }

    fileprivate mutating func linear(_ source: LinearSource) -> Linear { linear(source, as: format) }

    fileprivate mutating func linear(_ source: LinearSource, as format: ResidentFormat) -> Linear {
        Linear(matrix: table([matrix(source, as: format)]))
    }

    fileprivate mutating func mlp(_ source: MLPSource) -> MLPWeights {
        MLPWeights(gate: linear(source.gate), up: linear(source.up), down: linear(source.down))
    }

    fileprivate mutating func tables(_ matrices: [PackedMatrix]) -> MatrixTable {
        MatrixTable(matrices: table(matrices), count: matrices.count)
    }

    fileprivate mutating func layer(_ source: LayerSource, _ configuration: ModelConfiguration) -> LayerWeights {
        LayerWeights(
            attention: attention(source.attention, configuration),
            feedForwardNorm: norm(source.feedForwardNorm), feedForward: feedForward(source.feedForward))
    }

    private mutating func attention(
        _ source: AttentionSource, _ configuration: ModelConfiguration
    ) -> AttentionWeights {
        let nope = configuration.nopeDimension
        let perHead = nope + configuration.valueDimension
        var keyUp: [PackedMatrix] = []
        var valueUp: [PackedMatrix] = []
        for head in 0..<configuration.headCount {
            let start = head * perHead
            keyUp.append(transposed(source.latentUp, rows: start..<start + nope))
            valueUp.append(matrix(source.latentUp, rows: start + nope..<start + perHead))
        }
        return AttentionWeights(
            inputNorm: norm(source.inputNorm), queryDown: source.queryDown.map { linear($0) },
            queryNorm: source.queryNorm.map { norm($0) }, queryUp: linear(source.query),
            latentDown: linear(source.latentDown), latentNorm: norm(source.latentNorm),
            keyUp: tables(keyUp), valueUp: tables(valueUp), output: linear(source.output))
    }

    private mutating func feedForward(_ source: FeedForwardSource) -> FeedForwardWeights {
        switch source {
        case .dense(let mlp):
            return .dense(self.mlp(mlp))
        case .moe(let router, let bias, let experts, let shared):
            let gates = experts.map { matrix($0.gate, as: format) }
            let ups = experts.map { matrix($0.up, as: format) }
            let downs = experts.map { matrix($0.down, as: format) }
            return .moe(
                MoEWeights(
                    router: linear(router, as: .stored), bias: norm(bias),
                    gate: tables(gates), up: tables(ups), down: tables(downs),
                    shared: shared.map { mlp($0) }))
        }
    }
}
