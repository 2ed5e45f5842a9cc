/// Whether readings of one quantity can be relied on.
public enum ReadingAgreement {
    /// Undisturbed readings that are taken of each quantity.
    public static let wanted = 5
    /// Fewer than this prove nothing.
    public static let fewest = 3
    /// The best `fewest` readings are at most this far apart, as a fraction of the best: what disturbs makes readings worse
    /// and never better, so it is the best ones that are true, if they can be repeated.
    public static let tolerance = 0.1

    /// Readings further than this from the best were disturbed, whatever the system says, and do not count.
    public static let outlier = 0.25

    /// The readings that count.
    public static func kept(_ readings: [Double], higherIsBetter: Bool) -> [Double] {
        guard let best = higherIsBetter ? readings.max() : readings.min() else { return [] }
        return readings.filter { abs($0 - best) <= outlier * best }
    }

    /// Whether the best readings were repeated; those of few values are all of them.
    public static func holds(_ readings: [Double], higherIsBetter: Bool) -> Bool {
        let sorted = higherIsBetter ? readings.sorted(by: >) : readings.sorted()
        guard let best = sorted.first, best > 0, best.isFinite else { return false }
        return abs(sorted[min(fewest, sorted.count) - 1] - best) <= tolerance * best
    }

    /// Best and worst of the readings that count; nil where they are too few or could not be repeated.
    public static func figure(_ readings: [Double], higherIsBetter: Bool) -> NumaBandwidth.Figure? {
        let kept = kept(readings, higherIsBetter: higherIsBetter)
        guard kept.count >= fewest, holds(kept, higherIsBetter: higherIsBetter) else { return nil }
        return span(kept, higherIsBetter: higherIsBetter)
    }

    /// The same, whatever the readings are worth; nil without any.
    public static func span(_ readings: [Double], higherIsBetter: Bool) -> NumaBandwidth.Figure? {
        guard let low = readings.min(), let high = readings.max() else { return nil }
        return .init(
            best: higherIsBetter ? high : low, worst: higherIsBetter ? low : high, readings: readings.count)
    }
}
