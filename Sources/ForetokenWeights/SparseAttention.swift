import ForetokenJSON

/// DeepSeek sparse attention (DeepSeek-V3.2): an indexer scores the context for each token, and attention reads only the
/// entries with the highest scores. Contexts of at most `chosenCount` entries are read whole.
public struct SparseAttention: Sendable, Equatable {
    /// Entries that one token attends to at most (`index_topk`).
    public var chosenCount: Int
    /// Heads of the indexer.
    public var headCount: Int
    /// Width of an indexer head and of an index key; its first `ropeDimension` elements are rotated.
    public var headDimension: Int
    /// Whether neighbouring elements are rotated together; otherwise element i and the one half the rotated part behind it
    /// are.
    public var hasInterleavedRotation: Bool
    /// By main layer: whether it has an indexer of its own. The others attend to what the nearest one before them chose.
    public var ownIndexers: [Bool]

    /// Creates a description; nothing is checked here.
    public init(
        chosenCount: Int, headCount: Int, headDimension: Int, hasInterleavedRotation: Bool, ownIndexers: [Bool]
    ) {
        self.chosenCount = chosenCount
        self.headCount = headCount
        self.headDimension = headDimension
        self.hasInterleavedRotation = hasInterleavedRotation
        self.ownIndexers = ownIndexers
    }

    /// Whether a layer has an indexer of its own. MTP modules' blocks, from the last main layer on, may have.
    public func hasOwnIndexer(layer: Int) -> Bool { layer >= ownIndexers.count || ownIndexers[layer] }

    /// Main layers with an indexer of their own, among the first `count`.
    public func indexerCount(layers count: Int) -> Int { (0..<count).count { hasOwnIndexer(layer: $0) } }

    /// The same of a model that has the first `dense` of a whole model's `wholeDense` dense layers, and `moe` others: those
    /// from where an indexer comes back behind layers without, as the first layers may all have one.
    func part(dense: Int, moe: Int, wholeDense: Int) -> SparseAttention {
        let back = ownIndexers.indices.dropFirst().first { ownIndexers[$0] && !ownIndexers[$0 - 1] }
        let first = min(back ?? wholeDense, ownIndexers.count - 1)
        var part = self
        part.ownIndexers =
            ownIndexers.prefix(dense)
            + (0..<moe).map { ownIndexers[first + $0 % (ownIndexers.count - first)] }
        return part
    }

    /// ε of the index keys' LayerNorm, which no configuration has a key for.
    public static let keyNormEpsilon: Float = 1e-6

    /// Factor of a head's weight: headCount^(-1/2) of the weight itself, headDimension^(-1/2) of query · key.
    public var weightScale: Float { Float(1 / Double(headCount * headDimension).squareRoot()) }
}

extension ConfigurationReader {
    /// Sparse attention as `index_topk` and the keys beside it describe it; nil in families without.
    ///
    /// - Parameters:
    ///   - layers: main layers.
    ///   - rope: width of the rotated part.
    mutating func sparseAttention(_ family: ModelFamily, layers: Int, rope: Int) -> SparseAttention? {
        guard family.hasSparseAttention else {
            let topK = value(["index_topk"]) ?? .null
            if topK != .null {
                let families = ModelFamily.all.filter(\.hasSparseAttention)
                refuse(
                    "`index_topk` stands for sparse attention, which \(family.name) does not have",
                    expected: "`model_type` \(families.flatMap(\.modelTypes).joined(separator: " or "))",
                    found: "`index_topk` \(topK.shortDescription)")
            }
            return nil
        }
        let sparse = SparseAttention(
            chosenCount: integer("index_topk", in: 1...1 << 20), headCount: integer("index_n_heads", in: 1...1 << 12),
            headDimension: integer("index_head_dim", in: 1...1 << 12),
            hasInterleavedRotation: flag("indexer_rope_interleave", default: family.hasInterleavedIndexer),
            ownIndexers: ownIndexers(layers))
        // Says whether an MTP module's later drafts attend to what the first one chose. Here every draft chooses for itself.
        _ = flag("index_share_for_mtp_iteration", default: false)
        if sparse.headDimension % 2 != 0 || sparse.headDimension < rope {
            refuse(
                "`index_head_dim` \(sparse.headDimension) is not supported",
                expected: "an even number of at least `qk_rope_head_dim`, \(rope)")
        }
        if value(["q_lora_rank"]) ?? .null == .null {
            refuse("`q_lora_rank` is null", expected: "a number, since the indexer reads the query's low-rank form")
        }
        return sparse
    }

    /// Which layers have an indexer of their own, by the first of three ways that is given: a list, a pattern, a period.
    private mutating func ownIndexers(_ layers: Int) -> [Bool] {
        for key in ["indexer_types", "index_topk_pattern"] {
            guard let given = value([key]), given != .null else { continue }
            var types: [Bool?] = []
            switch given {
            case .array(let values): types = values.map { Self.isOwn($0.string) }
            case .string(let text): types = text.map { Self.isOwn(String($0)) }
            default: break
            }
            // Files may list the MTP modules' blocks as well, which have indexers of their own in any case.
            guard types.count >= layers, !types.contains(nil) else {
                refuse(
                    "`\(key)` is wrong", expected: "\"full\" (F) or \"shared\" (S) for each of \(layers) layers",
                    found: "\(types.count) of them: \(given.shortDescription)")
                return [Bool](repeating: true, count: layers)
            }
            return checked(types.prefix(layers).map { $0! }, key)
        }
        let period = integer("index_topk_freq", in: 1...10_000, default: 1)
        let offset = integer("index_skip_topk_offset", in: 0...10_000, default: 2)
        return checked((0..<layers).map { max($0 - offset + 1, 0).isMultiple(of: period) }, "index_topk_freq")
    }

    private static func isOwn(_ name: String?) -> Bool? {
        switch name {
        case "full", "F": true
        case "shared", "S": false
        default: nil
        }
    }

    private mutating func checked(_ own: [Bool], _ key: String) -> [Bool] {
        if own.first == false {
            refuse("`\(key)` lets the first layer share a choice", expected: "an indexer in the first layer")
        }
        return own
    }
}

/// The tensors of one layer's indexer. H: hidden size, D: width of an index key.
public struct IndexerSource: Sendable {
    /// `wq_b` [heads·D, query rank]; reads the normalised low-rank query.
    public let query: LinearSource
    /// `wk` [D, H]
    public let key: LinearSource
    /// `k_norm` [D], a LayerNorm's weight.
    public let keyNorm: TensorInfo
    /// `k_norm`'s bias [D].
    public let keyBias: TensorInfo
    /// `weights_proj` [heads, H]: how much each head counts.
    public let weights: LinearSource
}

/// Packed weights of one indexer, as they are stored: they are two hundredths of a step's bytes, and a choice is worth
/// little when the scores are rounded.
public struct IndexerWeights: Sendable {
    /// wq_b [heads · key width, queryRank]
    public let query: Linear
    /// wk [key width, hidden]
    public let key: Linear
    /// k_norm [key width]
    public let keyNorm: FloatVector
    /// k_norm's bias [key width]
    public let keyBias: FloatVector
    /// weights_proj [heads, hidden]
    public let weights: Linear
}

extension TensorResolver {
    /// The indexer of a main layer, or an MTP module's; nil in layers without one.
    ///
    /// - Parameters:
    ///   - prefix: up to `self_attn.`
    ///   - layer: MTP modules' blocks follow the main layers.
    mutating func indexer(_ prefix: String, layer: Int) -> IndexerSource? {
        guard let sparse = configuration.sparseAttention else { return nil }
        let prefix = prefix + "indexer."
        let hidden = configuration.hiddenSize
        let isModule = layer >= configuration.layerCount
        guard isModule ? hasWeight(prefix + "wq_b") : sparse.hasOwnIndexer(layer: layer) else {
            // Files may hold what nothing uses.
            if hasWeight(prefix + "wq_b") { idleIndexers.append(layer) }
            for name in ["wq_b", "wk", "weights_proj", "k_norm"] { tolerateMatrix(prefix + name) }
            tolerate(prefix + "k_norm.bias")
            return nil
        }
        return IndexerSource(
            query: linear(
                prefix + "wq_b", rows: sparse.headCount * sparse.headDimension, columns: configuration.queryRank ?? 1),
            key: linear(prefix + "wk", rows: sparse.headDimension, columns: hidden),
            keyNorm: norm(prefix + "k_norm", sparse.headDimension),
            keyBias: tensor(prefix + "k_norm.bias", [sparse.headDimension], types: TensorResolver.floats),
            weights: linear(prefix + "weights_proj", rows: sparse.headCount, columns: hidden))
    }
}
