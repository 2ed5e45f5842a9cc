import ForetokenJSON

/// Makes an answer of the events of its stream.
struct AnswerReader {
    private(set) var answer = LoadAnswer()
    private var events = EventReader()
    private var isDone = false

    init(began: Int64) { answer.began = began }

    /// Takes bytes of the stream.
    mutating func read(_ bytes: some Sequence<UInt8>, at time: Int64) throws {
        for event in try events.read(bytes) { try take(event, at: time) }
    }

    /// The stream has ended.
    mutating func finish(at time: Int64) {
        answer.ended = time
        if !isDone { fail("the stream ended without [DONE]") }
        if answer.ending == .whole && answer.finishReason == nil { fail("the stream told no finish_reason") }
    }

    /// Ends the answer as broken, unless something is known to be wrong already.
    mutating func fail(_ reason: String) {
        if answer.ending == .whole { answer.ending = .broken(reason) }
    }

    private mutating func take(_ event: [UInt8], at time: Int64) throws {
        if event.starts(with: "[DONE]".utf8) {
            isDone = true
            return
        }
        guard !isDone else { return fail("the stream goes on behind [DONE]") }
        let chunk = try JSONField(JSONValue(event)).fields()
        if let error = chunk["error"].given {
            let message = (try? error.fields()["message"].string()) ?? error.value?.shortDescription
            return fail("the stream ended in an error: \(message ?? "")")
        }
        if let choice = try chunk["choices"].given?.list().first { try take(choice: choice.fields(), at: time) }
        if let usage = try chunk["usage"].given?.fields() { try take(usage: usage) }
        // Of servers whose figures have another form they are not known.
        if let timings = try? chunk["timings"].given?.fields() { try? take(timings: timings) }
        if let own = try? chunk["foretoken"].given?.fields(), own["rounds"].given != nil { try? take(own: own) }
    }

    private mutating func take(choice: JSONFields, at time: Int64) throws {
        let text = try choice["text"].given?.string() ?? ""
        let ids = try choice["token_ids"].given?.integers() ?? []
        if let reason = try choice["finish_reason"].given?.string() { answer.finishReason = reason }
        answer.text += text.utf8
        answer.tokens += ids
        if let shown = try choice["logprobs"].given?.fields() { try take(logProbabilities: shown) }
        let brings = !text.isEmpty || !ids.isEmpty
        if brings && answer.deliveries.last != time { answer.deliveries.append(time) }
    }

    /// In OpenAI's form of completions, or as llama.cpp has it, in that of chats.
    private mutating func take(logProbabilities shown: JSONFields) throws {
        if let values = try shown["token_logprobs"].given?.list() {
            answer.logProbabilities += try values.map { try $0.number() }
        } else if let entries = try shown["content"].given?.list() {
            answer.logProbabilities += try entries.map { try $0.fields()["logprob"].number() }
        }
    }

    private mutating func take(usage: JSONFields) throws {
        answer.promptTokens = try usage["prompt_tokens"].given?.integer()
        answer.completionTokens = try usage["completion_tokens"].given?.integer()
        let details = try usage["prompt_tokens_details"].given?.fields()
        answer.cachedTokens = try details?["cached_tokens"].given?.integer()
    }

    private mutating func take(timings: JSONFields) throws {
        guard let drafted = try timings["draft_n"].given?.integer() else { return }
        var own = answer.own ?? LoadAnswer.OwnFigures()
        // Foretoken tells them by position, too.
        if own.drafted.isEmpty {
            own.drafted = [drafted]
            own.accepted = [try timings["draft_n_accepted"].given?.integer() ?? 0]
        }
        answer.own = own
    }

    private mutating func take(own fields: JSONFields) throws {
        var own = LoadAnswer.OwnFigures()
        own.rounds = try fields["rounds"].integer()
        own.drafted = try fields["drafted"].integers()
        own.accepted = try fields["accepted"].integers()
        if let company = try fields["company"].given?.fields() {
            own.steps = try company["steps"].integer()
            own.rows = try company["rows"].integer()
            own.shared = try company["shared"].integer()
        }
        answer.own = own
    }
}
