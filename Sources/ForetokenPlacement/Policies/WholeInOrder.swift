/// Whole experts without statistics.
extension PlacementProblem {
    /// Blocks of consecutive ids, a block a node.
    func contiguous() -> PolicyOutcome {
        guard let slots = equalSlots() else { return missingSlots }
        return whole(slots.counts.map(Self.blocks), policy: .contiguous)
    }

    /// One expert a node in turn, as long as a node has slots.
    func roundRobin() -> PolicyOutcome {
        guard let slots = equalSlots() else { return missingSlots }
        return whole(slots.counts.map(Self.turns), policy: .roundRobin)
    }

    static func blocks(_ counts: [Int]) -> [Int32] {
        counts.enumerated().flatMap { node, count in [Int32](repeating: Int32(node), count: count) }
    }

    static func turns(_ counts: [Int]) -> [Int32] {
        var left = counts
        var homes: [Int32] = []
        while homes.count < counts.reduce(0, +) {
            for node in left.indices where left[node] > 0 {
                homes.append(Int32(node))
                left[node] -= 1
            }
        }
        return homes
    }
}
