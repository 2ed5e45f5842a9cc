import ForetokenAPI
import ForetokenJSON
import ForetokenSpeculation
import ForetokenText
import ForetokenTokenizer
import Testing

/// Anthropic's messages.
@Suite struct MessagesTests {
    static let tools = """
        "tools":[{"name":"get_weather","description":"d","input_schema":{"type":"object"},\
        "cache_control":{"type":"ephemeral"}},{"type":"custom","name":"now","input_schema":{}}]
        """
    static let calls = """
        <｜tool▁calls▁begin｜><｜tool▁call▁begin｜>get_weather<｜tool▁sep｜>{"city":  "Köln"}<｜tool▁call▁end｜>\
        <｜tool▁call▁begin｜>now<｜tool▁sep｜>{}<｜tool▁call▁end｜><｜tool▁calls▁end｜><｜end▁of▁sentence｜>
        """
    private static let question = #"{"role":"user","content":"u"}"#

    private func order(
        _ model: ScriptedModel, _ members: String = #""stream":true"#, messages: String = question,
        limit: String = #""max_tokens":100,"#
    ) throws -> Order {
        try Order(
            .messages, Array("{\"messages\":[\(messages)],\(limit)\(members)}".utf8), model.served, seed: 1)
    }

    private func chat(_ model: ScriptedModel, _ messages: String, _ members: String = #""n":1"#) throws -> Order {
        try Order(.chat, Array("{\"messages\":[\(messages)],\(members)}".utf8), model.served, seed: 1)
    }

    @Test(arguments: [ScriptedModel.v3, ScriptedModel.v31]) func conversationsAreTheChats(template: String) throws {
        let model = try ScriptedModel(template)
        let messages = """
            {"role":"user","content":[{"type":"text","text":"a","cache_control":{"type":"ephemeral"}},\
            {"type":"text","text":"b"}]},{"role":"assistant","content":[\
            {"type":"thinking","thinking":"t","signature":"s"},{"type":"redacted_thinking","data":"x"},\
            {"type":"text","text":"c"},{"type":"tool_use","id":"toolu_1","name":"now","input":{"x": 1}}]},\
            {"role":"user","content":[{"type":"tool_result","tool_use_id":"toolu_1","content":[\
            {"type":"text","text":"12"},{"type":"text","text":"00"}]},\
            {"type":"tool_result","tool_use_id":"toolu_2","is_error":true,"content":"no"},\
            {"type":"text","text":"d"}]},{"role":"assistant","content":"e"},{"role":"user","content":"f"}
            """
        let system = """
            ,"system":[{"type":"text","text":"x-anthropic-billing-header: cch=1;"},{"type":"text","text":"You help.",\
            "cache_control":{"type":"ephemeral"}},{"type":"text","text":"Well."}]
            """
        let plain = """
            {"role":"system","content":"You help.\\n\\nWell."},{"role":"user","content":"a\\n\\nb"},\
            {"role":"assistant","reasoning_content":"t","content":"c","tool_calls":[{"id":"toolu_1","type":"function",\
            "function":{"name":"now","arguments":"{\\"x\\": 1}"}}]},\
            {"role":"tool","tool_call_id":"toolu_1","content":"12\\n\\n00"},\
            {"role":"tool","tool_call_id":"toolu_2","content":"Error: no"},{"role":"user","content":"d"},\
            {"role":"assistant","content":"e"},{"role":"user","content":"f"}
            """
        let tools = """
            "tools":[{"type":"function","function":{"name":"get_weather","description":"d",\
            "parameters":{"type":"object"}}},{"type":"function","function":{"name":"now","parameters":{}}}]
            """
        let own = try order(model, Self.tools + system, messages: messages)
        #expect(try own.prompts == chat(model, plain, tools).prompts)
        let begun = Self.question + #",{"role":"assistant","content":"Sure: "}"#
        #expect(try order(model, messages: begun).prompts == chat(model, begun).prompts)
    }

    @Test func settingsAreTaken() throws {
        let model = try ScriptedModel(ScriptedModel.v31)
        let order = try order(
            model,
            """
            "stream":true,"temperature":0.5,"top_p":0.25,"top_k":4,"stop_sequences":["x","yz"],"seed":8,\
            "metadata":{"user_id":"me"},"service_tier":"auto","nonsense":1,"model":"scripted",\
            "context_management":{"edits":[{"type":"clear_thinking_20251015","keep":"all"}]}
            """)
        #expect(order.isStreamed && order.settings.maximumTokens == 100 && order.settings.sampling.seed == 8)
        #expect(order.settings.sampling.temperature == 0.5 && order.settings.sampling.topP == 0.25)
        #expect(order.settings.sampling.topK == 4 && order.settings.stopStrings == ["x", "yz"])
        #expect(order.model == "scripted")
    }

    @Test func thinkingIsAHint() throws {
        let (able, unable) = (try ScriptedModel(ScriptedModel.v31), try ScriptedModel(ScriptedModel.v3))
        for (type, opens) in [("enabled", true), ("adaptive", true), ("disabled", false)] {
            let members = #""thinking":{"type":"\#(type)","budget_tokens":2000}"#
            let order = try order(able, members)
            #expect(able.text(order.prompts[0]).hasSuffix(opens ? "<think>" : "</think>"))
            #expect(try self.order(unable, members).prompts == self.order(unable).prompts)
        }
    }

    @Test func wholeAnswers() throws {
        let model = try ScriptedModel(ScriptedModel.v31)
        let order = try order(model, Self.tools + #","thinking":{"type":"enabled"}"#)
        let answer = "Which?</think>I look." + Self.calls
        let body = try model.whole(order, answer)
        #expect(
            body.keys == [
                "id", "type", "role", "model", "content", "stop_reason", "stop_sequence", "usage", "timings",
                "foretoken",
            ])
        #expect(body["id"]?.string == "msg_abc" && body["type"]?.string == "message")
        #expect(body["stop_reason"]?.string == "tool_use" && body["stop_sequence"] == .null)
        let expected = try JSONValue(
            Array(
                """
                [{"type":"thinking","thinking":"Which?","signature":""},{"type":"text","text":"I look."},\
                {"type":"tool_use","id":"toolu_abc_0_0","name":"get_weather","input":{"city":"Köln"}},\
                {"type":"tool_use","id":"toolu_abc_0_1","name":"now","input":{}}]
                """.utf8))
        #expect(body["content"] == expected)
        let usage = try #require(body["usage"])
        #expect(usage["input_tokens"]?.integer == order.prompts[0].count)
        #expect(usage["output_tokens"]?.integer == (try model.tokenizer.encode(answer).count))
        #expect(usage["cache_creation_input_tokens"]?.integer == 0)
        #expect(usage["cache_read_input_tokens"]?.integer == 0)
        let thoughts = try model.tokenizer.encode("Which?</think>").count
        #expect(usage["output_tokens_details"]?["thinking_tokens"]?.integer == thoughts)
    }

    @Test func reasonsToStop() throws {
        let model = try ScriptedModel(ScriptedModel.v31)
        func stop(_ members: String, _ answer: String, limit: Int = 100) throws -> [String?] {
            let order = try order(model, members, limit: "\"max_tokens\":\(limit),")
            let body = try model.whole(order, answer)
            let delta = try #require(
                try model.events(order, answer, run: 2).first { $0["delta"]?["stop_reason"] != nil })
            #expect(delta["delta"]?["stop_reason"] == body["stop_reason"])
            #expect(delta["delta"]?["stop_sequence"] == body["stop_sequence"])
            #expect(delta["usage"] == body["usage"])
            return [body["stop_reason"]?.string, body["stop_sequence"]?.string, body["content"]?[0]?["text"]?.string]
        }
        #expect(try stop(#""top_k":3"#, "Four.<｜end▁of▁sentence｜>") == ["end_turn", nil, "Four."])
        let stops = #""stop_sequences":["nothing","ou","our"]"#
        #expect(try stop(stops, "Four.<｜end▁of▁sentence｜>") == ["stop_sequence", "ou", "F"])
        let count = try model.tokenizer.encode("Four.").count
        #expect(try stop(#""top_k":3"#, "Four.", limit: count) == ["max_tokens", nil, "Four."])
        #expect(try stop(#""top_k":3"#, "Four.") == ["model_context_window_exceeded", nil, "Four."])
        let silent = try model.whole(order(model), "<｜end▁of▁sentence｜>")
        #expect(silent["content"] == .array([]) && silent["stop_reason"]?.string == "end_turn")
    }

    @Test func argumentsThatAreNoObjectAreTold() throws {
        let model = try ScriptedModel(ScriptedModel.v31)
        let answer = "<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>now<｜tool▁sep｜>{\"a\": nope}<｜tool▁call▁end｜>"
        let block = try model.whole(order(model, Self.tools), answer)["content"]?[0]
        #expect(block?["input"]?.keys == ["INVALID_JSON"])
        #expect(block?["input"]?["INVALID_JSON"]?.string == "{\"a\": nope}")
        // It comes back as the model wrote it.
        let back =
            Self.question + ",{\"role\":\"assistant\",\"content\":[\(block!.text)]},"
            + #"{"role":"user","content":[{"type":"tool_result","tool_use_id":"t"}]}"#
        let prompt = try order(model, messages: back).prompts[0]
        #expect(model.text(prompt).contains("now<｜tool▁sep｜>{\"a\": nope}<｜tool▁call▁end｜>"))
    }

    @Test(arguments: ["NaN", "[1, -Infinity]", "{\"b\": 1e400}"])
    func argumentsThatAreNoJSONAreTold(value: String) throws {
        let model = try ScriptedModel(ScriptedModel.v31)
        for beginning in ["", "\u{FEFF}"] {
            let arguments = "\(beginning){\"a\": \(value)}"
            let answer =
                "<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>now<｜tool▁sep｜>\(arguments)<｜tool▁call▁end｜>"
            let block = try model.whole(order(model, Self.tools), answer)["content"]?[0]
            #expect(block?["input"]?.keys == ["INVALID_JSON"])
            #expect(block?["input"]?["INVALID_JSON"]?.string.map { Array($0.utf8) } == Array(arguments.utf8))
        }
        // Before sound JSON a mark of the byte order is left out.
        let marked = "<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>now<｜tool▁sep｜>\u{FEFF}{}<｜tool▁call▁end｜>"
        let order = try order(model, Self.tools)
        let body = try model.reply(order).writer.whole([model.script(order, marked).result])
        let text = String(decoding: body, as: UTF8.self)
        #expect(text.contains("\"input\":{}") && !text.unicodeScalars.contains("\u{FEFF}"), "\(text)")
    }

    @Test func picturesInResultsAreLeftOut() throws {
        let model = try ScriptedModel(ScriptedModel.v31)
        let picture = #"{"type":"image","source":{"type":"base64","media_type":"image/png","data":"AA=="}}"#
        func conversation(_ content: String) -> String {
            Self.question
                + #",{"role":"assistant","content":[{"type":"tool_use","id":"t","name":"now","input":{}}]},"#
                + #"{"role":"user","content":[{"type":"tool_result","tool_use_id":"t","content":\#(content)}]}"#
        }
        let own = try order(
            model, messages: conversation(#"[{"type":"text","text":"a"},\#(picture),{"type":"document"}]"#))
        let text = #"a\n\n[image left out: this model reads text only]"#
        let told = conversation(#""\#(text)\n\n[document left out: this model reads text only]""#)
        #expect(try own.prompts == order(model, messages: told).prompts)
        let error = #expect(throws: APIError.self) { try order(model, messages: conversation(#"[{"type":"video"}]"#)) }
        #expect(error?.message.contains("`messages[2].content[0].content[0]`") == true, "\(error?.message ?? "")")
        #expect(throws: APIError.self) {
            try order(model, messages: #"{"role":"user","content":[\#(picture)]}"#)
        }
    }

    @Test func theOlderFormatIsTaken() throws {
        let model = try ScriptedModel(ScriptedModel.v31)
        let format = #"{"type":"json_schema","schema":{"type":"object","properties":{"a":{"type":"integer"}}}}"#
        #expect(try order(model, #""output_format":\#(format)"#).settings.mask != nil)
        #expect(try order(model, #""output_config":{"format":\#(format)}"#).settings.mask != nil)
        #expect(try order(model, #""output_format":null"#).settings.mask == nil)
        let error = #expect(throws: APIError.self) { try order(model, #""output_format":{"type":"text"}"#) }
        #expect(error?.param == "output_format" && error?.message.contains("`output_format.type`") == true)
    }

    private static let badSchema = #"{"type":"object","properties":{"age":{"if":true,"then":false}}}"#

    @Test(arguments: [
        (#""output_config":{"format":{"type":"json_schema","schema":\#(badSchema)}}"#, "`output_config.format.schema`"),
        (#""output_format":{"type":"json_schema","schema":\#(badSchema)}"#, "`output_format.schema`"),
        (
            #""tools":[{"name":"a","input_schema":{}},{"name":"b","strict":true,"input_schema":\#(badSchema)}]"#,
            "`tools[1].input_schema`"
        ),
        (
            #""response_format":{"type":"json_schema","json_schema":{"schema":\#(badSchema)}}"#,
            "`response_format.json_schema.schema`"
        ),
        (#""stop_sequences":["a"],"stop":"b""#, "`stop` says the same as `stop_sequences`"),
        (#""stop":[""]"#, "stop string"), (#""min_tokens":101"#, "the 100 of `max_tokens`"),
    ])
    func errorsNameWhatWasSent(members: String, name: String) throws {
        let model = try ScriptedModel(ScriptedModel.v31)
        let error = #expect(throws: APIError.self) { try order(model, members) }
        #expect(error?.message.contains(name) == true, "\(error?.message ?? "")")
    }

    @Test func fieldsOfTheChatAreTaken() throws {
        let model = try ScriptedModel(ScriptedModel.v31)
        let order = try order(
            model,
            #""min_tokens":3,"logit_bias":{"5":-100},"presence_penalty":0.5,"frequency_penalty":0.25,"#
                + #""stop_token_ids":[9],"chat_template_kwargs":{"thinking":true},"prediction":"abc","n":1,"#
                + #""logprobs":false,"guided_json":null"#)
        #expect(order.settings.minimumTokens == 3 && order.settings.sampling.logitBias == [5: -100])
        #expect(order.settings.sampling.presencePenalty == 0.5 && order.settings.sampling.frequencyPenalty == 0.25)
        #expect(order.settings.endTokens.contains(9) && order.settings.prediction?.isEmpty == false)
        #expect(model.text(order.prompts[0]).hasSuffix("<think>"))
        for (member, param) in [
            (#""n":2"#, "n"), (#""logprobs":true"#, "logprobs"), (#""return_token_ids":true"#, "return_token_ids"),
            (#""foretoken":{"trace":true}"#, "foretoken"), (#""guided_regex":"a""#, "guided_regex"),
            (#""documents":[{}]"#, "documents"), (#""min_p":2"#, "min_p"), (#""echo":true"#, "echo"),
        ] {
            let error = #expect(throws: APIError.self, "\(member)") { try self.order(model, member) }
            #expect(error?.status == 400 && error?.param == param, "\(member): \(error?.message ?? "")")
        }
    }

    @Test func streamedAnswers() throws {
        let model = try ScriptedModel(ScriptedModel.v31)
        let order = try order(model, Self.tools + #","thinking":{"type":"enabled"},"stream":true"#)
        let answer = "Which?</think>I look." + Self.calls
        let whole = try model.whole(order, answer)
        for run in [1, 2, 5, 1000] {
            let events = try model.events(order, answer, run: run)
            let start = try #require(events.first?["message"])
            #expect(
                start.keys == [
                    "id", "type", "role", "model", "content", "stop_reason", "stop_sequence", "usage",
                ])
            #expect(start["content"] == .array([]) && start["usage"]?["output_tokens"]?.integer == 0)
            #expect(start["usage"]?["input_tokens"]?.integer == order.prompts[0].count)
            #expect(events.suffix(2).map { $0["type"]?.string } == ["message_delta", "message_stop"])
            #expect(events[events.count - 2]["foretoken"]?["seed"]?.integer == 1)
            #expect(try content(events.dropFirst().dropLast(2)) == whole["content"])
            if run == 1 { #expect(events.count > 20, "deltas come as they are written") }
        }
        let names = try model.events(order, answer, run: 1000).map { $0["type"]?.string ?? "" }
        let block = ["content_block_start", "content_block_delta", "content_block_stop"]
        #expect(names == ["message_start"] + block + block + block + block + ["message_delta", "message_stop"])
    }

    /// The blocks that a stream's events make, as Anthropic's clients put them together.
    private func content(_ events: some Sequence<JSONValue>) throws -> JSONValue {
        var (blocks, json, open) = ([JSONValue](), "", Int?.none)
        for event in events {
            let index = try #require(event["index"]?.integer)
            switch event["type"]?.string {
            case "content_block_start":
                #expect(open == nil && index == blocks.count)
                (open, json) = (index, "")
                blocks.append(try #require(event["content_block"]))
            case "content_block_delta":
                #expect(open == index)
                let delta = try #require(event["delta"])
                guard case .object(var block) = blocks[index] else { continue }
                switch delta["type"]?.string {
                case "thinking_delta":
                    block["thinking"] = .string(block["thinking"]!.string! + (delta["thinking"]?.string ?? ""))
                case "text_delta": block["text"] = .string(block["text"]!.string! + (delta["text"]?.string ?? ""))
                case "input_json_delta":
                    json += delta["partial_json"]?.string ?? ""
                    block["input"] = (try? JSONValue(Array(json.utf8))) ?? block["input"]
                case let other: Issue.record("\(other ?? "none")")
                }
                blocks[index] = .object(block)
            case "content_block_stop":
                #expect(open == index)
                open = nil
            case let other: Issue.record("\(other ?? "none")")
            }
        }
        #expect(open == nil)
        return .array(blocks)
    }

    @Test func whatIsBehindTheBeginning() throws {
        let model = try ScriptedModel(ScriptedModel.v31)
        var writer = try model.reply(order(model)).writer
        #expect(String(decoding: writer.ping(), as: UTF8.self) == "event: ping\ndata: {\"type\":\"ping\"}\n\n")
        let failure = String(decoding: writer.failure(APIError(503, retryAfter: 5, "gone")), as: UTF8.self)
        #expect(
            failure
                == "event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\",\"message\":\"gone\"},"
                + "\"request_id\":\"abc\"}\n\n")
    }

    @Test func tokensAreCounted() throws {
        let model = try ScriptedModel(ScriptedModel.v31)
        for members in [#""system":"s""#, Self.tools, #""thinking":{"type":"enabled"}"#] {
            let body = Array("{\"messages\":[\(Self.question)],\(members)}".utf8)
            let count = try JSONValue(model.served.countTokens(body))
            #expect(count.keys == ["input_tokens"])
            #expect(try count["input_tokens"]?.integer == order(model, members).prompts[0].count)
        }
    }

    @Test func whatCannotBeDoneIsRefused() throws {
        let model = try ScriptedModel(ScriptedModel.v31)
        func refusal(_ members: String, _ messages: String = Self.question, limit: String = "\"max_tokens\":9,")
            -> APIError?
        {
            #expect(throws: APIError.self, "\(members) \(messages)") {
                try order(model, members, messages: messages, limit: limit)
            }
        }
        func block(_ block: String, _ role: String = "user") -> String {
            "{\"role\":\"\(role)\",\"content\":[{\"type\":\"text\",\"text\":\"a\"},\(block)]}"
        }
        let member = #""top_k":1"#
        let cases: [(APIError?, String)] = [
            (refusal(member, limit: ""), "max_tokens"), (refusal(member, limit: #""max_tokens":0,"#), "max_tokens"),
            (refusal(#""temperature":1.5"#), "temperature"), (refusal(#""stop_sequences":[""]"#), "stop_sequences"),
            (refusal(#""stop_sequences":"a""#), "stop_sequences"), (refusal(#""mcp_servers":[{}]"#), "mcp_servers"),
            (refusal(#""container":"c""#), "container"), (refusal(#""system":7"#), "system"),
            (refusal(#""system":[{"type":"image"}]"#), "system[0]"),
            (refusal(#""tools":[{"type":"web_search_20250305","name":"web_search"}]"#), "tools[0].type"),
            (refusal(#""tools":[{"name":"a"}]"#), "tools"),
            (refusal(#""tools":[{"name":"a b","input_schema":{}}]"#), "tools"),
            (refusal(Self.tools + #","tool_choice":{"type":"tool","name":"then"}"#), "tool_choice"),
            (refusal(Self.tools + #","tool_choice":{"type":"perhaps"}"#), "tool_choice"),
            (refusal(#""thinking":{"type":"maybe"}"#), "thinking"),
            (refusal(#""output_config":{"format":{"type":"xml"}}"#), "output_config.format"),
            (
                refusal(#""context_management":{"edits":[{"type":"compact_20260112"}]}"#),
                "context_management.edits[0]"
            ),
            (refusal(member, block(#"{"type":"image","source":{}}"#)), "messages[0].content[1]"),
            (refusal(member, block(#"{"type":"document","source":{}}"#)), "messages[0].content[1]"),
            (refusal(member, block(#"{"type":"tool_use","id":"a","name":"b","input":{}}"#)), "messages[0].content[1]"),
            (
                refusal(
                    member, block(#"{"type":"tool_result","tool_use_id":"a","content":[{"type":"video"}]}"#)),
                "messages[0].content[1].content[0]"
            ),
            (refusal(member, block(#"{"type":"server_tool_use"}"#, "assistant")), "messages[0].content[1]"),
            (refusal(member, block(#"{"type":"tool_use","id":"a","name":"b"}"#, "assistant")), "messages"),
            (refusal(member, #"{"role":"king","content":"a"}"#), "messages"), (refusal(member, "7"), "messages"),
        ]
        for (error, param) in cases {
            #expect(error?.status == 400 && error?.param == param, "\(param): \(error?.message ?? "")")
            let key = param.split(separator: ".").first!.split(separator: "[").first!
            #expect(
                error?.message.contains(key) == true || ["stop_sequences", "tool_choice"].contains(param),
                "\(error?.message ?? "")")
        }
        #expect(refusal(#""tools":[{"name":"a b","input_schema":{}}]"#)?.message.contains("`tools[0].name`") == true)
        #expect(refusal(#""model":"claude""#)?.status == 404)
        for harmless in [#""tools":[]"#, #""mcp_servers":[]"#, #""system":[]"#, #""stop_sequences":[]"#] {
            #expect(try order(model, harmless).prompts == order(model).prompts)
        }
    }
}
