import ForetokenSpeculation
import ForetokenTokenizer

/// A conversation whose tokens stay in the generator's caches from turn to turn.
public final class Conversation {
    private let open: OpenModel
    private let generator: Generator
    private let thinking: Bool?
    /// The system message; another one holds from the next question on, as if it had always been there.
    public var system: String?
    /// Questions and answers in turn.
    public private(set) var turns: [ChatMessage] = []
    /// The conversation so far; of one that was loaded, as its format writes it.
    private var tokens: [Int32] = []
    /// Whether the generator's context holds them, or will only read them with the next question.
    private var isRead = false

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

    /// Tokens of the conversation, and how many the context can hold.
    public var size: (tokens: Int, capacity: Int) { (tokens.count, generator.capacity) }

    /// Forgets everything but the system message.
    public func clear() {
        (turns, tokens) = ([], [])
        forgetTokens()
    }

    /// Goes on from another conversation. When that cannot be, this one stays as it was.
    /// - Parameters:
    ///   - turns: questions and answers in turn.
    ///   - system: the system message, if any.
    /// - Throws: `InputError` where there is no room for another question, `TokenizerError` where the chat format cannot
    ///   write it.
    public func replace(with turns: [ChatMessage], system: String?) throws {
        func written(_ messages: [ChatMessage]) throws -> [Int32] {
            try open.tokens(of: .chat(ChatPrompt(messages, thinking: thinking)))
        }
        let all = ChatMessage.opening(system, turns)
        let next = try written(all + [ChatMessage(.user, "?")])
        guard next.count <= generator.capacity else {
            throw InputError(
                "the conversation has \(next.count) tokens, but the context holds \(generator.capacity); --context makes room"
            )
        }
        (self.turns, self.system) = (turns, system)
        // Formats that do not go on with an answer have none without a question behind it.
        tokens = turns.isEmpty ? [] : (try? written(all)) ?? next
        forgetTokens()
    }

    /// Takes the last question and its answer back.
    /// - Returns: the question; nil where there was none.
    public func takeBack() -> String? {
        guard turns.count >= 2 else { return nil }
        let question = turns[turns.count - 2].content
        turns.removeLast(2)
        return question
    }

    /// Lets the next question read the whole conversation again, as after a change of how drafts are made.
    public func forgetTokens() {
        isRead = false
        generator.clear()
    }

    /// Answers the next question. When it cannot be asked (it does not fit), the conversation stays as it was.
    ///
    /// - Parameter observe: sees every event; returns whether to go on.
    /// - Throws: `InputError` for a question that does not fit, and as `Generator.answer` does.
    public func ask(
        _ question: String, _ settings: AnswerSettings, observe: (AnswerEvent) throws -> Bool
    ) throws -> Answer {
        let asked = turns + [ChatMessage(.user, question)]
        let prompt = ChatPrompt(ChatMessage.opening(system, asked), thinking: thinking)
        let whole = try open.tokens(of: .chat(prompt))
        guard whole.count <= generator.capacity else {
            throw InputError(
                "with this question the conversation has \(whole.count) tokens, but the context holds "
                    + "\(generator.capacity); /clear starts anew, --context makes room")
        }
        // Formats that drop earlier thoughts, and answers that the tokenizer would write otherwise, change the past.
        if !isRead || !whole.starts(with: tokens) || whole.count == tokens.count { forgetTokens() }
        let unread = isRead ? Array(whole[tokens.count...]) : whole
        // An error leaves the generator anywhere.
        isRead = false
        let answer = try generator.answer(unread, settings, tokenizer: open.tokenizer, observe: observe)
        isRead = true
        tokens = whole + answer.result.tokens
        turns = asked + [ChatMessage(.assistant, answer.text ?? "")]
        return answer
    }
}

extension ChatMessage {
    /// The system message, if there is one, and the first question.
    package static func opening(_ system: String?, _ question: String) -> [ChatMessage] {
        opening(system, [ChatMessage(.user, question)])
    }

    /// The system message, if there is one, and what comes after it.
    package static func opening(_ system: String?, _ turns: [ChatMessage]) -> [ChatMessage] {
        (system.map { [ChatMessage(.system, $0)] } ?? []) + turns
    }
}
