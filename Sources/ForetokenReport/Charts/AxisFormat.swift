/// An axis: what it shows and how its values are written.
public struct Axis: Sendable {
    /// What the values are.
    public var title: String
    /// How they are written.
    public var format: AxisFormat
    /// Its ends and labels; nil to fit the data.
    public var scale: Scale?

    /// An axis; without a scale it fits the data.
    public init(_ title: String, _ format: AxisFormat = .number, scale: Scale? = nil) {
        self.title = title
        self.format = format
        self.scale = scale
    }
}

/// How the values of an axis are written.
public enum AxisFormat: Sendable {
    /// As they are.
    case number
    /// Shares, in percent.
    case percent
    /// Factors: 1.2×.
    case times
    /// Milliseconds.
    case milliseconds

    /// A value on its own.
    public func text(_ value: Double) -> String {
        switch self {
        case .number: Format.short(value)
        case .percent: Format.percent(value)
        case .times: Format.fixed(value, 2) + "×"
        case .milliseconds: Format.short(value) + " ms"
        }
    }

    /// A value among others that lie `step` apart, with as many decimals as tell them apart.
    package func label(_ value: Double, step: Double) -> String {
        let factor = self == .percent ? 100.0 : 1
        var decimals = 0
        var (unit, place) = (step * factor, value * factor)
        // 0.5 needs one decimal, 0.25 two, …; a thousandth is fine enough for a label.
        while decimals < 3, abs(unit - unit.rounded()) + abs(place - place.rounded()) > 1e-6 * max(1, abs(place)) {
            unit *= 10
            place *= 10
            decimals += 1
        }
        let number = Format.fixed(value * factor, decimals)
        return switch self {
        case .number: number
        case .percent: number + " %"
        case .times: number + "×"
        case .milliseconds: number + " ms"
        }
    }
}
