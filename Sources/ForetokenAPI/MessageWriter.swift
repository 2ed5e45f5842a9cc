import ForetokenJSON
import ForetokenSpeculation
import ForetokenText

/// Writes an answer as Anthropic's messages.
struct MessageWriter: AnswerWriter {
    /// The key under which a call's arguments stand that are no JSON object, as Anthropic advises.
    static let unsound = "INVALID_JSON"

    private let reply: Reply
    private var blocks: AnswerBlocks

    init(_ reply: Reply) {
        self.reply = reply
        blocks = AnswerBlocks(reply.parser)
    }

    // MARK: The whole answer

    func whole(_ results: [ChoiceResult]) -> [UInt8] {
        let result = results[0]
        let blocks = AnswerBlocks(reply.parser, result)
        var writer = JSONWriter()
        writer.object { message in
            writeHead(into: &message)
            message.list("content") { list in
                for index in blocks.blocks.indices { list.object { write(blocks, index, into: &$0) } }
            }
            writeStop(result, blocks, into: &message)
            message.object("usage") { writeUsage(result, blocks, into: &$0) }
            reply.writeStory(result, into: &message)
        }
        return writer.bytes
    }

    private func writeHead(into message: inout JSONWriter) {
        message.member("id", reply.id)
        message.member("type", "message")
        message.member("role", "assistant")
        message.member("model", reply.order.model)
    }

    private func write(_ blocks: AnswerBlocks, _ index: Int, into block: inout JSONWriter) {
        let text = blocks.blocks[index].text
        switch blocks.blocks[index].kind {
        case .thought:
            block.member("type", "thinking")
            block.member("thinking", text)
            block.member("signature", "")
        case .text:
            block.member("type", "text")
            block.member("text", text)
        case .call:
            writeCall(blocks, index, into: &block)
            if let input = try? JSONValue(Array(text.utf8)), input.object != nil, input.isFinite {
                block.key("input")
                block.raw(input.text)
            } else {
                block.object("input") { $0.member(Self.unsound, text) }
            }
        }
    }

    private func writeCall(_ blocks: AnswerBlocks, _ index: Int, into block: inout JSONWriter) {
        block.member("type", "tool_use")
        block.member("id", blocks.blocks[index].id ?? reply.callID(choice: 0, call: blocks.calls(before: index)))
        block.member("name", blocks.blocks[index].name)
    }

    private func writeStop(_ result: ChoiceResult, _ blocks: AnswerBlocks, into writer: inout JSONWriter) {
        writer.member("stop_reason", stopReason(result, hasCalls: blocks.hasCalls))
        writer.member("stop_sequence", result.answer.stopString)
    }

    private func stopReason(_ result: ChoiceResult, hasCalls: Bool) -> String {
        let answer = result.answer
        if answer.result.reason == .stop {
            return answer.stopString != nil ? "stop_sequence" : hasCalls ? "tool_use" : "end_turn"
        }
        let isCut = answer.wasInterrupted || answer.result.tokens.count >= reply.order.settings.maximumTokens
        return isCut ? "max_tokens" : "model_context_window_exceeded"
    }

    /// What was cached is no input in Anthropic's words.
    private func writeUsage(_ result: ChoiceResult, _ blocks: AnswerBlocks, into usage: inout JSONWriter) {
        let answer = result.answer
        writeInput(cached: answer.result.cachedCount, into: &usage)
        usage.member("output_tokens", answer.result.tokens.count)
        usage.object("output_tokens_details") { $0.member("thinking_tokens", blocks.reasoningTokens) }
    }

    private func writeInput(cached: Int, into usage: inout JSONWriter) {
        usage.member("input_tokens", reply.order.prompt(choice: 0).count - cached)
        usage.member("cache_creation_input_tokens", 0)
        usage.member("cache_read_input_tokens", cached)
    }

    // MARK: Events

    private func event(_ type: String, _ body: (inout JSONWriter) -> Void = { _ in }) -> [UInt8] {
        var writer = JSONWriter()
        writer.object { event in
            event.member("type", type)
            body(&event)
        }
        return Reply.event(type, writer.bytes)
    }

    /// The message without its content. What was cached is not known yet.
    func begin() -> [UInt8] {
        event("message_start") { event in
            event.object("message") { message in
                writeHead(into: &message)
                message.list("content") { _ in }
                message.nullMember("stop_reason")
                message.nullMember("stop_sequence")
                message.object("usage") { usage in
                    writeInput(cached: 0, into: &usage)
                    usage.member("output_tokens", 0)
                }
            }
        }
    }

    mutating func events(_ index: Int, _ news: ChoiceNews) -> [UInt8] {
        let steps = blocks.push(news.tokens, text: news.pieces.bytes)
        return steps.flatMap { tell($0) }
    }

    mutating func end(_ index: Int, _ result: ChoiceResult) -> [UInt8] {
        let steps = blocks.finish(result)
        return steps.flatMap { tell($0) }
    }

    private func tell(_ step: AnswerBlocks.Step) -> [UInt8] {
        switch step {
        case .begin(let index):
            event("content_block_start") { event in
                event.member("index", index)
                event.object("content_block") { writeBeginning(index, into: &$0) }
            }
        case .more(let index, let text):
            event("content_block_delta") { event in
                event.member("index", index)
                event.object("delta") { delta in
                    let (type, key) =
                        switch blocks.blocks[index].kind {
                        case .thought: ("thinking_delta", "thinking")
                        case .text: ("text_delta", "text")
                        case .call: ("input_json_delta", "partial_json")
                        }
                    delta.member("type", type)
                    delta.member(key, text)
                }
            }
        case .end(let index): event("content_block_stop") { $0.member("index", index) }
        }
    }

    /// A block that nothing is in yet.
    private func writeBeginning(_ index: Int, into block: inout JSONWriter) {
        switch blocks.blocks[index].kind {
        case .thought:
            block.member("type", "thinking")
            block.member("thinking", "")
            block.member("signature", "")
        case .text:
            block.member("type", "text")
            block.member("text", "")
        case .call:
            writeCall(blocks, index, into: &block)
            block.object("input") { _ in }
        }
    }

    func close(_ results: [ChoiceResult]) -> [UInt8] {
        let delta = event("message_delta") { event in
            event.object("delta") { writeStop(results[0], blocks, into: &$0) }
            event.object("usage") { writeUsage(results[0], blocks, into: &$0) }
            reply.writeStory(results[0], into: &event)
        }
        return delta + event("message_stop")
    }

    func failure(_ error: APIError) -> [UInt8] { Reply.event("error", Dialect.messages.body(error, id: reply.key)) }

    func ping() -> [UInt8] { event("ping") }
}
