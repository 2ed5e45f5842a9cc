/// Finds each expert's share on the slower of two tiers: minimises the mean over windows of the later tier's time under the
/// bounds on all shares together, a convex problem, by projected subgradients from several starts.
struct TieredShares {
    /// Steps from every start.
    private static let iterations = 200
    /// Expert uses that one step looks at; stretches of longer traces take turns.
    private static let usesPerStep = 200_000
    /// Halvings that find a projection's shift to 1/65536.
    private static let bisections = 16

    private let tiers: TierCuts
    private let statistics: RoutingStatistics
    private let costs: [Float]
    private let layers: Int
    private let experts: Int

    init(_ tiers: TierCuts, problem: PlacementProblem, statistics: RoutingStatistics) {
        self.tiers = tiers
        self.statistics = statistics
        costs = problem.machine.rowCost.map(Float.init)
        layers = problem.layers.count
        experts = problem.model.expertCount
    }

    /// Shares by layer and expert: where each start led, and the simplest start itself.
    func candidates() -> [[[Float]]] {
        let coldest = coldestOnSlow()
        let starts = [coldest, spreadOverTiers(), proportional()].map { projected(Array($0.joined())) }
        return (starts.map(descended) + [starts[0]]).map { flat in
            (0..<layers).map { Array(flat[$0 * experts..<($0 + 1) * experts]) }
        }
    }

    /// The coldest experts of all layers whole on the slower tier, as many as must.
    private func coldestOnSlow() -> [[Float]] {
        let loads = Array(statistics.loads.joined())
        let coldest = loads.indices.sorted { (loads[$0], $0) < (loads[$1], $1) }
        var shares = [[Float]](repeating: [Float](repeating: 0, count: experts), count: layers)
        for place in coldest.prefix(Int(tiers.bounds.lowerBound.rounded(.up))) {
            shares[place / experts][place % experts] = 1
        }
        return shares
    }

    /// Whole experts on either tier, spread by co-activation.
    private func spreadOverTiers() -> [[Float]] {
        let slow = Int((tiers.bounds.lowerBound / Double(layers)).rounded(.up))
        return (0..<layers).map { layer in
            statistics.spreadHomes(layer: layer, slots: [experts - slow, slow], slowness: tiers.slowness).map(
                Float.init)
        }
    }

    /// The same share of every expert, the tiers' bandwidths in proportion.
    private func proportional() -> [[Float]] {
        let share = Float(1 / (1 + tiers.speedRatio))
        return [[Float]](repeating: [Float](repeating: share, count: experts), count: layers)
    }

    /// Moves shares into 0…1 and all by one amount, so that their sum is within bounds: the nearest such point.
    private func projected(_ shares: [Float]) -> [Float] {
        shares.withUnsafeBufferPointer { shares in
            // A layer's sum is exact enough in FP32, that of all layers is not.
            func sum(_ shift: Float) -> Double {
                stride(from: 0, to: shares.count, by: experts).reduce(0) { total, first in
                    var sum: Float = 0
                    for place in first..<first + experts { sum += min(1, max(0, shares[place] + shift)) }
                    return total + Double(sum)
                }
            }
            let unshifted = sum(0)
            if tiers.bounds.contains(unshifted) { return shares.map { min(1, max(0, $0)) } }
            let isShort = unshifted < tiers.bounds.lowerBound
            let target = isShort ? tiers.bounds.lowerBound : tiers.bounds.upperBound
            var (low, high): (Float, Float) = isShort ? (0, 1 - shares.min()!) : (-shares.max()!, 0)
            for _ in 0..<Self.bisections {
                let middle = (low + high) / 2
                if sum(middle) < target { low = middle } else { high = middle }
            }
            return shares.map { min(1, max(0, $0 + high)) }
        }
    }

    /// Projected subgradient steps of falling length; the mean of the last half.
    private func descended(_ start: [Float]) -> [Float] {
        let turns = max(1, statistics.windows.layers.reduce(0) { $0 + $1.uses.count } / Self.usesPerStep)
        var shares = start
        var mean = [Float](repeating: 0, count: start.count)
        for iteration in 0..<Self.iterations {
            let slope = subgradient(at: shares, turn: iteration % turns, turns: turns)
            let steepest = slope.reduce(0) { max($0, abs($1)) }
            guard steepest > 0 else { break }
            let length = 0.2 / (1 + Float(iteration) / 20) / steepest
            for place in shares.indices { shares[place] -= length * slope[place] }
            shares = projected(shares)
            if iteration >= Self.iterations / 2 {
                for place in mean.indices { mean[place] += shares[place] }
            }
        }
        return mean.map { $0 / Float(Self.iterations - Self.iterations / 2) }
    }

    /// The slope over one of `turns` stretches of windows: more on the slower tier where the faster one is done last, and
    /// less elsewhere.
    private func subgradient(at shares: [Float], turn: Int, turns: Int) -> [Float] {
        var slope = [Float](repeating: 0, count: shares.count)
        slope.withUnsafeMutableBufferPointer { slope in
            shares.withUnsafeBufferPointer { shares in
                for (layer, windows) in statistics.windows.layers.enumerated() {
                    let (places, count) = (layer * experts..<(layer + 1) * experts, windows.starts.count - 1)
                    addSlope(
                        of: windows, in: count * turn / turns..<count * (turn + 1) / turns,
                        at: UnsafeBufferPointer(rebasing: shares[places]),
                        to: UnsafeMutableBufferPointer(rebasing: slope[places]))
                }
            }
        }
        return slope
    }

    private func addSlope(
        of windows: VerifyWindows.Layer, in range: Range<Int>, at shares: UnsafeBufferPointer<Float>,
        to slope: UnsafeMutableBufferPointer<Float>
    ) {
        let (ratio, lastCost) = (Float(tiers.speedRatio), costs.count - 1)
        windows.uses.withUnsafeBufferPointer { uses in
            costs.withUnsafeBufferPointer { costs in
                for window in range {
                    let range = Int(windows.starts[window])..<Int(windows.starts[window + 1])
                    var (all, slow): (Float, Float) = (0, 0)
                    for use in range {
                        let cost = costs[min(Int(uses[use].rows) - 1, lastCost)]
                        all += cost
                        slow += cost * shares[Int(uses[use].expert)]
                    }
                    let change: Float = slow * ratio > all - slow ? ratio : -1
                    for use in range {
                        slope[Int(uses[use].expert)] += change * costs[min(Int(uses[use].rows) - 1, lastCost)]
                    }
                }
            }
        }
    }
}
