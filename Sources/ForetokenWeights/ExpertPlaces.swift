import ForetokenPlacement

/// Where the plan wants each expert, by index of the layout's nodes.
struct ExpertPlaces {
    private let layers: [Int: [ExpertPlacement]]
    private let otherwise: ExpertPlacement

    /// - Parameter plan: validated for this model and these nodes; nil places everything like dense weights.
    init(_ plan: PlacementPlan?, _ nodes: NodeLayout) {
        otherwise = ExpertPlacement(copies: [nodes.densePlacement])
        guard let plan else {
            layers = [:]
            return
        }
        // Nodes without a number are those of a made-up layout, or the only one, in the plan's order.
        let index = plan.nodes.enumerated().map { i, id in nodes.nodes.firstIndex { $0.id == id } ?? i }
        precondition(
            index.allSatisfy(nodes.nodes.indices.contains), "a plan is validated for the nodes that it is loaded on")
        layers = plan.layers.mapValues { experts in
            experts.map { expert in
                ExpertPlacement(
                    copies: expert.copies.map { parts in
                        parts.map { ExpertPlacement.Part(node: index[$0.node], share: $0.share) }
                    })
            }
        }
    }

    func placement(layer: Int, expert: Int) -> ExpertPlacement { layers[layer]?[expert] ?? otherwise }
}

/// How one copy of an expert is cut.
struct ExpertCut {
    /// Panels that one team reads.
    struct Reader: Equatable {
        let team: Int
        let panels: Range<Int>
    }

    /// What lies on one node.
    struct Part {
        let node: Int
        let gateUp: [Reader]
        let down: [Reader]
    }

    /// Parts in ascending order of panels.
    let parts: [Part]
    /// Whether it is cut like the weights that every step reads.
    let isEven: Bool

    /// - Parameters:
    ///   - gateUpPanels: those that this host has of the expert's gate and up projections.
    ///   - downPanels: the same of its down projection.
    init(
        _ placed: [ExpertPlacement.Part], gateUpPanels: Range<Int>, downPanels: Range<Int>, _ nodes: NodeLayout
    ) {
        let gateUp = nodes.cut(gateUpPanels, placed)
        let down = nodes.cut(downPanels, placed)
        func readers(_ range: Range<Int>, _ node: Int) -> [Reader] {
            nodes.readers(of: range, on: node).filter { !$0.panels.isEmpty }.map {
                Reader(team: $0.team, panels: $0.panels)
            }
        }
        parts = placed.indices.map { i in
            Part(
                node: placed[i].node, gateUp: readers(gateUp[i], placed[i].node),
                down: readers(down[i], placed[i].node))
        }
        let even = nodes.denseCut(downPanels).enumerated().filter { !$0.element.isEmpty }
            .map { Reader(team: $0.offset, panels: $0.element) }
        isEven = parts.flatMap(\.down) == even && placed.allSatisfy { nodes.nodes[$0.node].workers > 0 }
    }
}
