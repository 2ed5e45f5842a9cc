/// Which experts a text's rows were sent to, round by round: what placements are made from.
public struct RoutingTrace: Sendable, Equatable {
    /// What a row of a window was.
    public enum RowKind: UInt8, Sendable {
        /// A prompt's row.
        case prompt
        /// The newest accepted token, which opens every verify window.
        case newest
        /// A draft that the verifier accepted.
        case accepted
        /// A draft that it rejected.
        case rejected
    }

    /// Rows that one step ran together. The experts it reads are the union of its rows'.
    public struct Window: Sendable, Equatable {
        /// Its rows in `kinds`.
        public var rows: Range<Int>
        /// Index into `domains`.
        public var domain: Int
        /// Position of the first row in its text.
        public var position: Int

        /// A window; see the fields.
        public init(rows: Range<Int>, domain: Int, position: Int) {
            self.rows = rows
            self.domain = domain
            self.position = position
        }
    }

    /// `PlacementModel.fingerprint` of the model that routed, without its resident format; "" where it is unknown.
    public var model: String
    /// Decoder layers with routed experts, ascending.
    public var layers: [Int]
    /// Routed experts a layer.
    public var expertCount: Int
    /// Experts of a row in a layer.
    public var expertsPerToken: Int
    /// Labels of the texts.
    public var domains: [String]
    /// Windows in the order they were run.
    public var windows: [Window]
    /// By row.
    public var kinds: [RowKind]
    /// Expert ids [row][layer][expertsPerToken], ascending within a row's layer.
    public var experts: [UInt16]

    /// A trace without rows; see the fields.
    public init(model: String, layers: [Int], expertCount: Int, expertsPerToken: Int) {
        self.model = model
        self.layers = layers
        self.expertCount = expertCount
        self.expertsPerToken = expertsPerToken
        domains = []
        windows = []
        kinds = []
        experts = []
    }

    /// Rows in all windows.
    public var rowCount: Int { kinds.count }

    /// Ids of the experts that row `row` chose in the layer with index `layer` of `layers`.
    public func chosen(row: Int, layer: Int) -> ArraySlice<UInt16> {
        let first = (row * layers.count + layer) * expertsPerToken
        return experts[first..<first + expertsPerToken]
    }
}
