import ForetokenTestSupport
import FoundationEssentials
import Testing

extension EngineTests {
    @Suite struct Penalising {
        private static let penalties = [
            "--repetition-penalty", "1.2", "--presence-penalty", "-0.3", "--frequency-penalty", "0.4",
            "--logit-bias", "15=-100", "--logit-bias", "364=1.5",
        ]

        private func generate(_ arguments: [String]) throws -> Generated {
            let outcome = try Command(["generate", prompt, "--json", "--max-tokens", "48"] + arguments).finish()
            try #require(outcome.status == 0, "\(outcome.errors)")
            return try outcome.json()
        }

        @Test(arguments: ["0", "0.8"])
        func sameTokensAndLogProbabilitiesAtEveryDraftLength(temperature: String) throws {
            let arguments = Self.penalties + ["--temperature", temperature, "--logprobs", "3", "--draft"]
            let plain = try generate(arguments + ["off"])
            #expect(!plain.tokens.contains(15))
            for draft in ["1", "4", "auto"] {
                let drafted = try generate(arguments + [draft])
                #expect(drafted.tokens == plain.tokens && drafted.logprobs == plain.logprobs, "--draft \(draft)")
            }
        }

        @Test func linesOfAFileHaveTheSameSettings() throws {
            let folder = try TemporaryFolder()
            let keys = """
                "repetition_penalty": 1.2, "presence_penalty": -0.3, "frequency_penalty": 0.4, \
                "logit_bias": {"15": -100, "364": 1.5}, "logprobs": 2
                """
            let text = "\"prompt\": \"func reverse\", \"max_tokens\": 48"
            func answers(_ lines: [String], _ arguments: [String]) throws -> [Generated] {
                try folder.write(Array(lines.map { "{\(text)\($0)}\n" }.joined().utf8), "lines")
                let file = ["--input-file", folder.path + "/lines"]
                let outcome = try Command(["generate", "--ignore-eos"] + file + arguments).finish()
                #expect(outcome.status == 0 && outcome.errors.isEmpty, "\(outcome.errors)")
                return try outcome.output.split(separator: "\n").map {
                    try JSONDecoder().decode(Generated.self, from: Data($0.utf8))
                }
            }
            let alone = try answers([", " + keys, ""], [])
            let based = try answers(["", ""], Self.penalties)
            let banned = based[1].tokens[7]
            let changed = try answers([", \"logit_bias\": {\"\(banned)\": -100}"], Self.penalties)
            #expect(alone[0].tokens == based[1].tokens, "keys say what flags say")
            #expect(alone[1].tokens != based[1].tokens)
            #expect(!changed[0].tokens.contains(banned))
            #expect(alone[0].logprobs?.count == 48 && alone[0].logprobs?[0].top.count == 2)
            #expect(alone[1].logprobs == nil && based[1].logprobs == nil)
        }

        @Test func logProbabilitiesAreTheScores() throws {
            let answer = try Command.generate(prompt, "--max-tokens", "30", "--logprobs", "4", "--draft", "4")
            let entries = try #require(answer.logprobs)
            #expect(entries.map(\.token) == answer.tokens)
            let ids = (answer.prompt_tokens + answer.tokens).map(String.init).joined(separator: ",")
            struct Scored: Decodable { let logprobs: [Double?] }
            let score: Scored = try Command.run("score", "--tokens", ids, "--json").json()
            for (entry, expected) in zip(entries, score.logprobs.dropFirst(answer.prompt_tokens.count)) {
                #expect(abs(entry.logprob - (expected ?? 0)) < 1e-4)
                #expect(entry.top.count == 4 && entry.top[0] == [Double(entry.token), entry.logprob])
            }
            let chosenAlone = try Command.generate(prompt, "--max-tokens", "3", "--logprobs", "0")
            #expect(chosenAlone.logprobs?.allSatisfy { $0.top.isEmpty } == true)
            #expect(try Command.generate(prompt, "--max-tokens", "3").logprobs == nil)
        }

        @Test func answersOfAConversationArePenalised() throws {
            let input = "Write a func.\nWrite a func.\n"
            let arguments = ["chat", "--max-tokens", "24"] + Self.penalties
            let drafted = try Command(arguments, input: Array(input.utf8)).finish()
            let plain = try Command(arguments + ["--draft", "off"], input: Array(input.utf8)).finish()
            #expect(drafted.status == 0 && drafted.output == plain.output)
            #expect(try Command.run("chat", "--max-tokens", "24", input: input).output != plain.output)
        }
    }
}
