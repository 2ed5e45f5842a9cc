import CForetokenKernels
import ForetokenHardware
import ForetokenPlacement

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
    /// What chooses the entries that are attended to; nil where all are, or a layer before has chosen them.
    public let indexer: IndexerWeights?
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
    /// e_score_correction_bias [experts]; nil where the family's routers have none.
    public let bias: FloatVector?
    /// The routed experts and their copies.
    public let experts: ExpertTable
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
    public let finalNorm: FloatVector
    /// [vocabulary, hidden]: the main embedding unless the module's own copy differs.
    public let embedding: Linear
    /// [vocabulary, hidden]: the main lm_head unless the module's own copy differs.
    public let lmHead: Linear
    /// INT8 copy of `lmHead`. Drafts come from it; it cannot change the output.
    public let coarseLMHead: CutCoarseLMHead
}

/// FP32 values in the model's arena.
public struct FloatVector: @unchecked Sendable {
    /// First value; as many follow as the owner's shape says.
    public let values: UnsafePointer<Float>
}

/// Every weight of a checkpoint, packed once for the kernels, cut and placed for the machine's nodes. While steps run
/// nothing writes to it, hence its promise to be safe to share; experts may be moved between steps.
public final class ModelWeights: @unchecked Sendable {
    /// The checkpoint's shape.
    public let configuration: ModelConfiguration
    /// [vocabulary, hidden]; rows are looked up. With tied embeddings it is lm_head as well.
    public let embedding: Linear
    /// Main layers in order.
    public let layers: [LayerWeights]
    /// model.norm [hidden]
    public let finalNorm: FloatVector
    /// lm_head [vocabulary, hidden]
    public let lmHead: Linear
    /// MTP modules in order; empty when the checkpoint has none.
    public let modules: [MTPWeights]
    /// How the large matrices are kept.
    public let format: ResidentFormat
    /// The nodes and teams that matrices are cut for.
    public let nodes: NodeLayout
    /// What this host has of the model.
    public let host: HostShare
    /// Bytes of packed weights in memory, derived copies included.
    public let byteCount: Int
    /// Where the experts lie, and what can move them.
    public let experts: ExpertStore
    /// Name of the policy that placed the experts while they were loaded; nil without a plan.
    public let placementPolicy: String?
    private let fixed: [MemoryArena]
    private let fixedByteCounts: [Int]

    /// Reads and packs all weights of a validated layout on all threads.
    ///
    /// - Parameters:
    ///   - checkpoint: the files.
    ///   - layout: its tensors, names, shapes and types already checked.
    ///   - format: how the large matrices are kept in memory.
    ///   - nodes: the nodes and teams to cut for; the pool's teams are those.
    ///   - host: what this host has of the model.
    ///   - placement: where routed experts lie, validated; nil cuts them like everything else.
    ///   - reservedBytes: memory the caller will need besides the weights; counted in the fit check.
    ///   - reservedFor: what for, in words that follow "weights, ".
    ///   - pageCache: what becomes of the file pages that are read on the way; nil drops them where there are several nodes.
    ///   - progress: told the fraction done, on the calling thread; ends the work by throwing.
    ///   - ready: called once it is known that everything fits, before any weight is read; ends the work by throwing.
    /// - Throws: `CheckpointError` for unreadable, non-finite or badly scaled weights; `HardwareError` before
    ///   anything is read when weights and `reservedBytes` do not fit.
    public init(
        checkpoint: Checkpoint, layout: WeightLayout, pool: WorkerPool, format: ResidentFormat = .stored,
        nodes: NodeLayout = .single, host: HostShare = .whole, placement: PlacementPlan? = nil, reservedBytes: Int = 0,
        reservedFor: String = "caches and scratch", pageCache: PageCacheUse? = nil,
        progress: @escaping @Sendable (Double) throws -> Void = { _ in }, ready: () throws -> Void = {}
    ) throws {
        let configuration = checkpoint.configuration
        let places = ExpertPlaces(placement, nodes)
        func measured(_ shared: SharedCopies) throws -> PackingPlan {
            var measure = PackingPlan(format: format, nodes: nodes, host: host)
            _ = PackedModel(layout, configuration, shared, places, &measure)
            let bytes = FigureText.binaryBytes(measure.byteCounts.sum)
            let what = "\(checkpoint.label): \(bytes) of weights, \(reservedFor) together"
            try nodes.check(measure.byteCounts, besides: reservedBytes, for: what)
            try AddressSpace.check(
                needed: measure.byteCounts.sum + reservedBytes, workers: pool.workerCount, for: what)
            return measure
        }
        // What cannot fit in any case is refused before the tables are read to compare them.
        _ = try measured(.allRepeated(layout))
        try ready()
        let shared = try layout.sharedCopies(checkpoint) { try progress(0) }
        let measure = try measured(shared)
        fixedByteCounts = measure.byteCounts.fixed
        fixed = try nodes.nodes.indices.map { try nodes.arena(byteCount: measure.byteCounts.fixed[$0], node: $0) }
        experts = try ExpertStore(nodes, byteCounts: measure.byteCounts.experts)
        if nodes.isReal {
            let sized = zip(fixed + experts.arenas, measure.byteCounts.fixed + measure.byteCounts.experts)
            try Population(sized.filter { $1 > 0 }.map(\.0), nodes, pool).run()
        }
        let bases = WeightRegions(fixed: fixed.map(\.base), experts: experts.bases)
        var plan = PackingPlan(format: format, nodes: nodes, host: host, bases: bases)
        let model = PackedModel(layout, configuration, shared, places, &plan)
        let storedBytes = Double(max(1, plan.storedByteCount))
        try Packer(
            checkpoint: checkpoint, tasks: plan.tasks, teams: nodes.teams.count, pool: pool,
            pageCache: pageCache ?? (nodes.isReal ? .drop : .keep)
        ) { try progress(min(1, Double($0) / storedBytes)) }.run()
        CoarseLMHeads.build(model.coarseLMHeads, on: pool)
        try progress(1)
        experts.adopt(model.expertTables)
        self.configuration = configuration
        self.format = format
        self.nodes = nodes
        self.host = host
        placementPolicy = placement?.policy
        embedding = model.embedding
        layers = model.layers
        finalNorm = model.finalNorm
        lmHead = model.lmHead
        modules = model.modules
        byteCount = measure.byteCount
    }

    /// Asks the system where the weights really lie.
    /// - Throws: `HardwareError` when the system answers what cannot be understood.
    public func census() throws -> PageCensus {
        let regions = fixed.indices.map { (fixed[$0], fixedByteCounts[$0]) }.filter { $0.1 > 0 }
            .map { PageCensus.Region(base: $0.base, byteCount: $1, home: $0.home) }
        return try PageCensus.take(of: regions + experts.regions, policy: nodes.policy)
    }

    /// Replaces every router's bias, for measurements of made-up models, whose routing means nothing. Between steps only.
    /// Routers without one choose as before.
    /// - Parameter biases: one for each expert.
    package func setRouterBiases(_ biases: [Float]) {
        precondition(biases.count == configuration.routedExpertCount, "there is a bias for every expert")
        for layer in layers + modules.map(\.block) {
            guard case .moe(let moe) = layer.feedForward, let bias = moe.bias else { continue }
            UnsafeMutablePointer(mutating: bias.values).update(from: biases, count: biases.count)
        }
    }

    /// By node of the layout: bytes of weights outside the routed experts that one verify step reads.
    package var denseBytesPerStep: [Int] {
        var bytes = [Int](repeating: 0, count: nodes.nodes.count)
        func add(_ linear: Linear?) {
            guard let linear else { return }
            for i in 0..<linear.partCount { bytes[Int(linear.parts[i].node)] += linear.parts[i].matrix.byteCount }
        }
        func add(_ mlp: MLPWeights) { for linear in [mlp.gate, mlp.up, mlp.down] { add(linear) } }
        let width = configuration.queryDimension
        let heads = nodes.headCut(
            host.headBounds(configuration.headCount, width: width).part(host.rank), width: width)
        for layer in layers {
            let attention = layer.attention
            add(attention.queryDown)
            for linear in [attention.queryUp, attention.latentDown, attention.output] { add(linear) }
            if let indexer = attention.indexer {
                for linear in [indexer.query, indexer.key, indexer.weights] { add(linear) }
            }
            for (team, range) in heads.enumerated() {
                for table in [attention.keyUp, attention.valueUp] {
                    for head in range { bytes[nodes.teams[team]] += table.matrices[head].byteCount }
                }
            }
            switch layer.feedForward {
            case .dense(let mlp): add(mlp)
            case .moe(let moe):
                add(moe.router)
                if let shared = moe.shared { add(shared) }
            }
        }
        add(lmHead)
        return bytes
    }
}
