/// How many times larger a checkpoint is to become, by powers of two.
public struct GrowthFactors: Sendable, Equatable {
    /// Copies of the residual stream side by side: the hidden size grows by this.
    public let hidden: Int
    /// Copies of every expert's neurons, routed and shared: the experts' width grows by this.
    public let experts: Int
    /// Layers that each MoE layer becomes: itself, and behind it copies that add nothing to the residual stream.
    public let layers: Int

    /// Nothing grows.
    public static let one = GrowthFactors(1, 1, 1)

    /// The largest factor; far more than any machine has memory for.
    public static let maximum = 1 << 16

    /// Names for factors that bring the demonstration model to a round size.
    public static let presets: [(name: String, factors: GrowthFactors)] = [
        ("1gb", GrowthFactors(2, 16, 2)), ("2gb", GrowthFactors(4, 16, 2)), ("8gb", GrowthFactors(8, 32, 2)),
    ]

    private init(_ hidden: Int, _ experts: Int, _ layers: Int) {
        (self.hidden, self.experts, self.layers) = (hidden, experts, layers)
    }

    /// Factors; each must be a power of two from 1 to `maximum`, or there is no value.
    public init?(hidden: Int = 1, experts: Int = 1, layers: Int = 1) {
        guard [hidden, experts, layers].allSatisfy(GrowthFactors.isAllowed) else { return nil }
        self.init(hidden, experts, layers)
    }

    /// Whether a factor is a power of two from 1 to `maximum`.
    static func isAllowed(_ factor: Int) -> Bool { 1...maximum ~= factor && factor.nonzeroBitCount == 1 }

    /// Both enlargements after each other; nil when a product exceeds `maximum`.
    func times(_ other: GrowthFactors) -> GrowthFactors? {
        GrowthFactors(
            hidden: hidden * other.hidden, experts: experts * other.experts, layers: layers * other.layers)
    }
}

extension GrowthFactors: CustomStringConvertible {
    /// Reads a preset's name, or `hidden=G,experts=F,layers=D` in any order; what is left out is 1. nil for anything else.
    public init?(_ text: String) {
        if let preset = GrowthFactors.presets.first(where: { $0.name == text }) {
            self = preset.factors
            return
        }
        var values: [Substring: Int] = [:]
        for part in text.split(separator: ",", omittingEmptySubsequences: false) {
            let sides = part.split(separator: "=", omittingEmptySubsequences: false)
            guard sides.count == 2, ["hidden", "experts", "layers"].contains(sides[0]), let value = Int(sides[1]),
                values.updateValue(value, forKey: sides[0]) == nil
            else { return nil }
        }
        self.init(
            hidden: values["hidden", default: 1], experts: values["experts", default: 1],
            layers: values["layers", default: 1])
    }

    /// The form that `init(_:)` reads.
    public var description: String { "hidden=\(hidden),experts=\(experts),layers=\(layers)" }
}
