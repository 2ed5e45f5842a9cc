extension PlacementProblem {
    /// Windows of a layer that are enough to rank copies by.
    private static let replicaWindows = 1000

    /// The spread policy with copies of some experts on further nodes: one copy after the other where it shortens recorded
    /// steps most, the copy to read being chosen in each step.
    func replicas(percent: Double, statistics: RoutingStatistics) -> PolicyOutcome {
        guard nodeCount > 1 else { return .notApplicable("needs two nodes or more") }
        guard let homes = spreadHomes(statistics) else { return missingSlots }
        let budget = Int((Double(model.expertCount) * percent / 100).rounded())
        var room = room
        for home in homes.joined() { room[Int(home)] -= 1 }
        let spare = room.reduce(0, +)
        guard spare >= layers.count * budget, layers.count * budget <= expertTotal * (nodeCount - 1) else {
            let short = layers.count * budget - min(spare, expertTotal * (nodeCount - 1))
            return .doesNotFit([Shortfall(node: nil, missingBytes: short * model.expertBytes)])
        }
        let wholes = CopyCosts(machine.nodes.indices.map(ExpertPlacement.whole), model: model, machine: machine)
        let placements = layers.indices.map { layer in
            // Every layer may use its part of what is left of a node.
            let rooms = room.map { $0 * (layer + 1) / layers.count - $0 * layer / layers.count }
            let windows = statistics.windows.layers[layer].thinned(to: Self.replicaWindows)
            var search = ReplicaSearch(windows, homes: homes[layer].map(Int.init), wholes: wholes)
            search.add(budget, room: rooms)
            return search.holders.map(ExpertPlacement.mirrored)
        }
        return outcome(placements, policy: .replicas(percent: percent))
    }
}
