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
        let host = plan.host
        // Rows of an embedding that is cut over hosts are not all on the one that needs them.
        let isTied = layout.lmHead == layout.embedding && !host.cutsRows
        plan.isHere = host.rank == 0
        embedding = isTied ? plan.linear(layout.embedding, as: .stored) : plan.whole(layout.embedding, as: .stored)
        plan.isHere = host.rank == 0 || host.cutsRows
        finalNorm = plan.norm(layout.finalNorm)
        let lmHeadFormat = layout.lmHead == layout.embedding ? ResidentFormat.stored : plan.format.forLMHeads
        lmHead = isTied ? embedding : plan.linear(layout.lmHead, as: lmHeadFormat)
        for (index, source) in layout.layers.enumerated() {
            plan.isHere = host.has(layer: index, mainCount: configuration.layerCount)
            layers.append(layer(source, index, &plan))
        }
        plan.isHere = host.rank == 0 || host.cutsRows
        for (source, copies) in zip(layout.mtp, shared.modules) {
            let moduleLMHead = copies.lmHead.map { plan.linear($0, as: plan.format.forLMHeads) } ?? lmHead
            modules.append(
                MTPWeights(
                    embeddingNorm: plan.norm(source.embeddingNorm), hiddenNorm: plan.norm(source.hiddenNorm),
                    projection: plan.linear(source.projection, as: plan.format.forLMHeads),
                    block: layer(source.block, configuration.layerCount + modules.count, &plan),
                    finalNorm: plan.norm(source.finalNorm),
                    embedding: copies.embedding.map { plan.tokenTable($0) } ?? embedding, lmHead: moduleLMHead,
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
        case .moe(_, _, let experts, _) where !plan.isHere:
            // Nothing of it is packed.
            return .dense(plan.mlp(experts[0]))
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
                    router: plan.linear(router, as: .stored, onEveryHost: true), bias: bias.map { plan.norm($0) },
                    experts: table,
                    shared: shared.map { plan.mlp($0) }))
        }
    }
}

extension PackingPlan {
    fileprivate mutating func norm(_ tensor: TensorInfo) -> FloatVector { FloatVector(values: vector(tensor)) }

    /// An embedding, which only the host has that knows the tokens.
    fileprivate mutating func tokenTable(_ source: LinearSource) -> Linear {
        let before = isHere
        defer { isHere = before }
        isHere = host.rank == 0
        return whole(source, as: .stored)
    }

    /// A matrix that is not cut.
    fileprivate mutating func whole(_ source: LinearSource, as format: ResidentFormat) -> Linear {
        cut(source, into: [(0, 0..<Self.panels(source.rows))], as: format)
    }

    /// A matrix that every step reads, cut over the hosts and their teams.
    /// - Parameter onEveryHost: whether it is so small that every host has all of it.
    fileprivate mutating func linear(
        _ source: LinearSource, as format: ResidentFormat, onEveryHost: Bool = false
    ) -> Linear {
        let panels = Self.panels(source.rows)
        let teams = nodes.denseCut(onEveryHost ? 0..<panels : ownPanels(panels))
        return cut(source, into: Array(teams.enumerated().map { ($0, $1) }), as: format)
    }

    private mutating func linear(_ source: LinearSource, onEveryHost: Bool = false) -> Linear {
        linear(source, as: format, onEveryHost: onEveryHost)
    }

    /// Those that this host has of a matrix's panels.
    private func ownPanels(_ panels: Int) -> Range<Int> { host.panelBounds(panels).part(host.rank) }

    /// - Parameter teams: each team's panels, ascending.
    private mutating func cut(
        _ source: LinearSource, into teams: [(team: Int, panels: Range<Int>)], as format: ResidentFormat
    ) -> Linear {
        let nodes = nodes
        let parts = teams.filter { isHere && !$0.panels.isEmpty }.map { team, panels in
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
            coarseLMHeadParts(0..<frequent, of: rows, columns: columns, isFrequent: true)
            + coarseLMHeadParts(frequent..<rows, of: rows, columns: columns, isFrequent: false)
        return CutCoarseLMHead(parts: UnsafePointer(table(parts)), partCount: parts.count)
    }

    /// The copies of some rows, which begin with a panel, cut over the teams.
    private mutating func coarseLMHeadParts(
        _ rows: Range<Int>, of vocabulary: Int, columns: Int, isFrequent: Bool
    ) -> [CoarseLMHeadPart] {
        let lanes = Int(FORETOKEN_PANEL_ROWS)
        // The copies are made of what this host has of the lm_head.
        let all = rows.lowerBound / lanes..<rows.lowerBound / lanes + Self.panels(rows.count)
        let own = isHere ? all.clamped(to: ownPanels(Self.panels(vocabulary))) : all.lowerBound..<all.lowerBound
        let cuts = nodes.denseCut(own).enumerated().filter { !$0.element.isEmpty }
        return cuts.map { team, panels in
            let count = min(panels.upperBound * lanes, rows.upperBound) - panels.lowerBound * lanes
            let copy = inRegion(.fixed(nodes.teams[team])) { $0.coarseLMHeadPart(rows: count, columns: columns) }
            return CoarseLMHeadPart(
                lmHead: copy, firstPanel: Int32(panels.lowerBound), team: Int32(team), isFrequent: isFrequent)
        }
    }

    // MARK: Attention

    fileprivate mutating func attention(
        _ source: AttentionSource, _ configuration: ModelConfiguration
    ) -> AttentionWeights {
        let width = configuration.queryDimension
        let heads = nodes.headCut(
            host.headBounds(configuration.headCount, width: width).part(host.rank), width: width)
        let queryPanels = heads.map { Self.panels($0.lowerBound * width)..<Self.panels($0.upperBound * width) }
        let (keyUp, valueUp) = latentUp(source.latentUp, heads, configuration)
        return AttentionWeights(
            inputNorm: norm(source.inputNorm), queryDown: source.queryDown.map { linear($0, onEveryHost: true) },
            queryNorm: source.queryNorm.map { norm($0) },
            queryUp: cut(source.query, into: queryPanels.enumerated().map { ($0, $1) }, as: format),
            latentDown: linear(source.latentDown, onEveryHost: true), latentNorm: norm(source.latentNorm), keyUp: keyUp,
            valueUp: valueUp, output: linear(source.output), indexer: source.indexer.map { indexer($0) })
    }

    private mutating func indexer(_ source: IndexerSource) -> IndexerWeights {
        IndexerWeights(
            query: linear(source.query, as: .stored, onEveryHost: true),
            key: linear(source.key, as: .stored, onEveryHost: true),
            keyNorm: norm(source.keyNorm), keyBias: norm(source.keyBias),
            weights: linear(source.weights, as: .stored, onEveryHost: true))
    }

    /// The halves of kv_b_proj by head, each on the node of the team that has the head. Heads begin anywhere in the scale
    /// blocks.
    private mutating func latentUp(
        _ source: LinearSource, _ heads: [Range<Int>], _ configuration: ModelConfiguration
    ) -> (keyUp: MatrixTable, valueUp: MatrixTable) {
        let nope = configuration.nopeDimension
        let perHead = nope + configuration.valueDimension
        // Empty where other hosts have the head.
        var keyUp = [PackedMatrix](repeating: PackedMatrix(), count: configuration.headCount)
        var valueUp = keyUp
        for (team, range) in heads.enumerated() where isHere {
            inRegion(.fixed(nodes.teams[team])) {
                for head in range {
                    let start = head * perHead
                    keyUp[head] = $0.transposed(source, rows: start..<start + nope)
                    valueUp[head] = $0.matrix(source, rows: start + nope..<start + perHead)
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
                parts, gateUpPanels: ownPanels(Self.panels(source.gate.rows)),
                downPanels: ownPanels(Self.panels(source.down.rows)), nodes)
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
