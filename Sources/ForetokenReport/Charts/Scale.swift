/// Where values stand along an axis, and which of them are named there.
public struct Scale: Sendable, Equatable {
    /// The axis' lower end.
    public let low: Double
    /// The upper one, above `low`.
    public let high: Double
    /// Values that get a label, ascending, within the ends.
    public let ticks: [Double]

    /// Whether a value can be drawn at all: not infinite, not NaN, not beyond what labels can say.
    public static func isDrawable(_ value: Double) -> Bool { abs(value) <= 1e15 }

    /// The shortest scale that holds all drawable values and begins and ends at a round number, with steps of 1, 2 or 5
    /// times a power of ten. Without any value it is 0…1.
    /// - Parameters:
    ///   - values: what has to fit.
    ///   - steps: about so many.
    public init(covering values: some Sequence<Double>, steps: Int = 5) {
        let values = values.filter(Self.isDrawable)
        var low = values.min() ?? 0
        var high = values.max() ?? 1
        // Equal or nearly equal values still need a width that Double can divide.
        if high - low <= max(1e-12, max(abs(low), abs(high)) * 1e-9) {
            let room = max(abs(high) * 0.1, 0.5)
            (low, high) = (low - room, high + room)
        }
        let step = Self.roundStep((high - low) / Double(max(1, steps)))
        let first = (low / step + 1e-9).rounded(.down)
        let last = (high / step - 1e-9).rounded(.up)
        self.low = first * step
        self.high = last * step
        ticks = (0...Int(last - first)).map { (first + Double($0)) * step }
    }

    /// A scale for counted things, with some room at both ends.
    public init(counting range: ClosedRange<Int>) {
        let room = max(0.35, Double(range.count) * 0.05)
        low = Double(range.lowerBound) - room
        high = Double(range.upperBound) + room
        // Ten labels fit; more become every second, every fifth, …
        let step = max(1, Int(Self.roundStep(Double(range.count) / 10)))
        ticks = range.filter { range.count <= 10 || $0 % step == 0 }.map(Double.init)
    }

    /// A scale whose labels stand at these values and nowhere else, with some room at both ends.
    public init(marking values: some Sequence<Double>) {
        let values = Set(values.filter(Self.isDrawable)).sorted()
        let span = (values.last ?? 0) - (values.first ?? 0)
        let room = span > 1e-9 ? span * 0.08 : 0.5
        low = (values.first ?? 0) - room
        high = (values.last ?? 0) + room
        // Labels closer than this would overlap.
        ticks = values.reduce(into: []) { kept, value in
            if kept.last.map({ value - $0 >= span * 0.07 }) ?? true { kept.append(value) }
        }
    }

    /// 0 at the low end, 1 at the high one.
    public func position(_ value: Double) -> Double { (value - low) / (high - low) }

    /// The smallest distance between two labels.
    var step: Double { zip(ticks, ticks.dropFirst()).map { $1 - $0 }.min() ?? high - low }

    /// The smallest of 1, 2, 5 · 10ⁿ that is not below `raw`.
    private static func roundStep(_ raw: Double) -> Double {
        var power = 1.0
        while power > raw && power > 1e-15 { power /= 10 }
        while power * 10 <= raw { power *= 10 }
        return [1, 2, 5, 10].lazy.map { $0 * power }.first { $0 >= raw * (1 - 1e-9) } ?? 10 * power
    }
}
