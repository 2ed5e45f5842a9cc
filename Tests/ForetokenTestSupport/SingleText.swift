import ForetokenModel

/// One text and the machinery that runs it, for tests that need no company.
public final class SingleText {
    /// The text.
    public let sequence: TokenSequence
    /// The model that runs it.
    public let verifier: Verifier
    private var step = Step()

    /// Positions run.
    public var position: Int { sequence.position }

    /// An empty text.
    /// - Throws: `HardwareError` without memory for it.
    public init(_ model: Model, context: Int, cacheType: CacheType = .f32) throws {
        sequence = try model.makeSequence(context: context, cacheType: cacheType)
        verifier = model.verifier
    }

    /// Runs tokens at the next positions in one step: more than a window's rows are a chunk.
    public func run(_ tokens: some Collection<Int32>) {
        for (i, token) in tokens.enumerated() { sequence.tokens[position + i] = token }
        if tokens.count > Step.windowRows {
            step.readPrompt(sequence, to: position + tokens.count)
            precondition(step.rowCount == tokens.count, "a chunk ends at a multiple of its rows")
        } else {
            step.clear()
            step.add(sequence, count: tokens.count)
        }
        verifier.run(step)
    }

    /// As the verifier's.
    public func computeLogits(first: Int, count: Int) { verifier.computeLogits(first: first, count: count) }

    /// As the verifier's.
    public func logits(row: Int) -> UnsafeMutableBufferPointer<Float> { verifier.logits(row: row) }

    /// As the verifier's.
    public func hidden(row: Int) -> UnsafePointer<Float> { verifier.hidden(row: row) }
}
