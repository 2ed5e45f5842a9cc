import ForetokenTestSupport
import Testing

/// Everything that runs the engine, one process at a time: its workers spin.
@Suite(.serialized)
struct EngineTests {
    static let prompt = "public struct Stack<Element> {\n"
    /// A request whose greedy answer soon ends by itself.
    static let answeredRequest = "Returns the first element of the collection."

    @Suite struct Generating {
        @Test func jsonHasTheDocumentedShape() throws {
            let answer = try Command.generate(prompt, "--max-tokens", "40", "--draft", "2", "--ignore-eos")
            #expect(answer.model == "foretoken-demo")
            #expect(answer.prompt_tokens.first == 0, "BOS")
            #expect(answer.tokens.count == 40)
            #expect(answer.finish_reason == "length")
            let timings = answer.timings
            #expect(timings.prompt_n == answer.prompt_tokens.count)
            #expect(timings.predicted_n == 40)
            #expect(timings.prompt_ms > 0 && timings.prompt_per_second > 0)
            #expect(abs(timings.predicted_per_second - 39 / timings.predicted_ms * 1000) < 1)
            let speculation = answer.speculation
            #expect(speculation.drafted.count == 2 && speculation.accepted.count == 2)
            #expect(speculation.drafted[0] >= speculation.drafted[1])
            #expect(zip(speculation.accepted, speculation.drafted).allSatisfy { $0 <= $1 })
            #expect(timings.draft_n == speculation.drafted.reduce(0, +))
            #expect(timings.draft_n_accepted == speculation.accepted.reduce(0, +))
            #expect(speculation.rounds + timings.draft_n_accepted == 39, "every token but the first comes from a round")
            let perRound = 1 + Double(timings.draft_n_accepted) / Double(speculation.rounds)
            #expect(abs(speculation.tokens_per_round - perRound) < 1e-9)
        }

        @Test func withoutDraftsTheListsAreEmpty() throws {
            let answer = try Command.generate(prompt, "--max-tokens", "5", "--draft", "off")
            #expect(answer.speculation.drafted.isEmpty && answer.speculation.accepted.isEmpty)
            #expect(answer.speculation.rounds == 4)
        }

        @Test(arguments: ["0", "0.7", "1.3"])
        func sameTokensAtEveryDraftLength(temperature: String) throws {
            let plain = try Command.generate(
                prompt, "--max-tokens", "96", "--draft", "off", "--temperature", temperature, "--seed", "11")
            for draft in ["1", "4", "8", "auto"] {
                let answer = try Command.generate(
                    prompt, "--max-tokens", "96", "--draft", draft, "--temperature", temperature, "--seed", "11",
                    "--threads", draft == "4" ? "1" : "2")
                #expect(answer.tokens == plain.tokens, "--draft \(draft)")
                #expect(answer.text == plain.text)
            }
        }

        @Test(arguments: ["bf16", "int8", "int4", "experts-int4"])
        func sameTokensInEveryResidentFormat(format: String) throws {
            let plain = try Command.generate(prompt, "--max-tokens", "48", "--draft", "off", "--weights", format)
            let drafted = try Command.generate(
                prompt, "--max-tokens", "48", "--draft", "4", "--weights", format, "--threads", "1")
            #expect(drafted.tokens == plain.tokens)
        }

        @Test func seedsMatterOnlyAboveTemperatureZero() throws {
            func tokens(_ temperature: String, _ seed: String) throws -> [Int32] {
                try Command.generate(prompt, "--max-tokens", "24", "--temperature", temperature, "--seed", seed).tokens
            }
            #expect(try tokens("0", "1") == tokens("0", "2"))
            #expect(try tokens("1", "1") != tokens("1", "2"))
        }

        @Test func streamedTextIsTheJSONText() throws {
            let answer = try Command.generate(prompt, "--max-tokens", "60")
            let outcome = try Command.run("generate", prompt, "--max-tokens", "60")
            #expect(outcome.status == 0)
            #expect(outcome.output == answer.text + "\n")
            #expect(outcome.errors.contains("tok/s") && outcome.errors.contains("60 tokens"))
            #expect(!outcome.errors.contains("\u{1B}"), "no colour where nobody is looking")
        }

        @Test func promptsComeFromArgumentFileStandardInputAndIds() throws {
            let folder = try TemporaryFolder()
            try folder.write(Array(prompt.utf8), "prompt")
            let expected = try Command.generate(prompt, "--max-tokens", "8")
            let ids = expected.prompt_tokens.map(String.init).joined(separator: ",")
            #expect(
                try Command.generate("--prompt-file", folder.path + "/prompt", "--max-tokens", "8").tokens
                    == expected.tokens)
            #expect(try Command.generate("--prompt-tokens", ids, "--max-tokens", "8").tokens == expected.tokens)
            let piped = try Command.run("generate", "--prompt-file", "-", "--max-tokens", "8", "--json", input: prompt)
            #expect(try piped.json(Generated.self).tokens == expected.tokens)
        }

        @Test func chatPromptsHaveTheCheckpointsFormat() throws {
            let answer = try Command.generate("Hi", "--chat", "--system", "Be brief.", "--max-tokens", "1")
            let raw = try Command.generate(
                "Be brief.<｜User｜>Hi<｜Assistant｜>", "--max-tokens", "1")
            #expect(answer.prompt_tokens == raw.prompt_tokens)
        }

        @Test func theContextsEndIsTheTextsEnd() throws {
            let answer = try Command.generate(prompt, "--context", "20", "--max-tokens", "50", "--ignore-eos")
            #expect(answer.finish_reason == "length")
            // The last token needs no place: nothing follows it.
            #expect(answer.prompt_tokens.count + answer.tokens.count == 21)
            let endless = try Command.generate(answeredRequest, "--chat", "--max-tokens", "\(Int.max)")
            #expect(endless.finish_reason == "stop")
            let shown = try Command.run("generate", prompt, "--context", "20", "--max-tokens", "50", "--ignore-eos")
            #expect(shown.errors.contains("context of 20 tokens is full"))
            let short = try Command.run("generate", prompt, "--context", "20", "--max-tokens", "3")
            #expect(!short.errors.contains("is full"), "--max-tokens ended it")
        }

        @Test func instructionSetsAndCacheTypesRun() throws {
            let generic = try Command.generate(prompt, "--isa", "generic", "--max-tokens", "6")
            #expect(generic.tokens.count == 6)
            let bf16 = try Command.generate(prompt, "--cache-type", "bf16", "--max-tokens", "6")
            #expect(bf16.tokens.count == 6)
        }
    }
}
