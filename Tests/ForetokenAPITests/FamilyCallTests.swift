import ForetokenAPI
import ForetokenJSON
import ForetokenSpeculation
import ForetokenText
import ForetokenTokenizer
import Testing

/// Calls of tools as other families than DeepSeek write them: read, streamed, and asked for.
@Suite struct FamilyCallTests {
    static let tools = """
        "tools":[{"type":"function","function":{"name":"get_weather","parameters":{"type":"object","properties":{\
        "city":{"type":"string"},"days":{"type":"integer"},"unit":{"enum":["C","F"]},"parts":{"type":"array","items":\
        {"$ref":"#/$defs/part"}},"note":{"type":["string","null"]}},"required":["city","unit"],"$defs":{"part":{"type":"string"}}}}},\
        {"type":"function","function":{"name":"get","parameters":{"type":"object"}}},\
        {"type":"function","function":{"name":"now"}}]
        """
    static let glmCalls = """
        <tool_call>get_weather<arg_key>city</arg_key><arg_value>Köln "A" 🦖</arg_value><arg_key>days</arg_key>\
        <arg_value>3</arg_value><arg_key>unit</arg_key><arg_value>C</arg_value><arg_key>parts</arg_key>\
        <arg_value>["a", "b"]</arg_value><arg_key>note</arg_key><arg_value>null</arg_value></tool_call>\
        <tool_call>now</tool_call>
        """
    static let kimiCalls = """
        <|tool_calls_section_begin|><|tool_call_begin|>functions.get_weather:0<|tool_call_argument_begin|>\
        {"city": "Köln \\"A\\" 🦖", "unit": "C"}<|tool_call_end|><|tool_call_begin|>functions.now:1\
        <|tool_call_argument_begin|>{}<|tool_call_end|><|tool_calls_section_end|>
        """

    func order(_ model: ScriptedModel, _ members: String) throws -> Order {
        let body = #"{"messages":[{"role":"user","content":"u"}],\#(members)}"#
        return try Order(.chat, Array(body.utf8), model.served, seed: 1)
    }

    /// Names, arguments and ids.
    func calls(_ message: JSONValue?) -> [[String]] {
        (message?["tool_calls"]?.list ?? []).map { call in
            [call["function"]?["name"], call["function"]?["arguments"], call["id"]].map { $0?.string ?? "none" }
        }
    }

    /// What the chunks of a stream come to.
    private func streamed(_ text: String) throws -> (content: String, calls: [[String]]) {
        var (content, calls) = ("", [[String]]())
        for event in text.split(separator: "\n\n") where event != "data: [DONE]" {
            let delta = try JSONValue(Array(event.dropFirst(6).utf8))["choices"]?[0]?["delta"]
            content += delta?["content"]?.string ?? ""
            for call in delta?["tool_calls"]?.list ?? [] {
                let index = try #require(call["index"]?.integer)
                if index == calls.count {
                    calls.append([call["function"]?["name"]?.string ?? "none", "", call["id"]?.string ?? "none"])
                }
                calls[index][1] += call["function"]?["arguments"]?.string ?? ""
            }
        }
        return (content, calls)
    }

    // MARK: Reading

    @Test func familiesAreKnownByTheirTemplates() throws {
        for (template, style) in [
            (ScriptedModel.glm, CallFormat.Style.glm), (ScriptedModel.glmLines, .glmLines), (ScriptedModel.kimi, .kimi),
            (ScriptedModel.coder, .coder), (ScriptedModel.object, .object), (ScriptedModel.invokes, .invokes),
            (ScriptedModel.v3, .fenced),
            (ScriptedModel.v31, .bare),
        ] {
            #expect(try ScriptedModel(template).served.open.callFormat()?.style == style)
        }
    }

    @Test func turnsEndByTheNextRole() throws {
        let glm = try ScriptedModel(ScriptedModel.glm)
        let ends = try ["<|user|>", "<|observation|>"].map { try #require(glm.tokenizer.id(of: $0)) }
        #expect(try glm.served.open.turnEnds() == ends)
        #expect(try order(glm, #""n":1"#).settings.endTokens == glm.served.open.endTokens + ends)
        #expect(try order(glm, #""ignore_eos":true"#).settings.endTokens.isEmpty)
        let completion = try Order(.completion, Array(#"{"prompt":"a"}"#.utf8), glm.served, seed: 1)
        #expect(completion.settings.endTokens == glm.served.open.endTokens)
        let answer = try glm.whole(order(glm, #""n":1"#), "Yes.<|user|>And?")["choices"]?[0]
        #expect(answer?["finish_reason"]?.string == "stop" && answer?["message"]?["content"]?.string == "Yes.")
        let kimi = try ScriptedModel(ScriptedModel.kimi)
        #expect(try kimi.served.open.turnEnds() == [try #require(kimi.tokenizer.id(of: "<|im_end|>"))])
        let v31 = try ScriptedModel(ScriptedModel.v31).served.open
        #expect(try v31.turnEnds() == v31.endTokens)
    }

    @Test func glmCallsAreRead() throws {
        let model = try ScriptedModel(ScriptedModel.glm)
        let order = try order(model, Self.tools)
        let wanted = [
            [
                "get_weather", #"{"city": "Köln \"A\" 🦖", "days": 3, "unit": "C", "parts": ["a", "b"], "note": null}"#,
                "call_abc_0_0",
            ],
            ["now", "{}", "call_abc_0_1"],
        ]
        for (before, content) in [("", String?.none), ("I look.\n", "I look.\n")] {
            let choice = try model.whole(order, before + Self.glmCalls + "<|observation|>")["choices"]?[0]
            #expect(calls(choice?["message"]) == wanted && choice?["finish_reason"]?.string == "tool_calls")
            #expect(choice?["message"]?["content"]?.string == content)
            for run in [1, 2, 7, 1000] {
                let stream = try streamed(
                    model.stream(order, before + Self.glmCalls + "<|observation|>", run: run))
                #expect(stream.calls == wanted && stream.content == content ?? "")
            }
        }
        // Lines between the parts are the format's.
        let lines = Self.glmCalls.replacing("</arg_key>", with: "</arg_key>\n").replacing(
            "</arg_value>", with: "</arg_value>\n"
        )
        .replacing("get_weather", with: "get_weather\n")
        #expect(try calls(model.whole(order, lines)["choices"]?[0]?["message"]) == wanted)
    }

    @Test func argumentsAreWhatTheirSchemasSay() throws {
        let model = try ScriptedModel(ScriptedModel.glm)
        let order = try order(model, Self.tools)
        for (tool, key, value, json) in [
            ("get_weather", "city", "5", #""5""#), ("get_weather", "city", " a\n", #"" a\n""#),
            ("get_weather", "city", "", #""""#), ("get_weather", "days", "5", "5"),
            ("get_weather", "days", " 5\n", "5"),
            ("get_weather", "days", "five", #""five""#), ("get_weather", "days", "True", "true"),
            ("get_weather", "days", "NaN", #""NaN""#), ("get_weather", "note", "[1, 2", #""[1, 2""#),
            ("get_weather", "note", "[1, 2]", #""[1, 2]""#), ("get_weather", "note", " null\n", "null"),
            ("get_weather", "unknown", #"{"a": 1}"#, #"{"a": 1}"#), ("nobody", "x", "True", #""True""#),
            ("get_weather", "parts", #"["a", 1.50]"#, #"["a", 1.50]"#),
        ] {
            let text = "<tool_call>\(tool)<arg_key>\(key)</arg_key><arg_value>\(value)</arg_value></tool_call>"
            let call = try calls(model.whole(order, text)["choices"]?[0]?["message"]).first
            #expect(call?[1] == "{\"\(key)\": \(json)}", "\(value)")
        }
    }

    @Test(.timeLimit(.minutes(1))) func schemasThatBranchWithoutEndAreLeftAlone() throws {
        let model = try ScriptedModel(ScriptedModel.glm)
        let branches = Array(repeating: ##"{"$ref":"#/$defs/a"}"##, count: 20).joined(separator: ",")
        let properties = (0..<10).map { ##""p\##($0)":{"$ref":"#/$defs/a"}"## }.joined(separator: ",")
        let tool =
            #"{"type":"function","function":{"name":"f","parameters":{"type":"object","properties":{"#
            + #""s":{"type":"string"},\#(properties)},"$defs":{"a":{"allOf":[\#(branches)]}}}}}"#
        let order = try order(model, "\"tools\":[\(tool)]")
        let text = "<tool_call>f<arg_key>s</arg_key><arg_value>5</arg_value></tool_call>"
        #expect(try calls(model.whole(order, text)["choices"]?[0]?["message"]).first?[1] == #"{"s": "5"}"#)
    }

    @Test func callsThatAreNotWhole() throws {
        let model = try ScriptedModel(ScriptedModel.glm)
        let order = try order(model, Self.tools)
        let begin = "<tool_call>get_weather<arg_key>city</arg_key>"
        for (text, arguments) in [
            (begin + "<arg_value>Kö", #"{"city": "Kö"#), (begin, ""), ("<tool_call>get_weather<arg_key>ci", ""),
            (begin + "<arg_value>Köln</arg_value><arg_key>days</arg_key><arg_value>1", #"{"city": "Köln", "days": "#),
            // Ends that are missing are there when the next part begins.
            (
                "<tool_call>get_weather<arg_key>city<arg_value>Köln<arg_key>days</arg_key><arg_value>1</tool_call>",
                #"{"city": "Köln", "days": 1}"#
            ),
            ("<tool_call>get_weather<arg_value>Köln</arg_value></tool_call>", "{}"),
        ] {
            #expect(try calls(model.whole(order, text)["choices"]?[0]?["message"]).first?[1] == arguments, "\(text)")
        }
        let nameless = try model.whole(order, "<tool_call><arg_key>a</arg_key></tool_call>")["choices"]?[0]?["message"]
        #expect(calls(nameless).isEmpty)
        // Nobody offered tools.
        let plain = try model.whole(self.order(model, #""n":1"#), Self.glmCalls)["choices"]?[0]?["message"]
        #expect(plain?["content"]?.string == Self.glmCalls)
    }

    @Test func kimiCallsKeepTheirIDs() throws {
        let model = try ScriptedModel(ScriptedModel.kimi)
        let order = try order(model, Self.tools)
        let wanted = [
            ["get_weather", #"{"city": "Köln \"A\" 🦖", "unit": "C"}"#, "functions.get_weather:0"],
            ["now", "{}", "functions.now:1"],
        ]
        let choice = try model.whole(order, "<think>Hm.</think>" + Self.kimiCalls + "<|im_end|>")["choices"]?[0]
        #expect(calls(choice?["message"]) == wanted && choice?["finish_reason"]?.string == "tool_calls")
        #expect(choice?["message"]?["reasoning_content"]?.string == "Hm.")
        for run in [1, 3, 1000] {
            #expect(try streamed(model.stream(order, Self.kimiCalls + "<|im_end|>", run: run)).calls == wanted)
        }
        // An id that is none gets one of ours.
        let odd = Self.kimiCalls.replacing("functions.get_weather:0", with: "get_weather").replacing(
            "now:1", with: "now")
        #expect(
            try calls(model.whole(order, odd)["choices"]?[0]?["message"]).map { $0[0] + " " + $0[2] }
                == ["get_weather call_abc_0_0", "now call_abc_0_1"])
        // Nor is one that another call has.
        let twice = Self.kimiCalls.replacing("functions.now:1", with: "functions.get_weather:0")
        let ids = ["functions.get_weather:0", "call_abc_0_1"]
        #expect(try calls(model.whole(order, twice)["choices"]?[0]?["message"]).map { $0[2] } == ids)
        for run in [1, 1000] { #expect(try streamed(model.stream(order, twice, run: run)).calls.map { $0[2] } == ids) }
        // The other dialects say the same.
        let body =
            #"{"model":"m","max_tokens":99,"messages":[{"role":"user","content":"u"}],"tools":[{"name":"now","input_schema":{"type":"object"}}]}"#
            .replacing("\"m\"", with: "\"scripted\"")
        let message = try model.whole(
            try Order(.messages, Array(body.utf8), model.served, seed: 1), Self.kimiCalls + "<|im_end|>")
        #expect(message["content"]?.list.map { $0["id"]?.string } == ["functions.get_weather:0", "functions.now:1"])
    }

    @Test func taggedCallsAreReadTogether() throws {
        let model = try ScriptedModel(ScriptedModel.invokes)
        let order = try order(model, Self.tools)
        let calls = """
            <｜DSML｜function_calls>
            <｜DSML｜invoke name="get_weather">
            <｜DSML｜parameter name="city" string="true">Köln
            <A></｜DSML｜parameter>
            <｜DSML｜parameter name="days" string="false">3</｜DSML｜parameter>
            </｜DSML｜invoke>
            <｜DSML｜invoke name="now">
            </｜DSML｜invoke>
            </｜DSML｜function_calls>
            """
        let wanted = [
            ["get_weather", #"{"city": "Köln\n<A>", "days": 3}"#, "call_abc_0_0"], ["now", "{}", "call_abc_0_1"],
        ]
        for before in ["", "1 < 2, I look.\n\n", "<"] {
            let choice = try model.whole(order, before + calls + ScriptedModel.end)["choices"]?[0]
            #expect(self.calls(choice?["message"]) == wanted && choice?["finish_reason"]?.string == "tool_calls")
            #expect(choice?["message"]?["content"]?.string ?? "" == before)
            for run in [1, 3, 1000] {
                let stream = try streamed(model.stream(order, before + calls + ScriptedModel.end, run: run))
                #expect(stream.calls == wanted && stream.content == before, "\(run)")
            }
        }
        for text in ["a <", "a < b", "<", "</x>"] {
            #expect(try streamed(model.stream(order, text, run: 1)).content == text)
        }
    }

    @Test func textThatLooksLikeTagsIsText() throws {
        let model = try ScriptedModel(ScriptedModel.invokes)
        let order = try order(model, Self.tools)
        let value =
            #"a</parameter></invoke><invoke name="x"><parameter name="y" string="true">z</parameter></function_calls>"#
        let text =
            #"<｜DSML｜function_calls><｜DSML｜invoke name="get_weather"><｜DSML｜parameter name="city" string="true">"#
            + value
            + "</｜DSML｜parameter></｜DSML｜invoke></｜DSML｜function_calls>"
        let wanted = [["get_weather", #"{"city": \#(JSONValue.string(value).text)}"#, "call_abc_0_0"]]
        #expect(try calls(model.whole(order, text + ScriptedModel.end)["choices"]?[0]?["message"]) == wanted)
        for run in [1, 3, 1000] {
            #expect(try streamed(model.stream(order, text + ScriptedModel.end, run: run)).calls == wanted, "\(run)")
        }
    }

    @Test func taggedCallsThatAreNotWhole() throws {
        let model = try ScriptedModel(ScriptedModel.invokes)
        let tools = try #require(try JSONValue(Array("{\(Self.tools)}".utf8))["tools"]?.list)
        let grammar = AnswerGrammar(
            model.tokenizer, prompt: [Int32](), calls: try model.served.open.callFormat(), tools: tools)
        let now = #"<｜DSML｜function_calls><｜DSML｜invoke name="now"></｜DSML｜invoke>"#
        let begin = now + #"<｜DSML｜invoke name="get_weather">"#
        let city = begin + #"<｜DSML｜parameter name="city" string="true">Köln"#
        let days = city + #"</｜DSML｜parameter><｜DSML｜parameter name="days" string="false">3"#
        for (text, arguments) in [
            (begin, ""), (city, #"{"city": "Köln"#), (city + "</｜DSML｜para", #"{"city": "Köln"#),
            (city + "</｜DSML｜parameter>", #"{"city": "Köln""#), (days, #"{"city": "Köln", "days": "#),
            (days + "</｜DSML｜parameter>", #"{"city": "Köln", "days": 3"#),
            (days + "</｜DSML｜parameter></｜DSML｜invoke>", #"{"city": "Köln", "days": 3}"#),
            (days + "</｜DSML｜function_calls>", #"{"city": "Köln", "days": 3}"#),
        ] {
            var (parser, parsed) = (AnswerParser(grammar, model.tokenizer), ParsedAnswer())
            let tokens = try model.tokenizer.encode(text)
            let bytes = model.tokenizer.decode(tokens, skippingSpecial: true)
            for part in parser.push(tokens, text: bytes) + parser.finish() { parsed.append(part) }
            #expect(parsed.calls.map(\.name) == ["now", "get_weather"] && parsed.calls.first?.isWhole == true)
            #expect(parsed.calls.last?.arguments == arguments, "\(text)")
            #expect(parsed.calls.last?.isWhole == arguments.hasSuffix("}"), "\(text)")
        }
    }

    @Test func callsThatAreTextAreRead() throws {
        let coder = try ScriptedModel(ScriptedModel.coder)
        let text = """
            I look.<tool_call>
            <function=get_weather>
            <parameter=city>
            Köln
            <A>
            </parameter>
            <parameter=days>
            3
            </parameter>
            </function>
            </tool_call><tool_call>
            <function=now>
            </function>
            </tool_call>
            """
        let order = try order(coder, Self.tools)
        let wanted = [
            ["get_weather", #"{"city": "Köln\n<A>", "days": 3}"#, "call_abc_0_0"], ["now", "{}", "call_abc_0_1"],
        ]
        let message = try coder.whole(order, text)["choices"]?[0]?["message"]
        #expect(calls(message) == wanted && message?["content"]?.string == "I look.")
        for run in [1, 4] { #expect(try streamed(coder.stream(order, text, run: run)).calls == wanted) }
        let lost = try coder.whole(order, "<tool_call>call it</tool_call>")["choices"]?[0]?["message"]
        #expect(calls(lost).isEmpty && lost?["content"]?.string == "call it")

        let giga = try ScriptedModel(ScriptedModel.object)
        let call = #"<|function_call|>{"name": "get", "arguments": {"a": [1, "b"]}}"#
        let gigaOrder = try self.order(giga, Self.tools)
        #expect(
            try calls(giga.whole(gigaOrder, call + ScriptedModel.end)["choices"]?[0]?["message"])
                == [["get", #"{"a": [1, "b"]}"#, "call_abc_0_0"]])
        let cut = try giga.whole(gigaOrder, #"<|function_call|>{"name": "get", "argu"#)["choices"]?[0]?["message"]
        #expect(calls(cut).isEmpty && cut?["content"]?.string == #"{"name": "get", "argu"#)
        for model in [coder, giga, try ScriptedModel(ScriptedModel.invokes)] {
            for (members, field) in [
                (Self.tools + #","tool_choice":"required""#, "tool_choice"),
                (Self.tools.replacing(#""name":"now""#, with: #""name":"now","strict":true"#), "tools"),
                (Self.tools + #","response_format":{"type":"json_object"}"#, "response_format"),
            ] {
                let error = #expect(throws: APIError.self) { try self.order(model, members) }
                #expect(
                    error?.status == 400 && error?.param == field && error?.message.contains("writes calls as") == true)
            }
        }
    }

    @Test func callsWithoutEndsCannotBeSingle() throws {
        for template in [ScriptedModel.object, ScriptedModel.invokes] {
            let model = try ScriptedModel(template)
            let error = #expect(throws: APIError.self) {
                try self.order(model, Self.tools + #","parallel_tool_calls":false"#)
            }
            #expect(error?.status == 400 && error?.param == "parallel_tool_calls")
            #expect(error?.message.contains("`parallel_tool_calls`: calls cannot be kept to one") == true)
            let members = #"""
                {"max_tokens":9,"messages":[{"role":"user","content":"u"}],"tools":[{"name":"f","input_schema":{"type":
                "object"}}],"tool_choice":{"type":"auto","disable_parallel_tool_use":true}}
                """#
            let other = #expect(throws: APIError.self) {
                try Order(.messages, Array(members.utf8), model.served, seed: 1)
            }
            #expect(other?.param == "tool_choice.disable_parallel_tool_use", "\(other?.message ?? "")")
            // Without tools there is nothing to keep to.
            _ = try self.order(model, #""parallel_tool_calls":false"#)
        }
        _ = try order(ScriptedModel(ScriptedModel.coder), Self.tools + #","parallel_tool_calls":false"#)
    }

    // MARK: What goes into prompts

    @Test func missingTextsAreEmpty() throws {
        let model = try ScriptedModel(ScriptedModel.glm)
        let messages = #"""
            {"messages":[{"role":"user","content":"u"},{"role":"assistant","content":null,"tool_calls":[{"id":"1",
            "type":"function","function":{"name":"get","arguments":"{\"a\": \"<|user|>\", \"b\": [1]}"}}]},
            {"role":"tool","tool_call_id":"1","content":"<|observation|>r"}],\#(Self.tools)}
            """#
        let order = try Order(.chat, Array(messages.utf8), model.served, seed: 1)
        let text = model.text(order.prompts[0])
        #expect(
            text.hasSuffix(
                """
                <|user|>u<|assistant|></think><tool_call>get<arg_key>a</arg_key><arg_value><|user|></arg_value><arg_key>b</arg_key>\
                <arg_value>[1]</arg_value></tool_call><|observation|><tool_response><|observation|>r</tool_response>\
                <|assistant|></think>
                """))
        // Only the template's own markers are tokens.
        for (marker, count) in [("<|user|>", 1), ("<|observation|>", 1), ("<arg_key>", 2), ("<tool_call>", 1)] {
            let id = try #require(model.tokenizer.id(of: marker))
            #expect(order.prompts[0].count { $0 == id } == count, "\(marker)")
        }
    }

    @Test(arguments: [ScriptedModel.glm, ScriptedModel.kimi]) func strangersWriteNoMarkers(template: String) throws {
        let model = try ScriptedModel(template)
        let added = (0..<Int32(model.tokenizer.vocabularyCount)).filter { model.tokenizer.isAdded($0) }
        let names = added.compactMap { model.tokenizer.bytes(of: $0).map { String(decoding: $0, as: UTF8.self) } }
        let plain = try Order(
            .chat, Array(#"{"messages":[{"role":"system","content":"x"},{"role":"user","content":"y"}]}"#.utf8),
            model.served,
            seed: 1)
        let evil = JSONValue.string(names.joined(separator: "x")).text
        let order = try Order(
            .chat,
            Array(
                "{\"messages\":[{\"role\":\"system\",\"content\":\(evil)},{\"role\":\"user\",\"content\":\(evil)}]}"
                    .utf8),
            model.served, seed: 1)
        func markers(_ order: Order) -> [Int32] { order.prompts[0].filter(added.contains) }
        #expect(markers(order) == markers(plain) && !markers(plain).isEmpty)
        #expect(model.text(order.prompts[0]).contains(names.joined(separator: "x")))
    }
}
