import ForetokenText
import ForetokenTokenizer
import ForetokenWeights
import FoundationEssentials
import Testing

/// A folder whose tokenizer is a tiktoken.model, as Kimi's are.
@Suite struct KimiFolderTests {
    private static let template = """
        {% for m in messages %}<|im_user|>{{ m.role }}<|im_middle|>{{ m.content }}<|im_end|>{% endfor %}\
        {% if add_generation_prompt %}<|im_assistant|>assistant<|im_middle|>{% endif %}
        """
    private static let names = ["[BOS]", "[EOS]", "<|im_end|>", "<|im_user|>", "<|im_assistant|>", "<|im_middle|>"]

    /// The demo's weights beside a tokenizer of bytes and a word.
    private func folder() throws -> String {
        let model =
            #filePath.split(separator: "/", omittingEmptySubsequences: false).dropLast(3).joined(separator: "/")
            + "/Sources/CForetokenDemo/model"
        let files = FileManager.default
        let folder = files.temporaryDirectory.path + "/kimi-\(UUID().uuidString)"
        try files.createDirectory(atPath: folder, withIntermediateDirectories: true)
        for name in try files.contentsOfDirectory(atPath: model) where !name.hasPrefix("tokenizer") {
            try files.createSymbolicLink(atPath: "\(folder)/\(name)", withDestinationPath: "\(model)/\(name)")
        }
        let tokens = (UInt8.min...UInt8.max).map { [$0] } + [Array("us".utf8), Array("user".utf8)]
        let ranks = tokens.enumerated().map { "\(Data($1).base64EncodedString()) \($0)\n" }.joined()
        try Data(ranks.utf8).write(to: URL(fileURLWithPath: folder + "/tiktoken.model"))
        let added = Self.names.enumerated().map { "\"\(258 + $0)\": {\"content\": \"\($1)\", \"special\": true}" }
        let settings = """
            {"tokenizer_class": "TikTokenTokenizer", "bos_token": "[BOS]", "eos_token": "[EOS]",
            "added_tokens_decoder": {\(added.joined(separator: ","))}}
            """
        try Data(settings.utf8).write(to: URL(fileURLWithPath: folder + "/tokenizer_config.json"))
        try Data(Self.template.utf8).write(to: URL(fileURLWithPath: folder + "/chat_template.jinja"))
        return folder
    }

    @Test func isOpened() throws {
        let folder = try folder()
        defer { try? FileManager.default.removeItem(atPath: folder) }
        var settings = ModelSettings()
        settings.directory = folder
        let open = try OpenModel(settings) { _ in }
        #expect(open.tokenizer?.origin == "tiktoken.model, cut by the expression of Kimi's family")
        // No BOS, but the template's own markers; a stranger's are text.
        #expect(try open.encode(.text("user")) == [257])
        let ids = try open.encode(.chat(ChatPrompt([ChatMessage(.user, "[EOS]")])))
        func bytes(_ text: String) -> [Int32] { text.utf8.map { Int32($0) } }
        let wanted: [Int32] = [261, 257, 263] + bytes("[EOS]") + [260, 262] + bytes("assistant") + [263]
        #expect(ids == wanted)
        // The file says [EOS], a turn ends otherwise.
        #expect(try open.tokenizer?.eos == 259 && open.turnEnds() == [260])
        var answer = AnswerSettings(endTokens: open.endTokens)
        try answer.endTurns(of: open)
        #expect(answer.endTokens == open.endTokens + [260] && answer.turnEnds == [260])
        var endless = AnswerSettings(endTokens: [])
        try endless.endTurns(of: open)
        #expect(endless.endTokens.isEmpty)
        let text = TextFiles(of: try Inspection(directory: folder))
        #expect(text.problems.isEmpty && text.warnings.isEmpty && text.chat?.turnEnds == [260])
    }

    @Test func damagedFilesAreProblems() throws {
        let folder = try folder()
        defer { try? FileManager.default.removeItem(atPath: folder) }
        try Data("AA== 0\nAA== 1\n".utf8).write(to: URL(fileURLWithPath: folder + "/tiktoken.model"))
        let problems = TextFiles(of: try Inspection(directory: folder)).problems.map(\.description)
        #expect(problems.count == 1 && problems[0].contains("tiktoken.model is damaged"), "\(problems)")
        var settings = ModelSettings()
        settings.directory = folder
        #expect(throws: TokenizerError.self) { try OpenModel(settings) { _ in } }
    }
}
