import CForetokenKernels
import ForetokenPlacement

extension WeightLayout {
    /// What a placement must know of this model; nil where it has no routed experts.
    ///
    /// - Parameters:
    ///   - checkpoint: the files the layout is of.
    ///   - format: how the large matrices will be kept.
    ///   - besides: bytes of caches and scratch.
    /// - Throws: `CheckpointError` when a file cannot be read.
    public func placementModel(
        _ checkpoint: Checkpoint, format: ResidentFormat, besides: Int
    ) throws -> PlacementModel? {
        let configuration = checkpoint.configuration
        var moe: [(layer: Int, expert: MLPSource)] = []
        for (index, layer) in (layers + mtp.map(\.block)).enumerated() {
            if case .moe(_, _, let experts, _) = layer.feedForward { moe.append((index, experts[0])) }
        }
        guard let first = moe.first else { return nil }
        var measure = PackingPlan(format: format, nodes: .single)
        _ = PackedModel(self, configuration, try sharedCopies(checkpoint), ExpertPlaces(nil, .single), &measure)
        let shape = ExpertShape(first.expert, format)
        return PlacementModel(
            fingerprint: try checkpoint.routingFingerprint(self), layers: moe.map(\.layer),
            expertCount: configuration.routedExpertCount, expertsPerToken: configuration.expertsPerToken,
            gateUpBytes: shape.gateUpBytes, downBytes: shape.downBytes, gateUpPanels: shape.gateUpPanels,
            downPanels: shape.downPanels,
            denseBytesPerStep: denseBytesPerStep(format), denseBytes: measure.byteCounts.fixed.reduce(besides, +))
    }

    /// Bytes of packed weights on a machine with one node, derived copies included, where the MTP modules' copies of the
    /// main tables are repetitions, as they are in published files.
    package func packedBytes(_ configuration: ModelConfiguration, _ format: ResidentFormat) -> Int {
        var measure = PackingPlan(format: format, nodes: .single)
        _ = PackedModel(self, configuration, .allRepeated(self), ExpertPlaces(nil, .single), &measure)
        return measure.byteCount
    }

    /// Bytes outside the routed experts that one step of the main layers reads.
    package func denseBytesPerStep(_ format: ResidentFormat) -> Int {
        layers.reduce(lmHead.residentBytes(format.forLMHeads)) { $0 + $1.denseBytes(format) }
    }

    /// Bytes that one draft of the first MTP module reads, of its lm_head the frequent rows of the INT8 copy; nil without a
    /// module.
    package func draftBytes(_ configuration: ModelConfiguration, _ format: ResidentFormat) -> Int? {
        guard let module = mtp.first else { return nil }
        var bytes = module.projection.residentBytes(format.forLMHeads) + module.block.denseBytes(format)
        if case .moe(_, _, let experts, _) = module.block.feedForward {
            let expert = ExpertShape(experts[0], format)
            bytes += configuration.expertsPerToken * (expert.gateUpBytes + expert.downBytes)
        }
        let rowScale = MemoryLayout<Float>.size
        let frequent = CutCoarseLMHead.frequentRows(of: configuration.vocabularySize)
        return bytes + frequent * (configuration.hiddenSize + rowScale)
    }
}

extension ExpertShape {
    /// The shape of a routed expert.
    init(_ source: MLPSource, _ format: ResidentFormat) {
        let format = format.forExperts
        self.init(
            gateUpPanels: PackingPlan.panels(source.gate.rows), downPanels: PackingPlan.panels(source.down.rows),
            gateUpBytes: source.gate.residentBytes(format) + source.up.residentBytes(format),
            downBytes: source.down.residentBytes(format))
    }
}

extension LinearSource {
    /// Bytes that one pass over the packed matrix reads.
    func residentBytes(_ format: ResidentFormat) -> Int {
        residentBytes(as: format.resident(storedFormat))
    }

    /// The same of a matrix that is kept in that format.
    func residentBytes(as packed: PackedFormat) -> Int {
        var matrix = PackedMatrix()
        matrix.rows = Int32(rows)
        matrix.columns = Int32(columns)
        matrix.format = packed.raw
        if packed == .fp8 {
            matrix.scale_blocks = Int32(ScaleGrid(start: 0, count: columns).blockCount)
            matrix.scale_lanes = weight.type == .fp8 ? 1 : FORETOKEN_PANEL_ROWS
        }
        return matrix.byteCount
    }
}

extension LayerSource {
    /// Bytes outside the routed experts that a step reads.
    fileprivate func denseBytes(_ format: ResidentFormat) -> Int {
        let latentUp = attention.latentUp
        let attention =
            [attention.queryDown, attention.query, attention.latentDown, attention.output]
            .reduce(latentUp.residentBytes(as: latentUp.dividedFormat)) { $0 + ($1?.residentBytes(format) ?? 0) }
            + (attention.indexer.map { [$0.query, $0.key, $0.weights] } ?? [])
            .reduce(0) { $0 + $1.residentBytes(.stored) }
        switch feedForward {
        case .dense(let mlp): return attention + mlp.residentBytes(format)
        case .moe(let router, _, _, let shared):
            return attention + router.residentBytes(.stored) + (shared?.residentBytes(format) ?? 0)
        }
    }
}

extension MLPSource {
    fileprivate func residentBytes(_ format: ResidentFormat) -> Int {
        gate.residentBytes(format) + up.residentBytes(format) + down.residentBytes(format)
    }
}
