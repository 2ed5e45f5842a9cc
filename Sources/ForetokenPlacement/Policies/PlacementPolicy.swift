/// A way to place experts.
public enum PlacementPolicy: Sendable, Hashable {
    /// Every expert cut over nodes that are near each other, in so many pieces; over all nodes with workers where nil.
    case sliced(pieces: Int?)
    /// Every expert cut alike, by bandwidth as capacity allows.
    case proportional
    /// Every expert cut alike, in equal parts as capacity allows, without statistics: what other engines do.
    case capacitySliced
    /// Whole experts in turn.
    case roundRobin
    /// Whole experts in blocks of consecutive ids.
    case contiguous
    /// Whole experts, packed by load as EPLB packs them.
    case balanced
    /// Whole experts, those that are read together on different nodes.
    case spread
    /// The hottest experts cut over all nodes, this percentage of them; the others spread.
    case hybrid(percent: Double)
    /// By expert a share on the slower nodes.
    case tiered
    /// Whole experts, moved about as long as recorded steps get faster.
    case search
    /// Spread, with copies of some experts, in percent of all; a step takes the copy whose node has less to do.
    case replicas(percent: Double)

    /// Whether it looks at a routing trace.
    public var usesStatistics: Bool {
        switch self {
        case .sliced(nil), .proportional, .capacitySliced, .roundRobin, .contiguous: false
        case .sliced, .balanced, .spread, .hybrid, .tiered, .search, .replicas: true
        }
    }

    /// Place in the order of simplicity, the simplest first: one cut for all, whole experts without statistics, then
    /// statistics with more and more to understand, and last what takes more memory.
    var complexity: Int {
        switch self {
        case .sliced(nil): 0
        case .proportional: 1
        case .capacitySliced: 2
        case .roundRobin: 3
        case .contiguous: 4
        case .sliced: 5
        case .balanced: 6
        case .spread: 7
        case .hybrid: 8
        case .tiered: 9
        case .search: 10
        case .replicas: 11
        }
    }
}

extension PlacementPolicy: CustomStringConvertible, LosslessStringConvertible, Encodable {
    /// Its name on the command line and in plans, such as `sliced`, `sliced=2`, `replicas=12.5`.
    public var description: String {
        switch self {
        case .sliced(nil): "sliced"
        case .sliced(let pieces?): "sliced=\(pieces)"
        case .proportional: "proportional"
        case .capacitySliced: "capacity-sliced"
        case .roundRobin: "round-robin"
        case .contiguous: "contiguous"
        case .balanced: "balanced"
        case .spread: "spread"
        case .hybrid(let percent): "hybrid=\(Self.text(percent))"
        case .tiered: "tiered"
        case .search: "search"
        case .replicas(let percent): "replicas=\(Self.text(percent))"
        }
    }

    /// A policy from its name; nil for an unknown one or a value out of range.
    public init?(_ name: String) {
        let parts = name.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
        let value = parts.count == 2 ? String(parts[1]) : nil
        let plain: [PlacementPolicy] = [
            .sliced(pieces: nil), .proportional, .capacitySliced, .roundRobin, .contiguous, .balanced, .spread, .tiered,
            .search,
        ]
        if let policy = plain.first(where: { $0.description == name }) {
            self = policy
            return
        }
        switch (parts[0], value) {
        case ("sliced", let value?):
            guard let pieces = Int(value), pieces >= 1 else { return nil }
            self = .sliced(pieces: pieces)
        case ("hybrid", let value?), ("replicas", let value?):
            let most = parts[0] == "hybrid" ? 100.0 : 10_000
            guard let percent = Double(value), percent > 0, percent <= most else { return nil }
            self = parts[0] == "hybrid" ? .hybrid(percent: percent) : .replicas(percent: percent)
        default: return nil
        }
    }

    private static func text(_ percent: Double) -> String {
        percent == percent.rounded() ? String(Int(percent)) : String(percent)
    }

    /// As its name.
    public func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(description)
    }
}

extension PlacementPolicy {
    /// Applies it.
    /// - Parameters:
    ///   - statistics: of the training windows; windows whose layers are the problem's.
    ///   - isTimeUp: asked now and then by `search`, which then stops with what it has.
    public func outcome(
        _ problem: PlacementProblem, statistics: RoutingStatistics, isTimeUp: () -> Bool
    ) -> PolicyOutcome {
        if usesStatistics, statistics.windows.count == 0 {
            return .notApplicable("needs a routing trace")
        }
        return switch self {
        case .sliced(let pieces): problem.sliced(pieces: pieces, statistics: statistics)
        case .proportional: problem.proportional()
        case .capacitySliced: problem.capacitySliced()
        case .roundRobin: problem.roundRobin()
        case .contiguous: problem.contiguous()
        case .balanced: problem.balanced(statistics)
        case .spread: problem.spread(statistics)
        case .hybrid(let percent): problem.hybrid(percent: percent, statistics: statistics)
        case .tiered: problem.tiered(statistics)
        case .search: problem.search(statistics, isTimeUp: isTimeUp)
        case .replicas(let percent): problem.replicas(percent: percent, statistics: statistics)
        }
    }
}
