import ForetokenSpeculation
import ForetokenTokenizer

/// A generated text with its story.
public struct Answer: Sendable {
    /// What was asked.
    public let promptTokens: [Int32]
    /// What was generated, and how.
    public let result: GenerationResult
    /// The text before the stop string; nil without a tokenizer.
    public let text: String?
    /// The stop string that ended it; nil where none did.
    public let stopString: String?
    /// Drafts that the prediction of the answer had; nil where there was no prediction.
    public let prediction: SourceCounts?
    /// For each token of the result; nil unless asked for.
    public let logProbabilities: [TokenLogProbabilities]?
    /// For each token of the prompt that another comes before; nil unless asked for.
    public let promptLogProbabilities: [TokenLogProbabilities]?

    package init(
        promptTokens: [Int32], result: GenerationResult, text: String?, stopString: String? = nil,
        _ settings: AnswerSettings
    ) {
        self.promptTokens = promptTokens
        self.result = result
        self.text = text
        self.stopString = stopString
        prediction = settings.prediction == nil ? nil : result.telemetry.prediction
        logProbabilities = settings.logProbabilities == nil ? nil : result.logProbabilities
        promptLogProbabilities = settings.promptLogProbabilities == nil ? nil : result.promptLogProbabilities
    }

    /// Whether whoever looked on gave it up.
    public var wasInterrupted: Bool { result.reason == .cancelled }
}

/// What happens while a text is answered, in order.
public enum AnswerEvent: Sendable {
    /// So many of the prompt's tokens have been read.
    case prompt(done: Int, of: Int)
    /// The prompt has been read and scored, as the answer has it.
    case promptScored([TokenLogProbabilities])
    /// A token, how it came about, its log-probabilities if the settings stream them, and the text that has become certain
    /// with it: often none, and never any of a stop string. Text that was held back until now has the fates of the tokens
    /// that it is from.
    case token(Int32, TokenFate, logProbabilities: TokenLogProbabilities?, text: [TextPiece])
    /// The answer has ended, with text that was held back until now.
    case end(text: [TextPiece])
}

extension Generator {
    /// Continues the context with `prompt`.
    ///
    /// - Parameter observe: sees every event; returns whether to go on.
    /// - Throws: as `generate` does, and what `observe` throws.
    public func answer(
        _ prompt: [Int32], _ settings: AnswerSettings, tokenizer: Tokenizer?,
        observe: (AnswerEvent) throws -> Bool
    ) throws -> Answer {
        var text = settings.textStream(tokenizer)
        var failure: (any Error)?
        let result = try generate(settings.request(prompt, context: capacity)) { event in
            let (event, isEnd) = text.take(event)
            do {
                let goesOn = try observe(event)
                return isEnd ? .stop : goesOn ? .proceed : .cancel
            } catch {
                failure = error
                return .cancel
            }
        }
        if let failure { throw failure }
        _ = try observe(.end(text: text.finish()))
        return Answer(
            promptTokens: prompt, result: result, text: text.whole, stopString: text.stopString, settings)
    }
}

extension Engine {
    /// Takes a prompt, which waits until there is room for its text.
    ///
    /// - Parameters:
    ///   - observe: sees every event of this text; returns whether to go on.
    ///   - completion: is given the answer, a `GenerationError`, or a `CancellationError` for a text that was never begun.
    /// - Returns: the text's number, by which observers know it.
    /// - Throws: `GenerationError` for a prompt that can never be answered; neither closure is called then.
    @discardableResult
    public func submit(
        _ prompt: [Int32], _ settings: AnswerSettings, tokenizer: Tokenizer?,
        observe: @escaping (AnswerEvent) -> Bool, completion: @escaping (Result<Answer, any Error>) -> Void
    ) throws -> Int {
        var text = settings.textStream(tokenizer)
        return try submit(
            settings.request(prompt, context: context),
            observe: { event in
                let (event, isEnd) = text.take(event)
                let goesOn = observe(event)
                return isEnd ? .stop : goesOn ? .proceed : .cancel
            },
            completion: { outcome in
                completion(
                    outcome.map { result in
                        _ = observe(.end(text: text.finish()))
                        return Answer(
                            promptTokens: prompt, result: result, text: text.whole, stopString: text.stopString,
                            settings)
                    })
            })
    }
}

extension TextStream {
    /// The event of the answer that one of the generation means, and whether a stop string ends the answer with it.
    fileprivate mutating func take(_ event: GenerationEvent) -> (event: AnswerEvent, isEnd: Bool) {
        switch event {
        case .prompt(let done, let total): return (.prompt(done: done, of: total), false)
        case .promptScored(let entries): return (.promptScored(entries), false)
        case .token(let token, let fate, let logProbabilities):
            let (text, isEnd) = push(token, fate)
            return (.token(token, fate, logProbabilities: logProbabilities, text: text), isEnd)
        }
    }
}
