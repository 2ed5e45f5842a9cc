import ForetokenSpeculation
import ForetokenText

/// What has come of one choice since the last chunk.
package struct ChoiceNews: Sendable {
    package var tokens: [Int32] = []
    package var fates: [TokenFate] = []
    /// Text that has become certain.
    package var pieces: [TextPiece] = []
    /// Drafts that did not hold, each with how many of the pieces come before it; only where they were asked for.
    package var rejected: [(place: Int, draft: RejectedDraft)] = []
    /// Of the tokens, where the engine tells them as it goes.
    package var logProbabilities: [TokenLogProbabilities] = []
    /// Of the prompt's tokens but the first, where they were asked for.
    package var promptLogProbabilities: [TokenLogProbabilities] = []

    /// Nothing yet.
    package init() {}

    package var isEmpty: Bool { tokens.isEmpty && pieces.isEmpty && promptLogProbabilities.isEmpty }

    package mutating func append(_ other: ChoiceNews) {
        tokens += other.tokens
        fates += other.fates
        rejected += other.rejected.map { (pieces.count + $0.place, $0.draft) }
        pieces += other.pieces
        logProbabilities += other.logProbabilities
        promptLogProbabilities += other.promptLogProbabilities
    }
}

/// Writes an answer as OpenAI's chat and completions have it.
package struct StreamWriter: AnswerWriter {
    private let reply: Reply
    private var choices: [Choice]

    private struct Choice: Sendable {
        var isBegun = false
        var tokenCount = 0
        var offsets: TextOffsets
        /// nil where all is content.
        var parser: AnswerParser?
        /// Calls of tools that have begun.
        var calls = 0

        /// The parts of the answer that have come.
        mutating func parts(_ news: ChoiceNews) -> [AnswerPart] {
            let text = news.pieces.bytes
            if let parts = parser?.push(news.tokens, text: text) { return parts }
            return text.isEmpty ? [] : [.content(String(decoding: text, as: UTF8.self))]
        }
    }

    package init(_ reply: Reply) {
        self.reply = reply
        choices = .init(
            repeating: Choice(offsets: TextOffsets(reply.served.open.tokenizer), parser: reply.parser),
            count: reply.order.choiceCount)
    }

    package func whole(_ results: [ChoiceResult]) -> [UInt8] { reply.whole(results) }

    /// Nothing: a chunk before the first token would count as one.
    package func begin() -> [UInt8] { [] }

    /// A comment.
    package func ping() -> [UInt8] { Array(": ping\n\n".utf8) }

    /// The end of every stream.
    private static let done = Array("data: [DONE]\n\n".utf8)

    private static func event(_ json: [UInt8]) -> [UInt8] { Array("data: ".utf8) + json + Array("\n\n".utf8) }

    package func failure(_ error: APIError) -> [UInt8] { Self.event(error.json) + Self.done }

    package mutating func events(_ index: Int, _ news: ChoiceNews) -> [UInt8] {
        choices[index].tokenCount += news.tokens.count
        var events: [UInt8] = []
        if !choices[index].isBegun {
            choices[index].isBegun = true
            if reply.order.kind == .chat { events += chunk(index) { Self.writeRole(into: &$0) } }
            if reply.order.echoesPrompt { events += echo(index, news.promptLogProbabilities) }
        }
        let parts = choices[index].parts(news)
        // A token that ends within a character has no text yet, but an id.
        let showsTokens = reply.order.isTraced || reply.order.showsIDs
        if !parts.isEmpty || !news.logProbabilities.isEmpty || (showsTokens && !news.tokens.isEmpty) {
            events += chunk(index, news, parts)
        }
        return events
    }

    package mutating func end(_ index: Int, _ result: ChoiceResult) -> [UInt8] {
        var events: [UInt8] = events(index, ChoiceNews())
        if let rest = choices[index].parser?.finish(), !rest.isEmpty { events += chunk(index, ChoiceNews(), rest) }
        return events + chunk(index, finish: result)
    }

    package func close(_ results: [ChoiceResult]) -> [UInt8] {
        guard reply.order.includesUsage else { return Self.done }
        var writer = JSONWriter()
        writer.object { chunk in
            reply.writeHead(objectName, into: &chunk)
            chunk.list("choices") { _ in }
            chunk.key("usage")
            let reasoning = choices.reduce(0) { $0 + ($1.parser?.reasoningTokens ?? 0) }
            reply.write(Reply.Usage(reply.order, results, reasoning: reasoning), into: &chunk)
        }
        return Self.event(writer.bytes) + Self.done
    }

    /// An event without choices.
    package func event(_ headway: Headway) -> [UInt8] {
        var writer = JSONWriter()
        writer.object { chunk in
            reply.writeHead(objectName, into: &chunk)
            chunk.list("choices") { _ in }
            if reply.order.includesUsage { chunk.nullMember("usage") }
            chunk.object("foretoken") { headway.write(into: &$0) }
        }
        return Self.event(writer.bytes)
    }

    // MARK: Chunks

    private var objectName: String { reply.order.kind == .chat ? "chat.completion.chunk" : "text_completion" }

    private static func writeRole(into choice: inout JSONWriter) {
        choice.object("delta") { delta in
            delta.member("role", "assistant")
            delta.member("content", "")
        }
        choice.nullMember("logprobs")
        choice.nullMember("finish_reason")
    }

    /// The prompt, which is read before anything else comes.
    private mutating func echo(_ index: Int, _ entries: [TokenLogProbabilities]) -> [UInt8] {
        var offsets = choices[index].offsets
        defer { choices[index].offsets = offsets }
        let reply = reply
        return chunk(index) { choice in
            choice.member("text", reply.promptText(choice: index))
            choice.key("logprobs")
            if reply.order.settings.logProbabilities == nil {
                choice.null()
            } else {
                reply.names.writeCompletion(
                    opening: reply.order.prompt(choice: index).first, entries, &offsets, into: &choice)
            }
            choice.nullMember("finish_reason")
        }
    }

    private mutating func chunk(_ index: Int, _ news: ChoiceNews, _ parts: [AnswerPart]) -> [UInt8] {
        var offsets = choices[index].offsets
        defer { choices[index].offsets = offsets }
        let (reply, kind, names) = (reply, reply.order.kind, reply.names)
        let delta = AnswerDelta(parts, calls: &choices[index].calls)
        let trace = reply.order.isTraced ? news : nil
        return chunk(index, trace: trace) { choice in
            switch kind {
            case .chat:
                choice.object("delta") { object in
                    delta.write(into: &object) { reply.callID(choice: index, call: $0) }
                }
            case .completion: choice.member("text", String(decoding: news.pieces.bytes, as: UTF8.self))
            }
            choice.key("logprobs")
            if news.logProbabilities.isEmpty {
                choice.null()
            } else if kind == .chat {
                names.writeChat(news.logProbabilities, into: &choice)
            } else {
                names.writeCompletion(news.logProbabilities, &offsets, into: &choice)
            }
            choice.nullMember("finish_reason")
            if reply.order.showsIDs { choice.member("token_ids", news.tokens) }
        }
    }

    private func chunk(_ index: Int, finish result: ChoiceResult) -> [UInt8] {
        chunk(index, result: result) { choice in
            switch reply.order.kind {
            case .chat: choice.object("delta") { _ in }
            case .completion: choice.member("text", "")
            }
            choice.nullMember("logprobs")
            let callsTools = choices[index].calls > 0 && !reply.order.asksForCall
            choice.member("finish_reason", result.finishReason(callsTools: callsTools))
        }
    }

    /// One event with one choice.
    private func chunk(
        _ index: Int, trace: ChoiceNews? = nil, result: ChoiceResult? = nil, _ body: (inout JSONWriter) -> Void
    ) -> [UInt8] {
        var writer = JSONWriter()
        writer.object { chunk in
            reply.writeHead(objectName, into: &chunk)
            chunk.list("choices") { list in
                list.object { choice in
                    choice.member("index", index)
                    body(&choice)
                }
            }
            if reply.order.countsInChunks {
                chunk.key("usage")
                let prompt = reply.order.prompt(choice: index).count
                let reasoning = choices[index].parser?.reasoningTokens ?? 0
                reply.write(
                    Reply.Usage(prompt: prompt, completion: choices[index].tokenCount, reasoning: reasoning),
                    into: &chunk)
            } else if reply.order.includesUsage {
                chunk.nullMember("usage")
            }
            if let trace { chunk.object("foretoken") { write(trace, into: &$0) } }
            if let result {
                chunk.object("timings") { reply.writeTimings(result, into: &$0) }
                chunk.object("foretoken") { reply.writeOwn(result, choice: index, into: &$0) }
            }
        }
        return Self.event(writer.bytes)
    }

    /// What became of drafts: tokens as [id, source, draft], the text of each, and between those texts what was drafted
    /// and did not hold.
    private func write(_ news: ChoiceNews, into writer: inout JSONWriter) {
        writer.list("tokens") { list in
            for (token, fate) in zip(news.tokens, news.fates) {
                list.list { entry in
                    entry.value(token)
                    entry.value(fate.source.rawValue)
                    entry.value(fate.draft)
                }
            }
        }
        writer.list("pieces") { list in
            for piece in news.pieces {
                list.object { entry in
                    entry.member("text", String(decoding: piece.bytes, as: UTF8.self))
                    entry.member("source", piece.fate.source.rawValue)
                    entry.member("draft", piece.fate.draft)
                }
            }
        }
        guard !news.rejected.isEmpty else { return }
        writer.list("rejected") { list in
            for (place, rejected) in news.rejected {
                list.object { entry in
                    entry.member("at", place)
                    entry.member("text", reply.names.text(rejected.token))
                    entry.member("source", rejected.source.rawValue)
                    entry.member("draft", rejected.draft)
                }
            }
        }
    }
}
