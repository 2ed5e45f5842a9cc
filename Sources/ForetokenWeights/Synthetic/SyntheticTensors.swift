/// Lists the tensors of a configuration as the published checkpoints have them. Matrices have variance 1/columns, so that
/// activations stay of order 1.
struct SyntheticTensors {
    private(set) var tensors: [String: TensorInfo] = [:]
    private(set) var pieces: [SyntheticSource.Piece] = []
    private let label: String
    private let configuration: ModelConfiguration
    private let storage: SyntheticStorage
    private var end = 0

    /// More than any memory holds; sums stay far below what overflows.
    private static let maximumBytes = 1 << 50
    /// Standard deviation of router logits: enough that each token finds its own experts.
    private static let routerSpread = 1.5

    /// Standard deviation of the routers' weights.
    private static func routerDeviation(_ configuration: ModelConfiguration) -> Double {
        routerSpread / Double(configuration.hiddenSize).squareRoot()
    }

    /// Standard deviation of the router logits as they come out: weights have powers of two.
    static func logitDeviation(_ configuration: ModelConfiguration) -> Double {
        SyntheticFill.bf16Deviation(routerDeviation(configuration)) * Double(configuration.hiddenSize).squareRoot()
    }

    init(_ configuration: ModelConfiguration, storage: SyntheticStorage, label: String) throws {
        self.configuration = configuration
        self.storage = storage
        self.label = label
        let hidden = configuration.hiddenSize
        let vocabulary = configuration.vocabularySize
        let family = configuration.family
        try plain(family.name("model.embed_tokens"), vocabulary, hidden, deviation: 1)
        for layer in 0..<configuration.layerCount + configuration.mtpModuleCount {
            let prefix = family.name("model.layers.\(layer).")
            let isModule = layer >= configuration.layerCount
            if isModule { try module(prefix) }
            try decoderLayer(
                prefix, isMoE: isModule ? !family.hasDenseModules : configuration.isMoE(layer: layer))
            try indexer(prefix + "self_attn.indexer.", layer: layer)
        }
        try norm(family.name("model.norm"), hidden)
        if !configuration.tiesEmbeddings {
            try plain(family.name("lm_head"), vocabulary, hidden, deviation: 3 / Double(hidden).squareRoot())
        }
    }

    private mutating func module(_ prefix: String) throws {
        let hidden = configuration.hiddenSize
        try norm(prefix + "enorm", hidden)
        try norm(prefix + "hnorm", hidden)
        try plain(prefix + "eh_proj", hidden, 2 * hidden, deviation: 1 / Double(2 * hidden).squareRoot())
        try norm(prefix + "shared_head.norm", hidden)
    }

    private mutating func decoderLayer(_ prefix: String, isMoE: Bool) throws {
        let c = configuration
        try norm(prefix + "input_layernorm", c.hiddenSize)
        try attention(prefix + "self_attn.")
        try norm(prefix + "post_attention_layernorm", c.hiddenSize)
        guard isMoE else { return try mlp(prefix + "mlp.", width: c.intermediateSize) }
        let deviation = Self.routerDeviation(c)
        try plain(prefix + "mlp.gate", c.routedExpertCount, c.hiddenSize, deviation: deviation)
        if c.family.routerRule.hasBias {
            try add(prefix + "mlp.gate.e_score_correction_bias", .f32, [c.routedExpertCount], .constant(0))
        }
        for expert in 0..<c.routedExpertCount {
            try mlp("\(prefix)mlp.experts.\(expert).", width: c.expertIntermediateSize)
        }
        if c.sharedExpertCount > 0 {
            try mlp(prefix + "mlp.shared_experts.", width: c.sharedExpertCount * c.expertIntermediateSize)
        }
    }

    private mutating func attention(_ prefix: String) throws {
        let c = configuration
        let queries = c.headCount * c.queryDimension
        if let rank = c.queryRank {
            try quantised(prefix + "q_a_proj", rank, c.hiddenSize)
            try norm(prefix + "q_a_layernorm", rank)
            try quantised(prefix + "q_b_proj", queries, rank)
        } else {
            try quantised(prefix + "q_proj", queries, c.hiddenSize)
        }
        try quantised(prefix + "kv_a_proj_with_mqa", c.latentRank + c.ropeDimension, c.hiddenSize)
        try norm(prefix + "kv_a_layernorm", c.latentRank)
        try quantised(prefix + "kv_b_proj", c.headCount * (c.nopeDimension + c.valueDimension), c.latentRank)
        try quantised(prefix + "o_proj", c.hiddenSize, c.headCount * c.valueDimension)
    }

    private mutating func indexer(_ prefix: String, layer: Int) throws {
        let c = configuration
        guard let sparse = c.sparseAttention, sparse.hasOwnIndexer(layer: layer) else { return }
        try quantised(prefix + "wq_b", sparse.headCount * sparse.headDimension, c.queryRank ?? 1)
        try quantised(prefix + "wk", sparse.headDimension, c.hiddenSize)
        try norm(prefix + "k_norm", sparse.headDimension)
        try add(prefix + "k_norm.bias", .f32, [sparse.headDimension], .constant(0))
        try plain(
            prefix + "weights_proj", sparse.headCount, c.hiddenSize, deviation: 1 / Double(c.hiddenSize).squareRoot())
    }

    private mutating func mlp(_ prefix: String, width: Int) throws {
        try quantised(prefix + "gate_proj", width, configuration.hiddenSize)
        try quantised(prefix + "up_proj", width, configuration.hiddenSize)
        try quantised(prefix + "down_proj", configuration.hiddenSize, width)
    }

    // MARK: Tensors

    private mutating func quantised(_ name: String, _ rows: Int, _ columns: Int) throws {
        guard storage == .fp8 else {
            return try plain(name, rows, columns, deviation: 1 / Double(columns).squareRoot())
        }
        let block = TensorResolver.scaleBlock
        try add(name + ".weight", .fp8, [rows, columns], .codes)
        try add(
            name + ".weight" + BlockScales.suffixes[0], .f32,
            [(rows + block - 1) / block, (columns + block - 1) / block],
            .constant(Float(1 / (SyntheticFill.codeDeviation * Double(columns).squareRoot()))))
    }

    private mutating func plain(_ name: String, _ rows: Int, _ columns: Int, deviation: Double) throws {
        try add(name + ".weight", .bf16, [rows, columns], .bf16(deviation: deviation))
    }

    private mutating func norm(_ name: String, _ size: Int) throws {
        try add(name + ".weight", .bf16, [size], .ones)
    }

    private mutating func add(_ name: String, _ type: ElementType, _ shape: [Int], _ fill: SyntheticFill) throws {
        let bytes = shape.reduce(Double(type.bits / 8)) { $0 * Double($1) }
        guard Double(end) + bytes < Double(Self.maximumBytes), pieces.count < SafetensorsHeader.maximumTensors else {
            throw CheckpointError(
                "\(label): a model of that shape is too large to be made in memory",
                expected: "less than \(Self.maximumBytes) bytes in at most \(SafetensorsHeader.maximumTensors) tensors",
                hint: "take fewer layers")
        }
        let range = end..<end + Int(bytes)
        end = range.upperBound
        tensors[name] = TensorInfo(name: name, type: type, shape: shape, file: 0, range: range)
        pieces.append(
            SyntheticSource.Piece(range: range, fill: fill, seed: UInt64(pieces.count + 1) &* 0xD134_2543_DE82_EF95))
    }
}

extension Checkpoint {
    /// A model of that shape whose weights are made while they are read: pseudo-random, finite, and the same every time.
    /// It has no tokenizer and nothing to say.
    /// - Parameters:
    ///   - configuration: its dimensions, for example a `SyntheticShape`'s part.
    ///   - storage: the type of its large matrices.
    ///   - label: what to call it in messages.
    /// - Throws: `CheckpointError` for shapes beyond any memory.
    package convenience init(
        synthetic configuration: ModelConfiguration, storage: SyntheticStorage = .fp8, label: String
    ) throws {
        let synthetic = try SyntheticTensors(configuration, storage: storage, label: label)
        self.init(
            label: label, configuration: configuration, tensors: synthetic.tensors,
            source: .synthetic(SyntheticSource(pieces: synthetic.pieces)))
    }
}
