import CForetokenKernels
import ForetokenPlacement

extension WeightLayout {
    /// What planning over hosts must know of this model.
    ///
    /// - Parameters:
    ///   - checkpoint: the files the layout is of.
    ///   - format: how the large matrices will be kept.
    ///   - cacheElementBytes: bytes of a number in the latent cache.
    ///   - positions: tokens that the cache has room for.
    ///   - scratchBytes: what one host takes besides weights and cache.
    ///   - comparesCopies: whether to read the MTP modules' copies of the main tables, which repeat them in published files.
    /// - Throws: `CheckpointError` when a file cannot be read.
    package func hostedModel(
        _ checkpoint: Checkpoint, format: ResidentFormat, cacheElementBytes: Int, positions: Int, scratchBytes: Int,
        comparesCopies: Bool = true
    ) throws -> HostedModel {
        let maker = HostedLayerMaker(checkpoint.configuration, format, cacheElementBytes)
        let isTied = lmHead == embedding
        let (vocabulary, hidden) = (checkpoint.configuration.vocabularySize, checkpoint.configuration.hiddenSize)
        // Of the INT8 copy that drafts read.
        let draftRowBytes = mtp.isEmpty ? 0 : hidden + MemoryLayout<Float>.size
        let frequent = CutCoarseLMHead.frequentRows(of: vocabulary)
        var model = HostedModel(
            layers: layers.enumerated().map { maker.layer($0.element, $0.offset) },
            modules: mtp.enumerated().map { index, module in
                HostedModel.Module(
                    block: maker.layer(module.block, layers.count + index),
                    projection: maker.cut([module.projection], format.forLMHeads))
            },
            embeddingBytes: embedding.residentBytes(.stored),
            lmHead: maker.cut([lmHead], isTied ? .stored : format.forLMHeads), tiesEmbeddings: isTied,
            draftLMHead: maker.cut(bytes: vocabulary * draftRowBytes, rows: vocabulary),
            frequentLMHead: maker.cut(bytes: frequent * draftRowBytes, rows: frequent), otherBytes: 0,
            scratchBytes: scratchBytes, positions: positions,
            expertsPerToken: checkpoint.configuration.expertsPerToken)
        var measure = PackingPlan(format: format, nodes: .single)
        let copies = comparesCopies ? try sharedCopies(checkpoint) : .allRepeated(self)
        _ = PackedModel(self, checkpoint.configuration, copies, ExpertPlaces(nil, .single), &measure)
        model.otherBytes = max(0, measure.byteCount - model.weightBytes)
        return model
    }
}

/// Makes layers of a `HostedModel`.
private struct HostedLayerMaker {
    private let configuration: ModelConfiguration
    private let format: ResidentFormat
    private let cacheElementBytes: Int

    init(_ configuration: ModelConfiguration, _ format: ResidentFormat, _ cacheElementBytes: Int) {
        self.configuration = configuration
        self.format = format
        self.cacheElementBytes = cacheElementBytes
    }

    func cut(bytes: Int, rows: Int) -> HostedModel.Cut {
        HostedModel.Cut(bytes: bytes, units: (rows + WideUnit.rows - 1) / WideUnit.rows)
    }

    /// Matrices of equally many rows.
    func cut(_ matrices: [LinearSource], _ format: ResidentFormat) -> HostedModel.Cut {
        cut(bytes: matrices.reduce(0) { $0 + $1.residentBytes(format) }, rows: matrices.first?.rows ?? 0)
    }

    /// - Parameter index: among the main layers and the modules behind them.
    func layer(_ source: LayerSource, _ index: Int) -> HostedModel.Layer {
        let c = configuration
        let attention = source.attention
        let indexer = attention.indexer.map { [$0.query, $0.key, $0.weights] } ?? []
        var whole = [attention.queryDown, attention.latentDown].reduce(0) { $0 + ($1?.residentBytes(format) ?? 0) }
        whole += indexer.reduce(0) { $0 + $1.residentBytes(.stored) }
        let latentUp = attention.latentUp
        let inAttention = [attention.queryDown, attention.query, attention.latentDown, latentUp, attention.output]
        var used = inAttention.compactMap(\.self) + indexer
        let (dense, experts): (MLPSource?, HostedModel.Experts?)
        switch source.feedForward {
        case .dense(let mlp): (dense, experts) = (mlp, nil)
        case .moe(let router, _, let all, let shared):
            whole += router.residentBytes(.stored)
            used.append(router)
            used += all.prefix(c.expertsPerToken).flatMap(\.matrices)
            dense = shared
            experts = HostedModel.Experts(
                count: all.count, gateUp: cut([all[0].gate, all[0].up], format.forExperts),
                down: cut([all[0].down], format.forExperts))
        }
        used += dense?.matrices ?? []
        let routedFloats = experts == nil ? 0 : c.expertsPerToken * c.expertIntermediateSize
        return HostedModel.Layer(
            wholeBytes: whole,
            heads: HostedModel.Cut(
                bytes: attention.query.residentBytes(format) + latentUp.residentBytes(as: latentUp.dividedFormat),
                units: headUnits),
            output: cut([attention.output], format), gateUp: cut(dense.map { [$0.gate, $0.up] } ?? [], format),
            down: cut(dense.map { [$0.down] } ?? [], format), experts: experts,
            attendedFloats: c.headCount * c.valueDimension, hiddenFloats: c.hiddenSize,
            activationFloats: routedFloats + (dense?.gate.rows ?? 0), cacheBytesPerToken: cacheBytes(index),
            multiplyAdds: used.reduce(0) { $0 + Double($1.rows) * Double($1.columns) })
    }

    /// Heads go together until their query rows fill whole units.
    private var headUnits: Int {
        let unit = WideUnit.heads(width: configuration.queryDimension)
        return (configuration.headCount + unit - 1) / unit
    }

    /// A latent, a rotated key, and an index key where the layer may have an indexer of its own.
    private func cacheBytes(_ index: Int) -> Int {
        let sparse = configuration.sparseAttention
        let hasIndexKeys = sparse?.hasOwnIndexer(layer: index) ?? false
        let floats =
            configuration.latentRank + configuration.ropeDimension + (hasIndexKeys ? sparse?.headDimension ?? 0 : 0)
        return floats * cacheElementBytes
    }
}
