import ForetokenJSON
import ForetokenSpeculation
import ForetokenText

/// Writes an answer as OpenAI's responses.
struct ResponseWriter: AnswerWriter {
    private enum Status: String { case ongoing = "in_progress", completed, incomplete, failed }

    private let reply: Reply
    private var blocks: AnswerBlocks
    /// Events so far.
    private var count = 0

    init(_ reply: Reply) {
        self.reply = reply
        blocks = AnswerBlocks(reply.parser)
    }

    // MARK: The response

    func whole(_ results: [ChoiceResult]) -> [UInt8] {
        var writer = JSONWriter()
        writer.object { write(results[0], AnswerBlocks(reply.parser, results[0]), into: &$0) }
        return writer.bytes
    }

    /// The response at its end.
    private func write(_ result: ChoiceResult, _ blocks: AnswerBlocks, into response: inout JSONWriter) {
        write(Self.status(result), blocks, into: &response)
        let usage = Reply.Usage(reply.order, [result], reasoning: blocks.reasoningTokens)
        response.object("usage") { counts in
            counts.member("input_tokens", usage.prompt)
            counts.object("input_tokens_details") { details in
                details.member("cached_tokens", usage.cached)
                details.member("cache_write_tokens", 0)
            }
            counts.member("output_tokens", usage.completion)
            counts.object("output_tokens_details") { $0.member("reasoning_tokens", usage.reasoning) }
            counts.member("total_tokens", usage.prompt + usage.completion)
        }
        reply.writeStory(result, into: &response)
    }

    private static func status(_ result: ChoiceResult) -> Status {
        result.answer.result.reason == .stop ? .completed : .incomplete
    }

    private func write(
        _ status: Status, _ blocks: AnswerBlocks, error: APIError? = nil, into response: inout JSONWriter
    ) {
        response.member("id", reply.id)
        response.member("object", "response")
        response.member("created_at", reply.created)
        response.member("status", status.rawValue)
        response.member("background", false)
        response.key("error")
        if let error { write(error, into: &response) } else { response.null() }
        response.key("incomplete_details")
        if status == .incomplete {
            response.object { $0.member("reason", "max_output_tokens") }
        } else {
            response.null()
        }
        response.member("model", reply.order.model)
        response.list("output") { list in
            for index in blocks.blocks.indices { list.object { write(blocks, index, into: &$0) } }
        }
        response.nullMember("previous_response_id")
        response.member("service_tier", "default")
        response.member("store", false)
        let sampling = reply.order.settings.sampling
        for (key, value) in [("temperature", sampling.temperature), ("top_p", sampling.topP)]
        where reply.order.repeated[key] == nil { response.member(key, Double(value)) }
        response.member("top_logprobs", 0)
        response.member("truncation", "disabled")
        for member in reply.order.repeated.members {
            response.key(member.key)
            response.raw(member.value.text)
        }
    }

    private func write(_ error: APIError, into response: inout JSONWriter) {
        response.object { members in
            // The other codes that clients know mean other things.
            members.member("code", error.status == 429 ? "rate_limit_exceeded" : "server_error")
            members.member("message", error.message)
        }
    }

    // MARK: Items

    private func writeID(_ block: AnswerBlocks.Block, _ index: Int, _ key: String, into item: inout JSONWriter) {
        let beginning =
            switch block.kind {
            case .thought: "rs"
            case .text: "msg"
            case .call: "fc"
            }
        item.member(key, "\(beginning)_\(reply.key)_\(index)")
    }

    /// - Parameter isBeginning: whether nothing is in it yet.
    private func write(
        _ blocks: AnswerBlocks, _ index: Int, isBeginning: Bool = false, into item: inout JSONWriter
    ) {
        let block = blocks.blocks[index]
        writeID(block, index, "id", into: &item)
        let status = isBeginning ? Status.ongoing : block.isWhole ? .completed : .incomplete
        switch block.kind {
        case .thought:
            item.member("type", "reasoning")
            item.list("summary") { _ in }
        case .text:
            item.member("type", "message")
            item.member("role", "assistant")
        case .call:
            item.member("type", "function_call")
            item.member(
                "call_id", blocks.blocks[index].id ?? reply.callID(choice: 0, call: blocks.calls(before: index)))
            item.member("name", block.name)
            item.member("arguments", isBeginning ? "" : block.text)
        }
        if block.kind != .call {
            item.list("content") { list in
                if !isBeginning { list.object { Self.writePart(block.kind, block.text, into: &$0) } }
            }
        }
        if block.kind == .thought { item.nullMember("encrypted_content") }
        item.member("status", status.rawValue)
    }

    private static func writePart(_ kind: AnswerBlocks.Block.Kind, _ text: String, into part: inout JSONWriter) {
        part.member("type", kind == .thought ? "reasoning_text" : "output_text")
        part.member("text", text)
        guard kind == .text else { return }
        part.list("annotations") { _ in }
        part.list("logprobs") { _ in }
    }

    // MARK: Events

    private mutating func event(_ name: String, _ body: (inout JSONWriter) -> Void) -> [UInt8] {
        let type = "response." + name
        var writer = JSONWriter()
        writer.object { event in
            event.member("type", type)
            event.member("sequence_number", count)
            body(&event)
        }
        count += 1
        return Reply.event(type, writer.bytes)
    }

    /// An event that tells the whole response.
    private mutating func event(_ name: String, _ status: Status, error: APIError? = nil) -> [UInt8] {
        let (writer, blocks) = (self, status == .ongoing ? AnswerBlocks(nil) : blocks)
        return event(name) { event in
            event.object("response") { response in
                writer.write(status, blocks, error: error, into: &response)
                response.nullMember("usage")
            }
        }
    }

    mutating func begin() -> [UInt8] { event("created", .ongoing) + event("in_progress", .ongoing) }

    /// Codex waits for events, and comments are none.
    mutating func ping() -> [UInt8] { event("in_progress", .ongoing) }

    mutating func failure(_ error: APIError) -> [UInt8] { event("failed", .failed, error: error) }

    mutating func close(_ results: [ChoiceResult]) -> [UInt8] {
        let (writer, blocks) = (self, blocks)
        return event(Self.status(results[0]).rawValue) { event in
            event.object("response") { writer.write(results[0], blocks, into: &$0) }
        }
    }

    mutating func events(_ index: Int, _ news: ChoiceNews) -> [UInt8] {
        tell(blocks.push(news.tokens, text: news.pieces.bytes))
    }

    mutating func end(_ index: Int, _ result: ChoiceResult) -> [UInt8] { tell(blocks.finish(result)) }

    private mutating func tell(_ steps: [AnswerBlocks.Step]) -> [UInt8] {
        var events: [UInt8] = []
        for step in steps {
            switch step {
            case .begin(let index):
                events += itemEvent("output_item.added", index, isBeginning: true)
                if blocks.blocks[index].kind != .call { events += partEvent("content_part.added", index, text: "") }
            case .more(let index, let text): events += textEvent("delta", index, "delta", text)
            case .end(let index):
                let block = blocks.blocks[index]
                events += textEvent("done", index, block.kind == .call ? "arguments" : "text", block.text)
                if block.kind != .call { events += partEvent("content_part.done", index, text: block.text) }
                events += itemEvent("output_item.done", index, isBeginning: false)
            }
        }
        return events
    }

    private mutating func itemEvent(_ name: String, _ index: Int, isBeginning: Bool) -> [UInt8] {
        let (writer, blocks) = (self, blocks)
        return event(name) { event in
            event.member("output_index", index)
            event.object("item") { writer.write(blocks, index, isBeginning: isBeginning, into: &$0) }
        }
    }

    private mutating func partEvent(_ name: String, _ index: Int, text: String) -> [UInt8] {
        let (writer, block) = (self, blocks.blocks[index])
        return event(name) { event in
            writer.writePlace(block, index, into: &event)
            event.object("part") { Self.writePart(block.kind, text, into: &$0) }
        }
    }

    /// More of a block's text, or all of it.
    private mutating func textEvent(_ name: String, _ index: Int, _ key: String, _ text: String) -> [UInt8] {
        let (writer, block) = (self, blocks.blocks[index])
        let type =
            switch block.kind {
            case .thought: "reasoning_text."
            case .text: "output_text."
            case .call: "function_call_arguments."
            }
        return event(type + name) { event in
            writer.writePlace(block, index, into: &event)
            if block.kind == .call && key == "arguments" { event.member("name", block.name) }
            event.member(key, text)
            if block.kind == .text { event.list("logprobs") { _ in } }
        }
    }

    private func writePlace(_ block: AnswerBlocks.Block, _ index: Int, into event: inout JSONWriter) {
        writeID(block, index, "item_id", into: &event)
        event.member("output_index", index)
        if block.kind != .call { event.member("content_index", 0) }
    }
}
