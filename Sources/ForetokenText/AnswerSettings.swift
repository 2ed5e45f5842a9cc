import ForetokenSpeculation
import ForetokenTokenizer
import ForetokenWeights

/// What is wanted of one answer.
public struct AnswerSettings: Sendable {
    /// Most tokens to generate, at least 1; 0 is possible where the prompt is scored.
    public var maximumTokens = 256
    /// How tokens are drawn.
    public var sampling = SamplingOptions()
    /// How many tokens are drafted.
    public var draft = DraftMode.auto
    /// Where drafts may come from.
    public var sources = DraftSources.both
    /// What the answer is expected to be like, as tokens, for drafts to be looked up in; nil for nothing.
    public var prediction: [Int32]?
    /// Other texts that drafts are looked up in.
    public var bases: [LookupBase] = []
    /// Which tokens may come; nil where all may.
    public var mask: (any TokenMask)?
    /// So many tokens come before any stop string is looked for. End tokens are the mask's business.
    public var minimumTokens = 0
    /// Texts that end the answer and are no part of it.
    public var stopStrings: [String] = []
    /// How many likeliest tokens (0...20) to report beside each; nil for no log-probabilities.
    public var logProbabilities: Int?
    /// Whether each token's event has its log-probabilities, too, where they are wanted.
    public var streamsLogProbabilities = false
    /// How many likeliest tokens (0...20) to report beside each token of the prompt; nil if it is not to be scored.
    public var promptLogProbabilities: Int?
    /// Only answers with the same salt share what is cached of their prompts.
    public var cacheSalt = ""
    /// Gives the answer up when it is asked to; nil where only who looks on can.
    public var cancellation: Cancellation?
    /// Tokens that end the answer.
    public var endTokens: [Int32]
    /// Those of them that are marks of a chat format, and so no part of the answer's text.
    public var turnEnds: [Int32] = []

    /// The defaults.
    /// - Parameter endTokens: tokens that end the answer, mostly `OpenModel.endTokens`.
    public init(endTokens: [Int32]) { self.endTokens = endTokens }

    /// Makes the ends of the model's turns ends of the answer, too, where those of the model are.
    /// - Throws: as `OpenModel.turnEnds()` does.
    public mutating func endTurns(of open: OpenModel) throws {
        guard open.endTokens.allSatisfy(endTokens.contains) else { return }
        turnEnds = try open.turnEnds()
        endTokens += turnEnds.filter { !endTokens.contains($0) }
    }

    /// A stream of the answer's text.
    package func textStream(_ tokenizer: Tokenizer?) -> TextStream {
        TextStream(
            tokenizer, stopStrings: stopStrings, after: minimumTokens, silent: turnEnds.filter(endTokens.contains))
    }

    /// A request for what the prompt is to be continued by, in a context of so many tokens.
    public func request(_ prompt: [Int32], context: Int) -> GenerationRequest {
        var request = GenerationRequest(prompt: prompt)
        request.maximumTokens = min(maximumTokens, context + 1)
        request.sampling = sampling
        request.draft = draft
        request.sources = sources
        if looksUp {
            request.prediction = prediction.map { LookupBase([$0]) }
            request.bases = bases
        }
        request.stopTokens = endTokens
        request.mask = mask
        request.logProbabilities = logProbabilities
        request.streamsLogProbabilities = streamsLogProbabilities
        request.promptLogProbabilities = promptLogProbabilities
        request.cacheSalt = cacheSalt
        request.cancellation = cancellation
        return request
    }

    /// Whether drafts are looked up.
    package var looksUp: Bool { draft != .off && sources.looksUp }

    /// Bytes that looking up drafts in the prediction takes.
    public var predictionBytes: Int { looksUp ? prediction.map { LookupBase.byteCount([$0.count]) } ?? 0 : 0 }

    /// What is wrong with a number of log-probabilities, if anything is.
    package static func problem(logProbabilities count: Int?) -> String? {
        let range = 0...GenerationRequest.maximumLogProbabilities
        guard let count, !range.contains(count) else { return nil }
        return "logprobs must be 0...\(range.upperBound), not \(count)"
    }
}

extension OpenModel {
    /// Refuses settings that mean nothing or do not fit the model.
    /// - Throws: `SettingsError`, `InputError`.
    public func check(_ settings: AnswerSettings) throws {
        guard settings.maximumTokens >= (settings.promptLogProbabilities == nil ? 1 : 0) else {
            throw InputError("max_tokens must be at least 1")
        }
        guard !settings.stopStrings.contains("") else { throw InputError("a stop string must not be empty") }
        for count in [settings.logProbabilities, settings.promptLogProbabilities] {
            if let problem = AnswerSettings.problem(logProbabilities: count) { throw InputError(problem) }
        }
        try settings.sampling.check()
        try checkBias(settings.sampling)
        if !settings.stopStrings.isEmpty { _ = try requiredTokenizer() }
    }

    private func checkBias(_ sampling: SamplingOptions) throws {
        guard let id = sampling.logitBias.keys.filter({ !(0..<configuration.vocabularySize).contains($0) }).min() else {
            return
        }
        throw InputError(
            "a logit bias is for token \(id), but the ids of \(checkpoint.label) are "
                + "0...\(configuration.vocabularySize - 1)")
    }

    /// Ids that are named as ends of an answer.
    /// - Throws: `InputError` for ids that the model does not have.
    public func stopTokens(_ ids: [Int]) throws -> [Int32] {
        guard let bad = ids.first(where: { !(0..<configuration.vocabularySize).contains($0) }) else {
            return ids.map { Int32($0) }
        }
        throw InputError(
            "a stop token is \(bad), but the ids of \(checkpoint.label) are 0...\(configuration.vocabularySize - 1)")
    }

    /// How the model's makers draw tokens; nil when they do not tell (generation_config.json).
    public var makersSampling: SamplingOptions? {
        guard let defaults else { return nil }
        // As in transformers: without sampling the temperature means nothing, and with it the usual one is 1.
        let usual: Float? = defaults.doSample == true ? 1 : nil
        var wishes = SamplingWishes()
        wishes.temperature = defaults.doSample == false ? 0 : defaults.temperature ?? usual
        wishes.topP = defaults.topP
        wishes.topK = defaults.topK
        wishes.repetitionPenalty = defaults.repetitionPenalty
        return wishes.applied(to: SamplingOptions())
    }
}
