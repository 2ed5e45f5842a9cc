/// What a routing trace tells of a model's experts. All shares are of 1.
public struct TraceStatistics: Sendable, Equatable, Encodable {
    /// How many rows there are of each kind.
    public struct RowCounts: Sendable, Equatable, Encodable {
        /// All rows.
        public var all = 0
        /// Prompts' rows.
        public var prompt = 0
        /// Newest tokens: one in every verify window.
        public var newest = 0
        /// Accepted drafts.
        public var accepted = 0
        /// Rejected drafts.
        public var rejected = 0
    }

    /// Verify steps that had so many rows.
    public struct WindowCount: Sendable, Equatable, Encodable {
        /// Rows of the step.
        public let rows: Int
        /// Number of such steps.
        public let count: Int
    }

    /// Figures of the texts with one label.
    public struct Domain: Sendable, Equatable, Encodable {
        /// The label; `RoutingTrace.allDomains` for the whole trace.
        public let domain: String
        /// Rows and windows of it.
        public let rows: RowCounts
        /// Windows, prompts' included.
        public let windows: Int
        /// Means over the layers; nil without rows.
        public let skew: Skew?
        /// Mean over the layers of the total variation between the loads of this domain and of all rows; nil without rows.
        public let distance: Double?
        /// How far apart chance alone would put them if this domain's rows were drawn from all.
        public let distanceByChance: Double?
    }

    /// Fingerprint of the model; "" where it is unknown.
    public let model: String
    /// Routed experts a layer.
    public let expertCount: Int
    /// Experts of a row in a layer.
    public let expertsPerToken: Int
    /// Rows of the whole trace.
    public let rows: RowCounts
    /// Number of texts.
    public let textCount: Int
    /// Number of windows, prompts' included. Those of several texts may be one step.
    public let windowCount: Int
    /// Verify steps by their rows, narrowest first.
    public let verifyWindows: [WindowCount]
    /// Verify steps by the texts that shared them, fewest first.
    public let company: [Company]
    /// By layer.
    public let layers: [Layer]
    /// Means over the layers; nil without rows.
    public let skew: Skew?
    /// Mean over the layers of the load's change between the trace's halves; nil with fewer than two rows.
    public let drift: Drift?
    /// The pairs of all layers that chance explains least, most striking first.
    public let pairs: [Pair]
    /// Distinct experts that verify steps touch, by rows; means over the layers.
    public let windowOverlap: [Overlap]
    /// The same of rows that follow each other in a text, rejected drafts left out, in windows of 1...8.
    public let textOverlap: [Overlap]
    /// Experts that a token shares with the one before; nil where none follows another.
    public let reuse: Reuse?
    /// By domain, in the trace's order.
    public let domains: [Domain]

    /// Whether texts shared steps.
    public var hasCompany: Bool { company.contains { $0.texts > 1 } }

    /// Most pairs listed.
    static let mostPairs = 20
    /// Widest window of `textOverlap`.
    static let widestText = 8

    /// Studies a trace.
    public init(_ trace: RoutingTrace) {
        let study = TraceStudy(trace)
        model = trace.model
        expertCount = trace.expertCount
        expertsPerToken = trace.expertsPerToken
        rows = RowCounts(trace.kinds[...])
        textCount = trace.textCount
        windowCount = trace.windows.count
        verifyWindows = study.verifyWidths.map { WindowCount(rows: $0.key, count: $0.value) }
            .sorted { $0.rows < $1.rows }
        company = study.company()
        layers = trace.layers.indices.map { study.layer($0) }
        skew = Skew.mean(layers.compactMap(\.skew))
        drift = Drift.mean(layers.compactMap(\.drift))
        pairs = Array(layers.flatMap(\.pairs).sorted { $0.deviation > $1.deviation }.prefix(Self.mostPairs))
        windowOverlap = study.windowOverlap()
        textOverlap = study.textOverlap()
        reuse = study.reuse()
        domains = trace.domains.indices.map { study.domain($0) }
    }
}

extension TraceStatistics.RowCounts {
    init(_ kinds: ArraySlice<RoutingTrace.RowKind>) { for kind in kinds { add(kind) } }

    mutating func add(_ kind: RoutingTrace.RowKind) {
        all += 1
        switch kind {
        case .prompt: prompt += 1
        case .newest: newest += 1
        case .accepted: accepted += 1
        case .rejected: rejected += 1
        }
    }
}
