import ForetokenPlacement

/// Turns counts by prompt into estimates with 95 % intervals. Positions of one prompt depend on each other (a text that
/// repeats itself repeats its hits), so whole prompts are resampled, with a fixed seed: the same counts always give the
/// same interval. A few prompts say little of how prompts differ; proportions then get Wilson's interval where that is
/// the wider one.
package struct Bootstrap {
    static let resampleCount = 2000
    /// Fewest prompts whose resampling alone is believed.
    package static let fewPrompts = 8
    /// Most units that are resampled; of more prompts, neighbours are taken together.
    private static let mostUnits = 512
    /// [resample][unit]: how often the unit is in it.
    private let multiplicities: [[UInt16]]
    private let units: Int

    /// - Parameter prompts: how many prompts the counts will have.
    package init(prompts: Int) {
        units = min(prompts, Self.mostUnits)
        guard units > 1 else {
            multiplicities = []
            return
        }
        var random = SplitMix64(seed: 0x243F_6A88_85A3_08D3)
        let count = units
        multiplicities = (0..<Self.resampleCount).map { _ in
            var drawn = [UInt16](repeating: 0, count: count)
            for _ in 0..<count { drawn[random.index(below: count)] += 1 }
            return drawn
        }
    }

    /// Σ hits / Σ trials; nil without trials.
    /// - Parameter isProportion: whether hits are trials that succeeded.
    package func ratio(_ counts: [Counts], isProportion: Bool = true) -> Estimate? {
        let total = counts.reduce(Counts()) { $0 + $1 }
        guard total.trials > 0 else { return nil }
        let value = total.hits / total.trials
        let resampled = interval(counts.map { [$0] }) { $0[0].trials > 0 ? $0[0].hits / $0[0].trials : nil }
        let isThin = counts.count { $0.trials > 0 } < Self.fewPrompts || resampled.map { $0.low == $0.high } ?? true
        return Estimate(
            value, resampled, orWider: isProportion && isThin ? Self.wilson(value, total.trials) : nil,
            count: Int(total.trials))
    }

    /// 1 + Σ hits / Σ trials: tokens a round, where hits are a prompt's tokens beyond one a round, and trials its rounds.
    /// - Parameter length: most drafts of a round.
    package func tokensPerRound(_ counts: [Counts], length: Int) -> Estimate? {
        guard let extra = ratio(counts.map { Counts(hits: $0.hits / Double(length), trials: $0.trials) }) else {
            return nil
        }
        let scale = { 1 + Double(length) * $0 }
        return Estimate(
            value: scale(extra.value), low: scale(extra.low), high: scale(extra.high), count: extra.count)
    }

    /// Π over d of Σ hits_d / Σ trials_d, with the interval of the whole product; counts as [prompt][d].
    package func product(_ counts: [[Counts]]) -> Estimate? {
        let depth = counts.first?.count ?? 0
        func product(_ sums: [Counts]) -> Double? {
            sums.allSatisfy { $0.trials > 0 } ? sums.reduce(1) { $0 * $1.hits / $1.trials } : nil
        }
        let total = (0..<depth).map { d in counts.reduce(Counts()) { $0 + $1[d] } }
        guard depth > 0, let value = product(total) else { return nil }
        let resampled = interval(counts, product)
        let isThin = counts.count { $0[depth - 1].trials > 0 } < Self.fewPrompts
        return Estimate(
            value, resampled, orWider: isThin || resampled == nil ? Self.wilson(value, total[0].trials) : nil,
            count: Int(total[depth - 1].trials))
    }

    /// - Parameters:
    ///   - counts: [prompt][figure]
    ///   - statistic: of each figure's sum over a resample.
    private func interval(
        _ counts: [[Counts]], _ statistic: ([Counts]) -> Double?
    ) -> (low: Double, high: Double)? {
        let width = counts.first?.count ?? 0
        var pooled = [[Counts]](repeating: .init(repeating: Counts(), count: width), count: units)
        for (prompt, row) in counts.enumerated() {
            let unit = prompt * units / counts.count
            for i in 0..<width { pooled[unit][i] = pooled[unit][i] + row[i] }
        }
        guard pooled.count(where: { $0.contains { $0.trials > 0 } }) > 1 else { return nil }
        let samples = multiplicities.compactMap { weights -> Double? in
            var sums = [Counts](repeating: Counts(), count: width)
            for (unit, weight) in weights.enumerated() where weight > 0 {
                for i in 0..<width { sums[i] = sums[i] + pooled[unit][i] * Double(weight) }
            }
            return statistic(sums)
        }
        return Self.percentiles(samples.sorted())
    }

    /// The middle 95 % of sorted samples.
    static func percentiles(_ sorted: [Double]) -> (low: Double, high: Double)? {
        guard let last = sorted.indices.last else { return nil }
        return (sorted[Int((0.025 * Double(last)).rounded())], sorted[Int((0.975 * Double(last)).rounded())])
    }

    /// Wilson's score interval (J. Am. Stat. Assoc. 22, 1927) at 95 %.
    package static func wilson(_ share: Double, _ trials: Double) -> (low: Double, high: Double) {
        let z = 1.959964
        let scale = 1 + z * z / trials
        let centre = (share + z * z / (2 * trials)) / scale
        let reach = z * (share * (1 - share) / trials + z * z / (4 * trials * trials)).squareRoot() / scale
        return (max(0, centre - reach), min(1, centre + reach))
    }
}

extension Estimate {
    /// - Parameters:
    ///   - interval: nil when there was nothing to resample.
    ///   - other: takes over wherever it reaches further.
    init(
        _ value: Double, _ interval: (low: Double, high: Double)?, orWider other: (low: Double, high: Double)?,
        count: Int
    ) {
        let own = interval ?? other ?? (value, value)
        self.init(
            value: value, low: min(own.low, other?.low ?? own.low), high: max(own.high, other?.high ?? own.high),
            count: count)
    }
}
