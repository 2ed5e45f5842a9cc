import ForetokenHardware
import ForetokenModel

/// Times prompts of one length.
final class PromptBench {
    private let model: Model
    private let verifier: Verifier
    private let tokens: [Int32]
    private var times: [Double] = []

    init(_ model: Model, _ verifier: Verifier, tokens: [Int32]) {
        self.model = model
        self.verifier = verifier
        self.tokens = tokens
    }

    var count: Int { tokens.count }

    /// Median; nil before anything was timed.
    var time: Double? { times.isEmpty ? nil : median(times) }

    /// One sample.
    /// - Returns: false when `proceed` said no; such a sample does not count.
    func run(proceed: () -> Bool) -> Bool {
        verifier.jump(to: 0)
        let begun = MonotonicClock.now
        while verifier.position < tokens.count {
            guard proceed() else { return false }
            let start = verifier.position
            let rows = verifier.nextChunk(to: tokens.count)
            tokens.withUnsafeBufferPointer { verifier.forward($0.baseAddress! + start, count: rows) }
        }
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
