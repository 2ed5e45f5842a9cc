import ForetokenHardware
import ForetokenModel
import ForetokenReport
import ForetokenSpeculation
import ForetokenTokenizer

/// What is wanted of one answer.
struct AnswerSettings {
    var maximumTokens: Int
    var sampling: SamplingOptions
    var draft: DraftMode
    var stopStrings: [String]
    /// How many likeliest tokens to report beside each; nil for no log-probabilities.
    var logProbabilities: Int?
    /// Tokens that end the answer.
    var endTokens: [Int32]

    /// A request for what the prompt is to be continued by, in a context of so many tokens.
    func request(_ prompt: [Int32], context: Int) -> GenerationRequest {
        var request = GenerationRequest(prompt: prompt)
        request.maximumTokens = min(maximumTokens, context + 1)
        request.sampling = sampling
        request.draft = draft
        request.stopTokens = endTokens
        request.logProbabilities = logProbabilities
        return request
    }

    /// What the command line says.
    init(_ open: OpenModel, _ length: LengthFlags, _ sampling: SamplingFlags, _ draft: DraftFlags) throws {
        if !length.stop.isEmpty { _ = try open.requiredTokenizer() }
        let options = try open.sampling(sampling)
        try open.check(options)
        maximumTokens = length.maxTokens
        self.sampling = options
        self.draft = draft.draft
        stopStrings = length.stop
        endTokens = (length.ignoreEos ? [] : open.endTokens) + (try open.stopTokens(length.stopToken))
    }
}

/// A generated text with its story.
struct Answer {
    let promptTokens: [Int32]
    let result: GenerationResult
    /// The text before the stop string; nil without a tokenizer.
    let text: String?
    /// For each token of the result; nil unless asked for.
    let logProbabilities: [TokenLogProbabilities]?

    init(promptTokens: [Int32], result: GenerationResult, text: String?, _ settings: AnswerSettings) {
        self.promptTokens = promptTokens
        self.result = result
        self.text = text
        logProbabilities = settings.logProbabilities == nil ? nil : result.logProbabilities
    }

    var wasInterrupted: Bool { result.reason == .cancelled }

    /// Ends the streamed text's last line; without a tokenizer, shows the ids instead.
    func finishLine() throws {
        try StandardOutput.write(text == nil ? result.tokens.map(String.init).joined(separator: ",") + "\n" : "\n")
    }
}

extension Generator {
    /// Continues the context with `prompt`.
    /// - Parameter show: is given the text piece by piece, whole characters only, as soon as it is certain.
    func answer(
        _ prompt: [Int32], _ settings: AnswerSettings, tokenizer: Tokenizer?, show: ([UInt8]) throws -> Void
    ) throws -> Answer {
        let request = settings.request(prompt, context: capacity)
        var text = TextStream(tokenizer, stopStrings: settings.stopStrings)
        let bar = ProgressBar("reading the prompt", delayNanoseconds: 1_000_000_000, terminal: Console.terminal)
        var failure: (any Error)?
        let result = try generate(request) { event in
            do {
                switch event {
                case .prompt(let done, let total):
                    bar.update(Double(done) / Double(total)) {
                        "\(done) of \(total) tokens  \(Format.short(Double(done) / $0)) tok/s"
                    }
                case .token(let token):
                    bar.clear()
                    let (piece, isEnd) = text.push(token)
                    if !piece.isEmpty { try show(piece) }
                    if isEnd { return .stop }
                }
                return Interrupts.requested ? .cancel : .proceed
            } catch {
                failure = error
                return .cancel
            }
        }
        bar.clear()
        if let failure { throw failure }
        let rest = text.finish()
        if !rest.isEmpty { try show(rest) }
        return Answer(promptTokens: prompt, result: result, text: text.whole, settings)
    }
}
