import CForetokenKernels
import ForetokenHardware
import ForetokenWeights

/// The main model: turns the tokens of a step into hidden states and logits, and leaves their latents in the texts' pages.
/// It holds no text. Each row's result has the same bits whatever else is in the step.
public final class Verifier {
    /// Rows of the last step that `hidden(row:)` may be asked for.
    public private(set) var rowCount = 0
    /// Looks on at every step.
    public var observer: (any StepObserver)?

    private let weights: ModelWeights
    private let machinery: Machinery
    private let hiddenRows: FloatBuffer
    private let lmHead: LMHeadRunner
    /// What makes the logits.
    var runner: LMHeadRunner { lmHead }
    /// The last step's texts, where somebody looks on.
    private var spans: [TextRows] = []

    init(weights: ModelWeights, machinery: Machinery) throws {
        self.weights = weights
        self.machinery = machinery
        var make = BufferMaker()
        hiddenRows = try Self.hiddenRows(weights.configuration, &make)
        lmHead = try LMHeadRunner(machinery, .verifierLogits, &make)
        spans.reserveCapacity(Workspace.windowRows)
    }

    /// Room for the hidden rows of any step.
    static func hiddenRows(_ c: ModelConfiguration, _ make: inout BufferMaker) throws -> FloatBuffer {
        try make.floats(rows: Workspace.chunkRows, columns: c.hiddenSize)
    }

    /// Runs a step's tokens and moves its texts on. Afterwards `hidden(row:)` gives the rows' final hidden states. The caller
    /// keeps token ids within the vocabulary.
    ///
    /// - Parameter rest: called between the phases of a chunk, which may then rest while windows run; ends the chunk by
    ///   returning false. Its text stays where it was then.
    /// - Returns: whether the step was finished.
    @discardableResult
    public func run(_ step: borrowing Step, rest: (() -> Bool)? = nil) -> Bool {
        precondition(step.rowCount > 0, "a step has rows")
        let decoder = machinery.decoder(step.kind)
        decoder.begin(beside: step.spans[0].sequence)
        for span in step.spans {
            let tokens = span.sequence.tokens + span.position
            for i in 0..<span.count {
                weights.embedding.decodeRow(
                    tokens[i], into: decoder.space.residual[row: span.firstRow + i], decoder.kernels)
            }
            decoder.add(span.sequence, count: span.count, entry: span.position, position: span.position)
        }
        guard runLayers(decoder, rest) else { return false }
        for span in step.spans { span.sequence.position += span.count }
        rowCount = step.rowCount
        if observer != nil {
            spans.removeAll(keepingCapacity: true)
            for span in step.spans {
                spans.append(
                    TextRows(
                        kind: step.kind, text: span.sequence.number, firstRow: span.firstRow, count: span.count,
                        firstPosition: span.position))
            }
        }
        return true
    }

    /// - Returns: false when the step was ended.
    private func runLayers(_ decoder: Decoder, _ rest: (() -> Bool)?) -> Bool {
        if decoder.kind == .window { decoder.traffic.beginStep(rows: decoder.rows) }
        defer {
            decoder.traffic.endStep()
            decoder.observation = nil
        }
        decoder.observation = observer.map(Observation.init)
        let width = weights.configuration.hiddenSize
        decoder.show(.embedding, decoder.space.residual, width: width)
        guard machinery.run(.main, weights, on: decoder, rest: rest) else { return false }
        decoder.observation?.layer = nil
        decoder.normalise(decoder.space.residual, weights.finalNorm, into: hiddenRows)
        decoder.show(.finalNorm, hiddenRows, width: width)
        return true
    }

    /// Computes logits for `count` (1...16) rows of the last step, starting at `first`; `logits(row:)` then gives them.
    ///
    /// - Parameter draw: how `drawn(row:)` is to choose for each of these rows, counted from 0.
    public func computeLogits(first: Int, count: Int, draw: (Int) -> Draw) {
        precondition(first >= 0 && count > 0 && count <= Workspace.windowRows && first + count <= rowCount)
        for row in 0..<count { lmHead.draws.pointer[row] = draw(row) }
        let input = foretoken_rows(base: hiddenRows[row: first], stride: hiddenRows.stride, index: nil)
        lmHead.run(.main, weights.lmHead, input: input, count: count)
        if let observer, observer.wantsValues { showLogits(observer, first: first, count: count) }
    }

    /// The same; `drawn(row:)` chooses greedily.
    public func computeLogits(first: Int, count: Int) {
        computeLogits(first: first, count: count) { _ in lmHead.greedy }
    }

    /// The same for `count` (1...16) final hidden states that `hidden(row:)` gave earlier. Nobody is shown these logits.
    package func computeLogits(of hidden: UnsafePointer<Float>, stride: Int, count: Int) {
        precondition(count > 0 && count <= Workspace.windowRows)
        for row in 0..<count { lmHead.draws.pointer[row] = lmHead.greedy }
        let input = foretoken_rows(base: UnsafeMutablePointer(mutating: hidden), stride: stride, index: nil)
        lmHead.run(.main, weights.lmHead, input: input, count: count)
    }

    private func showLogits(_ observer: any StepObserver, first: Int, count: Int) {
        for span in spans {
            let rows = (span.firstRow..<span.firstRow + span.count).clamped(to: first..<first + count)
            guard !rows.isEmpty else { continue }
            observer.saw(
                StepSite(layer: nil, operation: .logits, expert: nil),
                StepRows(
                    base: UnsafePointer(lmHead.logits(row: rows.lowerBound - first)), stride: lmHead.logitStride,
                    width: weights.configuration.vocabularySize, count: rows.count,
                    firstPosition: span.firstPosition + rows.lowerBound - span.firstRow, text: span.text,
                    firstRow: rows.lowerBound, stepRows: rowCount))
        }
    }

    /// The token that was drawn for row `row` of the last `computeLogits`.
    public func drawn(row: Int) -> Int32 { lmHead.drawn(row: row).token }

    /// Logits [vocabulary] of row `row` of the last `computeLogits`, valid until the next one.
    public func logits(row: Int) -> UnsafeMutableBufferPointer<Float> {
        UnsafeMutableBufferPointer(start: lmHead.logits(row: row), count: weights.configuration.vocabularySize)
    }

    /// Final hidden state [hidden], after model.norm, of row `row` of the last step; valid until the next step.
    public func hidden(row: Int) -> UnsafePointer<Float> { UnsafePointer(hiddenRows[row: row]) }

    /// Floats from one hidden row to the next.
    public var hiddenStride: Int { hiddenRows.stride }
}
