import ForetokenJSON
import ForetokenPlacement
import ForetokenSpeculation
import ForetokenTokenizer

/// One line of `generate --input-file`.
struct PromptLine {
    private static let keys: Set<String> = [
        "id", "domain", "prompt", "prompt_tokens", "messages", "tools", "max_tokens", "max_completion_tokens",
        "temperature",
        "top_k", "top_p", "min_p", "seed", "stop", "stop_token_ids", "repetition_penalty", "presence_penalty",
        "frequency_penalty", "logit_bias", "logprobs",
    ]

    let id: Identifier?
    /// What kind of text it is, for --record-routing.
    let domain: String?
    let prompt: String?
    let prompt_tokens: [Int]?
    let messages: [ChatMessage]?
    /// Descriptions of tools, with `messages`.
    let tools: [JSONValue]
    let max_tokens: Int?
    let temperature: Float?
    let top_k: Int?
    let top_p: Float?
    let min_p: Float?
    let seed: UInt64?
    let stop: [String]?
    /// Tokens that end the answer besides those of the model and of the command line.
    let stop_token_ids: [Int]?
    let repetition_penalty: Float?
    let presence_penalty: Float?
    let frequency_penalty: Float?
    /// Keys are token ids. Replaces the command line's biases as a whole.
    let logit_bias: [Int: Float]?
    let logprobs: Int?

    /// - Returns: the line, and keys of it that mean nothing.
    /// - Throws: `JSONError` or `InputError` for anything but a JSON object with values of these types.
    static func parse(_ bytes: [UInt8]) throws -> (line: PromptLine, unknownKeys: [String]) {
        let fields = try JSONLine.parse(bytes)
        return (try PromptLine(fields), fields.keys.filter { !keys.contains($0) }.sorted())
    }

    private init(_ fields: JSONFields) throws {
        id = try fields["id"].given?.identifier()
        domain = try fields["domain"].given?.string()
        prompt = try fields["prompt"].given?.string()
        prompt_tokens = try fields["prompt_tokens"].given?.integers()
        messages = try ChatMessage.list(fields["messages"])
        tools = try fields["tools"].given?.list().compactMap(\.value) ?? []
        guard tools.isEmpty || messages != nil else { throw InputError("`tools` need `messages`") }
        let maximum = try fields["max_tokens"].given?.integer()
        // OpenAI's newer name for the same.
        let newer = try fields["max_completion_tokens"].given?.integer()
        if let maximum, let newer, maximum != newer {
            throw InputError("`max_tokens` is \(maximum) and `max_completion_tokens` \(newer), but they mean the same")
        }
        max_tokens = maximum ?? newer
        temperature = try fields["temperature"].given?.float()
        top_k = try fields["top_k"].given?.integer()
        top_p = try fields["top_p"].given?.float()
        min_p = try fields["min_p"].given?.float()
        seed = try fields["seed"].given?.unsigned()
        stop = try fields["stop"].given?.oneOrMoreStrings()
        stop_token_ids = try fields["stop_token_ids"].given?.integers()
        repetition_penalty = try fields["repetition_penalty"].given?.float()
        presence_penalty = try fields["presence_penalty"].given?.float()
        frequency_penalty = try fields["frequency_penalty"].given?.float()
        logit_bias = try fields["logit_bias"].given?.fields().members.reduce(into: [:]) { biases, member in
            // One spelling for each id: 017 would be 17 once more.
            guard let token = Int(member.key), String(token) == member.key else {
                throw InputError("logit_bias wants token ids such as \"17\" as keys, but \"\(member.key)\" is not one")
            }
            biases[token] = try member.field.float()
        }
        logprobs = try fields["logprobs"].given?.integer()
    }

    /// The prompt's tokens and the settings, where the line has none taken from the command line.
    func job(_ open: OpenModel, flags: PromptFlags, base: AnswerSettings, number: Int) throws -> PromptJob {
        var settings = base
        settings.maximumTokens = max_tokens ?? base.maximumTokens
        settings.sampling = try sampling(base.sampling)
        settings.logProbabilities = logprobs ?? base.logProbabilities
        settings.stopStrings = stop ?? base.stopStrings
        settings.endTokens += try open.stopTokens(stop_token_ids ?? [])
        if let domain { try RoutingTrace.check(domain: domain) }
        guard settings.maximumTokens >= 1 else { throw InputError("max_tokens must be at least 1") }
        guard !settings.stopStrings.contains("") else { throw InputError("a stop string must not be empty") }
        if let problem = LogProbabilityFlags.problem(settings.logProbabilities) { throw InputError(problem) }
        try open.check(settings.sampling)
        if !settings.stopStrings.isEmpty { _ = try open.requiredTokenizer() }
        let ids = try open.encode(try wanted(flags))
        return PromptJob(line: number, id: id, domain: domain, prompt: ids, settings: settings)
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
        if let logit_bias { options.logitBias = logit_bias }
        try options.check()
        return options
    }

    private func wanted(_ flags: PromptFlags) throws -> Prompt {
        try Prompt(
            text: prompt, tokens: prompt_tokens, messages: messages, tools: tools, format: flags.format,
            system: flags.system,
            thinking: flags.chat.thinking)
    }
}

extension Prompt {
    /// What a line of a file asks for, in exactly one of three ways.
    init(
        text: String?, tokens: [Int]?, messages: [ChatMessage]?, tools: [JSONValue] = [], format: PromptFormat,
        system: String?, thinking: Bool?
    ) throws {
        switch (text, tokens, messages) {
        case (let text?, nil, nil):
            self =
                format == .raw ? .text(text) : .chat(ChatPrompt(ChatMessage.opening(system, text), thinking: thinking))
        case (nil, let tokens?, nil): self = .tokens(tokens)
        case (nil, nil, let messages?):
            let hasSystem = messages.contains { $0.role == .system || $0.role == .developer }
            let opening = hasSystem ? [] : system.map { [ChatMessage(.system, $0)] } ?? []
            self = .chat(ChatPrompt(opening + messages, tools: tools, thinking: thinking))
        default: throw InputError("a line has exactly one of prompt, prompt_tokens and messages")
        }
    }
}

/// A prompt ready to be answered.
struct PromptJob {
    /// Number of its line.
    let line: Int
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
