import ForetokenHardware
import ForetokenModel
import ForetokenSpeculation

/// Times prompts of one length.
final class PromptBench {
    private let model: Model
    private let sequence: TokenSequence
    private var reader: PromptReader
    private let tokens: [Int32]
    private var times: [Double] = []

    init(_ model: Model, _ sequence: TokenSequence, tokens: [Int32]) {
        self.model = model
        self.sequence = sequence
        reader = PromptReader(model, drafting: false)
        self.tokens = tokens
    }

    var count: Int { tokens.count }

    /// Median; nil before anything was timed.
    var time: Double? { times.isEmpty ? nil : median(times) }

    /// One sample.
    /// - Returns: false when `proceed` said no; such a sample does not count.
    func run(proceed: () -> Bool) -> Bool {
        sequence.restart(tokens)
        let verifier = model.verifier
        let begun = MonotonicClock.now
        guard proceed(), reader.read(sequence, to: tokens.count, proceed: proceed) else { return false }
        verifier.computeLogits(first: verifier.rowCount - 1, count: 1)
        times.append(Double(MonotonicClock.now - begun))
        return true
    }

    /// nil before anything was timed.
    func result(_ sgemmRoof: Double?) -> BenchReport.Prompt? {
        guard let time else { return nil }
        let speed = model.promptOperations(tokens: tokens.count) / time * 1e9
        return BenchReport.Prompt(
            tokens: tokens.count, time: time, tokensPerSecond: Double(tokens.count) / time * 1e9,
            operationsPerSecond: speed, sgemmShare: sgemmRoof.map { speed / $0 })
    }
}
