import ForetokenAPI
import ForetokenJSON
import ForetokenSpeculation
import ForetokenText
import ForetokenTokenizer
import Testing

/// OpenAI's responses.
@Suite struct ResponsesTests {
    private static let tools = """
        "tools":[{"type":"function","name":"get_weather","description":"d","strict":false,\
        "parameters":{"type":"object"}},{"type":"web_search"},{"type":"custom","name":"patch"},\
        {"type":"function","name":"now","parameters":null}]
        """

    private func order(_ model: ScriptedModel, _ members: String) throws -> Order {
        try Order(.responses, Array("{\(members)}".utf8), model.served, seed: 1)
    }

    private func chat(_ model: ScriptedModel, _ messages: String, _ members: String = #""n":1"#) throws -> Order {
        try Order(.chat, Array("{\"messages\":[\(messages)],\(members)}".utf8), model.served, seed: 1)
    }

    @Test(arguments: [ScriptedModel.v3, ScriptedModel.v31]) func conversationsAreTheChats(template: String) throws {
        let model = try ScriptedModel(template)
        let input = """
            "instructions":"Help.","input":[{"type":"message","role":"user","content":[\
            {"type":"input_text","text":"a"},{"type":"input_text","text":"b"}]},\
            {"type":"reasoning","id":"rs_1","summary":[],"content":[{"type":"reasoning_text","text":"t"}]},\
            {"type":"message","role":"assistant","id":"msg_1","status":"completed","content":[\
            {"type":"output_text","text":"c","annotations":[]}]},\
            {"type":"function_call","call_id":"call_1","name":"now","arguments":"{ \\"x\\":1}"},\
            {"type":"function_call","call_id":"call_2","name":"now","arguments":"{}"},\
            {"type":"function_call_output","call_id":"call_1","output":"12"},\
            {"type":"function_call_output","call_id":"call_2","output":[{"type":"input_text","text":"00"}]},\
            {"type":"reasoning","summary":[],"encrypted_content":null},\
            {"role":"assistant","content":"e"},{"role":"user","content":"f"}]
            """
        let plain = """
            {"role":"system","content":"Help."},{"role":"user","content":"ab"},\
            {"role":"assistant","reasoning_content":"t","content":"c","tool_calls":[{"id":"call_1","type":"function",\
            "function":{"name":"now","arguments":"{ \\"x\\":1}"}},{"id":"call_2","type":"function",\
            "function":{"name":"now","arguments":"{}"}}]},{"role":"tool","tool_call_id":"call_1","content":"12"},\
            {"role":"tool","tool_call_id":"call_2","content":"00"},{"role":"assistant","content":"e"},\
            {"role":"user","content":"f"}
            """
        let tools = """
            "tools":[{"type":"function","function":{"name":"get_weather","description":"d",\
            "parameters":{"type":"object"}}},{"type":"function","function":{"name":"now"}}]
            """
        #expect(try order(model, input + "," + Self.tools).prompts == chat(model, plain, tools).prompts)
        #expect(try order(model, #""input":"u""#).prompts == chat(model, #"{"role":"user","content":"u"}"#).prompts)
        let empty = try chat(model, #"{"role":"user","content":""}"#).prompts
        for probe in [#""input":[],"max_output_tokens":1"#, #""input":"","max_output_tokens":1"#] {
            #expect(try order(model, probe).prompts == empty)
        }
    }

    @Test func settingsAreTaken() throws {
        let model = try ScriptedModel(ScriptedModel.v31)
        // What Codex sends.
        let order = try order(
            model,
            """
            "model":"scripted","input":"u","stream":true,"store":false,"parallel_tool_calls":false,\
            "reasoning":{"effort":"high","summary":"auto"},"include":["reasoning.encrypted_content"],\
            "prompt_cache_key":"k","tool_choice":"auto","client_metadata":{"a":"b"},"max_output_tokens":50,\
            "temperature":0.5,"top_p":0.25,"text":{"verbosity":"low","format":{"type":"text"}},
            """ + Self.tools)
        #expect(order.isStreamed && order.settings.maximumTokens == 50)
        #expect(order.settings.sampling.temperature == 0.5 && order.settings.sampling.topP == 0.25)
        #expect(model.text(order.prompts[0]).hasSuffix("<think>"))
        #expect(order.settings.endTokens.count == model.served.base.endTokens.count + 1, "one call")
    }

    private static let answer = "Which?</think>I look." + MessagesTests.calls
    private static let output = """
        [{"id":"rs_abc_0","type":"reasoning","summary":[],"content":[{"type":"reasoning_text","text":"Which?"}],\
        "encrypted_content":null,"status":"completed"},{"id":"msg_abc_1","type":"message","role":"assistant",\
        "content":[{"type":"output_text","text":"I look.","annotations":[],"logprobs":[]}],"status":"completed"},\
        {"id":"fc_abc_2","type":"function_call","call_id":"call_abc_0_0","name":"get_weather",\
        "arguments":"{\\"city\\":  \\"Köln\\"}","status":"completed"},{"id":"fc_abc_3","type":"function_call",\
        "call_id":"call_abc_0_1","name":"now","arguments":"{}","status":"completed"}]
        """

    @Test func wholeAnswers() throws {
        let model = try ScriptedModel(ScriptedModel.v31)
        let members =
            #""input":"u","instructions":"i","metadata":{"a":"b"},"temperature":0.7,"reasoning":{"effort":"low"},"#
            + Self.tools
        let order = try order(model, members)
        let body = try model.whole(order, Self.answer)
        let required = [
            "id", "object", "created_at", "status", "error", "incomplete_details", "instructions", "metadata", "model",
            "output", "parallel_tool_calls", "temperature", "tool_choice", "tools", "top_p", "usage",
        ]
        #expect(Set(body.keys).isSuperset(of: required) && Set(body.keys).count == body.keys.count)
        #expect(body["id"]?.string == "resp_abc" && body["object"]?.string == "response")
        #expect(body["status"]?.string == "completed" && body["store"] == .bool(false))
        #expect(body["created_at"]?.integer == 7 && body["incomplete_details"] == .null && body["error"] == .null)
        #expect(body["instructions"]?.string == "i" && body["metadata"]?["a"]?.string == "b")
        #expect(body["temperature"]?.text == "0.7" && body["top_p"]?.text == "1.0")
        #expect(body["tools"]?.list.count == 4 && body["tool_choice"]?.string == "auto")
        #expect(body["output"] == (try JSONValue(Array(Self.output.utf8))))
        let usage = try #require(body["usage"])
        let count = try model.tokenizer.encode(Self.answer).count
        #expect(usage["input_tokens"]?.integer == order.prompts[0].count && usage["output_tokens"]?.integer == count)
        #expect(usage["total_tokens"]?.integer == order.prompts[0].count + count)
        #expect(usage["input_tokens_details"]?["cached_tokens"]?.integer == 0)
        let thoughts = try model.tokenizer.encode("Which?</think>").count
        #expect(usage["output_tokens_details"]?["reasoning_tokens"]?.integer == thoughts)
        // The output goes back in as it came.
        let back = #""input":[{"role":"user","content":"u"},"# + body["output"]!.text.dropFirst()
        _ = try self.order(model, back.dropLast() + #",{"type":"function_call_output","call_id":"c","output":"x"}]"#)
        let cut = try model.whole(order, String(Self.answer.prefix { $0 != ":" }))
        #expect(cut["status"]?.string == "incomplete")
        #expect(cut["incomplete_details"]?["reason"]?.string == "max_output_tokens")
        #expect(
            cut["output"]?[2]?["status"]?.string == "incomplete" && cut["output"]?[1]?["status"]?.string == "completed")
    }

    @Test func streamedAnswers() throws {
        let model = try ScriptedModel(ScriptedModel.v31)
        let order = try order(model, #""input":"u","stream":true,"reasoning":{"effort":"low"},"# + Self.tools)
        let whole = try model.whole(order, Self.answer)
        for run in [1, 2, 5, 1000] {
            let events = try model.events(order, Self.answer, run: run)
            #expect(events.map { $0["sequence_number"]?.integer } == Array(0..<events.count))
            for event in events.prefix(2) {
                #expect(event["response"]?["status"]?.string == "in_progress")
                #expect(event["response"]?["output"] == .array([]) && event["response"]?["usage"] == .null)
            }
            #expect(events.last?["type"]?.string == "response.completed" && events.last?["response"] == whole)
            #expect(try output(events.dropFirst(2).dropLast()) == whole["output"])
            if run == 1 { #expect(events.count > 30, "deltas come as they are written") }
        }
        let names = try model.events(order, Self.answer, run: 1000).map { ($0["type"]?.string ?? "").dropFirst(9) }
        func part(_ name: String) -> [Substring] {
            [
                "output_item.added", "content_part.added", "\(name).delta", "\(name).done", "content_part.done",
                "output_item.done",
            ]
        }
        let call: [Substring] = [
            "output_item.added", "function_call_arguments.delta", "function_call_arguments.done", "output_item.done",
        ]
        #expect(
            names == ["created", "in_progress"] + part("reasoning_text") + part("output_text") + call + call
                + ["completed"])
        let cut = try model.events(order, "Which?", run: 2).suffix(2)
        #expect(cut.first?["item"]?["status"]?.string == "incomplete")
        #expect(cut.last?["type"]?.string == "response.incomplete")
    }

    /// The items that a stream's events make.
    private func output(_ events: some Sequence<JSONValue>) throws -> JSONValue {
        var (items, text) = ([JSONValue](), "")
        for event in events {
            let index = try #require(event["output_index"]?.integer)
            let type = try #require(event["type"]?.string)
            if type == "response.output_item.added" {
                #expect(index == items.count && event["item"]?["status"]?.string == "in_progress")
                items.append(try #require(event["item"]))
                text = ""
                continue
            }
            #expect(index == items.count - 1)
            if type == "response.output_item.done" {
                #expect(event["item"]?["id"] == items[index]["id"])
                items[index] = try #require(event["item"])
                continue
            }
            #expect(event["item_id"] == items[index]["id"])
            #expect(type.contains("function_call") || event["content_index"]?.integer == 0)
            text += event["delta"]?.string ?? ""
            let whole = event["text"]?.string ?? event["arguments"]?.string
            if type.hasSuffix(".done"), let whole { #expect(whole == text) }
            if type == "response.content_part.done" { #expect(event["part"]?["text"]?.string == text) }
        }
        return .array(items)
    }

    @Test func whatIsBehindTheBeginning() throws {
        let model = try ScriptedModel(ScriptedModel.v31)
        var writer = try model.reply(order(model, #""input":"u""#)).writer
        let text = String(
            decoding: writer.begin() + writer.ping() + writer.failure(APIError(500, "gone")), as: UTF8.self)
        let events = try text.split(separator: "\n\n").map { try JSONValue(Array($0.drop { $0 != "{" }.utf8)) }
        #expect(events.map { $0["sequence_number"]?.integer } == [0, 1, 2, 3])
        #expect(events[2]["type"]?.string == "response.in_progress")
        let failed = try #require(events.last?["response"])
        #expect(failed["status"]?.string == "failed" && failed["error"]?["message"]?.string == "gone")
        #expect(failed["error"]?["code"]?.string == "server_error")
    }

    private static let badSchema = #"{"type":"object","properties":{"age":{"if":true,"then":false}}}"#

    @Test(arguments: [
        (#""text":{"format":{"type":"json_schema","schema":\#(badSchema)}}"#, "`text.format.schema`"),
        (
            #""tools":[{"type":"web_search"},{"type":"function","name":"b","strict":true,"parameters":\#(badSchema)}]"#,
            "`tools[1].parameters`"
        ),
        (#""tools":[{"type":"web_search"},{"type":"function","name":"a b"}]"#, "`tools[1].name`"),
        (#""min_tokens":9,"max_output_tokens":8"#, "the 8 of `max_output_tokens`"),
        (#""reasoning":{"effort":"low"},"reasoning_effort":"low""#, "says the same as `reasoning.effort`"),
        (#""metadata":{"a":[NaN]}"#, "`metadata`"), (#""temperature":1e400"#, "`temperature`"),
    ])
    func errorsNameWhatWasSent(members: String, name: String) throws {
        let model = try ScriptedModel(ScriptedModel.v31)
        let error = #expect(throws: APIError.self) { try order(model, #""input":"u","# + members) }
        #expect(error?.status == 400 && error?.message.contains(name) == true, "\(error?.message ?? "")")
    }

    @Test func fieldsOfTheChatAreTaken() throws {
        let model = try ScriptedModel(ScriptedModel.v31)
        let order = try order(
            model,
            #""input":"u","min_tokens":3,"logit_bias":{"5":-100},"stop":"x","stop_token_ids":[9],"#
                + #""thinking":{"type":"enabled"},"prediction":"abc","presence_penalty":0.5"#)
        #expect(order.settings.minimumTokens == 3 && order.settings.sampling.logitBias == [5: -100])
        #expect(order.settings.stopStrings == ["x"] && order.settings.endTokens.contains(9))
        #expect(order.settings.sampling.presencePenalty == 0.5 && order.settings.prediction?.isEmpty == false)
        #expect(model.text(order.prompts[0]).hasSuffix("<think>"))
    }

    @Test func whatCannotBeDoneIsRefused() throws {
        let model = try ScriptedModel(ScriptedModel.v31)
        func refuse(_ members: String, _ param: String) {
            let error = #expect(throws: APIError.self, "\(members)") { try order(model, members) }
            #expect(error?.status == 400 && error?.param == param, "\(members): \(error?.param ?? "none")")
        }
        refuse(#""stream":true"#, "input")
        for (member, param) in [
            (#""previous_response_id":"resp_1""#, "previous_response_id"), (#""conversation":"c""#, "conversation"),
            (#""background":true"#, "background"), (#""prompt":{"id":"p"}"#, "prompt"),
            (#""truncation":"auto""#, "truncation"), (#""top_logprobs":2"#, "top_logprobs"),
            (#""include":["message.output_text.logprobs"]"#, "include"),
            (#""max_output_tokens":0"#, "max_output_tokens"), (#""temperature":-1"#, "temperature"),
            (#""reasoning":{"effort":"wild"}"#, "reasoning.effort"), (#""store":1"#, "store"),
            (Self.tools + #","tool_choice":{"type":"web_search"}"#, "tool_choice"),
            (Self.tools + #","tool_choice":{"type":"function","name":"then"}"#, "tool_choice"),
            (#""text":{"format":{"type":"grammar"}}"#, "text.format"), (#""instructions":[]"#, "instructions"),
            (#""n":2"#, "n"), (#""logprobs":true"#, "logprobs"), (#""guided_choice":["a"]"#, "guided_choice"),
            (#""best_of":2"#, "best_of"), (#""chat_template_kwargs":{"x":1}"#, "chat_template_kwargs"),
        ] {
            refuse(#""input":"u","# + member, param)
        }
        for (item, param) in [
            (#"{"type":"item_reference","id":"x"}"#, "input[0]"),
            (#"{"role":"user","content":[{"type":"input_image","image_url":"x"}]}"#, "input[0].content[0]"),
            (#"{"role":"king","content":"x"}"#, "input"), (#"{"type":"function_call","name":"f"}"#, "input"),
            (
                #"{"type":"function_call_output","call_id":"c","output":[{"type":"input_file"}]}"#,
                "input[0].output[0]"
            ),
        ] {
            refuse("\"input\":[\(item)]", param)
        }
        for harmless in [
            #""previous_response_id":null"#, #""background":false"#, #""store":true"#, #""truncation":"disabled""#,
            #""text":{"format":{"type":"text"}}"#, #""tools":[{"type":"web_search"}]"#,
        ] {
            let plain = try order(model, #""input":"u""#).prompts
            #expect(try order(model, #""input":"u","# + harmless).prompts == plain)
        }
    }
}
