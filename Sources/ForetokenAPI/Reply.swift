import ForetokenSpeculation
import ForetokenText
import ForetokenTokenizer

/// What has come of one choice, and when.
package struct ChoiceResult: Sendable {
    package let answer: Answer
    /// Nanoseconds that it waited for room.
    package let queued: Int64

    package init(_ answer: Answer, queued: Int64) {
        self.answer = answer
        self.queued = queued
    }

    /// OpenAI's word for why it ended. What the server had to cut short is as long as it got.
    func finishReason(callsTools: Bool) -> String {
        guard answer.result.reason == .stop else { return "length" }
        return callsTools ? "tool_calls" : "stop"
    }
}

/// What all parts of one request's answer share.
package struct Reply: Sendable {
    package let order: Order
    package let served: ServedModel
    package let id: String
    /// What is the request's own of all ids in the answer.
    let key: String
    /// Seconds of Unix time.
    package let created: Int

    package init(_ order: Order, _ served: ServedModel, id: String, created: Int) {
        self.order = order
        self.served = served
        key = id
        self.id = order.dialect.idBeginning + id
        self.created = created
    }

    /// What reads a choice of the answer as it grows; nil where all is content.
    var parser: AnswerParser? {
        guard let grammar = order.grammar, let tokenizer = served.open.tokenizer else { return nil }
        return AnswerParser(grammar, tokenizer)
    }

    func parsed(_ result: ChoiceResult) -> ParsedAnswer {
        if let grammar = order.grammar, let tokenizer = served.open.tokenizer {
            return result.answer.parsed(grammar, tokenizer)
        }
        var parsed = ParsedAnswer()
        parsed.content = result.answer.text ?? ""
        return parsed
    }

    /// The id of a call of a tool: no other call of the server has it.
    func callID(choice: Int, call: Int) -> String {
        "\(order.dialect == .messages ? "toolu" : "call")_\(key)_\(choice)_\(call)"
    }

    /// The text of a choice's prompt.
    func promptText(choice: Int) -> String {
        guard var text = served.open.tokenizer.map({ StreamingDetokenizer($0) }) else { return "" }
        var bytes: [UInt8] = []
        for token in order.prompt(choice: choice) { text.push(token, into: &bytes) }
        return String(decoding: bytes + text.finish(), as: UTF8.self)
    }

    var names: TokenNames { TokenNames(served.open.tokenizer, byID: order.namesByID) }

    // MARK: The whole answer

    /// The body of an answer that is not streamed.
    package func whole(_ results: [ChoiceResult]) -> [UInt8] {
        let parsed = results.map(parsed)
        var writer = JSONWriter()
        writer.object { reply in
            writeHead(order.kind == .chat ? "chat.completion" : "text_completion", into: &reply)
            reply.list("choices") { list in
                for (index, result) in results.enumerated() { write(result, parsed[index], index, into: &list) }
            }
            if order.kind == .chat && order.showsIDs { reply.member("prompt_token_ids", order.prompts[0]) }
            reply.key("usage")
            write(Usage(order, results, reasoning: parsed.reduce(0) { $0 + $1.reasoningTokens }), into: &reply)
            if results.count == 1 {
                reply.object("timings") { writeTimings(results[0], into: &$0) }
                reply.object("foretoken") { writeOwn(results[0], choice: 0, into: &$0) }
            } else {
                reply.object("foretoken") { own in
                    own.list("choices") { list in
                        for (index, result) in results.enumerated() {
                            list.object { choice in
                                writeOwn(result, choice: index, into: &choice)
                                choice.object("timings") { writeTimings(result, into: &$0) }
                            }
                        }
                    }
                }
            }
        }
        return writer.bytes
    }

    private func write(
        _ result: ChoiceResult, _ parsed: ParsedAnswer, _ index: Int, into list: inout JSONWriter
    ) {
        list.object { choice in
            choice.member("index", index)
            let entries = result.answer.logProbabilities
            switch order.kind {
            case .chat:
                choice.object("message") { message in
                    parsed.write(into: &message) { callID(choice: index, call: $0) }
                }
                choice.key("logprobs")
                if let entries { names.writeChat(entries, into: &choice) } else { choice.null() }
            case .completion:
                choice.member("text", (order.echoesPrompt ? promptText(choice: index) : "") + parsed.content)
                choice.key("logprobs")
                if let entries {
                    var offsets = TextOffsets(served.open.tokenizer)
                    let before = order.echoesPrompt ? result.answer.promptLogProbabilities ?? [] : []
                    names.writeCompletion(
                        opening: order.echoesPrompt ? result.answer.promptTokens.first : nil, before + entries,
                        &offsets, into: &choice)
                } else {
                    choice.null()
                }
            }
            choice.member("finish_reason", result.finishReason(callsTools: !parsed.calls.isEmpty && !order.asksForCall))
            guard order.showsIDs else { return }
            if order.kind == .completion { choice.member("prompt_token_ids", result.answer.promptTokens) }
            choice.member("token_ids", result.answer.result.tokens)
        }
    }

    // MARK: Parts

    func writeHead(_ object: String, into reply: inout JSONWriter) {
        reply.member("id", id)
        reply.member("object", object)
        reply.member("created", created)
        reply.member("model", order.model)
        reply.member("system_fingerprint", served.fingerprint)
    }

    /// Counts of tokens. Clients add them up, so there is nothing but whole numbers.
    struct Usage {
        var prompt = 0
        var cached = 0
        var completion = 0
        /// Those of the completion that are thoughts.
        var reasoning = 0
        var prediction = SourceCounts()

        /// Those of a text under way.
        init(prompt: Int, completion: Int, reasoning: Int) {
            self.prompt = prompt
            self.completion = completion
            self.reasoning = reasoning
        }

        init(_ order: Order, _ results: [ChoiceResult], reasoning: Int) {
            self.reasoning = reasoning
            prompt = order.prompts.reduce(0) { $0 + $1.count }
            for (index, result) in results.enumerated() {
                let answer = result.answer
                completion += answer.result.tokens.count
                // A prompt counts once, however many answers it gets.
                if index % order.choicesPerPrompt == 0 {
                    cached += answer.result.cachedCount
                }
                if let counts = answer.prediction { prediction.add(counts) }
            }
        }
    }

    func write(_ usage: Usage, into writer: inout JSONWriter) {
        writer.object { counts in
            counts.member("prompt_tokens", usage.prompt)
            counts.member("completion_tokens", usage.completion)
            counts.member("total_tokens", usage.prompt + usage.completion)
            counts.object("prompt_tokens_details") { $0.member("cached_tokens", usage.cached) }
            counts.object("completion_tokens_details") { details in
                details.member("reasoning_tokens", usage.reasoning)
                details.member("accepted_prediction_tokens", usage.prediction.accepted)
                details.member("rejected_prediction_tokens", usage.prediction.drafted - usage.prediction.accepted)
            }
            counts.member("prompt_cache_hit_tokens", usage.cached)
            counts.member("prompt_cache_miss_tokens", usage.prompt - usage.cached)
        }
    }

    /// Durations in the words of llama-server.
    func writeTimings(_ result: ChoiceResult, into writer: inout JSONWriter) {
        let (timings, telemetry) = (result.answer.result.timings, result.answer.result.telemetry)
        let promptTime = Double(timings.promptNanoseconds) / 1e6
        let time = Double(timings.predictedNanoseconds) / 1e6
        writer.member("cache_n", result.answer.result.cachedCount)
        writer.member("prompt_n", timings.promptCount)
        writer.member("prompt_ms", promptTime)
        writer.member("prompt_per_token_ms", promptTime / Double(max(1, timings.promptCount)))
        writer.member("prompt_per_second", timings.promptPerSecond)
        writer.member("predicted_n", timings.predictedCount)
        writer.member("predicted_ms", time)
        writer.member("predicted_per_token_ms", time / Double(max(1, timings.predictedCount - 1)))
        writer.member("predicted_per_second", timings.predictedPerSecond)
        writer.member("draft_n", telemetry.drafted.reduce(0, +))
        writer.member("draft_n_accepted", telemetry.accepted.reduce(0, +))
    }

    /// What no other server tells.
    func writeOwn(_ result: ChoiceResult, choice: Int, into writer: inout JSONWriter) {
        let (telemetry, company) = (result.answer.result.telemetry, result.answer.result.company)
        writer.member("seed", order.settings(choice: choice).sampling.seed)
        writer.member("bits", "exact")
        writer.member("queue_ms", Double(result.queued) / 1e6)
        writer.member("rounds", telemetry.rounds)
        writer.member("drafted", telemetry.drafted)
        writer.member("accepted", telemetry.accepted)
        writer.member("tokens_per_round", telemetry.tokensPerRound)
        writer.object("company") { counts in
            counts.member("steps", company.steps)
            counts.member("rows", company.rows)
            counts.member("shared", company.shared)
        }
        if result.answer.wasInterrupted { writer.member("cancelled", true) }
    }
}
