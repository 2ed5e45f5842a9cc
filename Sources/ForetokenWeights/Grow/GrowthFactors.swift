/// How many times larger a checkpoint is to become, by powers of two.
public struct GrowthFactors: Sendable, Equatable {
    /// Copies of the residual stream side by side: the hidden size grows by this.
    public private(set) var hidden = 1
    /// Copies of every expert's neurons, routed and shared: the experts' width grows by this.
    public private(set) var experts = 1
    /// Layers that each MoE layer becomes: itself, and behind it copies that add nothing to the residual stream.
    public private(set) var layers = 1
    /// Copies of every attention head.
    public private(set) var heads = 1
    /// Copies of the query's down-projection: its rank grows by this.
    public private(set) var query = 1

    /// Nothing grows.
    public static let one = GrowthFactors()

    /// The largest factor; far more than any machine has memory for.
    public static let maximum = 1 << 16

    /// Names for factors that bring the demonstration model to a round size. The last one reads bytes as DeepSeek-V3 does:
    /// routed experts are 0.54 of what a token reads, attention 0.30 (in V3 0.54 and 0.30), an MTP step is 0.07 of a step of
    /// one row (0.07), and attention does as much arithmetic for a byte of weights.
    public static let presets: [(name: String, factors: GrowthFactors)] = [
        ("1gb", GrowthFactors([2, 16, 2, 1, 1])), ("2gb", GrowthFactors([4, 16, 2, 1, 1])),
        ("8gb", GrowthFactors([8, 32, 2, 1, 1])), ("2gb-v3", GrowthFactors([4, 16, 2, 4, 16])),
    ]

    /// By the names that texts and configurations use, in the order in which they are written.
    static var names: [(name: String, path: WritableKeyPath<GrowthFactors, Int>)] {
        [("hidden", \.hidden), ("experts", \.experts), ("layers", \.layers), ("heads", \.heads), ("query", \.query)]
    }

    /// Factors that are not 1, or that are always told.
    private var told: [(name: String, value: Int)] {
        Self.names.enumerated().map { ($1.name, self[keyPath: $1.path], $0 < 3) }.filter { $0.2 || $0.1 > 1 }
            .map { ($0.0, $0.1) }
    }

    private init() {}

    private init(_ values: [Int]) { for (name, value) in zip(Self.names, values) { self[keyPath: name.path] = value } }

    /// Factors by name, 1 where a name is missing; nil for other names, and unless each is a power of two from 1 to
    /// `maximum`.
    init?(named values: [(name: String, value: Int)]) {
        for (name, value) in values {
            guard let known = Self.names.first(where: { $0.name == name }), Self.isAllowed(value) else { return nil }
            self[keyPath: known.path] = value
        }
        guard Set(values.map(\.name)).count == values.count else { return nil }
    }

    /// Whether a factor is a power of two from 1 to `maximum`.
    private static func isAllowed(_ factor: Int) -> Bool { 1...maximum ~= factor && factor.nonzeroBitCount == 1 }

    /// Both enlargements after each other; nil when a product exceeds `maximum`.
    func times(_ other: GrowthFactors) -> GrowthFactors? {
        GrowthFactors(named: Self.names.map { ($0.name, self[keyPath: $0.path] * other[keyPath: $0.path]) })
    }

    /// The value of `ModelConfiguration.growthKey`.
    var json: String { "{" + told.map { "\"\($0.name)\": \($0.value)" }.joined(separator: ", ") + "}" }
}

extension GrowthFactors: CustomStringConvertible {
    /// Reads a preset's name, or `hidden=G,experts=F,layers=D,heads=H,query=Q` in any order; what is left out is 1. nil for
    /// anything else.
    public init?(_ text: String) {
        if let preset = GrowthFactors.presets.first(where: { $0.name == text }) {
            self = preset.factors
            return
        }
        var values: [(name: String, value: Int)] = []
        for part in text.split(separator: ",", omittingEmptySubsequences: false) {
            let sides = part.split(separator: "=", omittingEmptySubsequences: false)
            guard sides.count == 2, let value = Int(sides[1]) else { return nil }
            values.append((String(sides[0]), value))
        }
        self.init(named: values)
    }

    /// The form that `init(_:)` reads; heads and query only where they grow.
    public var description: String { told.map { "\($0.name)=\($0.value)" }.joined(separator: ",") }
}
