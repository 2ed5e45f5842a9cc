#if canImport(Glibc)
    import Glibc
#endif

/// What drafts of a published quality would gain where a step of n rows takes so long. A calculation: nobody drafted.
package struct DraftForecast: Sendable {
    /// Chance that a draft holds where all before it do, by its number: DeepSeek's figures for V3 and R1, 85 % and 81–82 %
    /// for the first, and for later ones from accepted lengths of SGLang and ATOM. An assumption about text and settings.
    package static let acceptance = [0.85, 0.75, 0.68, 0.62]
    /// By lead: how often drafts hold, and how many drafts there are, as the embedded model's greedy drafts were found to
    /// be. The published means are spread so, since nobody published their spread.
    private static let held = [0.35, 0.42, 0.54, 0.67, 0.84, 0.94, 0.97, 0.99]
    private static let shares = [0.07, 0.09, 0.08, 0.11, 0.12, 0.16, 0.15, 0.22]

    /// By rows − 1: time of a step over that of one row.
    private let times: [Double]
    /// Time of one draft over that of a step of one row.
    private let draft: Double
    /// By draft and lead: chance to hold.
    private let chances: [[Double]]

    /// - Parameters:
    ///   - times: of 1 to 5 rows or more, over one row's.
    ///   - draft: of one draft, over a step of one row.
    package init(times: [Double], draft: Double) {
        self.times = times
        self.draft = draft
        chances = Self.acceptance.map(Self.spread)
    }

    /// Chances by lead with that mean: the known ones, all moved by the same odds.
    private static func spread(_ mean: Double) -> [Double] {
        func moved(_ shift: Double) -> [Double] { held.map { 1 / (1 + (1 - $0) / $0 * exp(-shift)) } }
        var (low, high) = (-10.0, 10.0)
        for _ in 0..<60 {
            let middle = (low + high) / 2
            if zip(moved(middle), shares).reduce(0, { $0 + $1.0 * $1.1 }) < mean { low = middle } else { high = middle }
        }
        return moved(high)
    }

    /// The best fixed number of drafts, and tokens a second over none.
    package var fixed: (drafts: Int, gain: Double) {
        var best = (drafts: 0, gain: 1.0)
        var (tokens, all) = (1.0, 1.0)
        for (i, chance) in Self.acceptance.enumerated() {
            all *= chance
            tokens += all
            let gain = tokens / (times[i + 1] + Double(i + 1) * draft)
            if gain > best.gain { best = (i + 1, gain) }
        }
        return best
    }

    /// The same where each draft is kept only if its lead makes it worth its row, and the next one made only if that is
    /// worth its time: the best that such a gate can do.
    package var gated: Double {
        // At the best rate, tokens less their worth in time come to nothing.
        var (low, high) = (1.0, Double(Self.acceptance.count + 1))
        for _ in 0..<40 {
            let middle = (low + high) / 2
            if 1 - middle + worth(after: 0, all: 1, rate: middle) > 0 { low = middle } else { high = middle }
        }
        return low
    }

    /// What going on is worth behind so many drafts, which hold together with chance `all`.
    private func worth(after drafts: Int, all: Double, rate: Double) -> Double {
        guard drafts < Self.acceptance.count else { return 0 }
        let row = rate * (times[drafts + 1] - times[drafts])
        var sum = -rate * draft
        for (chance, share) in zip(chances[drafts], Self.shares) {
            let together = all * chance
            sum += share * max(0, together - row + worth(after: drafts + 1, all: together, rate: rate))
        }
        return max(0, sum)
    }
}
