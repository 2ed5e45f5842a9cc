import CForetokenKernels
import ForetokenPlacement

/// The experts of one layer as they were packed.
struct PackedExperts {
    /// Decoder layer; MTP modules' blocks come after the main layers.
    let layer: Int
    let table: ExpertTable
    /// By expert: where each lies.
    let placements: [ExpertPlacement]
    /// By expert: its memory.
    let blocks: [[ExpertBlock]]
}

/// The model's structure over a plan: which stored weight becomes which packed matrix, and where.
struct PackedModel {
    let embedding: Linear
    private(set) var layers: [LayerWeights] = []
    let finalNorm: FloatVector
    let lmHead: Linear
    private(set) var modules: [MTPWeights] = []
    /// One copy a distinct lm_head.
    private(set) var coarseLMHeads: [CoarseLMHeadSource] = []
    private(set) var expertTables: [PackedExperts] = []
    private let configuration: ModelConfiguration
    private let places: ExpertPlaces

    init(
        _ layout: WeightLayout, _ configuration: ModelConfiguration, _ shared: SharedCopies, _ places: ExpertPlaces,
        _ plan: inout PackingPlan
    ) {
        self.configuration = configuration
        self.places = places
        let isTied = layout.lmHead == layout.embedding
        embedding = isTied ? plan.linear(layout.embedding, as: .stored) : plan.whole(layout.embedding, as: .stored)
        finalNorm = plan.norm(layout.finalNorm)
        lmHead = isTied ? embedding : plan.linear(layout.lmHead, as: plan.format.forLMHeads)
        for (index, source) in layout.layers.enumerated() { layers.append(layer(source, index, &plan)) }
        for (source, copies) in zip(layout.mtp, shared.modules) {
            let moduleLMHead = copies.lmHead.map { plan.linear($0, as: plan.format.forLMHeads) } ?? lmHead
            modules.append(
                MTPWeights(
                    embeddingNorm: plan.norm(source.embeddingNorm), hiddenNorm: plan.norm(source.hiddenNorm),
                    projection: plan.linear(source.projection, as: plan.format.forLMHeads),
                    block: layer(source.block, configuration.layerCount + modules.count, &plan),
                    finalNorm: plan.norm(source.finalNorm),
                    embedding: copies.embedding.map { plan.whole($0, as: .stored) } ?? embedding, lmHead: moduleLMHead,
                    coarseLMHead: coarseLMHead(of: moduleLMHead, &plan)))
        }
    }

    private mutating func coarseLMHead(of lmHead: Linear, _ plan: inout PackingPlan) -> CutCoarseLMHead {
        if let known = coarseLMHeads.first(where: { $0.lmHead.parts == lmHead.parts }) { return known.coarseLMHead }
        let copy = plan.coarseLMHead(rows: configuration.vocabularySize, columns: configuration.hiddenSize)
        coarseLMHeads.append(CoarseLMHeadSource(lmHead: lmHead, coarseLMHead: copy))
        return copy
    }

    private mutating func layer(_ source: LayerSource, _ index: Int, _ plan: inout PackingPlan) -> LayerWeights {
        LayerWeights(
            attention: plan.attention(source.attention, configuration),
            feedForwardNorm: plan.norm(source.feedForwardNorm),
            feedForward: feedForward(source.feedForward, index, &plan))
    }

    private mutating func feedForward(
        _ source: FeedForwardSource, _ index: Int, _ plan: inout PackingPlan
    ) -> FeedForwardWeights {
        switch source {
        case .dense(let mlp):
            return .dense(plan.mlp(mlp))
        case .moe(let router, let bias, let experts, let shared):
            let placements = experts.indices.map { places.placement(layer: index, expert: $0) }
            _ = plan.takeBlocks()
            var blocks: [[ExpertBlock]] = []
            var entries: [ExpertEntry] = []
            for (source, placement) in zip(experts, placements) {
                entries.append(plan.expert(source, placement))
                blocks.append(plan.takeBlocks())
            }
            let table = ExpertTable(
                entries: plan.table(entries), count: entries.count,
                replicas: ReplicaCosts(placements, ExpertShape(experts[0], plan.format), plan.nodes))
            expertTables.append(
                PackedExperts(layer: index, table: table, placements: placements, blocks: blocks))
            return .moe(
                MoEWeights(
                    router: plan.linear(router, as: .stored), bias: bias.map { plan.norm($0) }, experts: table,
                    shared: shared.map { plan.mlp($0) }))
        }
    }
}

extension PackingPlan {
    fileprivate mutating func norm(_ tensor: TensorInfo) -> FloatVector { FloatVector(values: vector(tensor)) }

    /// A matrix that is not cut.
    fileprivate mutating func whole(_ source: LinearSource, as format: ResidentFormat) -> Linear {
        cut(source, into: [(0, 0..<Self.panels(source.rows))], as: format)
    }

    /// A matrix that every step reads, cut over the teams.
    fileprivate mutating func linear(_ source: LinearSource, as format: ResidentFormat) -> Linear {
        cut(source, into: Array(nodes.denseCut(Self.panels(source.rows)).enumerated().map { ($0, $1) }), as: format)
    }

    private mutating func linear(_ source: LinearSource) -> Linear { linear(source, as: format) }

    /// - Parameter teams: each team's panels, ascending.
    private mutating func cut(
        _ source: LinearSource, into teams: [(team: Int, panels: Range<Int>)], as format: ResidentFormat
    ) -> Linear {
        let nodes = nodes
        let parts = teams.filter { !$0.panels.isEmpty }.map { team, panels in
            let node = nodes.teams[team]
            return inRegion(.fixed(node)) {
                MatrixPart(
                    $0.matrix(source, panels: panels, as: format), firstPanel: panels.lowerBound, team: team,
                    node: node, in: nodes)
            }
        }
        return Linear(parts: UnsafePointer(table(parts)), partCount: parts.count)
    }

    static func panels(_ rows: Int) -> Int {
        (rows + Int(FORETOKEN_PANEL_ROWS) - 1) / Int(FORETOKEN_PANEL_ROWS)
    }

    fileprivate mutating func mlp(_ source: MLPSource) -> MLPWeights {
        MLPWeights(gate: linear(source.gate), up: linear(source.up), down: linear(source.down))
    }

    /// The copy of an lm_head of that shape.
    fileprivate mutating func coarseLMHead(rows: Int, columns: Int) -> CutCoarseLMHead {
        let frequent = CutCoarseLMHead.frequentRows(of: rows)
        let parts =
            coarseLMHeadParts(0..<frequent, columns: columns, isFrequent: true)
            + coarseLMHeadParts(frequent..<rows, columns: columns, isFrequent: false)
        return CutCoarseLMHead(parts: UnsafePointer(table(parts)), partCount: parts.count)
    }

    /// The copies of some rows, which begin with a panel, cut over the teams.
    private mutating func coarseLMHeadParts(
        _ rows: Range<Int>, columns: Int, isFrequent: Bool
    ) -> [CoarseLMHeadPart] {
        let lanes = Int(FORETOKEN_PANEL_ROWS)
        let cuts = nodes.denseCut(Self.panels(rows.count)).enumerated().filter { !$0.element.isEmpty }
        return cuts.map { team, panels in
            let count = min(panels.upperBound * lanes, rows.count) - panels.lowerBound * lanes
            let copy = inRegion(.fixed(nodes.teams[team])) { $0.coarseLMHeadPart(rows: count, columns: columns) }
            return CoarseLMHeadPart(
                lmHead: copy, firstPanel: Int32(rows.lowerBound / lanes + panels.lowerBound), team: Int32(team),
                isFrequent: isFrequent)
        }
    }

    // MARK: Attention

    fileprivate mutating func attention(
        _ source: AttentionSource, _ configuration: ModelConfiguration
    ) -> AttentionWeights {
        let width = configuration.queryDimension
        let heads = nodes.headCut(configuration.headCount, width: width)
        let queryPanels = heads.map { Self.panels($0.lowerBound * width)..<Self.panels($0.upperBound * width) }
        let (keyUp, valueUp) = latentUp(source.latentUp, heads, configuration)
        return AttentionWeights(
            inputNorm: norm(source.inputNorm), queryDown: source.queryDown.map { linear($0) },
            queryNorm: source.queryNorm.map { norm($0) },
            queryUp: cut(source.query, into: queryPanels.enumerated().map { ($0, $1) }, as: format),
            latentDown: linear(source.latentDown), latentNorm: norm(source.latentNorm), keyUp: keyUp,
            valueUp: valueUp, output: linear(source.output), indexer: source.indexer.map { indexer($0) })
    }

    private mutating func indexer(_ source: IndexerSource) -> IndexerWeights {
        IndexerWeights(
            query: linear(source.query, as: .stored), key: linear(source.key, as: .stored),
            keyNorm: norm(source.keyNorm), keyBias: norm(source.keyBias),
            weights: linear(source.weights, as: .stored))
    }

    /// The halves of kv_b_proj by head, each on the node of the team that has the head. Heads begin anywhere in the scale
    /// blocks.
    private mutating func latentUp(
        _ source: LinearSource, _ heads: [Range<Int>], _ configuration: ModelConfiguration
    ) -> (keyUp: MatrixTable, valueUp: MatrixTable) {
        let nope = configuration.nopeDimension
        let perHead = nope + configuration.valueDimension
        var keyUp: [PackedMatrix] = []
        var valueUp: [PackedMatrix] = []
        for (team, range) in heads.enumerated() {
            inRegion(.fixed(nodes.teams[team])) {
                for head in range {
                    let start = head * perHead
                    keyUp.append($0.transposed(source, rows: start..<start + nope))
                    valueUp.append($0.matrix(source, rows: start + nope..<start + perHead))
                }
            }
        }
        return (
            MatrixTable(matrices: UnsafePointer(table(keyUp)), count: keyUp.count),
            MatrixTable(matrices: UnsafePointer(table(valueUp)), count: valueUp.count)
        )
    }

    // MARK: Experts

    /// An expert's copies as they are placed.
    fileprivate mutating func expert(_ source: MLPSource, _ placement: ExpertPlacement) -> ExpertEntry {
        let copies = placement.copies.map { parts in
            let cut = ExpertCut(
                parts, gateUpPanels: Self.panels(source.gate.rows), downPanels: Self.panels(source.down.rows), nodes)
            var (gate, up, down) = ([MatrixPart](), [MatrixPart](), [MatrixPart]())
            for part in cut.parts {
                inBlock(node: part.node) {
                    gate += $0.parts(source.gate, part.gateUp, on: part.node)
                    up += $0.parts(source.up, part.gateUp, on: part.node)
                    down += $0.parts(source.down, part.down, on: part.node)
                }
            }
            return ExpertCopy(
                gate: linear(gate), up: linear(up), down: linear(down), isCutEvenly: cut.isEven)
        }
        return ExpertEntry(copies: UnsafePointer(table(copies)), copyCount: copies.count)
    }

    private mutating func parts(
        _ source: LinearSource, _ readers: [ExpertCut.Reader], on node: Int
    ) -> [MatrixPart] {
        let format = format.forExperts
        return readers.map {
            MatrixPart(
                matrix(source, panels: $0.panels, as: format), firstPanel: $0.panels.lowerBound, team: $0.team,
                node: node, in: nodes)
        }
    }

    private mutating func linear(_ parts: [MatrixPart]) -> Linear {
        Linear(parts: UnsafePointer(table(parts)), partCount: parts.count)
    }
}
