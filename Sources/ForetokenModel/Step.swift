/// Which kernels a step's rows take, and so which bits they get. It follows from a row's own text and from constants:
/// never from what else is served, from timing, or from the number of threads.
public enum StepKind: Sendable, CaseIterable {
    /// Up to 16 rows of one or several texts, by the narrow kernels: generated tokens, drafts, and a prompt's last rows.
    case window
    /// Rows of one prompt up to an absolute multiple of 512, by wide products.
    case chunk

    /// Most rows of such a step.
    var mostRows: Int { self == .window ? Workspace.windowRows : Workspace.chunkRows }
}

/// What a verifier runs at once: rows at the next positions of some texts.
public struct Step {
    /// Rows of one text.
    public struct Span {
        /// The text.
        public let sequence: TokenSequence
        /// Its first row in the step.
        public let firstRow: Int
        /// Number of its rows.
        public let count: Int
        /// Position of its first row.
        public let position: Int
    }

    /// How the rows are computed.
    public private(set) var kind = StepKind.window
    /// Rows of the texts, in order.
    public private(set) var spans: [Span]
    /// Rows of all texts.
    public private(set) var rowCount = 0

    /// Most rows of a window, and most texts in it.
    public static let windowRows = Workspace.windowRows
    /// Most rows of a chunk; prompts are divided at multiples of it.
    public static let chunkRows = Workspace.chunkRows

    /// An empty window. Filling it, and filling it anew, allocates nothing.
    public init() {
        spans = []
        spans.reserveCapacity(Self.windowRows)
    }

    /// Makes it an empty window.
    public mutating func clear() {
        spans.removeAll(keepingCapacity: true)
        (kind, rowCount) = (.window, 0)
    }

    /// Rows that still fit a window.
    public var room: Int { Self.windowRows - rowCount }

    /// Adds a text's next `count` tokens to a window.
    public mutating func add(_ sequence: TokenSequence, count: Int) {
        precondition(kind == .window && count > 0 && rowCount + count <= Self.windowRows, "more rows than a window has")
        append(sequence, count)
    }

    /// Makes it the next step of reading a prompt of `end` tokens: a chunk up to a multiple of `chunkRows`, or a window
    /// where so few rows are left. Whoever reads a prompt divides it here, since other bounds could give other bits.
    public mutating func readPrompt(_ sequence: TokenSequence, to end: Int) {
        clear()
        let count = min((sequence.position / Self.chunkRows + 1) * Self.chunkRows, end) - sequence.position
        kind = Self.kind(ofPromptRows: count)
        append(sequence, count)
    }

    /// The kind of step that `count` neighbouring rows of a prompt are.
    static func kind(ofPromptRows count: Int) -> StepKind { count > windowRows ? .chunk : .window }

    private mutating func append(_ sequence: TokenSequence, _ count: Int) {
        precondition(sequence.position + count <= sequence.capacity, "rows outside the text's pages")
        spans.append(Span(sequence: sequence, firstRow: rowCount, count: count, position: sequence.position))
        rowCount += count
    }
}
