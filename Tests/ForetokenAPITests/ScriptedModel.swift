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
        let text = String(
            decoding: try Data(contentsOf: URL(fileURLWithPath: model + "/tokenizer.json")), as: UTF8.self
        )
        .replacing("<|EOT|>", with: "<think>").replacing("<｜tool▁outputs▁end｜>", with: "</think>")
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
        var stream = TextStream(tokenizer, stopStrings: order.settings.stopStrings)
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
