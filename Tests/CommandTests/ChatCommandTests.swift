import ForetokenTestSupport
import FoundationEssentials
import Testing

extension EngineTests {
    /// Conversations as clients send them, in the demonstration model's own template or another.
    @Suite struct ChatFormats {
        private let folder: TemporaryFolder

        init() throws { folder = try TemporaryFolder() }

        private func run(_ line: String, _ arguments: String...) throws -> Command.Outcome { try run(line, arguments) }

        private func run(_ line: String, _ arguments: [String]) throws -> Command.Outcome {
            try folder.write(Array(line.utf8), "lines.jsonl")
            return try Command(
                ["generate", "--input-file", folder.path + "/lines.jsonl", "--max-tokens", "1", "--draft", "off"]
                    + arguments
            ).finish()
        }

        private func prompt(_ line: String, _ arguments: String...) throws -> [Int32] {
            let outcome = try run(line, arguments)
            try #require(outcome.status == 0, "\(outcome.errors)")
            return try outcome.json(Generated.self).prompt_tokens
        }

        @Test func developersArePutWhereSystemMessagesGo() throws {
            let user = #"{"role": "user", "content": [{"type": "text", "text": "Hi"}]}"#
            let developer = try prompt(#"{"messages": [{"role": "developer", "content": "Be brief."}, \#(user)]}"#)
            #expect(developer == (try prompt(#"{"messages": [{"role": "system", "content": "Be brief."}, \#(user)]}"#)))
        }

        @Test func anAnswerIsGoneOnWith() throws {
            let question = #"{"role": "user", "content": "a"}"#
            let asked = try prompt(#"{"messages": [\#(question)]}"#)
            let begun = try prompt(#"{"messages": [\#(question), {"role": "assistant", "content": "func "}]}"#)
            #expect(begun.starts(with: asked) && begun.count > asked.count)
        }

        @Test func aTemplateOfTheUsersOwn() throws {
            try folder.write(Array("{{ bos_token }}<｜User｜>{{ messages[0].content }}".utf8), "own.jinja")
            let own = folder.path + "/own.jinja"
            let line = #"{"messages": [{"role": "user", "content": "<｜User｜>"}]}"#
            let ids = try prompt(line, "--chat-template", own)
            // BOS and the role token, and the message as plain characters.
            #expect(ids.starts(with: [0, 4084]) && !ids.dropFirst(2).contains(4084))
            #expect(try prompt(line, "--chat-template", "v3") == (try prompt(line)))

            try folder.write(Array("a\n{% frob %}".utf8), "bad.jinja")
            let bad = try run(line, "--chat-template", folder.path + "/bad.jinja")
            #expect(bad.status == 65 && bad.errors.contains("line 2: unknown tag {% frob %}"), "\(bad.errors)")
            let missing = try run(line, "--chat-template", folder.path + "/none.jinja")
            #expect(missing.status == 2 && missing.errors.contains("does not exist"), "\(missing.errors)")
        }

        @Test(arguments: [
            (
                #"{"messages": [{"role": "user", "content": "a"}], "tools": [{"type": "function"}]}"#,
                "does not write tools"
            ),
            (#"{"prompt": "a", "tools": [{"type": "function"}]}"#, "`tools` need `messages`"),
            (#"{"messages": [{"role": "bot", "content": "a"}]}"#, "unknown role"),
            (#"{"messages": [{"role": "user"}]}"#, "content"),
            (
                #"{"messages": [{"role": "user", "content": "a", "tool_calls": [{"function": {"name": "f"}}]}]}"#,
                "tool_calls"
            ),
            (
                #"{"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "tool_calls": [{}]}]}"#,
                "function"
            ),
            (#"{"messages": []}"#, "at least one message"),
        ]) func whatCannotBeWrittenIsRefused(line: String, message: String) throws {
            let outcome = try run(line)
            #expect(outcome.status == 65 && outcome.errors.contains(message), "\(outcome.errors)")
        }

        @Test func thinkingIsRefusedWhereNobodyThinks() throws {
            let outcome = try Command.run("generate", "--chat", "--thinking", "Hi")
            #expect(outcome.status == 65 && outcome.errors.contains("no thinking mode"), "\(outcome.errors)")
            #expect(try Command.run("generate", "--thinking", "Hi").status == 2)
        }
    }

    /// Where answers end, and how tokens are drawn, by the model's own files.
    @Suite struct ModelDefaults {
        private static let prompt = ["func add(_ a: Int, _ b: Int) -> Int {\n", "--max-tokens", "12", "--threads", "1"]

        private func generate(_ arguments: String...) throws -> Generated {
            let outcome = try Command(["generate", "--json"] + Self.prompt + arguments).finish()
            try #require(outcome.status == 0, "\(outcome.errors)")
            return try outcome.json()
        }

        @Test func stopTokensEndAnswers() throws {
            let plain = try generate()
            let third = plain.tokens[2]
            let stopped = try generate("--stop-token", "\(third)")
            #expect(stopped.finish_reason == "stop")
            #expect(
                stopped.tokens == Array(plain.tokens.prefix(through: try #require(plain.tokens.firstIndex(of: third)))))
            let unknown = try Command.run("generate", "a", "--stop-token", "4096")
            #expect(unknown.status == 65 && unknown.errors.contains("4096"), "\(unknown.errors)")
        }

        @Test func theModelsOwnDefaultsAreTakenWhenAskedFor() throws {
            let sampled = try generate("--temperature", "0.6", "--top-p", "0.95", "--seed", "3")
            #expect(try generate("--sampling-defaults", "model", "--seed", "3").tokens == sampled.tokens)
            // What the user says comes first.
            let greedy = try generate()
            #expect(
                try generate("--sampling-defaults", "model", "--temperature", "0", "--seed", "3").tokens
                    == greedy.tokens)
        }
    }
}
