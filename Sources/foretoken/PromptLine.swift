import FoundationEssentials
import ForetokenPlacement
import ForetokenSpeculation
import ForetokenTokenizer

/// One line of `generate --input-file`.
struct PromptLine: Decodable {
    struct Message: Decodable {
        let role: String
        let content: String
    }

    enum CodingKeys: String, CodingKey, CaseIterable {
        case id, domain, prompt, prompt_tokens, messages, max_tokens, temperature, top_k, top_p, min_p, seed, stop
        case repetition_penalty, presence_penalty, frequency_penalty, logit_bias, logprobs
    }

    let id: Identifier?
    /// What kind of text it is, for --record-routing.
    let domain: String?
    let prompt: String?
    let prompt_tokens: [Int]?
    let messages: [Message]?
    let max_tokens: Int?
    let temperature: Float?
    let top_k: Int?
    let top_p: Float?
    let min_p: Float?
    let seed: UInt64?
    let stop: [String]?
    let repetition_penalty: Float?
    let presence_penalty: Float?
    let frequency_penalty: Float?
    /// Keys are token ids. Replaces the command line's biases as a whole.
    let logit_bias: [String: Float]?
    let logprobs: Int?

    /// - Returns: the line, and keys of it that mean nothing.
    /// - Throws: `InputError` for anything but a JSON object with values of these types.
    static func parse(_ bytes: [UInt8]) throws -> (line: PromptLine, unknownKeys: [String]) {
        let (line, keys) = try JSONLine.parse(PromptLine.self, bytes)
        return (line, keys.filter { CodingKeys(rawValue: $0) == nil }.sorted())
    }

    /// The prompt's tokens and the settings, where the line has none taken from the command line.
    func job(_ open: OpenModel, flags: PromptFlags, base: AnswerSettings) throws -> PromptJob {
        var settings = base
        settings.maximumTokens = max_tokens ?? base.maximumTokens
        settings.sampling = try sampling(base.sampling)
        settings.logProbabilities = logprobs ?? base.logProbabilities
        settings.stopStrings = stop ?? base.stopStrings
        if let domain { try RoutingTrace.check(domain: domain) }
        guard settings.maximumTokens >= 1 else { throw InputError("max_tokens must be at least 1") }
        guard !settings.stopStrings.contains("") else { throw InputError("a stop string must not be empty") }
        if let problem = LogProbabilityFlags.problem(settings.logProbabilities) { throw InputError(problem) }
        try open.check(settings.sampling)
        if !settings.stopStrings.isEmpty { _ = try open.requiredTokenizer() }
        let ids = try open.encode(try wanted(flags))
        return PromptJob(id: id, domain: domain, prompt: ids, settings: settings)
    }

    private func sampling(_ base: SamplingOptions) throws -> SamplingOptions {
        var options = base
        options.temperature = temperature ?? base.temperature
        options.topK = top_k ?? base.topK
        options.topP = top_p ?? base.topP
        options.minP = min_p ?? base.minP
        options.seed = seed ?? base.seed
        options.repetitionPenalty = repetition_penalty ?? base.repetitionPenalty
        options.presencePenalty = presence_penalty ?? base.presencePenalty
        options.frequencyPenalty = frequency_penalty ?? base.frequencyPenalty
        if let logit_bias {
            options.logitBias = [:]
            for (key, value) in logit_bias {
                guard let token = Int(key) else {
                    throw InputError("logit_bias wants token ids such as \"17\" as keys, but \"\(key)\" is not one")
                }
                options.logitBias[token] = value
            }
        }
        try options.check()
        return options
    }

    private func wanted(_ flags: PromptFlags) throws -> Prompt {
        try Prompt(
            text: prompt, tokens: prompt_tokens, messages: messages, format: flags.format, system: flags.system,
            thinking: flags.chat.thinking)
    }
}

extension Prompt {
    /// What a line of a file asks for, in exactly one of three ways.
    init(
        text: String?, tokens: [Int]?, messages: [PromptLine.Message]?, format: PromptFormat, system: String?,
        thinking: Bool?
    ) throws {
        switch (text, tokens, messages) {
        case (let text?, nil, nil):
            self =
                format == .raw ? .text(text) : .chat(ChatPrompt(ChatMessage.opening(system, text), thinking: thinking))
        case (nil, let tokens?, nil): self = .tokens(tokens)
        case (nil, nil, let messages?):
            let own = try messages.map { message in
                guard let role = ChatMessage.Role(rawValue: message.role) else {
                    throw InputError("unknown role \"\(message.role)\"; roles are system, user and assistant")
                }
                return ChatMessage(role, message.content)
            }
            let hasSystem = own.contains { $0.role == .system }
            let messages = (hasSystem ? [] : system.map { [ChatMessage(.system, $0)] } ?? []) + own
            self = .chat(ChatPrompt(messages, thinking: thinking))
        default: throw InputError("a line has exactly one of prompt, prompt_tokens and messages")
        }
    }
}

/// A prompt ready to be answered.
struct PromptJob {
    let id: Identifier?
    let domain: String?
    let prompt: [Int32]
    let settings: AnswerSettings
}

/// What is wrong with a line of a file.
struct LineError: Error, CustomStringConvertible {
    let number: Int
    let file: String
    let cause: any Error
    var description: String { "\(file), line \(number): \(cause)" }
}
