import ForetokenModel

/// Scores a prompt's tokens with the rows that reading it computes anyway, so that its reading changes in no bit. The rows
/// are kept until they are scored: windows of other texts may come in between.
final class PromptScorer {
    /// Positions whose rows predict a token that is to be scored.
    private let predicting: Range<Int>
    private var record: LogProbabilityRecord
    private let rows: UnsafeMutablePointer<Float>
    private let stride: Int
    /// Position of the first row that is kept, and those of the rows that wait.
    private var start = 0
    private var waiting = 0..<0

    /// - Parameters:
    ///   - topCount: likeliest tokens to report beside each.
    ///   - tokens: positions of the tokens; one that nothing comes before is left out.
    init(topCount: Int, tokens: Range<Int>, _ verifier: Verifier) {
        let first = max(1, tokens.lowerBound)
        predicting = first - 1..<max(first, tokens.upperBound) - 1
        record = LogProbabilityRecord(topCount: topCount, capacity: predicting.count)
        stride = verifier.hiddenStride
        rows = .allocate(capacity: stride * min(Step.chunkRows, predicting.count))
    }

    deinit { rows.deallocate() }

    /// Takes the hidden rows of the verifier's last step, which began at position `start`.
    func take(_ verifier: Verifier, start: Int, count: Int) {
        waiting = predicting.clamped(to: start..<start + count)
        self.start = waiting.lowerBound
        rows.update(from: verifier.hidden(row: waiting.lowerBound - start), count: waiting.count * stride)
    }

    /// Whether rows wait to be scored.
    var hasRows: Bool { !waiting.isEmpty }

    /// Scores the next tokens, at most a window's rows, of those that wait.
    /// - Returns: position of a token whose logits overflowed, if one's did.
    func score(_ verifier: Verifier, _ tokens: UnsafePointer<Int32>) -> Int? {
        let count = min(Step.windowRows, waiting.count)
        let first = waiting.lowerBound
        waiting = first + count..<waiting.upperBound
        verifier.computeLogits(of: UnsafePointer(rows) + (first - start) * stride, stride: stride, count: count)
        for row in 0..<count where !record.append(tokens[first + row + 1], verifier.logits(row: row)) {
            return first + row + 1
        }
        return nil
    }

    /// What was found, token by token.
    var entries: [TokenLogProbabilities] { record.entries }
}
