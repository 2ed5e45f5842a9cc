import ForetokenHardware
import ForetokenModel
import ForetokenSpeculation

/// Reads texts and tells what a model makes of the token behind them: how likely a given value is, and what it says itself.
public final class NeedleReader {
    /// What a model makes of the end of a text.
    public struct Outcome: Sendable, Equatable {
        /// Nats of the value's tokens, each behind those before it.
        public var logProbability: Double
        /// What it says itself, greedily, up to a token that ends it.
        public var answer: [Int32]
    }

    private let model: Model
    private let sequence: TokenSequence
    private var reader: PromptReader
    private var window = Step()

    /// - Parameter capacity: tokens of the longest text with the value and the answer behind it.
    /// - Throws: `HardwareError` when memory for the latents cannot be had.
    public init(_ model: Model, capacity: Int, cacheType: CacheType = .f32) throws {
        self.model = model
        sequence = try model.makeSequence(context: capacity, cacheType: cacheType, drafting: false)
        reader = PromptReader(model, drafting: false)
    }

    /// - Parameters:
    ///   - text: its tokens, one at least.
    ///   - value: what might follow: 1 to 16 tokens.
    ///   - most: tokens that the model may say; 0 for none.
    ///   - ends: tokens that end what it says.
    ///   - proceed: asked between steps; false ends the work.
    /// - Returns: nil when `proceed` said no.
    /// - Throws: `GenerationError` when the model's logits overflow.
    public func read(
        _ text: [Int32], value: [Int32], saying most: Int, ends: [Int32], proceed: () -> Bool
    ) throws -> Outcome? {
        precondition(1...Step.windowRows ~= value.count && !text.isEmpty)
        precondition(text.count + max(value.count, most) <= sequence.capacity + 1, "a text longer than the sequence")
        model.pool.startSpinning()
        defer { model.pool.stopSpinning() }
        sequence.restart(text)
        guard reader.read(sequence, to: text.count, proceed: proceed) else { return nil }
        let verifier = model.verifier
        verifier.computeLogits(first: verifier.rowCount - 1, count: 1)
        let first = verifier.drawn(row: 0)
        var logProbability = try nats(of: value[0], row: 0)
        if value.count > 1 {
            run(value.dropLast())
            for row in 1..<value.count { logProbability += try nats(of: value[row], row: row - 1) }
            sequence.count = text.count
            sequence.truncate(to: text.count)
        }
        var answer: [Int32] = []
        var token = first
        while answer.count < most, !ends.contains(token) {
            guard proceed() else { return nil }
            answer.append(token)
            guard answer.count < most else { break }
            run([token])
            _ = try nats(of: token, row: 0)
            token = verifier.drawn(row: 0)
        }
        return Outcome(logProbability: logProbability, answer: answer)
    }

    /// Runs the next tokens of the text and makes the logits behind each.
    private func run(_ tokens: some Collection<Int32>) {
        sequence.append(Array(tokens))
        window.clear()
        window.add(sequence, count: tokens.count)
        model.verifier.run(window)
        model.verifier.computeLogits(first: 0, count: tokens.count)
    }

    private func nats(of token: Int32, row: Int) throws -> Double {
        let logits = model.verifier.logits(row: row)
        let nats = LogSoftmax(logits)(logits[Int(token)])
        guard nats.isFinite else { throw GenerationError.overflow(position: sequence.position) }
        return nats
    }
}
