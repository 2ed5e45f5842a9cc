extension PlacementProblem {
    /// Whole experts, by bandwidth as capacity allows, those that are read together on different nodes.
    func spread(_ statistics: RoutingStatistics) -> PolicyOutcome {
        guard let homes = spreadHomes(statistics) else { return missingSlots }
        return whole(homes, policy: .spread)
    }

    /// By layer and expert the node of the spread policy; nil where experts find no slots.
    func spreadHomes(_ statistics: RoutingStatistics) -> [[Int32]]? {
        guard let slots = bandwidthSlots() else { return nil }
        let slowness = relativeSlowness
        return layers.indices.map {
            statistics.spreadHomes(layer: $0, slots: slots.counts[$0], slowness: slowness)
        }
    }

    /// The hottest experts of each layer cut over all nodes by bandwidth, the others spread.
    func hybrid(percent: Double, statistics: RoutingStatistics) -> PolicyOutcome {
        let hot = Int((Double(model.expertCount) * percent / 100).rounded())
        let cut = hasEqualNodes ? evenCut : ExpertPlacement.shares(CutShares.integers(bandwidths))
        let cutBytes = model.bytes(of: cut, nodes: nodeCount)
        let room = zip(freeBytes, cutBytes).map { max(0, $0 - layers.count * hot * $1) / model.expertBytes }
        guard
            let slots = ExpertSlots(
                layers: layers.count, perLayer: model.expertCount - hot, weights: bandwidths, spare: bandwidths,
                room: room)
        else {
            let short = layers.count * (model.expertCount - hot) - room.reduce(0, +)
            return .doesNotFit([Shortfall(node: nil, missingBytes: short * model.expertBytes)])
        }
        let wholes = machine.nodes.indices.map(ExpertPlacement.whole)
        let slowness = relativeSlowness
        let placements = layers.indices.map { layer in
            var experts = [ExpertPlacement](repeating: cut, count: model.expertCount)
            let others = statistics.hottest(layer).dropFirst(hot).sorted()
            let homes = statistics.spreadHomes(
                layer: layer, members: others, slots: slots.counts[layer], slowness: slowness)
            for (expert, home) in zip(others, homes) { experts[expert] = wholes[Int(home)] }
            return experts
        }
        return outcome(placements, policy: .hybrid(percent: percent))
    }
}
