/// Placements in the form of DeepSeek's EPLB interface: three arrays by layer.
public struct ReplicaMaps: Sendable, Equatable, Codable {
    /// By layer and copy, the copies of one device together: the expert.
    public var phy2log: [[Int]]
    /// By layer and expert: its copies by number, then -1 up to the most copies of any expert.
    public var log2phy: [[[Int]]]
    /// By layer and expert: its copies.
    public var logcnt: [[Int]]

    /// Rebalances loads as EPLB does: where nodes divide groups, groups are packed to nodes, experts copied within a node,
    /// and copies packed to the node's devices; else all is done as on one node with one group.
    /// - Parameters:
    ///   - loads: by layer and expert.
    ///   - copies: experts and extra copies together, a multiple of `devices`.
    ///   - groups: groups of consecutive experts that are routed together.
    ///   - nodes: groups of devices near each other.
    ///   - devices: where experts lie; a multiple of `nodes`.
    /// - Throws: `PlacementError` where a number does not divide another that it must.
    public init(
        balancing loads: [[Double]], copies: Int, groups: Int, nodes: Int, devices: Int
    ) throws(PlacementError) {
        let experts = loads.first?.count ?? 0
        func expect(_ holds: Bool, _ what: String) throws(PlacementError) {
            guard holds else { throw PlacementError("EPLB arrays: expected \(what)") }
        }
        try expect(experts > 0 && loads.allSatisfy { $0.count == experts }, "the same number of experts in each layer")
        try expect(groups > 0 && nodes > 0 && devices > 0, "one group, node and device or more")
        try expect(copies >= experts, "\(experts) copies or more, found \(copies)")
        try expect(copies % devices == 0, "copies to be a multiple of \(devices) devices, found \(copies)")
        try expect(loads.allSatisfy { $0.allSatisfy { $0.isFinite && $0 >= 0 } }, "loads of 0 or more")
        let isHierarchical = groups % nodes == 0
        if isHierarchical {
            try expect(experts % groups == 0, "\(experts) experts to be a multiple of \(groups) groups")
            try expect(devices % nodes == 0, "\(devices) devices to be a multiple of \(nodes) nodes")
        }
        let layers = loads.map {
            ReplicaLayer(
                balancing: $0.map(Float.init), copies: copies, groups: isHierarchical ? groups : 1,
                nodes: isHierarchical ? nodes : 1, devices: devices)
        }
        let most = layers.flatMap(\.counts).max() ?? 1
        phy2log = layers.map(\.expert)
        logcnt = layers.map(\.counts)
        log2phy = layers.map { layer in
            var copies = [[Int]](repeating: [Int](repeating: -1, count: most), count: experts)
            for (place, expert) in layer.expert.enumerated() { copies[expert][layer.number[place]] = place }
            return copies
        }
    }
}

/// One layer's copies in the order of their places.
private struct ReplicaLayer {
    var expert: [Int] = []
    var number: [Int] = []
    var counts: [Int]

    init(balancing loads: [Float], copies: Int, groups: Int, nodes: Int, devices: Int) {
        let groupSize = loads.count / groups
        let groupLoads = (0..<groups).map { loads[$0 * groupSize..<($0 + 1) * groupSize].reduce(0, +) }
        let packed = ExpertPacking.pack(groupLoads, bins: nodes)
        counts = [Int](repeating: 0, count: loads.count)
        for node in 0..<nodes {
            let members = (0..<groups).filter { packed.bin[$0] == node }.sorted { packed.rank[$0] < packed.rank[$1] }
            let local = members.flatMap { $0 * groupSize..<($0 + 1) * groupSize }
            place(local, of: loads, copies: copies / nodes, devices: devices / nodes)
        }
    }

    /// Copies a node's experts and packs the copies to its devices.
    private mutating func place(_ local: [Int], of loads: [Float], copies: Int, devices: Int) {
        let replicated = ExpertPacking.replicate(local.map { loads[$0] }, copies: copies)
        let copyLoads = replicated.expert.map { loads[local[$0]] / Float(replicated.counts[$0]) }
        let packed = ExpertPacking.pack(copyLoads, bins: devices)
        let order = copyLoads.indices.sorted { (packed.bin[$0], packed.rank[$0]) < (packed.bin[$1], packed.rank[$1]) }
        expert += order.map { local[replicated.expert[$0]] }
        number += order.map { replicated.number[$0] }
        for (index, expert) in local.enumerated() { counts[expert] = replicated.counts[index] }
    }
}
