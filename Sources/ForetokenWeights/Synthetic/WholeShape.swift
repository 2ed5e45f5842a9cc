/// All of a model of which only the dimensions are known: its tensors by name and size, none of which is ever made.
public struct WholeShape: Sendable {
    /// Its dimensions.
    public let shape: SyntheticShape
    /// Its tensors.
    package let checkpoint: Checkpoint
    /// The same as a model.
    package let layout: WeightLayout

    /// - Throws: `CheckpointError` for a model beyond any memory.
    public init(_ shape: SyntheticShape) throws {
        self.shape = shape
        checkpoint = try shape.checkpoint(shape.whole, label: shape.name)
        layout = try WeightLayout(checkpoint)
    }

    /// MTP modules that would draft.
    public var moduleCount: Int { layout.mtp.count }

    /// Weights of the main model: its layers, the embedding, and lm_head where it is not the embedding.
    public var parameterCount: Int {
        layout.layers.reduce(layout.outsideCount) { $0 + $1.parameterCount }
    }

    /// Of those, what one token's step reads: lm_head and of each layer the experts that a token uses, but of the embedding
    /// only a row, which is not counted.
    public var activeParameterCount: Int {
        let outside = layout.lmHead.weight.elementCount + layout.finalNorm.elementCount
        return layout.layers.reduce(outside) { $0 + $1.parameterCount(experts: shape.whole.expertsPerToken) }
    }

    /// Weights of all MTP modules, without copies of the main model's tables.
    public var moduleParameterCount: Int { layout.mtp.reduce(0) { $0 + $1.parameterCount } }

    /// Bytes of all tensors in the published files.
    public var fileByteCount: Int {
        var bytes = checkpoint.tensors.values.reduce(0) { $0 + $1.range.count }
        if shape.repeatsTables {
            bytes += layout.mtp.count * (layout.embedding.weight.range.count + layout.lmHead.weight.range.count)
        }
        guard shape.files == .expertsInt4 else { return bytes }
        for layer in layout.layers + layout.mtp.map(\.block) {
            guard case .moe(_, _, let experts, _) = layer.feedForward else { continue }
            for matrix in experts.flatMap(\.matrices) {
                let (rows, columns) = (matrix.rows, matrix.columns)
                // Codes in words of eight, a scale for 32 columns, and the two dimensions.
                let packed = rows * ((columns + 7) / 8 * 4 + (columns + 31) / 32 * 2) + 16
                bytes += packed - matrix.weight.range.count
            }
        }
        return bytes
    }

    /// Bytes of packed weights in memory, derived copies included; as stored, those of the published files' formats.
    public func residentByteCount(_ format: ResidentFormat) -> Int {
        layout.packedBytes(shape.whole, shape.counted(format))
    }
}

extension WeightLayout {
    /// Weights outside the layers.
    fileprivate var outsideCount: Int {
        embedding.weight.elementCount + finalNorm.elementCount + (lmHead == embedding ? 0 : lmHead.weight.elementCount)
    }
}

extension LayerSource {
    /// All weights.
    fileprivate var parameterCount: Int { parameterCount(experts: .max) }

    /// Weights with so many of the routed experts.
    fileprivate func parameterCount(experts most: Int) -> Int {
        let indexer = attention.indexer
        let matrices = attention.projections + (indexer.map { [$0.weights] } ?? [])
        let norms = [
            attention.inputNorm, attention.queryNorm, attention.latentNorm, feedForwardNorm, indexer?.keyNorm,
            indexer?.keyBias,
        ]
        let outside =
            matrices.reduce(0) { $0 + $1.weight.elementCount }
            + norms.reduce(0) { $0 + ($1?.elementCount ?? 0) }
        switch feedForward {
        case .dense(let mlp): return outside + mlp.parameterCount
        case .moe(let router, _, let experts, let shared):
            return experts.prefix(most).reduce(outside + router.weight.elementCount) { $0 + $1.parameterCount }
                + (shared?.parameterCount ?? 0)
        }
    }
}

extension MTPSource {
    fileprivate var parameterCount: Int {
        let norms = [embeddingNorm, hiddenNorm, finalNorm]
        return norms.reduce(projection.weight.elementCount + block.parameterCount) { $0 + $1.elementCount }
    }
}

extension MLPSource {
    fileprivate var parameterCount: Int { matrices.reduce(0) { $0 + $1.weight.elementCount } }
}
