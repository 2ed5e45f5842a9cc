/// One cut for every expert that respects capacities.
extension PlacementProblem {
    /// Parts by bandwidth: the fastest cut for all alike, as capacity allows.
    func proportional() -> PolicyOutcome {
        uniformCut([bandwidths], policy: .proportional)
    }

    /// Equal parts on the nodes with workers, as capacity allows, and only what these cannot take elsewhere.
    func capacitySliced() -> PolicyOutcome {
        let working = machine.nodes.map { $0.workers > 0 ? 1.0 : 0 }
        return uniformCut([working, working.map { 1 - $0 }], policy: .capacitySliced)
    }

    /// Fills nodes by the first weights until they are full, what is left by the next.
    private func uniformCut(_ stages: [[Double]], policy: PlacementPolicy) -> PolicyOutcome {
        let total = Double(expertTotal) * Double(model.expertBytes)
        guard total > 0 else { return outcome(everywhere: evenCut, policy: policy) }
        let caps = freeBytes.map { Double($0) / total }
        var fractions = [Double](repeating: 0, count: nodeCount)
        for weights in stages { CutShares.fill(&fractions, by: weights, caps: caps) }
        guard fractions.reduce(0, +) > 1 - 1e-9 else {
            return .doesNotFit([Shortfall(node: nil, missingBytes: max(1, Int(total) - freeBytes.reduce(0, +)))])
        }
        let shares = fitted(CutShares.integers(fractions))
        return outcome(everywhere: .shares(shares), policy: policy)
    }

    /// Shares, changed by as little as lets whole panels fit every node.
    private func fitted(_ shares: [Int]) -> [Int] {
        var shares = shares
        let free = freeBytes
        for _ in 0..<4 * CutShares.denominator {
            let bytes = model.bytes(of: .shares(shares), nodes: nodeCount)
            let spare = zip(free, bytes).map { $0 - expertTotal * $1 }
            guard let full = spare.indices.first(where: { spare[$0] < 0 && shares[$0] > 0 }),
                let roomy = spare.indices.max(by: { (spare[$0], $1) < (spare[$1], $0) }), spare[roomy] > 0
            else { break }
            shares[full] -= 1
            shares[roomy] += 1
        }
        return shares
    }
}

/// Shares of nodes as fractions and as the small integers that plans hold.
enum CutShares {
    /// What integers of shares that are not all equal add up to, about.
    static let denominator = 1024

    /// Adds to fractions that add up to less than 1, in proportion to weights, no fraction beyond its cap.
    static func fill(_ fractions: inout [Double], by weights: [Double], caps: [Double]) {
        var open = weights.indices.filter { weights[$0] > 0 && fractions[$0] < caps[$0] }
        var left = 1 - fractions.reduce(0, +)
        while left > 1e-12, !open.isEmpty {
            let weight = open.reduce(0) { $0 + weights[$1] }
            let full = open.filter { fractions[$0] + left * weights[$0] / weight >= caps[$0] }
            if full.isEmpty {
                for node in open { fractions[node] += left * weights[node] / weight }
                return
            }
            for node in full { fractions[node] = caps[node] }
            open.removeAll(where: full.contains)
            left = 1 - fractions.reduce(0, +)
        }
    }

    /// Integers in about the same proportions: 1 each where values differ by less than 2 %, 0 for 0.
    static func integers(_ values: [Double], denominator: Int = denominator) -> [Int] {
        let (sum, positive) = (values.reduce(0, +), values.filter { $0 > 0 })
        guard let least = positive.min(), let most = positive.max() else { return values.map { _ in 0 } }
        if most <= 1.02 * least { return values.map { $0 > 0 ? 1 : 0 } }
        let shares = values.map { $0 > 0 ? max(1, Int(($0 / sum * Double(denominator)).rounded())) : 0 }
        let common = shares.reduce(0, greatestCommonDivisor)
        return shares.map { $0 / common }
    }
}
