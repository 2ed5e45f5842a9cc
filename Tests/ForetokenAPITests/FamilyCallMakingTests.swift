import CForetokenAllocationProbe
import ForetokenAPI
import ForetokenJSON
import ForetokenSpeculation
import ForetokenText
import ForetokenTokenizer
import Testing

/// Calls that are asked for, in the formats of other families than DeepSeek.
extension FamilyCallTests {
    private func walk(_ model: ScriptedModel, _ order: Order) throws -> FormTests.Walk {
        FormTests.Walk(try #require(order.settings.mask), model.tokenizer)
    }

    private func accepts(_ model: ScriptedModel, _ order: Order, _ text: String) throws -> Bool {
        let walk = try walk(model, order)
        return try walk.take(text) && walk.mask.isComplete
    }

    private func glm(_ name: String, _ arguments: [(String, String)], gap: String = "") -> String {
        let pairs = arguments.map { "<arg_key>\($0)</arg_key>\(gap)<arg_value>\($1)</arg_value>\(gap)" }.joined()
        return "<tool_call>\(name)\(gap)\(pairs)</tool_call>"
    }

    @Test(arguments: [ScriptedModel.glm, ScriptedModel.glmLines]) func glmCallsAreMade(template: String) throws {
        let model = try ScriptedModel(template)
        let order = try order(model, Self.tools + #","tool_choice":"required""#)
        let gap = template == ScriptedModel.glm ? "" : "\n"
        func call(_ name: String, _ arguments: (String, String)...) -> String { glm(name, arguments, gap: gap) }
        let city = ("city", "Köln, \"x\" <b>\n5"), unit = ("unit", "F")
        for text in [
            call("now"), call("get"), call("get", ("a", "1"), ("b b", "{")), call("get_weather", city, unit),
            call("get_weather", city, ("days", "-3"), unit, ("parts", #"["a", "b"]"#), ("note", "null")),
            call("get_weather", city, unit, ("note", "")), call("now") + gap + call("get_weather", city, unit),
        ] {
            #expect(try accepts(model, order, text), "\(text)")
            #expect(try accepts(model, order, text + "<|observation|>"), "\(text)")
            let choice = try model.whole(order, text + "<|observation|>")["choices"]?[0]
            #expect(choice?["finish_reason"]?.string == "tool_calls" && !calls(choice?["message"]).isEmpty)
        }
        for wrong in [
            "Ich", "<|user|>", call("then"), call("get_weather"), call("get_weather", city),
            call("get_weather", unit, city),
            call("get_weather", city, ("days", "x"), unit), call("get_weather", city, ("unit", "K")),
            call("get_weather", city, unit, ("x", "1")), call("now", ("a", "1")),
            call("get_weather", ("city", "<arg_key>"), unit), call("now") + "x",
            call("get_weather", city, unit, ("parts", "[1]")), call("get_weather", ("city", "a<|user|>"), unit),
        ] {
            #expect(try !accepts(model, order, wrong), "\(wrong)")
        }
        let named = try self.order(
            model, Self.tools + #","tool_choice":{"type":"function","function":{"name":"get"}}"#)
        let choice = try model.whole(named, call("get") + call("get"))["choices"]?[0]
        #expect(calls(choice?["message"]).count == 1 && choice?["finish_reason"]?.string == "stop")
        #expect(try !walk(model, named).take(call("now")))
    }

    @Test func glmThinksBeforeItCalls() throws {
        let model = try ScriptedModel(ScriptedModel.glm)
        let order = try order(model, Self.tools + #","tool_choice":"required","thinking":{"type":"enabled"}"#)
        #expect(try accepts(model, order, "Which <b>?</think>" + glm("now", [])))
        #expect(try !accepts(model, order, glm("now", [])))
        let message = try model.whole(order, "Which?</think>" + glm("now", []) + "<|observation|>")["choices"]?[0]?[
            "message"]
        #expect(message?["reasoning_content"]?.string == "Which?" && calls(message).map { $0[0] } == ["now"])
    }

    @Test func kimiCallsAreMade() throws {
        let model = try ScriptedModel(ScriptedModel.kimi)
        let order = try order(model, Self.tools + #","tool_choice":"required""#)
        func call(_ id: String, _ arguments: String) -> String {
            "<|tool_call_begin|>\(id)<|tool_call_argument_begin|>\(arguments)<|tool_call_end|>"
        }
        func all(_ calls: String...) -> String {
            "<|tool_calls_section_begin|>\(calls.joined())<|tool_calls_section_end|>"
        }
        let weather = #"{"city": "Köln", "unit": "C"}"#
        for text in [
            Self.kimiCalls, all(call("functions.now:0", "{}")), all(call("functions.get:17", #"{"a": [1]}"#)),
            all(call("functions.get_weather:3", weather), call("functions.get_weather:4", weather)),
            "<think>Hm</think>" + all(call("functions.now:0", "{}")),
        ] {
            #expect(try accepts(model, order, text), "\(text)")
        }
        for wrong in [
            "Ja", all(), all(call("now:0", "{}")), all(call("functions.now", "{}")), all(call("functions.now:", "{}")),
            all(call("functions.now:x", "{}")), all(call("functions.then:0", "{}")),
            all(call("functions.now:0", "{\"a\": 1}")),
            all(call("functions.get_weather:0", "{}")), all(call("functions.now:0", "{}")) + "x",
        ] {
            #expect(try !accepts(model, order, wrong), "\(wrong)")
        }
    }

    @Test(
        "Masks that have been made before cost no memory",
        .enabled(if: foretoken_allocation_probe_is_active(), "sanitizers replace the allocator"),
        arguments: [ScriptedModel.glm, ScriptedModel.kimi])
    func allocations(template: String) throws {
        let model = try ScriptedModel(template)
        let order = try order(model, Self.tools + #","tool_choice":"required","min_tokens":5"#)
        let mask = try #require(order.settings.mask as? AnswerMask)
        let tokens = try model.tokenizer.encode(template == ScriptedModel.glm ? Self.glmCalls : Self.kimiCalls)
        let (counts, areTaken) = FormTests.allocations(of: mask, taking: tokens)
        #expect(areTaken && counts[2] == 0, "\(counts)")
    }

    @Test func strictFunctionsOfGLM() throws {
        let model = try ScriptedModel(ScriptedModel.glm)
        let strict = Self.tools.replacing(#""name":"get_weather","#, with: #""name":"get_weather","strict":true,"#)
        let order = try order(model, strict)
        let good = [("city", "a"), ("unit", "C")]
        for text in ["", "Ich sehe nach.", glm("now", [("any", "thing")]), glm("get", [])] {
            #expect(
                try accepts(
                    model, order, text + glm("get_weather", good) + "\n" + glm("get", [("a", "1")]) + "<|user|>"))
            #expect(try !accepts(model, order, text + glm("get_weather", [("city", "a")])))
            #expect(try !accepts(model, order, text + glm("then", [])))
        }
        let bounded = strict.replacing(#""city":{"type":"string"}"#, with: #""city":{"type":"string","pattern":"a"}"#)
        let error = #expect(throws: APIError.self) { try self.order(model, bounded) }
        #expect(
            error?.message.contains("#/properties/city/pattern: texts are bare in calls of GLM") == true,
            "\(error?.message ?? "")")
        let city = #""city":{"type":"string"}"#
        for (schema, place) in [
            (#"{"type":["string","integer"]}"#, ": "), (#"{"anyOf":[{"type":"string"},{"type":"integer"}]}"#, ": "),
            (##"{"$ref":"#/$defs/nothing"}"##, "/$ref: "), ("false", ": "),
            (#"{"anyOf":[{"type":"string","pattern":"a"},{"type":"null"}]}"#, "/anyOf/0/pattern: "),
            (#"{"oneOf":[{"type":"null"},{"enum":["a","b"]}]}"#, "/oneOf/1/enum: "),
            (#"{"type":"string","allOf":[{"const":"a"}]}"#, "/allOf/0/const: "),
            (##"{"allOf":[{"$ref":"#/$defs/part"}],"minLength":1}"##, "/minLength: "),
        ] {
            let other = strict.replacing(city, with: #""city":\#(schema)"#)
            let error = #expect(throws: APIError.self) { try self.order(model, other) }
            #expect(
                error?.message.contains("#/properties/city\(place)texts are bare in calls of GLM") == true,
                "\(error?.message ?? schema)")
            // Who is not strict is not held to it.
            _ = try self.order(model, other.replacing(#""strict":true,"#, with: ""))
        }
        for schema in [
            "true", "{}", #"{"description":"d","default":1}"#, #"{"anyOf":[{"type":"string"},{"type":"null"}]}"#,
            ##"{"allOf":[{"$ref":"#/$defs/part"}]}"##,
        ] {
            _ = try self.order(model, strict.replacing(city, with: #""city":\#(schema)"#))
        }
        let number = strict.replacing(#""days":{"type":"integer"}"#, with: #""days":{"type":"integer","minimum":1}"#)
        let other = #expect(throws: APIError.self) { try self.order(model, number) }
        #expect(other?.message.contains("`tools[0].function.parameters`") == true)
        #expect(other?.message.contains("#/properties/days/minimum") == true, "\(other?.message ?? "")")
    }
}
