import ForetokenAPI
import ForetokenJSON
import ForetokenSpeculation
import ForetokenText
import ForetokenTokenizer
import FoundationEssentials
import Testing

/// A model whose answers the tests write themselves: the embedded one's files, with markers of thoughts in the place of tokens
/// that nobody needs, under a chat template that the tests bring.
struct ScriptedModel {
    static let begin = "<｜begin▁of▁sentence｜>"
    static let end = "<｜end▁of▁sentence｜>"

    private static let shared = """
        {{ bos_token }}{% for m in messages if m.role == 'system' %}{{ m.content }}{% endfor %}TOOLS{% for m in messages %}\
        {% if m.role == 'user' %}{{ '<｜User｜>' + m.content }}{% elif m.role == 'tool' %}\
        {{ '<｜tool▁output▁begin｜>' + m.content + '<｜tool▁output▁end｜>' }}{% elif m.role == 'assistant' %}<｜Assistant｜>\
        {{ m.content or '' }}{% for c in m.tool_calls or [] %}{{ '<｜tool▁calls▁begin｜>' if loop.first else GAP }}\
        CALL{{ '<｜tool▁calls▁end｜>' if loop.last }}{% endfor %}{{ eos_token }}{% endif %}{% endfor %}
        """

    /// Writes calls in fences, declares no tools, never thinks.
    static let v3 =
        shared.replacing("TOOLS", with: "").replacing("GAP", with: #"'\n'"#).replacing(
            "CALL",
            with: #"{{ '<｜tool▁call▁begin｜>' + c.type + '<｜tool▁sep｜>' + c.function.name + '\n```json\n' + "#
                + #"c.function.arguments + '\n```<｜tool▁call▁end｜>' }}"#)
        + "{% if add_generation_prompt and messages[-1].role != 'tool' %}<｜Assistant｜>{% endif %}"
    /// Writes bare calls, declares tools, thinks where it is asked to.
    static let v31 =
        shared.replacing("TOOLS", with: "{{ tools | tojson if tools }}").replacing("GAP", with: "''").replacing(
            "CALL",
            with: "{{ '<｜tool▁call▁begin｜>' + c.function.name + '<｜tool▁sep｜>' + c.function.arguments + "
                + "'<｜tool▁call▁end｜>' }}")
        + "{% if add_generation_prompt and messages[-1].role != 'tool' %}"
        + "{{ '<｜Assistant｜>' + ('<think>' if thinking else '</think>') }}{% endif %}"

    /// GLM's shape: roles are tokens, and nothing ends a turn but the next one. It prints what is not there.
    static let glm = """
        [gMASK]<sop>{% if tools %}<|system|>{{ tools | tojson }}{% endif %}{% for m in messages %}\
        {% if m.role == 'user' %}<|user|>{{ m.content }}{% elif m.role == 'assistant' %}<|assistant|></think>{{ m.content }}\
        {% for c in m.tool_calls or [] %}{{ '<tool_call>' + c.function.name }}{% for k, v in c.function.arguments.items() %}\
        <arg_key>{{ k }}</arg_key><arg_value>{{ v if v is string else v | tojson }}</arg_value>{% endfor %}</tool_call>\
        {% endfor %}{% elif m.role == 'tool' %}<|observation|><tool_response>{{ m.content }}</tool_response>{% else %}\
        <|system|>{{ m.content }}{% endif %}{% endfor %}\
        {% if add_generation_prompt %}<|assistant|>{{ '<think>' if enable_thinking else '</think>' }}{% endif %}
        """
    /// GLM-4.5's shape: the same with each part of a call on a line of its own.
    static let glmLines = glm.replacing("c.function.name", with: #"c.function.name + '\n'"#)
        .replacing("</arg_key>", with: #"</arg_key>{{ '\n' }}"#).replacing(
            "</arg_value>", with: #"</arg_value>{{ '\n' }}"#)
    /// Kimi's shape: calls have ids of name and number.
    static let kimi = """
        {% if tools %}<|im_system|>tool_declare<|im_middle|>{{ tools | tojson }}<|im_end|>{% endif %}{% for m in messages %}\
        {% if m.role == 'user' %}<|im_user|>user{% elif m.role == 'assistant' %}<|im_assistant|>assistant{% else %}\
        <|im_system|>{{ m.name or m.role }}{% endif %}<|im_middle|>\
        {% if m.role == 'tool' %}{{ '## Return of ' + m.tool_call_id + '\n' }}{% endif %}{{ m.content or '' }}\
        {% if m.tool_calls %}<|tool_calls_section_begin|>{% for c in m.tool_calls %}<|tool_call_begin|>{{ c.id }}\
        <|tool_call_argument_begin|>{{ c.function.arguments if c.function.arguments is string else \
        c.function.arguments | tojson }}<|tool_call_end|>{% endfor %}<|tool_calls_section_end|>{% endif %}<|im_end|>\
        {% endfor %}{% if add_generation_prompt %}<|im_assistant|>assistant<|im_middle|>{% endif %}
        """
    /// Qwen3-Coder's shape: keys and values between tags that are text.
    static let coder = v31.replacing("<｜tool▁calls▁begin｜>", with: "").replacing("<｜tool▁calls▁end｜>", with: "")
        .replacing(
            "{{ '<｜tool▁call▁begin｜>' + c.function.name + '<｜tool▁sep｜>' + c.function.arguments + '<｜tool▁call▁end｜>' }}",
            with:
                "{{ '<tool_call>\\n<function=' + c.function.name + '>\\n' }}{% for k, v in c.function.arguments.items() %}"
                + "{{ '<parameter=' + k + '>\\n' + v | string + '\\n</parameter>\\n' }}{% endfor %}</function>{{ '\\n</tool_call>' }}"
        )
    /// GigaChat 3.1's shape: one JSON object is a call.
    static let object = v31.replacing("<｜tool▁calls▁begin｜>", with: "").replacing("<｜tool▁calls▁end｜>", with: "")
        .replacing(
            "{{ '<｜tool▁call▁begin｜>' + c.function.name + '<｜tool▁sep｜>' + c.function.arguments + '<｜tool▁call▁end｜>' }}",
            with:
                #"{{ '<|function_call|>{"name": "' + c.function.name + '", "arguments": ' + c.function.arguments + '}' }}"#
        )

    /// DeepSeek-V3.2's shape: tags with a marker in each.
    static let invokes = v31.replacing("<｜tool▁calls▁begin｜>", with: "<｜DSML｜function_calls>\\n")
        .replacing("<｜tool▁calls▁end｜>", with: "</｜DSML｜function_calls>").replacing(
            "{{ '<｜tool▁call▁begin｜>' + c.function.name + '<｜tool▁sep｜>' + c.function.arguments + '<｜tool▁call▁end｜>' }}",
            with:
                #"{{ '<｜DSML｜invoke name="' + c.function.name + '">\n' }}{% for k, v in c.function.arguments.items() %}"#
                + #"{{ '<｜DSML｜parameter name="' + k + '" string="' + ('true' if v is string else 'false') + '">' }}"#
                + #"{{ v if v is string else v | tojson }}{{ '</｜DSML｜parameter>\n' }}{% endfor %}{{ '</｜DSML｜invoke>\n' }}"#
        )

    private static let glmNames = [
        "<｜fim▁hole｜>": "<|user|>", "<｜fim▁begin｜>": "<|observation|>", "<｜fim▁end｜>": "<|assistant|>",
        "<｜tool▁calls▁begin｜>": "<tool_call>", "<｜tool▁calls▁end｜>": "</tool_call>",
        "<｜tool▁call▁begin｜>": "<arg_key>", "<｜tool▁call▁end｜>": "</arg_key>",
        "<｜tool▁output▁begin｜>": "<arg_value>", "<｜tool▁output▁end｜>": "</arg_value>",
        "<｜tool▁sep｜>": "<tool_response>",
    ]
    private static let kimiNames = [
        "<｜fim▁hole｜>": "<|im_user|>", "<｜fim▁begin｜>": "<|im_assistant|>", "<｜fim▁end｜>": "<|im_middle|>",
        "<｜User｜>": "<|im_end|>", "<｜Assistant｜>": "<|im_system|>",
        "<｜tool▁calls▁begin｜>": "<|tool_calls_section_begin|>", "<｜tool▁calls▁end｜>": "<|tool_calls_section_end|>",
        "<｜tool▁call▁begin｜>": "<|tool_call_begin|>", "<｜tool▁call▁end｜>": "<|tool_call_end|>",
        "<｜tool▁sep｜>": "<|tool_call_argument_begin|>",
    ]
    /// The family's names of tokens, in the place of the embedded model's.
    private static func names(_ template: String) -> [String: String] {
        switch template {
        case glm, glmLines: glmNames
        case kimi: kimiNames
        case coder: ["<｜fim▁hole｜>": "<tool_call>", "<｜fim▁begin｜>": "</tool_call>"]
        case object: ["<｜fim▁hole｜>": "<|function_call|>"]
        case invokes: ["<｜fim▁hole｜>": "｜DSML｜"]
        default: [:]
        }
    }

    let served: ServedModel
    let tokenizer: Tokenizer

    init(_ template: String) throws {
        let model =
            #filePath.split(separator: "/", omittingEmptySubsequences: false).dropLast(3).joined(separator: "/")
            + "/Sources/CForetokenDemo/model"
        let files = FileManager.default
        let folder = files.temporaryDirectory.path + "/scripted-\(UUID().uuidString)"
        try files.createDirectory(atPath: folder, withIntermediateDirectories: true)
        defer { try? files.removeItem(atPath: folder) }
        for name in try files.contentsOfDirectory(atPath: model) where name != "tokenizer.json" {
            try files.createSymbolicLink(atPath: "\(folder)/\(name)", withDestinationPath: "\(model)/\(name)")
        }
        var text = String(
            decoding: try Data(contentsOf: URL(fileURLWithPath: model + "/tokenizer.json")), as: UTF8.self
        )
        .replacing("<|EOT|>", with: "<think>").replacing("<｜tool▁outputs▁end｜>", with: "</think>")
        for (old, new) in Self.names(template) { text = text.replacing("\"\(old)\"", with: "\"\(new)\"") }
        try Data(text.utf8).write(to: URL(fileURLWithPath: folder + "/tokenizer.json"))
        var settings = ModelSettings()
        settings.directory = folder
        settings.chat = .template(template)
        let open = try OpenModel(settings) { _ in }
        tokenizer = try open.requiredTokenizer()
        var base = AnswerSettings(endTokens: open.endTokens)
        base.sampling.temperature = 1
        served = ServedModel(open, names: ["scripted"], context: 2048, base: base, created: 1, fingerprint: "f")
    }

    func reply(_ order: Order) -> Reply { Reply(order, served, id: "abc", created: 7) }

    func text(_ ids: [Int32]) -> String {
        String(decoding: tokenizer.decode(ids, skippingSpecial: false), as: UTF8.self)
    }

    /// What the model writes, in runs of tokens, and what it comes to. An answer without EOS is one that got too long.
    func script(_ order: Order, _ answer: String, run: Int = 3) throws -> (news: [ChoiceNews], result: ChoiceResult) {
        var stream = order.settings.textStream(tokenizer)
        var (news, tokens, isEnd) = ([ChoiceNews](), [Int32](), false)
        for (index, token) in try tokenizer.encode(answer).enumerated() where !isEnd {
            if index % run == 0 { news.append(ChoiceNews()) }
            let (pieces, ends) = stream.push(token, .own)
            tokens.append(token)
            news[news.count - 1].tokens.append(token)
            news[news.count - 1].fates.append(.own)
            news[news.count - 1].pieces += pieces
            isEnd = ends || order.settings.endTokens.contains(token)
        }
        news.append(ChoiceNews())
        news[news.count - 1].pieces = stream.finish()
        let result = GenerationResult(script: tokens, reason: isEnd ? .stop : .length)
        let whole = Answer(
            promptTokens: order.prompts[0], result: result, text: stream.whole, stopString: stream.stopString,
            order.settings)
        return (news, ChoiceResult(whole, queued: 0))
    }

    /// The body of the answer that the script makes.
    func whole(_ order: Order, _ answer: String) throws -> JSONValue {
        try JSONValue(reply(order).writer.whole([script(order, answer).result]))
    }

    /// The stream of the answer that the script makes.
    func stream(_ order: Order, _ answer: String, run: Int) throws -> String {
        let (news, result) = try script(order, answer, run: run)
        var writer = reply(order).writer
        var bytes = writer.begin()
        for one in news { bytes += writer.events(0, one) }
        bytes += writer.end(0, result) + writer.close([result])
        return String(decoding: bytes, as: UTF8.self)
    }

    /// The same as named events, each of which says its name twice.
    func events(_ order: Order, _ answer: String, run: Int) throws -> [JSONValue] {
        try stream(order, answer, run: run).split(separator: "\n\n").map { event in
            let lines = event.split(separator: "\n")
            let value = try JSONValue(Array(lines[1].dropFirst(6).utf8))
            #expect(lines.count == 2 && lines[1].hasPrefix("data: "))
            #expect(lines[0] == "event: \(value["type"]?.string ?? "none")")
            return value
        }
    }
}

extension JSONValue {
    subscript(key: String) -> JSONValue? { object?[key] }
    subscript(index: Int) -> JSONValue? {
        if case .array(let values) = self, values.indices.contains(index) { values[index] } else { nil }
    }
    var list: [JSONValue] { if case .array(let values) = self { values } else { [] } }
    var keys: [String] { object?.members.map(\.key) ?? [] }
}
