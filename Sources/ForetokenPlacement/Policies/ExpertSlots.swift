/// How many whole experts each node holds in each layer.
struct ExpertSlots: Sendable {
    /// By layer and node; a layer's sum is its experts.
    var counts: [[Int]]

    /// Deals out slots for `perLayer` experts in each of `layers` layers, by weight as long as a node has room.
    ///
    /// A node's total over all layers follows its weight, capped by its room; nodes of weight 0 get what the others cannot
    /// take. Every layer gets about the same part of each node's total.
    /// - Parameters:
    ///   - room: by node, experts of all layers that fit.
    ///   - spare: by node, how fast a node of weight 0 fills up.
    /// - Returns: nil where the room is too small for all.
    init?(layers: Int, perLayer: Int, weights: [Double], spare: [Double], room: [Int]) {
        let total = layers * perLayer
        guard room.reduce(0, { $0 + max($1, 0) }) >= total else { return nil }
        var totals = [Int](repeating: 0, count: room.count)
        var left = total
        Self.award(&left, by: weights, room: room, to: &totals)
        Self.award(&left, by: zip(weights, spare).map { $0 > 0 ? 0 : $1 }, room: room, to: &totals)
        var given = [Int](repeating: 0, count: room.count)
        counts = (0..<layers).map { layer in
            var counts = [Int](repeating: 0, count: room.count)
            for _ in 0..<perLayer {
                // The node that is furthest behind its total's part of the layers so far.
                let behind = totals.indices.map { totals[$0] * (layer + 1) - given[$0] * layers }
                let node = behind.indices.max { (behind[$0], $1) < (behind[$1], $0) }!
                counts[node] += 1
                given[node] += 1
            }
            return counts
        }
    }

    /// One slot after the other to the node that has least for its weight.
    private static func award(_ left: inout Int, by weights: [Double], room: [Int], to totals: inout [Int]) {
        while left > 0 {
            var best = (node: -1, fill: Double.infinity)
            for node in weights.indices where weights[node] > 0 && totals[node] < room[node] {
                let fill = Double(totals[node] + 1) / weights[node]
                if fill < best.fill { best = (node, fill) }
            }
            guard best.node >= 0 else { return }
            totals[best.node] += 1
            left -= 1
        }
    }
}

extension PlacementProblem {
    /// By node: whole experts that fit, all layers together.
    var room: [Int] { freeBytes.map { $0 / model.expertBytes } }

    /// Slots that engines without a plan would fill: equal numbers on nodes with workers, what is left elsewhere.
    func equalSlots() -> ExpertSlots? {
        ExpertSlots(
            layers: layers.count, perLayer: model.expertCount, weights: machine.nodes.map { $0.workers > 0 ? 1 : 0 },
            spare: bandwidths, room: room)
    }

    /// Slots by bandwidth.
    func bandwidthSlots() -> ExpertSlots? {
        ExpertSlots(
            layers: layers.count, perLayer: model.expertCount, weights: bandwidths, spare: bandwidths, room: room)
    }

    /// What is missing where whole experts find no slots.
    var missingSlots: PolicyOutcome {
        let short = expertTotal - room.reduce(0, +)
        return .doesNotFit([Shortfall(node: nil, missingBytes: short * model.expertBytes)])
    }

    /// Whole experts from the index of each one's node.
    func whole(_ homes: [[Int32]], policy: PlacementPolicy) -> PolicyOutcome {
        let wholes = machine.nodes.indices.map(ExpertPlacement.whole)
        return outcome(homes.map { $0.map { wholes[Int($0)] } }, policy: policy)
    }
}
