extension PlacementProblem {
    /// Windows that are enough to tell one set of shares from another.
    private static let judgingWindows = 2000

    /// Every expert with a share of its own on the slower nodes, the hotter the smaller; both parts cut over the nodes of
    /// their tier by bandwidth. Tiers are split wherever bandwidths leap; the split that is best on the training windows is
    /// taken.
    func tiered(_ statistics: RoutingStatistics) -> PolicyOutcome {
        let splits = tierSplits
        guard !splits.isEmpty else { return .notApplicable("all nodes are about equally fast") }
        var best: (seconds: Double, outcome: PolicyOutcome)? = nil
        let judges = statistics.windows.thinned(to: Self.judgingWindows)
        var refusal = PolicyOutcome.notApplicable("no tier can hold its share")
        for split in splits {
            guard let tiers = TierCuts(split, problem: self) else {
                let missing = expertTotal * model.expertBytes - freeBytes.reduce(0, +)
                refusal =
                    missing > 0
                    ? .doesNotFit([Shortfall(node: nil, missingBytes: missing)])
                    : .notApplicable("nodes of one tier differ too much in room for one cut of it")
                continue
            }
            for shares in TieredShares(tiers, problem: self, statistics: statistics).candidates() {
                let steps = tiers.fitted(tiers.rounded(shares), problem: self, statistics: statistics)
                let outcome = outcome(steps.map { $0.map { tiers.placements[$0] } }, policy: .tiered)
                guard let plan = outcome.plan else {
                    refusal = outcome
                    continue
                }
                let time = PlanTime(plan, problem: self, windows: judges).seconds
                if time < best?.seconds ?? .infinity { best = (time, outcome) }
            }
        }
        return best?.outcome ?? refusal
    }

    /// Nodes by index in two tiers, the faster one first, for every leap in bandwidth.
    private var tierSplits: [(fast: [Int], slow: [Int])] {
        let order = machine.nodes.indices.sorted { (bandwidths[$0], $1) > (bandwidths[$1], $0) }
        return order.indices.dropFirst().compactMap { place in
            bandwidths[order[place]] < 0.8 * bandwidths[order[place - 1]]
                ? (order[..<place].sorted(), order[place...].sorted()) : nil
        }
    }
}

/// How experts are cut over two tiers: by steps of the share that lies on the slower one.
struct TierCuts {
    /// Steps from all on the faster tier to all on the slower one: sixteenths, fewer where matrices have fewer panels.
    let steps: Int
    /// By steps on the slower tier: the placement.
    let placements: [ExpertPlacement]
    /// Bandwidth of the faster tier over that of the slower.
    let speedRatio: Double
    /// Slowness of both tiers as super-nodes, the faster one 1.
    var slowness: [Float] { [1, Float(speedRatio)] }
    /// Experts, counted in shares, that must and that may lie on the slower tier.
    let bounds: ClosedRange<Double>
    /// By steps and node: bytes.
    private let bytes: [[Int]]

    /// Nil where the tiers together are too small.
    init?(_ split: (fast: [Int], slow: [Int]), problem: PlacementProblem) {
        let (model, speeds, free) = (problem.model, problem.bandwidths, problem.freeBytes)
        let total = Double(problem.expertTotal)
        func capacity(_ nodes: [Int], _ weights: [Int]) -> Double {
            let sum = Double(weights.reduce(0, +))
            return zip(nodes, weights).map { Double(free[$0]) * sum / Double($1) }.min()! / Double(model.expertBytes)
        }
        // Parts by bandwidth; by room where that is too little.
        var cuts = Self.cuts(split, by: speeds)
        if capacity(split.fast, cuts.fast) + capacity(split.slow, cuts.slow) < total {
            cuts = Self.cuts(split, by: free.map { Double(max($0, 1)) })
        }
        let (fast, slow) = (capacity(split.fast, cuts.fast), capacity(split.slow, cuts.slow))
        guard fast + slow >= total else { return nil }
        bounds = max(0, total - fast)...max(min(slow, total), max(0, total - fast))
        let steps = min(16, model.gateUpPanels, model.downPanels)
        let sums = (cuts.fast.reduce(0, +), cuts.slow.reduce(0, +))
        placements = (0...steps).map { step in
            var weights = [Int](repeating: 0, count: problem.nodeCount)
            for (node, weight) in zip(split.fast, cuts.fast) { weights[node] = weight * (steps - step) * sums.1 }
            for (node, weight) in zip(split.slow, cuts.slow) { weights[node] = weight * step * sums.0 }
            let common = max(1, weights.reduce(0, greatestCommonDivisor))
            return .shares(weights.map { $0 / common })
        }
        bytes = placements.map { model.bytes(of: $0, nodes: problem.nodeCount) }
        speedRatio = split.fast.reduce(0) { $0 + speeds[$1] } / split.slow.reduce(0) { $0 + speeds[$1] }
        self.steps = steps
    }

    /// Both tiers' shares in proportion to some values by node. Coarse, because the products of both tiers' shares are what
    /// plans hold.
    private static func cuts(
        _ split: (fast: [Int], slow: [Int]), by values: [Double]
    ) -> (fast: [Int], slow: [Int]) {
        (
            CutShares.integers(split.fast.map { values[$0] }, denominator: 64),
            CutShares.integers(split.slow.map { values[$0] }, denominator: 64)
        )
    }

    /// Whole steps by layer and expert, together as many as the shares, the largest remainders rounded up.
    func rounded(_ shares: [[Float]]) -> [[Int]] {
        let scaled = shares.map { $0.map { Double($0) * Double(steps) } }
        var whole = scaled.map { $0.map { Int($0.rounded(.down)) } }
        let count = shares.first?.count ?? 0
        let remainders = scaled.joined().map { $0 - $0.rounded(.down) }
        let target = max(
            remainders.reduce(0, +), bounds.lowerBound * Double(steps) - Double(whole.joined().reduce(0, +)))
        let order = remainders.indices.sorted { (remainders[$0], $1) > (remainders[$1], $0) }
        for place in order.prefix(Int(target.rounded(.up))) where whole[place / count][place % count] < steps {
            whole[place / count][place % count] += 1
        }
        return whole
    }

    /// Steps moved to the other tier, the coldest expert's first, until whole panels fit every node or nothing helps.
    func fitted(_ steps: [[Int]], problem: PlacementProblem, statistics: RoutingStatistics) -> [[Int]] {
        var steps = steps
        var spare = problem.freeBytes
        for step in steps.joined() { for node in spare.indices { spare[node] -= bytes[step][node] } }
        let slow = Set(placements[self.steps].copies[0].map(\.node))
        let count = problem.model.expertCount
        let loads = Array(statistics.loads.joined())
        let coldest = loads.indices.sorted { (loads[$0], $0) < (loads[$1], $1) }
        for place in coldest {
            let (layer, expert) = (place / count, place % count)
            var direction = 0
            while let full = spare.indices.first(where: { spare[$0] < 0 }) {
                let change = slow.contains(full) ? -1 : 1
                let (before, after) = (steps[layer][expert], steps[layer][expert] + change)
                // Back and forth would be without end where both tiers are full.
                guard placements.indices.contains(after), direction != -change else { break }
                direction = change
                for node in spare.indices { spare[node] += bytes[before][node] - bytes[after][node] }
                steps[layer][expert] = after
            }
        }
        return steps
    }
}
