import CForetokenAllocationProbe
import ForetokenAPI
import ForetokenJSON
import ForetokenSpeculation
import ForetokenText
import ForetokenTokenizer
import Testing

/// Which tokens answers may have that must be JSON, or calls of tools.
@Suite struct FormTests {
    private static let schema = """
        {"type":"object","properties":{"city":{"type":"string"},"days":{"type":"integer"}},"required":["city"]}
        """
    private static let tools = """
        "tools":[{"type":"function","function":{"name":"get_weather","parameters":\(schema),"strict":true}},\
        {"type":"function","function":{"name":"get","parameters":{"properties":{"n":{"type":"integer"}}}}},\
        {"type":"function","function":{"name":"now"}}]
        """
    private static let jsonSchema =
        #""response_format":{"type":"json_schema","json_schema":{"name":"n","strict":true,"schema":\#(schema)}}"#
    private static let jsonObject = #""response_format":{"type":"json_object"}"#
    private static let end = ScriptedModel.end

    private func order(_ model: ScriptedModel, _ members: String) throws -> Order {
        let body = #"{"messages":[{"role":"user","content":"u"}],\#(members)}"#
        return try Order(.chat, Array(body.utf8), model.served, seed: 1)
    }

    /// A text on its way through an order's mask.
    final class Walk {
        var mask: any TokenMask
        let tokenizer: Tokenizer

        init(_ mask: any TokenMask, _ tokenizer: Tokenizer) { (self.mask, self.tokenizer) = (mask, tokenizer) }

        /// The tokens that may come next.
        var allowed: [Int32] {
            let words = UnsafeMutablePointer<UInt64>.allocate(capacity: mask.wordCount)
            defer { words.deallocate() }
            mask.mask(into: words)
            return (0..<Int32(mask.wordCount * 64)).filter { words[Int($0 / 64)] >> UInt64($0 % 64) & 1 == 1 }
        }

        func allows(_ marker: String) -> Bool { tokenizer.id(of: marker).map(allowed.contains) ?? false }

        func advance(_ token: Int32) -> Bool { mask.advance(token) }

        /// Takes a text's tokens, as far as they are allowed.
        /// - Returns: whether all are.
        func take(_ text: String) throws -> Bool {
            for token in try tokenizer.encode(text) {
                let isAllowed = allowed.contains(token)
                guard mask.advance(token) else {
                    #expect(!isAllowed, "token \(token) of \(text)")
                    return false
                }
                #expect(isAllowed, "token \(token) of \(text)")
            }
            return true
        }
    }

    private func walk(_ model: ScriptedModel, _ order: Order) throws -> Walk {
        Walk(try #require(order.settings.mask), model.tokenizer)
    }

    /// Whether the texts, one after the other, are a whole answer.
    private func accepts(_ model: ScriptedModel, _ order: Order, _ text: String) throws -> Bool {
        let walk = try walk(model, order)
        return try walk.take(text) && walk.mask.isComplete
    }

    // MARK: JSON

    @Test func contentIsJSON() throws {
        let model = try ScriptedModel(ScriptedModel.v3)
        let schema = try order(model, Self.jsonSchema)
        #expect(try accepts(model, schema, #"{"city": "Köln"}\#(Self.end)"#))
        #expect(try accepts(model, schema, "{\n  \"city\": \"Köln\",\n  \"days\": 3\n}\(Self.end)"))
        for wrong in [#"{"days": 3}"#, #"{"city": "Köln", "x": 1}"#, "Hier: {}", "```json\n{}", #"{"city": "a"}{"#] {
            #expect(try !accepts(model, schema, wrong), "\(wrong)")
        }
        let object = try order(model, Self.jsonObject)
        #expect(try accepts(model, object, #"{"x": [1, {"y": null}]}\#(Self.end)"#))
        #expect(try !accepts(model, object, "[1]"))
        // Nothing else is possible before the end, and nothing behind it.
        let walk = try walk(model, object)
        #expect(try walk.take("{") && !walk.allows(Self.end) && !walk.mask.isComplete)
        #expect(try walk.take("}") && walk.allowed == model.served.open.endTokens && walk.mask.isComplete)
        // No marker is text.
        let text = try self.walk(model, object)
        let isTaken = try text.take(#"{"a": ""#)
        let added = (0..<Int32(4096)).filter { model.tokenizer.isAdded($0) }
        #expect(isTaken && added.count == 18 && Set(text.allowed).isDisjoint(with: added))
        let free = try order(model, #""response_format":{"type":"text"},"min_tokens":0"#)
        #expect(free.settings.mask == nil)
    }

    @Test func completionsAreJSONToo() throws {
        let model = try ScriptedModel(ScriptedModel.v31)
        let body = #"{"prompt":["<think>","a"],\#(Self.jsonSchema)}"#
        let order = try Order(.completion, Array(body.utf8), model.served, seed: 1)
        #expect(try accepts(model, order, #"{"city": "Köln"}"#))
        #expect(try !accepts(model, order, "a</think>{}"), "all of a completion is its text")
    }

    @Test func thoughtsComeFirst() throws {
        let model = try ScriptedModel(ScriptedModel.v31)
        let json = #"{"city": "Köln"}"# + Self.end
        let thinking = try order(model, Self.jsonSchema + #","thinking":{"type":"enabled"}"#)
        #expect(try accepts(model, thinking, "Hm, {.\n\n<think></think>" + json))
        #expect(try !accepts(model, thinking, "Hm.</think></think>"))
        let walk = try walk(model, thinking)
        #expect(try walk.take("Hm.") && !walk.allows(Self.end) && !walk.mask.isComplete)
        #expect(try walk.take("</think>") && !walk.allows("<think>") && !walk.allows("</think>"))
        let silent = try order(model, Self.jsonSchema + #","thinking":{"type":"disabled"}"#)
        #expect(try accepts(model, silent, json))
        #expect(try !accepts(model, silent, "<think>"))
        // Its template says nothing of thoughts.
        let free = try ScriptedModel(ScriptedModel.v3)
        for text in [json, "<think>\nHm.</think>" + json] {
            #expect(try accepts(free, order(free, Self.jsonSchema), text))
            let choice = try free.whole(order(free, Self.jsonSchema), text)["choices"]?[0]
            #expect(choice?["message"]?["content"]?.string == #"{"city": "Köln"}"#)
            #expect(choice?["finish_reason"]?.string == "stop")
        }
        #expect(try !accepts(free, order(free, Self.jsonSchema), "{<think>"))
    }

    // MARK: Calls

    private func call(_ template: String, _ name: String, _ arguments: String) -> String {
        template == ScriptedModel.v3
            ? "<｜tool▁call▁begin｜>function<｜tool▁sep｜>\(name)\n```json\n\(arguments)\n```<｜tool▁call▁end｜>"
            : "<｜tool▁call▁begin｜>\(name)<｜tool▁sep｜>\(arguments)<｜tool▁call▁end｜>"
    }

    private func calls(_ template: String, _ calls: [(String, String)]) -> String {
        let calls = calls.map { call(template, $0.0, $0.1) }.joined(separator: template == ScriptedModel.v3 ? "\n" : "")
        return "<｜tool▁calls▁begin｜>\(calls)<｜tool▁calls▁end｜>"
    }

    @Test(arguments: [ScriptedModel.v3, ScriptedModel.v31]) func callsAreMade(template: String) throws {
        let model = try ScriptedModel(template)
        let order = try order(model, Self.tools + #","tool_choice":"required""#)
        let good = [("get_weather", #"{"city": "Köln"}"#), ("now", "{}"), ("get", #"{"n": 1, "m": []}"#)]
        for calls in [good, [good[1]], [good[2], good[2]]] {
            let text = self.calls(template, calls)
            #expect(try accepts(model, order, text), "\(text)")
            let choice = try model.whole(order, text)["choices"]?[0]
            #expect(choice?["finish_reason"]?.string == "tool_calls")
            let made = choice?["message"]?["tool_calls"]?.list ?? []
            #expect(made.map { $0["function"]?["name"]?.string } == calls.map(\.0))
            #expect(made.map { $0["function"]?["arguments"]?.string } == calls.map(\.1))
        }
        for wrong in [
            "Ich", "{", Self.end, calls(template, []), calls(template, [("then", "{}")]),
            calls(template, [("ge", "{}")]),
            calls(template, [("get_weather", "{}")]), calls(template, [("now", #"{"a": 1}"#)]),
            calls(template, [("get_weather", #"{"city": "a", "b": 1}"#)]), calls(template, [("get", #"{"n": "a"}"#)]),
            calls(template, good) + "Mehr",
        ] {
            #expect(try !accepts(model, order, wrong), "\(wrong)")
        }
        #expect(
            order.settings.endTokens == model.served.open.endTokens + [try #require(order.grammar?.calls?.callsEnd)],
            "nothing is to come behind the calls")
    }

    @Test(arguments: [ScriptedModel.v3, ScriptedModel.v31]) func oneToolIsCalledOnce(template: String) throws {
        let model = try ScriptedModel(template)
        let order = try order(
            model, Self.tools + #","tool_choice":{"type":"function","function":{"name":"get"}}"#)
        let text = calls(template, [("get", "{}"), ("get", "{}")])
        let walk = try walk(model, order)
        #expect(try walk.take(text))
        let choice = try model.whole(order, text)["choices"]?[0]
        #expect(choice?["finish_reason"]?.string == "stop", "as OpenAI's documentation has it")
        #expect(choice?["message"]?["tool_calls"]?.list.count == 1)
        #expect(try !accepts(model, order, calls(template, [("now", "{}")])))
        let single = try self.order(model, Self.tools + #","tool_choice":"required","parallel_tool_calls":false"#)
        let first = try model.whole(single, text)["choices"]?[0]
        #expect(first?["message"]?["tool_calls"]?.list.count == 1)
        #expect(first?["finish_reason"]?.string == "tool_calls")
    }

    @Test func thinkersCallBehindTheirThoughts() throws {
        let model = try ScriptedModel(ScriptedModel.v31)
        let order = try order(
            model, Self.tools + #","tool_choice":"required","thinking":{"type":"enabled"}"#)
        let calls = calls(ScriptedModel.v31, [("now", "{}")])
        let text = "Which time?</think>" + calls
        #expect(try accepts(model, order, text))
        let message = try model.whole(order, text)["choices"]?[0]?["message"]
        #expect(message?["reasoning_content"]?.string == "Which time?" && message?["content"] == .null)
        #expect(message?["tool_calls"]?[0]?["function"]?["name"]?.string == "now")
        #expect(try !accepts(model, order, calls), "a thought that has begun ends first")
    }

    /// What the model calls of its own accord has a form where functions are strict.
    @Test(arguments: [ScriptedModel.v3, ScriptedModel.v31]) func strictFunctions(template: String) throws {
        let model = try ScriptedModel(template)
        let order = try order(model, Self.tools)
        let good = [("get_weather", #"{"city": "Köln"}"#), ("now", "whatever"), ("get_weather", #"{"city": ""}"#)]
        for text in ["", "Ich sehe nach."] {
            #expect(try accepts(model, order, text + calls(template, good) + Self.end))
            #expect(try !accepts(model, order, text + calls(template, [("get_weather", "{}")])))
            #expect(try !accepts(model, order, text + calls(template, [("then", "{}")])))
        }
        #expect(try accepts(model, order, "Nein.\(Self.end)"))
        let loose = try self.order(model, Self.tools.replacing("true", with: "false"))
        #expect(loose.settings.mask == nil)
    }

    @Test func contentOrCalls() throws {
        let model = try ScriptedModel(ScriptedModel.v31)
        let order = try order(model, Self.tools + "," + Self.jsonSchema)
        #expect(try accepts(model, order, #"{"city": "Köln"}\#(Self.end)"#))
        let good = [("get_weather", #"{"city": "Köln"}"#), ("get", "what"), ("now", "ever")]
        #expect(try accepts(model, order, calls(ScriptedModel.v31, good) + Self.end))
        for wrong in [
            "Ich", calls(ScriptedModel.v31, [("get_weather", "{}")]), calls(ScriptedModel.v31, good) + "{",
            #"{"city": <｜tool▁calls▁begin｜>"#, calls(ScriptedModel.v31, [("get", Self.end)]),
        ] {
            #expect(try !accepts(model, order, wrong), "\(wrong)")
        }
    }

    // MARK: Least numbers of tokens

    @Test func endsMayBeTooEarly() throws {
        let model = try ScriptedModel(ScriptedModel.v3)
        let free = try order(model, #""min_tokens":3,"stop_token_ids":[5]"#)
        let walk = try walk(model, free)
        for count in 0..<5 {
            #expect(walk.allows(Self.end) == (count >= 3) && walk.allowed.contains(5) == (count >= 3))
            #expect(walk.advance(100))
        }
        let wrong = try self.walk(model, free)
        #expect(!wrong.advance(5))
        // What is complete ends all the same.
        let json = try order(model, #""min_tokens":30,"# + Self.jsonObject)
        let whole = try self.walk(model, json)
        #expect(try whole.take("{}") && whole.allowed.isEmpty && whole.mask.isComplete)
        // Stop strings count from then on.
        let stops = try order(model, #""min_tokens":2,"stop":"a""#)
        #expect(stops.settings.minimumTokens == 2)
        var stream = TextStream(model.tokenizer, stopStrings: ["a"], after: 2)
        let letters = try ["a", "a", "b", "a"].map { try model.tokenizer.encode($0)[0] }
        #expect(letters.map { stream.push($0, .own).isEnd } == [false, false, false, true] && stream.whole == "aab")
    }

    // MARK: Cost

    @Test(
        "Masks that have been made before cost no memory",
        .enabled(if: foretoken_allocation_probe_is_active(), "sanitizers replace the allocator"),
        arguments: [ScriptedModel.v3, ScriptedModel.v31])
    func allocations(template: String) throws {
        let model = try ScriptedModel(template)
        let order = try order(model, Self.tools + #","tool_choice":"required","min_tokens":5"#)
        let mask = try #require(order.settings.mask as? AnswerMask)
        let calls = calls(template, [("get_weather", #"{"city": "Köln"}"#), ("get", #"{"n": 1}"#), ("now", "{}")])
        let thought = template == ScriptedModel.v3 ? "<think>Well.</think>" : ""
        let tokens = try model.tokenizer.encode(thought + calls + Self.end)
        let (counts, areTaken) = Self.allocations(of: mask, taking: tokens)
        #expect(areTaken && counts[2] == 0, "\(counts)")
    }

    /// How often memory is asked for while a mask follows tokens, three times over, and whether it takes all of them.
    static func allocations(of mask: AnswerMask, taking tokens: [Int32]) -> (counts: [UInt64], areTaken: Bool) {
        let words = UnsafeMutablePointer<UInt64>.allocate(capacity: mask.wordCount)
        defer { words.deallocate() }
        var (counts, areTaken) = ([UInt64](), true)
        for _ in 0..<3 {
            let before = foretoken_allocation_count()
            var place = mask
            for token in tokens {
                place.mask(into: words)
                var draft = place
                areTaken = draft.advance(token) && areTaken
                place = draft
            }
            counts.append(foretoken_allocation_count() - before)
        }
        return (counts, areTaken)
    }

    // MARK: Refusals

    @Test func whatCannotBeKeptToIsRefused() throws {
        let model = try ScriptedModel(ScriptedModel.v31)
        let bad = #"{"type":"object","properties":{"age":{"type":"integer","minimum":0}}}"#
        let tool = #"{"type":"function","function":{"name":"f","parameters":\#(bad)"#
        let cases: [(members: String, param: String, message: String)] = [
            (
                #""response_format":{"type":"json_schema","json_schema":{"name":"n","schema":\#(bad)}}"#,
                "response_format",
                "`response_format.json_schema.schema` cannot be what the answer is held to: #/properties/age/minimum: "
                    + "the keyword \"minimum\" is not supported"
            ),
            (
                #""response_format":{"type":"json_object","schema":\#(bad)}"#, "response_format",
                "`response_format.schema` cannot"
            ),
            (#""response_format":{"type":"json_schema"}"#, "response_format", "json_schema"),
            (#""response_format":{"type":"json_schema","json_schema":{"name":"n"}}"#, "response_format", "schema"),
            (#""response_format":{"type":"json_schema","json_schema":{"schema":7}}"#, "response_format", "schema"),
            (#""response_format":"json_object""#, "response_format", "an object"),
            (#""response_format":{"type":"regex"}"#, "response_format", "\"regex\""),
            (
                #""tools":[{"type":"function","function":{"name":"g"}},\#(tool),"strict":true}}],"tool_choice":"required""#,
                "tools",
                "`tools[1].function.parameters` cannot be what a call's arguments are held to: #/properties/age/minimum"
            ),
            (#""tools":[\#(tool),"strict":true}}]"#, "tools", "`tools[0].function.parameters`"),
            (#""tools":[\#(tool),"strict":1}}]"#, "tools", "strict"),
            (#""tools":[\#(tool)}},\#(tool)}}],"tool_choice":"required""#, "tools", "`tools[1]` has a name"),
            (#""min_tokens":-1"#, "min_tokens", "at least 0"),
            (#""min_tokens":9,"max_tokens":8"#, "min_tokens", "more than the 8"),
        ]
        for (members, param, message) in cases {
            let error = #expect(throws: APIError.self, "\(members)") { try order(model, members) }
            #expect(error?.status == 400 && error?.param == param, "\(members)")
            #expect(error?.message.contains(message) == true, "\(error?.message ?? "")")
        }
        // What nobody is held to may be as it likes.
        #expect(throws: Never.self) { try order(model, #""tools":[\#(tool)}}]"#) }
    }

    @Test(arguments: [ScriptedModel.v3, ScriptedModel.v31]) func schemasThatCannotBeReadAreAnyObject(
        template: String
    ) throws {
        let model = try ScriptedModel(template)
        let bad = #"{"type":"object","properties":{"age":{"if":true,"then":false}}}"#
        let tool = #"{"type":"function","function":{"name":"f","parameters":\#(bad)"#
        func members(_ strict: Bool, _ choice: String) -> String {
            #""tools":[\#(tool),"strict":\#(strict)}},{"type":"function","function":{"name":"get_weather","#
                + #""parameters":\#(Self.schema)}}],"tool_choice":\#(choice)"#
        }
        for choice in [#""required""#, #"{"type":"function","function":{"name":"f"}}"#] {
            let order = try order(model, members(false, choice))
            for arguments in ["{}", #"{"age": "old", "x": [1]}"#] {
                #expect(try walk(model, order).take(calls(template, [("f", arguments)])), "\(choice) \(arguments)")
            }
            #expect(try !walk(model, order).take(calls(template, [("f", "[1]")])))
            // Others are held to what they have.
            #expect(try !walk(model, order).take(calls(template, [("get_weather", "{}")])))
            let error = #expect(throws: APIError.self) { try self.order(model, members(true, choice)) }
            #expect(error?.message.contains("`tools[0].function.parameters`") == true, "\(error?.message ?? "")")
        }
    }

    @Test func grammarsAreMadeOnce() async throws {
        let model = try ScriptedModel(ScriptedModel.v31)
        let shelf = GrammarShelf(model.served.open)
        let schema = try JSONValue(Array(Self.schema.utf8))
        let grammars = try await withThrowingTaskGroup(of: ObjectIdentifier.self) { group in
            for _ in 0..<16 { group.addTask { ObjectIdentifier(try shelf.grammar([(schema, true)])) } }
            return try await group.reduce(into: Set<ObjectIdentifier>()) { $0.insert($1) }
        }
        #expect(grammars.count == 1 && shelf.count == 1)
        _ = try shelf.grammar([(schema, false)])
        _ = try shelf.grammar([(schema, true)], suffix: "\n```")
        _ = try shelf.grammar([(schema, true), (schema, true)])
        _ = try shelf.jsonObject()
        #expect(shelf.count == 5)
        for number in 0..<300 {
            let schema = try JSONValue(Array(#"{"const":\#(number)}"#.utf8))
            _ = try shelf.grammar([(schema, true)])
        }
        #expect(shelf.count == 256, "the latest")
        #expect(ObjectIdentifier(try shelf.jsonObject()) == ObjectIdentifier(try shelf.jsonObject()))
    }
}
