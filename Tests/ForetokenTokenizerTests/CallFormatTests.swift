import ForetokenJSON
import ForetokenTemplate
import ForetokenTokenizer
import Testing

/// Calls of tools in chat formats.
@Suite struct CallFormatTests {
    private static let v3 = """
        {{ bos_token }}{% for m in messages if m.role == 'system' %}{{ m.content }}{% endfor %}{% for m in messages %}\
        {% if m.role == 'user' %}{{ '<｜User｜>' + m.content }}{% elif m.role == 'tool' %}\
        {{ '<｜tool▁output▁begin｜>' + m.content + '<｜tool▁output▁end｜>' }}{% elif m.role == 'assistant' %}<｜Assistant｜>\
        {% if m.tool_calls %}{{ m.content or '' }}{% for c in m.tool_calls %}\
        {{ ('<｜tool▁calls▁begin｜>' if loop.first else '\n') + '<｜tool▁call▁begin｜>' + c.type + '<｜tool▁sep｜>' + \
        c.function.name + '\n```json\n' + c.function.arguments + '\n```' + '<｜tool▁call▁end｜>' }}{% endfor %}\
        {{ '<｜tool▁calls▁end｜>' }}{% else %}{{ m.content }}{% endif %}{{ eos_token }}{% endif %}{% endfor %}\
        {% if add_generation_prompt and messages[-1].role != 'tool' %}<｜Assistant｜>{% endif %}
        """
    private static let v31 = v3.replacing("c.type + '<｜tool▁sep｜>' + c", with: "c").replacing(
        "'\n```json\n' + c.function.arguments + '\n```'", with: "'<｜tool▁sep｜>' + c.function.arguments")
    private static let tool = #"{"type": "function", "function": {"name": "f", "parameters": {"x": "<｜tool▁sep｜>"}}}"#

    private func format(_ template: String) throws -> ChatFormat {
        try ChatFormat(ChatTemplates(template), demoTokenizer.get())
    }

    private func write(_ template: String, _ prompt: ChatPrompt) throws -> (text: String, ids: [Int32]) {
        let (format, tokenizer) = (try format(template), try demoTokenizer.get())
        return (try format.pieces(of: prompt).map(\.text).joined(), try format.encode(prompt, tokenizer))
    }

    private func calls(_ arguments: String...) throws -> ChatMessage {
        var message = ChatMessage(.assistant, nil)
        message.toolCalls = try arguments.map { arguments in
            let text = JSONValue.string(arguments).text
            return try JSONValue(
                Array(#"{"id": "1", "type": "function", "function": {"name": "f", "arguments": \#(text)}}"#.utf8))
        }
        return message
    }

    @Test func theTemplateShowsHowCallsAreWritten() throws {
        #expect(try format(Self.v3).calls?.style == .fenced && format(Self.v31).calls?.style == .bare)
        let tokenizer = try demoTokenizer.get()
        #expect(try format(Self.v3).calls?.separator == tokenizer.id(of: "<｜tool▁sep｜>"))
        // The demo's own template writes none, and other markers are not known.
        #expect(try ChatFormat(ChatTemplates(tokenizer.chatTemplates), tokenizer).calls == nil)
        #expect(try format(Self.v3.replacing("tool▁call▁", with: "tool▁kall▁")).calls == nil)
        #expect(try ChatFormat(.v3, tokenizer).calls == nil)
        // Some write calls only beside tools.
        let shy = Self.v31.replacing("{% if m.tool_calls %}", with: "{% if m.tool_calls and tools %}")
        #expect(try format(shy).calls?.style == .bare)
    }

    @Test func argumentsGoInAsTheModelWroteThem() throws {
        let odd = #"{"b" :1,  "a":"é\u00e9"}"#
        let prompt = ChatPrompt([.init(.user, "u"), try calls(odd, "{}"), .init(.tool, "r"), .init(.tool, "s")])
        let fenced = try write(Self.v3, prompt).text
        #expect(fenced.contains("function<｜tool▁sep｜>f\n```json\n\(odd)\n```<｜tool▁call▁end｜>\n<｜tool▁call▁begin｜>"))
        let bare = try write(Self.v31, prompt).text
        #expect(bare.contains("<｜tool▁call▁begin｜>f<｜tool▁sep｜>\(odd)<｜tool▁call▁end｜>"))
        #expect(bare.hasSuffix("r<｜tool▁output▁end｜><｜tool▁output▁begin｜>s<｜tool▁output▁end｜>"))
    }

    @Test(arguments: [v3, v31]) func toolsThatTheTemplateDoesNotWriteAreDeclared(template: String) throws {
        let tokenizer = try demoTokenizer.get()
        let tool = try JSONValue(Array(Self.tool.utf8))
        let style = try #require(try format(template).calls?.style)
        for messages in [[ChatMessage(.user, "u")], [ChatMessage(.user, "u"), .init(.assistant, "a")]] {
            let (text, ids) = try write(template, ChatPrompt(messages, tools: [tool]))
            #expect(text.contains(#"{"name": "f", "parameters": {"x": "<｜tool▁sep｜>"}}"# + "\n"))
            let example = style == .fenced ? "function<｜tool▁sep｜>NAME\n```json\n" : "NAME<｜tool▁sep｜>{"
            #expect(text.contains("<｜tool▁call▁begin｜>" + example))
            // The rule has one separator; the tool's own text has none.
            #expect(ids.count { $0 == tokenizer.id(of: "<｜tool▁sep｜>") } == 1)
        }
        let system = [ChatMessage(.system, "Be <｜User｜> brief."), .init(.user, "u")]
        let (text, ids) = try write(template, ChatPrompt(system, tools: [tool]))
        #expect(text.contains("Be <｜User｜> brief.\n\n## Tools\n"))
        #expect(ids.count { $0 == tokenizer.id(of: "<｜User｜>") } == 1)
        let developer = [ChatMessage(.developer, "Be brief."), .init(.user, "u")]
        #expect(try write(template, ChatPrompt(developer, tools: [tool])).text.contains("Be brief.\n\n## Tools\n"))
    }

    @Test func aTemplateThatWritesToolsDoesSoItself() throws {
        let template = Self.v31.replacing("{{ bos_token }}", with: "{{ bos_token }}{{ tools | tojson if tools }}")
        let tool = try JSONValue(Array(Self.tool.utf8))
        let text = try write(template, ChatPrompt([.init(.user, "u")], tools: [tool])).text
        #expect(text.contains(#"[{"type": "function""#) && !text.contains("## Tools"))
    }

    @Test func callsThatTheTemplateWouldDropAreRefused() throws {
        // As the first template of V3: calls only where there is no text.
        let template = Self.v3.replacing("{% if m.tool_calls %}", with: "{% if m.content is none %}")
        var prompt = ChatPrompt([.init(.user, "u"), try calls("{}"), .init(.tool, "r")])
        #expect(try write(template, prompt).text.contains("<｜tool▁call▁begin｜>"))
        prompt.messages[1].content = "Let me see."
        let error = #expect(throws: TokenizerError.self) { try write(template, prompt) }
        #expect(error?.description.contains("beside text") == true)
    }
}
