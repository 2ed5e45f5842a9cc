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
    /// Queries in latent space (narrow steps only).
    case absorbedQuery = "query · W_UK"
    /// Weighted latents (narrow steps only).
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
}

/// What became of a step's rows.
public enum StepOutcome: Sendable, Equatable {
    /// They were a prompt's, or a given text's.
    case prompt
    /// They were the newest token and the drafts behind it, the first so many of which were accepted.
    case verified(accepted: Int)
}

/// Looks on while a verifier works: every operator of every row. For proofs and statistics; the pointers are valid
/// during the call only, which comes from the thread that runs the step.
public protocol StepObserver: AnyObject {
    /// Whether `saw` is to be called. Asked at the beginning of every step.
    var wantsValues: Bool { get }
    /// An operator's values, in the order of computation.
    func saw(_ site: StepSite, _ rows: StepRows)
    /// Chosen experts [count][perRow], ascending in each row.
    func routed(layer: Int, experts: UnsafePointer<Int32>, perRow: Int, count: Int, firstPosition: Int)
    /// What became of the last step's rows, once whoever ran the step knows. Does nothing by default.
    func ended(_ outcome: StepOutcome)
}

extension StepObserver {
    /// Does nothing.
    public func ended(_ outcome: StepOutcome) {}
}

/// The observer of a step in progress, and where the step stands.
struct Observation {
    let observer: any StepObserver
    let wantsValues: Bool
    var layer: Int?
    let position: Int

    init(_ observer: any StepObserver, position: Int) {
        self.observer = observer
        self.position = position
        wantsValues = observer.wantsValues
    }
}

extension Decoder {
    /// Shows the first `rows` rows of a buffer to whoever looks on.
    @inline(__always)
    func show(_ operation: StepOperator, _ buffer: FloatBuffer, width: Int, rows: Int) {
        guard let observation, observation.wantsValues else { return }
        observation.observer.saw(
            StepSite(layer: observation.layer, operation: operation, expert: nil),
            StepRows(
                base: buffer.base, stride: buffer.stride, width: width, count: rows,
                firstPosition: observation.position))
    }

    /// Shows what attention made of `rows` rows.
    func showAttention(_ rows: Int) {
        guard let observation, observation.wantsValues else { return }
        let c = configuration
        show(.query, space.query, width: c.headCount * (c.nopeDimension + c.ropeDimension), rows: rows)
        if rows <= Workspace.narrowRows {
            show(.absorbedQuery, space.absorbed, width: c.headCount * (c.latentRank + c.ropeDimension), rows: rows)
            show(.mixedLatent, space.mixedLatents, width: c.headCount * c.latentRank, rows: rows)
        }
        show(.attended, space.attended, width: c.headCount * c.valueDimension, rows: rows)
    }

    /// Shows the router's choice for `rows` rows, and its weights.
    @inline(__always)
    func showRouting(rows: Int) {
        guard let observation, let layer = observation.layer else { return }
        let perRow = configuration.expertsPerToken
        observation.observer.routed(
            layer: layer, experts: space.experts.chosen.pointer, perRow: perRow, count: rows,
            firstPosition: observation.position)
        guard observation.wantsValues else { return }
        observation.observer.saw(
            StepSite(layer: layer, operation: .routingWeights, expert: nil),
            StepRows(
                base: space.experts.weights.pointer, stride: perRow, width: perRow, count: rows,
                firstPosition: observation.position))
    }

    /// Shows the SwiGLU rows of the chosen experts. They lie grouped by expert; each is shown as its row's.
    func showExperts() {
        guard let observation, observation.wantsValues else { return }
        let assignment = space.experts
        for i in 0..<assignment.activeCount {
            let site = StepSite(
                layer: observation.layer, operation: .expert, expert: Int(assignment.active.pointer[i]))
            for slot in Int(assignment.firstSlot.pointer[i])..<Int(assignment.firstSlot.pointer[i + 1]) {
                observation.observer.saw(
                    site,
                    StepRows(
                        base: space.slots[row: slot], stride: space.slots.stride,
                        width: configuration.expertIntermediateSize, count: 1,
                        firstPosition: observation.position + Int(assignment.slotRow.pointer[slot])))
            }
        }
    }
}
