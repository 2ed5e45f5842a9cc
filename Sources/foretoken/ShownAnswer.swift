import ForetokenHardware
import ForetokenReport
import ForetokenSpeculation
import ForetokenText
import ForetokenTokenizer

/// Shows how far reading a prompt is, and hands on the answer's text as it comes. Ctrl-C ends the answer.
private struct AnswerDisplay {
    private let bar = ProgressBar("reading the prompt", delayNanoseconds: 1_000_000_000, terminal: Console.terminal)

    func take(_ event: AnswerEvent, show: ([TextPiece]) throws -> Void) throws -> Bool {
        switch event {
        case .prompt(let done, let total):
            bar.update(Double(done) / Double(total)) {
                "\(done) of \(total) tokens  \(Format.short(Double(done) / $0)) tok/s"
            }
        case .promptScored: break
        case .token(_, _, _, let text), .end(let text):
            bar.clear()
            if !text.isEmpty { try show(text) }
        }
        return !Interrupts.requested
    }
}

extension Generator {
    /// Continues the context with `prompt`.
    /// - Parameters:
    ///   - watch: sees every event.
    ///   - show: is given the text piece by piece, whole characters only, as soon as it is certain.
    func answer(
        _ prompt: [Int32], _ settings: AnswerSettings, tokenizer: Tokenizer?,
        watch: (AnswerEvent) -> Void = { _ in }, show: ([TextPiece]) throws -> Void
    ) throws -> Answer {
        let display = AnswerDisplay()
        return try answer(
            prompt, settings, tokenizer: tokenizer,
            observe: { event in
                watch(event)
                return try display.take(event, show: show)
            })
    }
}

extension Conversation {
    /// Answers the next question.
    /// - Parameter show: as that of `Generator.answer`.
    func ask(_ question: String, _ settings: AnswerSettings, show: ([TextPiece]) throws -> Void) throws -> Answer {
        let display = AnswerDisplay()
        return try ask(question, settings, observe: { try display.take($0, show: show) })
    }
}

extension Answer {
    /// Ends the streamed text's last line; without a tokenizer, shows the ids instead.
    func finishLine() throws {
        try StandardOutput.write(text == nil ? result.tokens.map(String.init).joined(separator: ",") + "\n" : "\n")
    }
}
