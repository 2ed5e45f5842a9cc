import FoundationEssentials

/// What a request begins with.
package enum LoadPrompt: Sendable, Equatable, Encodable {
    case text(String)
    case tokens([Int])

    package func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        switch self {
        case .text(let text): try container.encode(text)
        case .tokens(let ids): try container.encode(ids)
        }
    }
}

/// One request for a completion, always streamed.
package struct LoadRequest: Sendable {
    package var prompt: LoadPrompt
    package var maximumTokens: Int
    package var temperature = 0.0
    package var seed = 1
    /// Whether the answer's log-probabilities are asked for, too.
    package var showsLogProbabilities = false

    package init(prompt: LoadPrompt, maximumTokens: Int) {
        self.prompt = prompt
        self.maximumTokens = maximumTokens
    }

    /// The fields that OpenAI's clients send, and three that Foretoken, vLLM or llama.cpp know and others ignore: an answer
    /// that goes on to its full length, ids of tokens, and counts at the end.
    private struct Body: Encodable {
        struct StreamOptions: Encodable { let include_usage = true }
        let model: String
        let prompt: LoadPrompt
        let max_tokens: Int
        let temperature: Double
        let seed: Int
        let logprobs: Int?
        let stream = true
        let stream_options = StreamOptions()
        let ignore_eos = true
        let return_token_ids = true
    }

    func body(model: String) throws -> [UInt8] {
        let encoder = JSONEncoder()
        encoder.outputFormatting = .sortedKeys
        return Array(
            try encoder.encode(
                Body(
                    model: model, prompt: prompt, max_tokens: maximumTokens, temperature: temperature, seed: seed,
                    logprobs: showsLogProbabilities ? 1 : nil)))
    }
}
