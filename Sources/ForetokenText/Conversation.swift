import ForetokenSpeculation
import ForetokenTokenizer

/// A conversation whose tokens stay in the generator's caches from turn to turn.
public final class Conversation {
    private let open: OpenModel
    private let generator: Generator
    private let system: String?
    private let thinking: Bool?
    private var messages: [ChatMessage] = []
    /// What the generator's context holds.
    private var tokens: [Int32] = []

    /// Begins a conversation.
    /// - Parameters:
    ///   - generator: of that model, with an empty context.
    ///   - system: the system message, if any.
    ///   - thinking: whether the model is to think before it answers; nil leaves it to the chat format.
    public init(_ open: OpenModel, _ generator: Generator, system: String?, thinking: Bool?) {
        self.open = open
        self.generator = generator
        self.system = system
        self.thinking = thinking
    }

    /// Whether no token fits any more.
    public var isFull: Bool { tokens.count > generator.capacity }

    /// Forgets everything but the system message.
    public func clear() {
        messages = []
        forgetTokens()
    }

    private func forgetTokens() {
        tokens = []
        generator.clear()
    }

    /// Answers the next question. When it cannot be asked (it does not fit), the conversation stays as it was.
    ///
    /// - Parameter observe: sees every event; returns whether to go on.
    /// - Throws: `InputError` for a question that does not fit, and as `Generator.answer` does.
    public func ask(
        _ question: String, _ settings: AnswerSettings, observe: (AnswerEvent) throws -> Bool
    ) throws -> Answer {
        let asked = messages.isEmpty ? ChatMessage.opening(system, question) : messages + [ChatMessage(.user, question)]
        let whole = try open.tokens(of: .chat(ChatPrompt(asked, thinking: thinking)))
        guard whole.count <= generator.capacity else {
            throw InputError(
                "with this question the conversation has \(whole.count) tokens, but the context holds "
                    + "\(generator.capacity); /clear starts anew, --context makes room")
        }
        // Formats that drop earlier thoughts, and answers that the tokenizer would write otherwise, change the past.
        if !whole.starts(with: tokens) || whole.count == tokens.count { forgetTokens() }
        let answer = try generator.answer(
            Array(whole[tokens.count...]), settings, tokenizer: open.tokenizer, observe: observe)
        tokens = whole + answer.result.tokens
        messages = asked + [ChatMessage(.assistant, answer.text ?? "")]
        return answer
    }
}

extension ChatMessage {
    /// The system message, if there is one, and the first question.
    package static func opening(_ system: String?, _ question: String) -> [ChatMessage] {
        (system.map { [ChatMessage(.system, $0)] } ?? []) + [ChatMessage(.user, question)]
    }
}
