/// Penalties and bias. They touch the logits of few tokens, so they are applied in place and undone after the draw:
/// everything else goes by the model's own logits.
final class LogitAdjustment {
    private let options: SamplingOptions
    private let history: TokenHistory
    /// Ascending ids; a banned token has -infinity.
    private let bias: [(token: Int, value: Float)]
    /// Original logits: those of the history's distinct tokens, then those of the biased ones.
    private let originals: UnsafeMutablePointer<Float>

    /// nil when the options leave all logits as they are.
    ///
    /// - Parameter limit: ids from here on are not touched.
    init?(_ options: SamplingOptions, history: TokenHistory, limit: Int) {
        self.options = options
        self.history = history
        bias = options.logitBias.filter { $0.value != 0 && (0..<limit).contains($0.key) }
            .sorted { $0.key < $1.key }
            .map { ($0.key, $0.value <= -SamplingOptions.penaltyLimit ? -.infinity : $0.value) }
        guard options.isPenalised || !bias.isEmpty else { return nil }
        originals = .allocate(capacity: bias.count + (options.isPenalised ? limit : 0))
    }

    deinit { originals.deallocate() }

    /// Changes logits [limit] in place.
    func apply(to logits: UnsafeMutablePointer<Float>) {
        let seen = history.distinctCount
        for i in 0..<seen {
            let (token, inOutput) = history[i]
            originals[i] = logits[token]
            logits[token] = penalised(logits[token], inOutput)
        }
        for (i, (token, value)) in bias.enumerated() {
            originals[seen + i] = logits[token]
            logits[token] += value
        }
    }

    /// Gives back what the last `apply` changed. A token may be penalised and biased, hence the order.
    func undo(on logits: UnsafeMutablePointer<Float>) {
        let seen = history.distinctCount
        for (i, (token, _)) in bias.enumerated() { logits[token] = originals[seen + i] }
        for i in 0..<seen { logits[history[i].token] = originals[i] }
    }

    private func penalised(_ logit: Float, _ inOutput: Int) -> Float {
        let repetition = options.repetitionPenalty
        var value = logit > 0 ? logit / repetition : logit * repetition
        if inOutput > 0 { value -= options.presencePenalty + options.frequencyPenalty * Float(inOutput) }
        return min(max(value, -Self.bound), Self.bound)
    }

    /// Extreme penalties must not overflow when a small temperature divides the logits afterwards.
    private static let bound: Float = 1e30
}
