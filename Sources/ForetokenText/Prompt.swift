import ForetokenJSON
import ForetokenTokenizer
import ForetokenWeights

/// A prompt in the user's form.
public enum Prompt: Sendable {
    /// To be continued as it is.
    case text(String)
    /// Ids to be continued, as given, so that a message can name what the model lacks.
    case tokens([Int])
    /// To be answered.
    case chat(ChatPrompt)
}

/// How text becomes a prompt.
package enum PromptFormat: CaseIterable, Sendable {
    /// It is continued as it is.
    case raw
    /// It is a question of a conversation.
    case chat
}

/// How prompts are read that do not say it themselves.
package struct PromptStyle: Sendable {
    /// How text becomes a prompt.
    package var format: PromptFormat
    /// System message of conversations that bring none.
    package var system: String?
    /// Whether the model is to think before it answers; nil leaves it to the chat format.
    package var thinking: Bool?

    package init(format: PromptFormat, system: String? = nil, thinking: Bool? = nil) {
        self.format = format
        self.system = system
        self.thinking = thinking
    }

    /// A text in this style.
    package func prompt(_ text: String) -> Prompt {
        format == .raw ? .text(text) : .chat(ChatPrompt(ChatMessage.opening(system, text), thinking: thinking))
    }
}

extension Prompt {
    /// What a line of a file asks for, in exactly one of three ways. Messages always take the chat format.
    package init(
        text: String?, tokens: [Int]?, messages: [ChatMessage]?, tools: [JSONValue] = [], style: PromptStyle
    ) throws {
        switch (text, tokens, messages) {
        case (let text?, nil, nil): self = style.prompt(text)
        case (nil, let tokens?, nil): self = .tokens(tokens)
        case (nil, nil, let messages?):
            let hasSystem = messages.contains { $0.role == .system || $0.role == .developer }
            let opening = hasSystem ? [] : style.system.map { [ChatMessage(.system, $0)] } ?? []
            self = .chat(ChatPrompt(opening + messages, tools: tools, thinking: style.thinking))
        default: throw InputError("a line has exactly one of prompt, prompt_tokens and messages")
        }
    }
}

extension OpenModel {
    /// The prompt's token ids. Text gets the BOS and EOS that the tokenizer's files ask for, ids are taken as they are.
    /// - Throws: `InputError` when nothing is left or the model cannot take it; `TokenizerError` for a conversation that the
    ///   chat format cannot write.
    public func encode(_ prompt: Prompt) throws -> [Int32] {
        let ids = try tokens(of: prompt)
        try check(ids)
        return ids
    }

    /// The same, not checked but for given ids; empty text has no BOS either.
    public func tokens(of prompt: Prompt) throws -> [Int32] {
        switch prompt {
        case .tokens(let ids):
            try checkIDs(ids)
            return ids.map { Int32($0) }
        case .text(let text):
            // BOS alone would make the model talk about anything.
            return text.isEmpty ? [] : try requiredTokenizer().encodePlain(text)
        case .chat(let prompt): return try chatFormat().encode(prompt, requiredTokenizer())
        }
    }

    /// The ids of a text that an answer is expected to be like, as an answer would have them: no BOS, no role tokens.
    /// - Throws: `InputError` without a tokenizer, or with one that has ids which the model does not have.
    public func tokens(ofPrediction text: String) throws -> [Int32] {
        let ids = try requiredTokenizer().encode(text, addedTokens: false)
        try checkIDs(ids)
        return ids
    }

    /// Refuses ids that the model does not have.
    /// - Throws: `InputError`.
    public func checkIDs(_ ids: [some BinaryInteger]) throws {
        guard let index = ids.firstIndex(where: { $0 < 0 || $0 >= configuration.vocabularySize }) else { return }
        throw InputError(
            "token \(index) is \(ids[index]), but the ids of \(checkpoint.label) are "
                + "0...\(configuration.vocabularySize - 1)")
    }

    /// Refuses a prompt that the model cannot take, before its weights are loaded for nothing.
    /// - Throws: `InputError`.
    public func check(_ prompt: [Int32]) throws {
        if prompt.isEmpty { throw InputError("the prompt is empty: there is nothing to continue") }
        try checkIDs(prompt)
        let limit = contextLimit
        if prompt.count > limit {
            let advice = limit < configuration.maximumPositions ? "raise --context or shorten it" : "shorten it"
            throw InputError(
                "the prompt has \(prompt.count) tokens, but the context of \(checkpoint.label) holds \(limit); \(advice)"
            )
        }
    }
}
