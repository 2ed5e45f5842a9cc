/// Which experts texts' rows were sent to, round by round: what placements are made from.
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

    /// Rows of one text that one step ran.
    public struct Window: Sendable, Equatable {
        /// Its rows in `kinds`.
        public var rows: Range<Int>
        /// Index into `domains`.
        public var domain: Int
        /// Position of the first row in its text.
        public var position: Int
        /// Number of the text.
        public var text: Int
        /// Whether the step that ran it ran the window before it in `windows` as well, for another text.
        public var joinsPrevious: Bool

        /// A window; see the fields.
        public init(rows: Range<Int>, domain: Int, position: Int, text: Int = 0, joinsPrevious: Bool = false) {
            self.rows = rows
            self.domain = domain
            self.position = position
            self.text = text
            self.joinsPrevious = joinsPrevious
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
    /// Windows in the order they were run, those of a step side by side.
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

    /// Windows that each step ran together, as indices into `windows`. The experts a step reads are the union of all its rows'.
    public var steps: [Range<Int>] {
        var steps: [Range<Int>] = []
        for (index, window) in windows.enumerated() {
            if window.joinsPrevious, let last = steps.last {
                steps[steps.count - 1] = last.lowerBound..<index + 1
            } else {
                steps.append(index..<index + 1)
            }
        }
        return steps
    }

    /// One more than the highest number of a text.
    public var textCount: Int { windows.reduce(0) { max($0, $1.text + 1) } }

    /// Rows of a step that `steps` names.
    func rows(ofStep step: Range<Int>) -> Range<Int> {
        windows[step.lowerBound].rows.lowerBound..<windows[step.upperBound - 1].rows.upperBound
    }

    /// Whether the rows of a step that `steps` names lie side by side, in the order of its windows.
    func isContiguous(_ step: Range<Int>) -> Bool {
        zip(step, step.dropFirst()).allSatisfy { windows[$0].rows.upperBound == windows[$1].rows.lowerBound }
    }

    /// Whether a step of `steps` verified drafts: no row of it is a prompt's.
    func isVerified(_ step: Range<Int>) -> Bool {
        step.allSatisfy { windows[$0].rows.first.map { kinds[$0] == .newest } ?? false }
    }

    /// Ids of the experts that row `row` chose in the layer with index `layer` of `layers`.
    public func chosen(row: Int, layer: Int) -> ArraySlice<UInt16> {
        let first = (row * layers.count + layer) * expertsPerToken
        return experts[first..<first + expertsPerToken]
    }
}
