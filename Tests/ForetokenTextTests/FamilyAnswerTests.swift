import ForetokenJSON
import ForetokenSpeculation
import ForetokenTestSupport
import ForetokenText
import ForetokenTokenizer
import ForetokenWeights
import Testing

/// Answers of other families than DeepSeek, of any tokens at all.
@Suite struct FamilyAnswerTests {
    private static let markers = [
        "<think>", "</think>", "<tool_call>", "</tool_call>", "<arg_key>", "</arg_key>", "<arg_value>", "</arg_value>",
        "<|tool_calls_section_begin|>", "<|tool_calls_section_end|>", "<|tool_call_begin|>", "<|tool_call_end|>",
        "<|tool_call_argument_begin|>", "<|function_call|>", "｜DSML｜",
    ]
    private static let tools = """
        [{"type": "function", "function": {"name": "f", "parameters": {"properties": {"s": {"type": "string"},
        "n": {"type": "integer"}}}}}]
        """
    private let tokenizer: Tokenizer

    init() throws {
        let open = try OpenModel(ModelSettings()) { _ in }
        let file = try #require(try open.checkpoint.file(named: "tokenizer.json"))
        var text = String(decoding: file, as: UTF8.self)
        // The demo's, with markers in the place of others.
        let names = [
            "<｜fim▁hole｜>", "<｜fim▁begin｜>", "<｜fim▁end｜>", "<｜User｜>", "<｜Assistant｜>", "<|EOT|>",
            "<｜tool▁calls▁begin｜>", "<｜tool▁calls▁end｜>", "<｜tool▁call▁begin｜>", "<｜tool▁call▁end｜>",
            "<｜tool▁outputs▁begin｜>", "<｜tool▁outputs▁end｜>", "<｜tool▁output▁begin｜>", "<｜tool▁output▁end｜>",
            "<｜tool▁sep｜>",
        ]
        for (old, new) in zip(names, Self.markers) { text = text.replacing("\"\(old)\"", with: "\"\(new)\"") }
        tokenizer = try Tokenizer(tokenizerJSON: Array(text.utf8))
    }

    private func grammar(_ style: CallFormat.Style) throws -> AnswerGrammar {
        let format = try #require(CallFormat(style, tokenizer))
        guard case .array(let tools) = try JSONValue(Array(Self.tools.utf8)) else { fatalError("a list") }
        return AnswerGrammar(tokenizer, prompt: [Int32](), calls: format, tools: tools)
    }

    /// The parts of an answer whose tokens come in runs.
    private func parse(_ tokens: [Int32], _ grammar: AnswerGrammar, runs: () -> Int) -> ParsedAnswer {
        var (stream, parser, parsed) = (
            TextStream(tokenizer, stopStrings: []), AnswerParser(grammar, tokenizer), ParsedAnswer()
        )
        var rest = tokens[...]
        while !rest.isEmpty {
            let run = rest.prefix(runs())
            rest = rest.dropFirst(run.count)
            let text = run.flatMap { stream.push($0, .own).text.bytes }
            for part in parser.push(run, text: text) { parsed.append(part) }
        }
        for part in parser.push([Int32](), text: stream.finish().bytes) + parser.finish() { parsed.append(part) }
        parsed.reasoningTokens = parser.reasoningTokens
        return parsed
    }

    @Test(arguments: [CallFormat.Style.glm, .glmLines, .kimi, .coder, .invokes, .object]) func anyTokensGiveParts(
        style: CallFormat.Style
    ) throws {
        var random = SeededGenerator(seed: 7)
        let ids =
            Self.markers.compactMap { tokenizer.id(of: $0) }
            + (try tokenizer.encode(
                "f s n 1 \"é\n🦖 functions.f:0 <function=f> <parameter=s> <invoke name=\"f\"> {\"name\": \"f\"}"))
        try #require(ids.count > Self.markers.count + 8)
        let grammar = try grammar(style)
        var whole = 0
        for _ in 0..<2000 {
            let tokens = (0..<Int.random(in: 0...40, using: &random)).map { _ in ids.randomElement(using: &random)! }
            let once = parse(tokens, grammar) { .max }
            #expect(parse(tokens, grammar) { Int.random(in: 1...5, using: &random) } == once)
            for call in once.calls where call.isWhole && !style.isKimi {
                whole += 1
                #expect((try? JSONValue(Array(call.arguments.utf8)))?.object != nil || hasRepeatedKeys(call.arguments))
            }
        }
        #expect(whole > 20 || ![.glm, .glmLines].contains(style))
    }

    /// Arguments whose keys repeat with other values are what the model wrote, and no JSON that can be read.
    private func hasRepeatedKeys(_ arguments: String) -> Bool {
        ((try? JSONValue(Array("[\(arguments)]".utf8))) == nil) && arguments.hasPrefix("{") && arguments.hasSuffix("}")
    }

    @Test func texts() throws {
        let call =
            "<tool_call>f<arg_key>s</arg_key><arg_value>é\"\\\n\u{1}🦖</arg_value><arg_key>n</arg_key><arg_value>7</arg_value></tool_call>"
        for text in ["<think>Hm.</think>Well. \(call)", call + call] {
            let tokens = try tokenizer.encode(text)
            for run in [1, 2, 5, 100] {
                let parsed = parse(tokens, try grammar(.glm)) { run }
                #expect(parsed.calls.allSatisfy { $0.isWhole && $0.arguments == #"{"s": "é\"\\\n\u0001🦖", "n": 7}"# })
                #expect(parsed.calls.count == (text.hasPrefix("<think>") ? 1 : 2))
                #expect(parsed.content == (text.hasPrefix("<think>") ? "Well. " : ""))
            }
        }
        // Text that looks like markers is text.
        let plain = try tokenizer.encode(call, addedTokens: false)
        #expect(parse(plain, try grammar(.glm)) { 3 }.content == call)
    }
}

extension CallFormat.Style {
    fileprivate var isKimi: Bool { self == .kimi }
}
