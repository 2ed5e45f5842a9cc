import ForetokenSpeculation
import ForetokenTestSupport
import ForetokenText
import ForetokenTokenizer
import ForetokenWeights
import Testing

/// Thoughts, content and calls of answers that are made up here.
@Suite struct AnswerParserTests {
    private let tokenizer: Tokenizer

    init() throws {
        let open = try OpenModel(ModelSettings()) { _ in }
        let file = try #require(try open.checkpoint.file(named: "tokenizer.json"))
        let settings = try #require(try open.checkpoint.file(named: "tokenizer_config.json"))
        // The demo's, with markers of thoughts in the place of others.
        let text = String(decoding: file, as: UTF8.self).replacing("<|EOT|>", with: "<think>")
            .replacing("<｜tool▁outputs▁end｜>", with: "</think>")
        tokenizer = try Tokenizer(tokenizerJSON: Array(text.utf8), configJSON: settings)
    }

    private static let fenced = """
        <｜tool▁calls▁begin｜><｜tool▁call▁begin｜>function<｜tool▁sep｜>get_weather
        ```json
        {"city": "Köln 🦖", "code": "```"}
        ```<｜tool▁call▁end｜>
        <｜tool▁call▁begin｜>function<｜tool▁sep｜>now
        ```json
        {}
        ```<｜tool▁call▁end｜><｜tool▁calls▁end｜><｜end▁of▁sentence｜>
        """
    private static let bare = """
        <｜tool▁calls▁begin｜><｜tool▁call▁begin｜>get_weather<｜tool▁sep｜>{"city": "Köln 🦖", "code": "```"}\
        <｜tool▁call▁end｜><｜tool▁call▁begin｜>now<｜tool▁sep｜>{}<｜tool▁call▁end｜><｜tool▁calls▁end｜><｜end▁of▁sentence｜>
        """
    private static let calls = [
        ToolCall(name: "get_weather", arguments: #"{"city": "Köln 🦖", "code": "```"}"#, isWhole: true),
        ToolCall(name: "now", arguments: "{}", isWhole: true),
    ]

    private func grammar(_ style: CallFormat.Style?, thinks: Bool = false) throws -> AnswerGrammar {
        AnswerGrammar(
            tokenizer, prompt: try tokenizer.encode(thinks ? "<｜Assistant｜><think>\n" : "<｜Assistant｜>"),
            calls: style.flatMap { CallFormat($0, tokenizer) })
    }

    private func parse(_ text: String, _ style: CallFormat.Style?, thinks: Bool = false) throws -> ParsedAnswer {
        try parse(try tokenizer.encode(text), grammar(style, thinks: thinks))
    }

    /// All at once, as it is read from an answer that is there.
    private func parse(_ tokens: [Int32], _ grammar: AnswerGrammar, stops: [String] = []) -> ParsedAnswer {
        var (stream, text) = (TextStream(tokenizer, stopStrings: stops), [UInt8]())
        for token in tokens {
            let (pieces, isEnd) = stream.push(token, .own)
            text += pieces.bytes
            if isEnd { break }
        }
        text += stream.finish().bytes
        var parser = AnswerParser(grammar, tokenizer)
        var parsed = ParsedAnswer()
        for part in parser.push(tokens, text: text) + parser.finish() { parsed.append(part) }
        parsed.reasoningTokens = parser.reasoningTokens
        return parsed
    }

    /// In runs of tokens, as steps with drafts bring them.
    private func parseInRuns(
        _ tokens: [Int32], _ grammar: AnswerGrammar, stops: [String], _ random: inout some RandomNumberGenerator
    ) -> ParsedAnswer {
        var stream = TextStream(tokenizer, stopStrings: stops)
        var parser = AnswerParser(grammar, tokenizer)
        var parsed = ParsedAnswer()
        var (rest, isEnd) = (tokens[...], false)
        while !rest.isEmpty && !isEnd {
            var (run, text) = ([Int32](), [UInt8]())
            for token in rest.prefix(Int.random(in: 1...9, using: &random)) where !isEnd {
                let (pieces, ends) = stream.push(token, .own)
                run.append(token)
                text += pieces.bytes
                isEnd = ends
            }
            rest = rest.dropFirst(run.count)
            for part in parser.push(run, text: text) { parsed.append(part) }
        }
        for part in parser.push([Int32](), text: stream.finish().bytes) + parser.finish() { parsed.append(part) }
        parsed.reasoningTokens = parser.reasoningTokens
        return parsed
    }

    @Test func thoughtsAndTheAnswer() throws {
        let thinking = try parse("Let me see.\n</think>\n\nFour.<｜end▁of▁sentence｜>", nil, thinks: true)
        #expect(thinking.reasoning == "Let me see.\n" && thinking.content == "Four.")
        #expect(try thinking.reasoningTokens == tokenizer.encode("Let me see.\n</think>").count)
        // The model opens the thought itself.
        let opening = try parse("\n<think>Hm</think>Four.", nil)
        #expect(opening.reasoning == "Hm" && opening.content == "Four." && opening.calls.isEmpty)
        let plain = try parse("\n Four.", nil)
        #expect(plain.reasoning.isEmpty && plain.content == "\n Four." && plain.reasoningTokens == 0)
        let endless = try parse("Let me see", nil, thinks: true)
        #expect(endless.reasoning == "Let me see" && endless.content.isEmpty)
        #expect(try endless.reasoningTokens == tokenizer.encode("Let me see").count)
    }

    @Test func markersOutOfPlaceAreText() throws {
        // A thought does not begin behind words, nor end twice.
        let text = "Tags: <think> and </think>."
        #expect(try parse(text, nil).content == text)
        #expect(try parse("a</think>b</think>c", nil, thinks: true).content == "b</think>c")
        // Nobody offered tools.
        #expect(try parse(Self.bare, nil).content == Self.bare.replacing("<｜end▁of▁sentence｜>", with: ""))
        #expect(try parse("x<｜tool▁sep｜>y<｜tool▁call▁end｜>", .bare).content == "x<｜tool▁sep｜>y<｜tool▁call▁end｜>")
    }

    @Test func textThatLooksLikeMarkersIsText() throws {
        for text in ["see </think> here", "a <think> b"]
            + [Self.fenced, Self.bare].map({ $0.replacing(Self.end, with: "") })
        {
            let tokens = try tokenizer.encode(text, addedTokens: false)
            for style in [CallFormat.Style.fenced, .bare] {
                let said = try parse(tokens, grammar(style))
                #expect(said.content == text && said.calls.isEmpty && said.reasoning.isEmpty)
                let thought = try parse(tokens, grammar(style, thinks: true))
                #expect(thought.reasoning == text && thought.calls.isEmpty && thought.content.isEmpty)
            }
        }
    }

    private static let end = "<｜end▁of▁sentence｜>"

    @Test func promptsDecideWhetherAThoughtIsOpen() throws {
        func begins(_ prompt: String, addedTokens: Bool = true) throws -> Bool {
            let tokens = try tokenizer.encode(prompt, addedTokens: addedTokens)
            return AnswerGrammar(tokenizer, prompt: tokens, calls: nil).beginsInThought
        }
        #expect(try begins("<｜User｜>a<｜Assistant｜><think>"))
        #expect(try !begins("<｜User｜>a<｜Assistant｜></think>"))
        #expect(try !begins("<think>a</think>b<｜User｜>c<｜Assistant｜>"))
        #expect(try !begins("a <think>", addedTokens: false))
    }

    @Test(arguments: [CallFormat.Style.fenced, .bare]) func callsAreTold(style: CallFormat.Style) throws {
        let text = style == .fenced ? Self.fenced : Self.bare
        let alone = try parse(text, style)
        #expect(alone.calls == Self.calls && alone.content.isEmpty)
        let behind = try parse("I'll look.\n\n" + text, style)
        #expect(behind.calls == Self.calls && behind.content == "I'll look.\n\n")
        let thought = try parse("Hm.</think>\n\n" + text, style, thinks: true)
        #expect(thought.calls == Self.calls && thought.content.isEmpty && thought.reasoning == "Hm.")
        // A call ends a thought, too.
        let within = try parse("Hm." + text, style, thinks: true)
        #expect(within.calls == Self.calls && within.reasoning == "Hm.")
        #expect(try within.reasoningTokens == tokenizer.encode("Hm.").count)
    }

    @Test func callsWithoutArguments() throws {
        let whole = [ToolCall(name: "now", arguments: "{}", isWhole: true)]
        let (begin, end) = ("<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>", "<｜tool▁call▁end｜><｜tool▁calls▁end｜>")
        for call in ["now<｜tool▁sep｜>", "now"] { #expect(try parse(begin + call + end, .bare).calls == whole) }
        for call in ["now", "now\n", "now\n```json\n\n```", "now\n```json\n```", "now\n```"] {
            #expect(try parse(begin + "function<｜tool▁sep｜>" + call + end, .fenced).calls == whole)
        }
        // No call has no name, and its text is kept.
        let nameless = try parse(begin + "function<｜tool▁sep｜>\n{}" + end, .fenced)
        #expect(nameless.calls.isEmpty && nameless.content == "{}")
    }

    @Test func fencesMayBeMissing() throws {
        let (begin, end) = ("<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>function<｜tool▁sep｜>", "<｜tool▁call▁end｜>")
        let call = [ToolCall(name: "f", arguments: #"{"a": 1}"#, isWhole: true)]
        for text in [
            "f\n{\"a\": 1}", "f\n```json\n{\"a\": 1}", "f\n```json {\"a\": 1}```", "f\n```\n{\"a\": 1}\n```\n",
            "f\n\n```json\n{\"a\": 1}\n\n```",
        ] {
            #expect(try parse(begin + text + end, .fenced).calls == call, "\(text)")
        }
    }

    /// Whether the text is the beginning of the whole, but for half a character or half a fence at its end.
    private func begins(_ text: String, _ whole: String) -> Bool {
        ["", "\u{FFFD}", "\n", "\n`", "\n``"].contains { end in
            text.hasSuffix(end) && whole.utf8.starts(with: text.utf8.dropLast(end.utf8.count))
        }
    }

    @Test(arguments: [CallFormat.Style.fenced, .bare]) func truncatedCalls(style: CallFormat.Style) throws {
        let tokens = try tokenizer.encode(style == .fenced ? Self.fenced : Self.bare)
        let grammar = try grammar(style)
        var lengths: Set<Int> = []
        for count in 0...tokens.count {
            let cut = parse(Array(tokens[..<count]), grammar)
            lengths.insert(cut.calls.count)
            #expect(cut.content.isEmpty)
            for (call, whole) in zip(cut.calls, Self.calls) {
                let isRight = call.isWhole ? call == whole : begins(call.arguments, whole.arguments)
                #expect(call.name == whole.name && isRight, "\(call)")
            }
            #expect(cut.calls.dropLast().allSatisfy { $0.isWhole })
        }
        #expect(lengths == [0, 1, 2])
    }

    @Test("However the tokens come, and whatever stop strings hold back, the parts are the same")
    func randomRuns() throws {
        var random = SeededGenerator(seed: 5)
        for (style, calls) in [(CallFormat.Style.fenced, Self.fenced), (.bare, Self.bare)] {
            for (thinks, text) in [
                (true, "Hm 🦖.\n</think>\n\nI'll look: \(calls)"), (false, calls), (false, "<think>é</think>  Zwölf."),
                (true, "no end"), (false, "Köln " + calls + " and more"),
            ] {
                let (tokens, grammar) = (try tokenizer.encode(text), try grammar(style, thinks: thinks))
                for stops in [[], ["never"], [Self.calls[0].arguments + "!"], ["l"], ["</think>"], ["sep｜>now"]] {
                    let whole = parse(tokens, grammar, stops: stops)
                    for _ in 0..<20 {
                        let parts = parseInRuns(tokens, grammar, stops: stops, &random)
                        // Behind a stop string there are tokens that only one of them sees.
                        #expect(parts.reasoning == whole.reasoning && parts.content == whole.content)
                        #expect(parts.calls == whole.calls)
                        if stops.isEmpty { #expect(parts.reasoningTokens == whole.reasoningTokens) }
                    }
                }
            }
        }
    }

    @Test("Any tokens at all give parts, and nothing that is written is lost but markers and white space")
    func randomTokens() throws {
        var random = SeededGenerator(seed: 11)
        let markers =
            ["<think>", "</think>", "<｜tool▁sep｜>"]
            + ["calls▁begin", "calls▁end", "call▁begin", "call▁end"].map { "<｜tool▁\($0)｜>" }
        let ids = markers.compactMap { tokenizer.id(of: $0) } + (try tokenizer.encode("\n``` {a}"))
        try #require(ids.count >= markers.count + 3)
        for style in [CallFormat.Style.fenced, .bare, nil] {
            for thinks in [false, true] {
                let grammar = try grammar(style, thinks: thinks)
                for _ in 0..<300 {
                    let tokens = (0..<Int.random(in: 0...30, using: &random)).map { _ in
                        ids.randomElement(using: &random)!
                    }
                    let whole = parse(tokens, grammar)
                    #expect(parseInRuns(tokens, grammar, stops: [], &random) == whole)
                    if style == nil && !thinks && tokens.first != ids[0] {
                        #expect(whole.calls.isEmpty)
                    }
                }
            }
        }
    }
}
