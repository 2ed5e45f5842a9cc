import ForetokenPlacement

#if canImport(Glibc)
    import Glibc
#endif

/// Chances of being chosen, by expert, under which rows that know nothing of each other overlap as given: the commonest
/// expert first, falling like a power of the rank (Zipf-Mandelbrot), which two parameters fit to any overlap that is met.
struct OverlapChances {
    /// By rank; they sum to the experts of a row.
    let chances: [Double]
    /// Largest relative deviation of the distinct experts from what was asked for, over all widths.
    let deviation: Double

    /// No expert is chosen always: then bias could not tell how often.
    private static let most = 0.97

    /// The chances that come nearest.
    init(_ overlap: ExpertOverlap) {
        var best: OverlapChances?
        for step in 0...60 {
            for offset in [0.25, 0.5, 1, 1.5, 2, 3, 4, 6, 8, 12, 16, 24] {
                let chances = Self.scaled(
                    (0..<overlap.expertCount).map { pow(Double($0) + offset, -Double(step) / 20) },
                    sum: Double(overlap.expertsPerToken))
                let candidate = OverlapChances(chances, overlap)
                if candidate.deviation < best?.deviation ?? .infinity { best = candidate }
            }
        }
        self = best!
    }

    private init(_ chances: [Double], _ overlap: ExpertOverlap) {
        self.chances = chances
        var missed = [Double](repeating: 1, count: chances.count)
        var deviation = 0.0
        for wanted in overlap.distinct {
            for i in missed.indices { missed[i] *= 1 - chances[i] }
            deviation = max(deviation, abs((Double(chances.count) - missed.reduce(0, +)) / wanted - 1))
        }
        self.deviation = deviation
    }

    /// The weights times the factor at which they sum to `sum`, none above `most`.
    private static func scaled(_ weights: [Double], sum: Double) -> [Double] {
        func capped(_ factor: Double) -> [Double] { weights.map { min($0 * factor, most) } }
        var (low, high) = (0.0, sum / weights.min()!)
        for _ in 0..<60 {
            let middle = (low + high) / 2
            if capped(middle).reduce(0, +) < sum { low = middle } else { high = middle }
        }
        return capped(high)
    }
}
