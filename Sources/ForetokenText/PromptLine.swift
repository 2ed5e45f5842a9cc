import ForetokenJSON
import ForetokenPlacement
import ForetokenSpeculation
import ForetokenTokenizer

/// One line of `generate --input-file`.
package struct PromptLine {
    private static let keys: Set<String> = [
        "id", "domain", "prompt", "prompt_tokens", "messages", "tools", "max_tokens", "max_completion_tokens",
        "temperature",
        "top_k", "top_p", "min_p", "seed", "stop", "stop_token_ids", "repetition_penalty", "presence_penalty",
        "frequency_penalty", "logit_bias", "logprobs", "prediction",
        // What `measure` reads of the same files.
        "answer",
    ]

    package let id: Identifier?
    /// What kind of text it is, for --record-routing.
    let domain: String?
    let prompt: String?
    let prompt_tokens: [Int]?
    let messages: [ChatMessage]?
    /// Descriptions of tools, with `messages`.
    let tools: [JSONValue]
    let max_tokens: Int?
    let sampling: SamplingWishes
    let stop: [String]?
    /// Tokens that end the answer besides those of the model and of the command line.
    let stop_token_ids: [Int]?
    let logprobs: Int?
    /// What the answer is expected to be like.
    let prediction: String?

    /// - Returns: the line, and keys of it that mean nothing.
    /// - Throws: `JSONError` or `InputError` for anything but a JSON object with values of these types.
    package static func parse(_ bytes: [UInt8]) throws -> (line: PromptLine, unknownKeys: [String]) {
        let fields = try JSONLine.parse(bytes)
        return (try PromptLine(fields), fields.keys.filter { !keys.contains($0) }.sorted())
    }

    /// The id of a line that cannot be used, if that much of it can.
    package static func identifier(_ bytes: [UInt8]) -> Identifier? {
        try? JSONLine.parse(bytes)["id"].given?.identifier()
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
        stop = try fields["stop"].given?.oneOrMoreStrings()
        stop_token_ids = try fields["stop_token_ids"].given?.integers()
        sampling = try SamplingWishes(fields)
        logprobs = try fields["logprobs"].given?.integer()
        prediction = try fields["prediction"].given.flatMap(Self.prediction)
    }

    /// A text, or what OpenAI's clients write: `{"type": "content", "content": …}`.
    private static func prediction(_ field: JSONField) throws -> String? {
        if let text = field.value?.string { return text }
        guard field.value?.object != nil else {
            throw field.mismatch("a string, or an object with type \"content\" and content")
        }
        let fields = try field.fields()
        let type = try fields["type"].string()
        guard type == "content" else {
            throw InputError("`\(field.path).type` is \"\(type)\"; only predictions of type \"content\" are known")
        }
        return try ChatMessage.text(fields["content"])
    }

    /// The prompt's tokens and the settings, those of `base` where the line has none.
    package func job(_ open: OpenModel, style: PromptStyle, base: AnswerSettings, number: Int) throws -> PromptJob {
        var settings = base
        settings.maximumTokens = max_tokens ?? base.maximumTokens
        settings.sampling = sampling.applied(to: base.sampling)
        settings.logProbabilities = logprobs ?? base.logProbabilities
        settings.stopStrings = stop ?? base.stopStrings
        settings.endTokens += try open.stopTokens(stop_token_ids ?? [])
        settings.prediction = try prediction.map(open.tokens(ofPrediction:)) ?? base.prediction
        if let domain { try RoutingTrace.check(domain: domain) }
        try open.check(settings)
        let wanted = try Prompt(text: prompt, tokens: prompt_tokens, messages: messages, tools: tools, style: style)
        if case .chat = wanted { try settings.endTurns(of: open) }
        return PromptJob(
            line: number, id: id, domain: domain, prompt: try open.encode(wanted), settings: settings)
    }
}

extension SamplingWishes {
    /// What a line says, in the words of OpenAI's clients.
    fileprivate init(_ fields: JSONFields) throws {
        temperature = try fields["temperature"].given?.float()
        topK = try fields["top_k"].given?.integer()
        topP = try fields["top_p"].given?.float()
        minP = try fields["min_p"].given?.float()
        seed = try fields["seed"].given?.unsigned()
        repetitionPenalty = try fields["repetition_penalty"].given?.float()
        presencePenalty = try fields["presence_penalty"].given?.float()
        frequencyPenalty = try fields["frequency_penalty"].given?.float()
        logitBias = try fields["logit_bias"].given?.fields().members.reduce(into: [:]) { biases, member in
            // One spelling for each id: 017 would be 17 once more.
            guard let token = Int(member.key), String(token) == member.key else {
                throw InputError("logit_bias wants token ids such as \"17\" as keys, but \"\(member.key)\" is not one")
            }
            biases[token] = try member.field.float()
        }
    }
}

/// A prompt ready to be answered.
package struct PromptJob: Sendable {
    /// Number of its line.
    package let line: Int
    package let id: Identifier?
    package let domain: String?
    package let prompt: [Int32]
    package var settings: AnswerSettings
}
