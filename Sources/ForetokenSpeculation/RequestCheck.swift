import ForetokenWeights

extension GenerationRequest {
    /// Refuses what cannot be served.
    ///
    /// - Parameters:
    ///   - drawable: ids from here on are never drawn.
    ///   - before: tokens that the context has already.
    ///   - capacity: tokens that it can hold.
    /// - Throws: `GenerationError` with what was found and what is possible.
    func check(_ configuration: ModelConfiguration, drawable: Int, before: Int, capacity: Int) throws {
        try check(sampling, configuration, drawable)
        guard maximumTokens >= 1 || (maximumTokens == 0 && promptLogProbabilities != nil) else {
            throw GenerationError(description: "at least 1 token has to be generated, not \(maximumTokens)")
        }
        let counts = [logProbabilities, promptLogProbabilities].compactMap(\.self)
        if let count = counts.first(where: { !(0...GenerationRequest.maximumLogProbabilities).contains($0) }) {
            throw GenerationError(
                description: "log-probabilities of the \(count) likeliest tokens were asked for; "
                    + "0...\(GenerationRequest.maximumLogProbabilities) are possible")
        }
        let vocabulary = Int32(configuration.vocabularySize)
        if prompt.isEmpty {
            throw GenerationError(description: "the prompt is empty: there is nothing to continue")
        }
        if let index = prompt.firstIndex(where: { $0 < 0 || $0 >= vocabulary }) {
            throw GenerationError(
                description:
                    "prompt token \(index) is \(prompt[index]); ids of this model are 0...\(vocabulary - 1)")
        }
        for base in [prediction].compactMap(\.self) + bases {
            guard let ids = base.ids, ids.lowerBound < 0 || ids.upperBound >= vocabulary else { continue }
            throw GenerationError(
                description: "a text to look drafts up in has the tokens \(ids); "
                    + "ids of this model are 0...\(vocabulary - 1)")
        }
        if before + prompt.count > capacity {
            throw GenerationError(
                description:
                    "the prompt has \(prompt.count) tokens, but \(max(0, capacity - before)) of the context's "
                    + "\(capacity) are free; raise --context (this model allows \(configuration.maximumPositions)) "
                    + "or shorten the prompt")
        }
    }

    private func check(_ sampling: SamplingOptions, _ configuration: ModelConfiguration, _ drawable: Int) throws {
        if let problem = sampling.problem { throw GenerationError(description: problem) }
        let vocabulary = configuration.vocabularySize
        if let token = sampling.logitBias.keys.filter({ !(0..<vocabulary).contains($0) }).min() {
            throw GenerationError(
                description: "a logit bias is for token \(token); ids of this model are 0...\(vocabulary - 1)")
        }
        let bans = sampling.logitBias.filter { $0.key < drawable && $0.value <= -SamplingOptions.penaltyLimit }
        if bans.count == drawable {
            throw GenerationError(description: "logit biases ban all \(drawable) tokens: nothing is left to draw")
        }
    }
}
