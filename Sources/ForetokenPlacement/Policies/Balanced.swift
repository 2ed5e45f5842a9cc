extension PlacementProblem {
    /// Whole experts packed by load: the most loaded first, each to the node that has least to do and still has a slot.
    /// On nodes of one speed and room for equal numbers this is EPLB's packing of one copy each
    /// (https://github.com/deepseek-ai/EPLB); elsewhere loads are divided by bandwidth.
    func balanced(_ statistics: RoutingStatistics) -> PolicyOutcome {
        guard let slots = equalSlots() else { return missingSlots }
        let slowness = relativeSlowness
        let homes = statistics.rows.indices.map { layer in
            ExpertPacking.pack(statistics.rows[layer].map(Float.init), slots: slots.counts[layer], slowness: slowness)
                .bin
                .map(Int32.init)
        }
        return whole(homes, policy: .balanced)
    }

    /// By node: time of a byte over that of the fastest node's.
    var relativeSlowness: [Float] {
        let fastest = bandwidths.max()!
        return hasEqualNodes ? bandwidths.map { _ in 1 } : bandwidths.map { Float(fastest / $0) }
    }
}

/// Packing by load, and replicas by load, as EPLB publishes them. Loads are FP32 there, so they are here.
public enum ExpertPacking {
    /// Packs items into bins: the heaviest first, each into the bin that is lightest and has a slot; ties to the lower index.
    /// - Parameters:
    ///   - slots: by bin; together as many as items.
    ///   - slowness: by bin, a factor on its loads; equal factors make equal bins.
    /// - Returns: by item its bin, and its place in the bin by order of arrival.
    static func pack(_ loads: [Float], slots: [Int], slowness: [Float]) -> (bin: [Int], rank: [Int]) {
        let heaviest = loads.indices.sorted { (loads[$0], $1) > (loads[$1], $0) }
        var bin = [Int](repeating: 0, count: loads.count)
        var rank = bin
        var filled = [(load: Float, items: Int)](repeating: (0, 0), count: slots.count)
        for item in heaviest {
            var best = -1
            var least = (Float.infinity, Float.infinity)
            for candidate in slots.indices where filled[candidate].items < slots[candidate] {
                let load = filled[candidate].load
                let finish = ((load + loads[item]) * slowness[candidate], load)
                if best < 0 || finish < least { (best, least) = (candidate, finish) }
            }
            (bin[item], rank[item]) = (best, filled[best].items)
            filled[best].load += loads[item]
            filled[best].items += 1
        }
        return (bin, rank)
    }

    /// EPLB's balanced packing: equal numbers of items in each of `bins` bins.
    package static func pack(_ loads: [Float], bins: Int) -> (bin: [Int], rank: [Int]) {
        let each = loads.count / bins
        if each == 1 { return (Array(loads.indices), loads.map { _ in 0 }) }
        return pack(
            loads, slots: [Int](repeating: each, count: bins), slowness: [Float](repeating: 1, count: bins))
    }

    /// Adds copies one by one, each of the expert with the greatest load a copy; ties to the lower index.
    /// - Returns: by copy its expert and its number among that expert's, and by expert its copies.
    static func replicate(_ loads: [Float], copies: Int) -> (expert: [Int], number: [Int], counts: [Int]) {
        var expert = Array(loads.indices)
        var number = [Int](repeating: 0, count: loads.count)
        var counts = [Int](repeating: 1, count: loads.count)
        for _ in loads.count..<copies {
            var hottest = 0
            for candidate in loads.indices
            where loads[candidate] / Float(counts[candidate]) > loads[hottest] / Float(counts[hottest]) {
                hottest = candidate
            }
            expert.append(hottest)
            number.append(counts[hottest])
            counts[hottest] += 1
        }
        return (expert, number, counts)
    }
}
