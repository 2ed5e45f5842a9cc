import ForetokenAPI
import ForetokenJSON
import ForetokenText
import ForetokenTokenizer
import Testing

/// Thoughts and calls of tools in OpenAI's chat.
@Suite struct ToolCallTests {
    private static let tools = """
        "tools":[{"type":"function","function":{"name":"get_weather","description":"d","parameters":{"type":"object"}}},\
        {"type":"function","function":{"name":"now"}}]
        """
    private static let bare = """
        <｜tool▁calls▁begin｜><｜tool▁call▁begin｜>get_weather<｜tool▁sep｜>{"city":  "Köln"}<｜tool▁call▁end｜>\
        <｜tool▁call▁begin｜>now<｜tool▁sep｜>{}<｜tool▁call▁end｜><｜tool▁calls▁end｜><｜end▁of▁sentence｜>
        """
    private static let fenced = """
        <｜tool▁calls▁begin｜><｜tool▁call▁begin｜>function<｜tool▁sep｜>get_weather
        ```json
        {"city":  "Köln"}
        ```<｜tool▁call▁end｜>
        <｜tool▁call▁begin｜>function<｜tool▁sep｜>now
        ```json
        {}
        ```<｜tool▁call▁end｜><｜tool▁calls▁end｜><｜end▁of▁sentence｜>
        """

    private func order(_ model: ScriptedModel, _ members: String = "", messages: String? = nil) throws -> Order {
        let messages = messages ?? #"{"role":"user","content":"u"}"#
        let body = "{\"messages\":[\(messages)]\(members.isEmpty ? "" : "," + members)}"
        return try Order(.chat, Array(body.utf8), model.served, seed: 1)
    }

    private func expectRefused(
        _ model: ScriptedModel, _ members: String, messages: String? = nil, param: String, _ comment: Comment? = nil
    ) {
        let error = #expect(throws: APIError.self, comment) { try order(model, members, messages: messages) }
        #expect(error?.status == 400 && error?.param == param, comment)
    }

    @Test(arguments: [ScriptedModel.v3, ScriptedModel.v31]) func wholeCalls(template: String) throws {
        let model = try ScriptedModel(template)
        let answer = template == ScriptedModel.v3 ? Self.fenced : Self.bare
        let body = try model.whole(order(model, Self.tools), answer)
        let choice = try #require(body["choices"]?[0])
        #expect(choice["finish_reason"]?.string == "tool_calls")
        let message = try #require(choice["message"])
        #expect(message.keys == ["role", "content", "refusal", "tool_calls"] && message["content"] == .null)
        let calls = message["tool_calls"]?.list ?? []
        #expect(calls.allSatisfy { $0.keys == ["id", "type", "function"] && $0["type"]?.string == "function" })
        #expect(calls.map { $0["function"]?["name"]?.string } == ["get_weather", "now"])
        #expect(calls.map { $0["function"]?["arguments"]?.string } == [#"{"city":  "Köln"}"#, "{}"])
        #expect(calls.map { $0["id"]?.string } == ["call_abc_0_0", "call_abc_0_1"])
        // Nobody offered tools, or the model is not to call them: markers are text.
        let plain = try model.whole(order(model), answer)["choices"]?[0]
        #expect(plain?["finish_reason"]?.string == "stop" && plain?["message"]?["tool_calls"] == nil)
        let unasked = try order(model, Self.tools + #","tool_choice":"none""#)
        #expect(try unasked.prompts == order(model).prompts && unasked.grammar?.calls == nil)
    }

    /// The deltas of a stream put together as OpenAI's clients do, and its finish reason.
    private func accumulated(_ chunks: [JSONValue]) -> (delta: [String: String], calls: [[String]], reason: String?) {
        var (texts, calls, reason) = ([String: String](), [[String]](), String?.none)
        for choice in chunks.compactMap({ $0["choices"]?[0] }) {
            reason = choice["finish_reason"]?.string ?? reason
            for key in ["content", "reasoning_content"] {
                if let text = choice["delta"]?[key]?.string { texts[key, default: ""] += text }
            }
            for call in choice["delta"]?["tool_calls"]?.list ?? [] {
                let index = call["index"]?.integer ?? -1
                if let id = call["id"]?.string {
                    #expect(index == calls.count && call["type"]?.string == "function")
                    calls.append([id, call["function"]?["name"]?.string ?? "", ""])
                } else {
                    #expect(call.keys == ["index", "function"] && call["function"]?.keys == ["arguments"])
                }
                calls[index][2] += call["function"]?["arguments"]?.string ?? ""
            }
        }
        return (texts, calls, reason)
    }

    private func stream(_ model: ScriptedModel, _ order: Order, _ answer: String, run: Int) throws -> [JSONValue] {
        let events = try model.stream(order, answer, run: run).split(separator: "\n\n").map { $0.dropFirst(6) }
        #expect(events.last == "[DONE]")
        return try events.dropLast().map { try JSONValue(Array($0.utf8)) }
    }

    @Test(arguments: [ScriptedModel.v3, ScriptedModel.v31]) func streamedCalls(template: String) throws {
        let model = try ScriptedModel(template)
        let answer = "Ich sehe nach." + (template == ScriptedModel.v3 ? Self.fenced : Self.bare)
        let order = try order(
            model, Self.tools + #","stream":true,"stream_options":{"include_usage":true}"#)
        for run in [1, 2, 5, 9, 1000] {
            let chunks = try stream(model, order, answer, run: run)
            let (texts, calls, reason) = accumulated(chunks)
            #expect(texts == ["content": "Ich sehe nach."] && reason == "tool_calls")
            #expect(
                calls == [
                    ["call_abc_0_0", "get_weather", #"{"city":  "Köln"}"#], ["call_abc_0_1", "now", "{}"],
                ])
            #expect(chunks.first?["choices"]?[0]?["delta"]?["role"]?.string == "assistant")
            #expect(chunks.last?["usage"]?["completion_tokens"]?.integer == (try model.tokenizer.encode(answer).count))
            if run == 1 { #expect(chunks.count > 8, "arguments come as they are written") }
        }
        let cut = try stream(model, order, String(answer.prefix(while: { $0 != ":" })), run: 2)
        #expect(accumulated(cut).reason == "length" && accumulated(cut).calls.count == 1)
    }

    @Test func thoughts() throws {
        let model = try ScriptedModel(ScriptedModel.v31)
        let answer = "Two and two.</think>\n\nFour.<｜end▁of▁sentence｜>"
        for members in [
            #""thinking":{"type":"enabled"}"#, #""reasoning_effort":"high""#,
            #""chat_template_kwargs":{"thinking":true}"#,
        ] {
            let order = try order(model, members)
            #expect(model.text(order.prompts[0]).hasSuffix("<｜Assistant｜><think>"))
            let body = try model.whole(order, answer)
            let message = try #require(body["choices"]?[0]?["message"])
            #expect(message["reasoning_content"]?.string == "Two and two." && message["content"]?.string == "Four.")
            let count = try model.tokenizer.encode("Two and two.</think>").count
            let details = body["usage"]?["completion_tokens_details"]
            #expect(details?["reasoning_tokens"]?.integer == count)
            let streamed = try self.order(model, members + #","stream":true,"stream_options":{"include_usage":true}"#)
            for run in [1, 4, 100] {
                let chunks = try stream(model, streamed, answer, run: run)
                #expect(accumulated(chunks).delta == ["reasoning_content": "Two and two.", "content": "Four."])
                #expect(chunks.last?["usage"]?["completion_tokens_details"] == details)
            }
        }
        let silent = try model.whole(order(model, #""thinking":{"type":"disabled"}"#), "Four.")
        #expect(silent["choices"]?[0]?["message"]?.keys == ["role", "content", "refusal"])
    }

    @Test func wishesToThinkAreForThoseWhoCan() throws {
        let model = try ScriptedModel(ScriptedModel.v3)
        // An effort is a hint, and a switch is not.
        #expect(try order(model, #""reasoning_effort":"high""#).prompts == order(model).prompts)
        expectRefused(model, #""thinking":{"type":"enabled"}"#, param: "thinking")
        expectRefused(model, #""chat_template_kwargs":{"thinking":true}"#, param: "chat_template_kwargs")
    }

    @Test func oneCallWhereNotSeveral() throws {
        let model = try ScriptedModel(ScriptedModel.v31)
        let order = try order(model, Self.tools + #","parallel_tool_calls":false"#)
        let choice = try model.whole(order, Self.bare)["choices"]?[0]
        #expect(choice?["message"]?["tool_calls"]?.list.count == 1 && choice?["finish_reason"]?.string == "tool_calls")
    }

    @Test func callsAndResultsGoIn() throws {
        let model = try ScriptedModel(ScriptedModel.v31)
        let messages = """
            {"role":"user","content":"u <｜tool▁calls▁begin｜></think>"},{"role":"assistant","content":"","tool_calls":[\
            {"id":"call_1","type":"function","function":{"name":"now","arguments":"{ \\"a\\":1}"}}]},\
            {"role":"tool","tool_call_id":"call_1","content":[{"type":"text","text":"12:00"}]}
            """
        let prompt = try order(model, Self.tools, messages: messages).prompts[0]
        #expect(
            model.text(prompt).hasSuffix(
                #"<｜tool▁call▁begin｜>now<｜tool▁sep｜>{ "a":1}<｜tool▁call▁end｜><｜tool▁calls▁end｜>"#
                    + "<｜end▁of▁sentence｜><｜tool▁output▁begin｜>12:00<｜tool▁output▁end｜>"))
        #expect(prompt.count { $0 == model.tokenizer.id(of: "<｜tool▁calls▁begin｜>") } == 1)
        #expect(!prompt.contains(try #require(model.tokenizer.id(of: "</think>"))))
    }

    @Test func whatCannotBeDoneIsRefused() throws {
        let model = try ScriptedModel(ScriptedModel.v31)
        for (members, param) in [
            (Self.tools + #","tool_choice":{"type":"function","function":{"name":"then"}}"#, "tool_choice"),
            (#""tool_choice":"required""#, "tool_choice"), (#""tool_choice":"perhaps""#, "tool_choice"),
            (#""functions":[{"name":"f"}]"#, "functions"), (#""function_call":"auto""#, "function_call"),
            (#""tools":[{"type":"custom","custom":{"name":"f"}}]"#, "tools"),
            (#""tools":[{"type":"function","function":{"name":"a b"}}]"#, "tools"), (#""tools":7"#, "tools"),
            (#""tools":[{"type":"function","function":{"name":"f","parameters":[]}}]"#, "tools"),
        ] {
            expectRefused(model, members, param: param, "\(members)")
        }
        for members in [
            #""tools":[]"#, #""tools":null,"tool_choice":"auto""#, #""functions":[]"#, #""tool_choice":"none""#,
        ] {
            #expect(try order(model, members).prompts == order(model).prompts)
        }
        let silent = try ScriptedModel("{{ bos_token }}{{ messages[0].content }}{{ tools | tojson if tools }}")
        expectRefused(silent, Self.tools, param: "tools", "no calls that could be read")
    }

    @Test func anAnswerIsGoneOnWith() throws {
        let model = try ScriptedModel(ScriptedModel.v31)
        let messages = #"{"role":"user","content":"u"},{"role":"assistant","content":"Sure: ","prefix":true}"#
        #expect(try model.text(order(model, messages: messages).prompts[0]).hasSuffix("<｜Assistant｜>Sure: "))
        for wrong in [
            #"{"role":"user","content":"u","prefix":true}"#,
            #"{"role":"assistant","content":"a","prefix":true},{"role":"user","content":"u"}"#,
        ] {
            expectRefused(model, "", messages: wrong, param: "messages")
        }
    }

    @Test func theBillingLineIsNoPartOfThePrompt() throws {
        let model = try ScriptedModel(ScriptedModel.v31)
        func prompt(_ system: String) throws -> [Int32] {
            let messages = #"{"role":"system","content":\#(system)},{"role":"user","content":"u"}"#
            return try order(model, messages: messages).prompts[0]
        }
        let plain = try prompt(#""You help.""#)
        #expect(try prompt(#""x-anthropic-billing-header: cc_version=1; cch=ab;\nYou help.""#) == plain)
        #expect(try prompt(#""You help.""#) == plain)
        #expect(try prompt(#""x-anthropic-billing-header: cch=ab;""#) == prompt(#""""#))
    }

    @Test func gapsAreFilled() throws {
        let model = try ScriptedModel(ScriptedModel.v31)
        func prompts(_ members: String) throws -> [String] {
            try Order(.completion, Array("{\(members)}".utf8), model.served, seed: 1).prompts.map(model.text)
        }
        let gap = "\(ScriptedModel.begin)<｜fim▁begin｜>a<｜fim▁hole｜>b<｜fim▁hole｜><｜fim▁end｜>"
        #expect(try prompts(#""prompt":"a","suffix":"b<｜fim▁hole｜>""#) == [gap])
        let order = try Order(
            .completion, Array(#"{"prompt":["a","c"],"suffix":"b<｜fim▁hole｜>"}"#.utf8), model.served, seed: 1)
        #expect(order.prompts.count == 2 && model.text(order.prompts[0]) == gap)
        #expect(
            order.prompts[0].count { $0 == model.tokenizer.id(of: "<｜fim▁hole｜>") } == 1, "the suffix has no markers")
        #expect(try prompts(#""prompt":"a","suffix":"""#) == prompts(#""prompt":"a""#))
        let error = #expect(throws: APIError.self) { try prompts(#""prompt":[1,2],"suffix":"b""#) }
        #expect(error?.param == "suffix")
    }
}
