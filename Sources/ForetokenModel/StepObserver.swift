import CForetokenKernels
import ForetokenHardware
import ForetokenWeights

/// What a value inside a step is, in the order of computation.
public enum StepOperator: String, Sendable, CaseIterable {
    /// The token's embedding, which opens the row.
    case embedding
    /// After input_layernorm.
    case attentionNorm = "input_layernorm"
    /// After q_a_proj; layers without query compression have none.
    case queryDown = "q_a_proj"
    /// After kv_a_proj_with_mqa.
    case latentDown = "kv_a_proj"
    /// The latent and the rotated key, before they are rounded to the cache's type.
    case latent = "kv_a_layernorm, rotation"
    /// Queries of all heads, rotated.
    case query = "q_b_proj, rotation"
    /// Queries in latent space (windows only).
    case absorbedQuery = "query · W_UK"
    /// Weighted latents (windows only).
    case mixedLatent = "attention over latents"
    /// Weighted values of all heads.
    case attended = "attention values"
    /// The residual stream after o_proj.
    case attentionOutput = "o_proj"
    /// After post_attention_layernorm.
    case feedForwardNorm = "post_attention_layernorm"
    /// Router logits of all experts.
    case router
    /// Weights of the chosen experts, in ascending order of expert.
    case routingWeights = "routing weights"
    /// SwiGLU of one chosen expert.
    case expert = "expert gate, up, SwiGLU"
    /// SwiGLU of the shared expert, or of a dense layer.
    case shared = "shared gate, up, SwiGLU"
    /// Weighted sum of the experts' outputs, the shared one included.
    case experts = "expert down projections"
    /// The residual stream after the feed-forward part.
    case feedForwardOutput = "feed-forward output"
    /// After model.norm.
    case finalNorm = "model.norm"
    /// Logits of the whole vocabulary.
    case logits = "lm_head"
}

/// Where in a step values arise.
public struct StepSite: Sendable, Hashable {
    /// Decoder layer; nil before the first and after the last.
    public let layer: Int?
    /// What made them.
    public let operation: StepOperator
    /// The expert, where it is one's.
    public let expert: Int?

    /// A site; see the fields.
    public init(layer: Int?, operation: StepOperator, expert: Int?) {
        self.layer = layer
        self.operation = operation
        self.expert = expert
    }
}

/// Rows of values that one operator made.
public struct StepRows {
    /// First element of the first row.
    public let base: UnsafePointer<Float>
    /// Floats from one row to the next.
    public let stride: Int
    /// Elements of a row.
    public let width: Int
    /// Number of rows.
    public let count: Int
    /// Position of the first row in the text.
    public let firstPosition: Int
    /// Number of the text.
    public let text: Int
    /// Row of the step that the first row is.
    public let firstRow: Int
    /// Rows of the step, all texts'.
    public let stepRows: Int
}

/// What became of a step's rows.
public enum StepOutcome: Sendable, Equatable {
    /// They were a prompt's, or a given text's.
    case prompt
    /// They were the newest token and the drafts behind it, the first so many of which were accepted.
    case verified(accepted: Int)
}

/// Rows of one text in a step.
public struct TextRows {
    /// The step's kind. While a chunk rests, windows of other texts run.
    public let kind: StepKind
    /// Number of the text.
    public let text: Int
    /// The text's first row in the step.
    public let firstRow: Int
    /// Number of rows.
    public let count: Int
    /// Position of the first row in the text.
    public let firstPosition: Int

    /// Rows; see the fields.
    public init(kind: StepKind = .window, text: Int, firstRow: Int, count: Int, firstPosition: Int) {
        self.kind = kind
        self.text = text
        self.firstRow = firstRow
        self.count = count
        self.firstPosition = firstPosition
    }
}

/// Looks on while a verifier works: every operator of every row. For proofs and statistics; the pointers are valid
/// during the call only, which comes from the thread that runs the step.
public protocol StepObserver: AnyObject {
    /// Whether `saw` is to be called. Asked at the beginning of every step.
    var wantsValues: Bool { get }
    /// An operator's values of one text's rows, in the order of computation.
    func saw(_ site: StepSite, _ rows: StepRows)
    /// Chosen experts [count][perRow] of one text's rows, ascending in each row.
    func routed(layer: Int, chosen: UnsafePointer<Int32>, perRow: Int, rows: TextRows)
    /// Entries [count][perRow] that one text's rows chose by a layer's indexer, ascending in each row. Rows that see no more
    /// than so many choose nothing. Does nothing by default.
    func chose(layer: Int, entries: UnsafePointer<Int32>, perRow: Int, rows: TextRows)
    /// What became of a text's rows in the last step, once whoever ran the step knows. Does nothing by default.
    func ended(_ outcome: StepOutcome, text: Int)
    /// No row of that text will come any more. Told of every text that was to be served beside others; does nothing by
    /// default.
    func left(text: Int)
}

extension StepObserver {
    /// Does nothing.
    public func chose(layer: Int, entries: UnsafePointer<Int32>, perRow: Int, rows: TextRows) {}
    /// Does nothing.
    public func ended(_ outcome: StepOutcome, text: Int) {}
    /// Does nothing.
    public func left(text: Int) {}
}

/// The observer of a step in progress, and where the step stands.
struct Observation {
    let observer: any StepObserver
    let wantsValues: Bool
    var layer: Int?

    init(_ observer: any StepObserver) {
        self.observer = observer
        wantsValues = observer.wantsValues
    }
}

extension Decoder {
    /// Shows all rows of a buffer to whoever looks on, text by text.
    @inline(__always)
    func show(_ operation: StepOperator, _ buffer: FloatBuffer, width: Int) {
        guard let observation, observation.wantsValues else { return }
        show(operation, buffer.base, stride: buffer.stride, width: width, to: observation)
    }

    private func show(
        _ operation: StepOperator, _ base: UnsafePointer<Float>, stride: Int, width: Int, to observation: Observation
    ) {
        let site = StepSite(layer: observation.layer, operation: operation, expert: nil)
        for i in 0..<spanCount {
            let span = space.spans.pointer[i]
            observation.observer.saw(
                site,
                StepRows(
                    base: base + span.firstRow * stride, stride: stride, width: width, count: span.count,
                    firstPosition: span.position, text: span.text, firstRow: span.firstRow, stepRows: rows))
        }
    }

    /// Shows what attention made.
    func showAttention() {
        guard let observation, observation.wantsValues else { return }
        let c = configuration
        show(.attended, space.attended, width: c.headCount * c.valueDimension)
        // Of the rest other hosts keep what they have made.
        guard others == nil else { return }
        show(.query, space.query, width: c.headCount * (c.nopeDimension + c.ropeDimension))
        if kind == .window {
            show(.absorbedQuery, space.absorbed, width: c.headCount * (c.latentRank + c.ropeDimension))
            show(.mixedLatent, space.mixedLatents, width: c.headCount * c.latentRank)
        }
    }

    /// Shows the router's choice, and its weights.
    @inline(__always)
    func showRouting() {
        guard let observation, let layer = observation.layer else { return }
        let perRow = configuration.expertsPerToken
        for i in 0..<spanCount {
            let span = space.spans.pointer[i]
            observation.observer.routed(
                layer: layer, chosen: space.assignment.chosen.pointer + span.firstRow * perRow, perRow: perRow,
                rows: TextRows(
                    kind: kind, text: span.text, firstRow: span.firstRow, count: span.count,
                    firstPosition: span.position))
        }
        guard observation.wantsValues else { return }
        show(.routingWeights, space.assignment.weights.pointer, stride: perRow, width: perRow, to: observation)
    }

    /// Shows what rows chose by an indexer.
    @inline(__always)
    func showChoice(_ selection: SelectionSpace) {
        guard let observation, let layer = observation.layer else { return }
        for i in 0..<spanCount {
            let span = space.spans.pointer[i]
            let rows = span.rows(behind: selection.chosenCount)
            guard !rows.isEmpty else { continue }
            observation.observer.chose(
                layer: layer, entries: selection.lists.pointer + rows.lowerBound * selection.chosenCount,
                perRow: selection.chosenCount,
                rows: TextRows(
                    kind: kind, text: span.text, firstRow: rows.lowerBound, count: rows.count,
                    firstPosition: span.position + rows.lowerBound - span.firstRow))
        }
    }

    /// Shows the SwiGLU rows of the chosen experts. They lie grouped by expert; each is shown as its row's.
    func showExperts() {
        guard let observation, observation.wantsValues else { return }
        let assignment = space.assignment
        for i in 0..<assignment.activeCount {
            let site = StepSite(
                layer: observation.layer, operation: .expert, expert: Int(assignment.active.pointer[i]))
            for slot in Int(assignment.firstSlot.pointer[i])..<Int(assignment.firstSlot.pointer[i + 1]) {
                let row = Int(assignment.slotRow.pointer[slot])
                let span = space.spans.pointer[span(ofRow: row)]
                observation.observer.saw(
                    site,
                    StepRows(
                        base: space.slots[row: slot], stride: space.slots.stride,
                        width: configuration.expertIntermediateSize, count: 1,
                        firstPosition: span.position + row - span.firstRow, text: span.text, firstRow: row,
                        stepRows: rows))
            }
        }
    }

    private func span(ofRow row: Int) -> Int {
        var i = 0
        while row >= space.spans.pointer[i].rows.upperBound { i += 1 }
        return i
    }
}
