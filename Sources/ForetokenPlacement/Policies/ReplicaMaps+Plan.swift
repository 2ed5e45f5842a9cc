extension ReplicaMaps {
    /// A plan of whole experts as EPLB's arrays, the machine's nodes being the devices and each node's experts ascending.
    /// - Parameters:
    ///   - plan: whose layers are written.
    ///   - layers: decoder layers in the order of the arrays; those that the plan leaves out are whole where there is one
    ///     node only.
    ///   - experts: routed experts a layer.
    /// - Throws: `PlacementError` for plans that the arrays cannot hold: experts in parts, or nodes with unequal numbers.
    public init(_ plan: PlacementPlan, layers: [Int], experts: Int) throws(PlacementError) {
        let even = ExpertPlacement.sliced(Array(plan.nodes.indices))
        var most = 1
        var places: [[[Int]]] = []
        for number in layers {
            let layer = plan.layers[number] ?? .init(repeating: even, count: experts)
            var byNode = [[Int]](repeating: [], count: plan.nodes.count)
            for (expert, placement) in layer.enumerated() {
                for copy in placement.copies {
                    guard copy.count == 1 else {
                        throw PlacementError(
                            "layer \(number) of the plan (\(plan.policy)) has experts in parts; EPLB's arrays hold whole "
                                + "ones")
                    }
                    byNode[copy[0].node].append(expert)
                }
                most = max(most, placement.copies.count)
            }
            guard Set(byNode.map(\.count)).count == 1 else {
                throw PlacementError(
                    "layer \(number) of the plan (\(plan.policy)) has \(byNode.map(\.count)) experts by node; EPLB's arrays "
                        + "hold equal numbers")
            }
            places.append(byNode)
        }
        let order = places.map { Array($0.joined()) }
        let maps = order.map { physical in
            var logical = [[Int]](repeating: [], count: experts)
            for (place, expert) in physical.enumerated() { logical[expert].append(place) }
            return logical
        }
        phy2log = order
        log2phy = maps.map { $0.map { $0 + [Int](repeating: -1, count: most - $0.count) } }
        logcnt = maps.map { $0.map(\.count) }
    }
}

extension PlacementPolicy {
    /// Whether its plans hold whole experts only.
    public var keepsExpertsWhole: Bool {
        switch self {
        case .roundRobin, .contiguous, .balanced, .spread, .search, .replicas: true
        case .sliced, .proportional, .capacitySliced, .hybrid, .tiered: false
        }
    }
}
