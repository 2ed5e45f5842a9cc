import ForetokenPlacement
import ForetokenWeights

/// A way to spread a model over made-up nodes: two with workers, and one with memory alone.
enum ProofPlacement: String, CaseIterable {
    /// Every expert cut over the nodes with workers, like everything else.
    case sliced
    /// Every expert whole on some node.
    case whole
    /// Every expert on two nodes; the step takes the copy of the less loaded one.
    case mirrored
    /// Every expert cut in its own proportions.
    case shares
    /// Each expert in one of these ways.
    case mixed

    static let nodes = NodeLayout(nodes: [
        .init(id: nil, workers: 1), .init(id: nil, workers: 1), .init(id: nil, workers: 0, bandwidth: 3e10),
    ])

    func placement(layer: Int, expert: Int) -> ExpertPlacement {
        let node = (7 * expert + layer) % 3
        switch self {
        case .sliced: return .sliced([0, 1])
        case .whole: return .whole(node)
        case .mirrored: return .mirrored([node, (node + 1) % 3].sorted())
        case .shares: return .shares((0..<3).map { 1 + (expert + 5 * $0 + layer) % 4 })
        case .mixed:
            let kinds = Self.allCases.filter { $0 != .mixed }
            return kinds[(layer + expert) % kinds.count].placement(layer: layer, expert: expert)
        }
    }

    /// - Parameter experts: the model's, all of which get a place.
    func plan(_ experts: ExpertStore) -> PlacementPlan {
        let layers = Dictionary(
            uniqueKeysWithValues: experts.placements.map { layer, places in
                (layer, places.indices.map { placement(layer: layer, expert: $0) })
            })
        return PlacementPlan(policy: rawValue, model: "", machine: "", nodes: [0, 1, 2], layers: layers)
    }
}
