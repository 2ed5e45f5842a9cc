import ForetokenSpeculation
import ForetokenTokenizer

/// A conversation whose tokens stay in the generator's caches from turn to turn.
final class Conversation {
    private let open: OpenModel
    private let generator: Generator
    private let system: String?
    private let thinking: Bool?
    private var messages: [ChatMessage] = []
    /// What the generator's context holds.
    private var tokens: [Int32] = []

    init(_ open: OpenModel, _ generator: Generator, system: String?, thinking: Bool?) {
        self.open = open
        self.generator = generator
        self.system = system
        self.thinking = thinking
    }

    /// Whether no token fits any more.
    var isFull: Bool { tokens.count > generator.capacity }

    /// Forgets everything but the system message.
    func clear() {
        messages = []
        forgetTokens()
    }

    private func forgetTokens() {
        tokens = []
        generator.clear()
    }

    /// Answers the next question. When it cannot be asked (it does not fit), the conversation stays as it was.
    func ask(_ question: String, _ settings: AnswerSettings, show: ([UInt8]) throws -> Void) throws -> Answer {
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
            Array(whole[tokens.count...]), settings, tokenizer: open.tokenizer, show: show)
        tokens = whole + answer.result.tokens
        messages = asked + [ChatMessage(.assistant, answer.text ?? "")]
        return answer
    }
}

extension ChatMessage {
    /// The system message, if there is one, and the first question.
    static func opening(_ system: String?, _ question: String) -> [ChatMessage] {
        (system.map { [ChatMessage(.system, $0)] } ?? []) + [ChatMessage(.user, question)]
    }
}
