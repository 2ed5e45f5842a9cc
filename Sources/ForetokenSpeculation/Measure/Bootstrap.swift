#if canImport(Glibc)
    import Glibc
#endif

/// Turns counts by prompt into estimates with 95 % intervals. Positions of one prompt depend on each other (a text that
/// repeats itself repeats its hits), so whole prompts are resampled, with a fixed seed: the same counts always give the
/// same interval. A single prompt leaves nothing to resample; proportions then get a Wilson interval.
package struct Bootstrap {
    static let resampleCount = 2000
    /// [resample][prompt]: how often the prompt is in it.
    private let multiplicities: [[Int]]
    private let prompts: Int

    /// - Parameter prompts: how many prompts the counts will have.
    package init(prompts: Int) {
        self.prompts = prompts
        guard prompts > 1 else {
            multiplicities = []
            return
        }
        var state: UInt64 = 0x243F_6A88_85A3_08D3
        multiplicities = (0..<Self.resampleCount).map { _ in
            var drawn = [Int](repeating: 0, count: prompts)
            for _ in 0..<prompts { drawn[Int(Self.next(&state) % UInt64(prompts))] += 1 }
            return drawn
        }
    }

    /// Σ hits / Σ trials; nil without trials.
    /// - Parameter isProportion: whether hits are trials that succeeded.
    package func ratio(_ counts: [Counts], isProportion: Bool = true) -> Estimate? {
        let total = counts.reduce(Counts()) { $0 + $1 }
        guard total.trials > 0 else { return nil }
        let value = total.hits / total.trials
        let interval =
            interval(counts) { $0.hits / $0.trials }
            ?? (isProportion ? Self.wilson(value, total.trials) : (value, value))
        return Estimate(value: value, low: interval.low, high: interval.high, count: Int(total.trials))
    }

    /// 1 + Σ accepted / Σ rounds: tokens a round.
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
        func statistic(_ weights: [Int]?) -> Double? {
            var product = 1.0
            for d in 0..<depth {
                var sum = Counts()
                for (prompt, row) in counts.enumerated() { sum = sum + row[d] * Double(weights?[prompt] ?? 1) }
                guard sum.trials > 0 else { return nil }
                product *= sum.hits / sum.trials
            }
            return product
        }
        guard let value = statistic(nil) else { return nil }
        let trials = counts.reduce(0) { $0 + Int($1[0].trials) }
        let samples = multiplicities.compactMap { statistic($0) }.sorted()
        let (low, high) = Self.percentiles(samples) ?? Self.wilson(value, Double(trials))
        return Estimate(value: value, low: low, high: high, count: trials)
    }

    private func interval(_ counts: [Counts], _ statistic: (Counts) -> Double) -> (low: Double, high: Double)? {
        guard counts.count(where: { $0.trials > 0 }) > 1 else { return nil }
        let samples = multiplicities.compactMap { weights -> Double? in
            var sum = Counts()
            for (prompt, weight) in weights.enumerated() where weight > 0 {
                sum = sum + counts[prompt] * Double(weight)
            }
            return sum.trials > 0 ? statistic(sum) : nil
        }
        return Self.percentiles(samples.sorted())
    }

    /// The middle 95 % of sorted samples.
    private static func percentiles(_ sorted: [Double]) -> (low: Double, high: Double)? {
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

    /// SplitMix64 (Steele, Lea and Flood 2014).
    private static func next(_ state: inout UInt64) -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var z = state
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return z ^ (z >> 31)
    }
}

/// Hits among trials; for means, a sum over so many.
package struct Counts: Equatable {
    package var hits = 0.0
    package var trials = 0.0

    package init(hits: Double = 0, trials: Double = 0) {
        self.hits = hits
        self.trials = trials
    }

    mutating func add(_ hit: Bool) {
        hits += hit ? 1 : 0
        trials += 1
    }

    mutating func add(_ value: Double) {
        hits += value
        trials += 1
    }

    static func + (a: Counts, b: Counts) -> Counts { Counts(hits: a.hits + b.hits, trials: a.trials + b.trials) }
    static func * (a: Counts, factor: Double) -> Counts { Counts(hits: a.hits * factor, trials: a.trials * factor) }
}
