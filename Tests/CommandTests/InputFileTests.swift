import ForetokenTestSupport
import FoundationEssentials
import Testing

extension EngineTests {
    @Suite struct ManyPrompts {
        private func run(_ lines: String, _ arguments: String...) throws -> (Command.Outcome, [Generated]) {
            try run(lines, arguments)
        }

        private func run(_ lines: String, _ arguments: [String]) throws -> (Command.Outcome, [Generated]) {
            let folder = try TemporaryFolder()
            try folder.write(Array(lines.utf8), "prompts.jsonl")
            let outcome = try Command(
                ["generate", "--input-file", folder.path + "/prompts.jsonl", "--max-tokens", "8"] + arguments
            ).finish()
            let answers = try outcome.output.split(separator: "\n").map {
                try JSONDecoder().decode(Generated.self, from: Data($0.utf8))
            }
            return (outcome, answers)
        }

        @Test func everyLineIsAnsweredInOrderAndOnItsOwn() throws {
            let (outcome, answers) = try run(
                """
                {"id": "one", "prompt": "func reverse"}
                {"id": "two", "prompt_tokens": [0, 5, 6], "max_tokens": 3, "temperature": 0.7, "seed": 4}

                {"id": "three", "messages": [{"role": "user", "content": "Hi"}], "comment": "mine"}
                {"prompt": "func reverse"}
                """)
            #expect(outcome.status == 0)
            #expect(answers.map(\.id) == ["one", "two", "three", nil])
            #expect(answers.map(\.tokens.count) == [8, 3, 8, 8])
            #expect(answers[3].tokens == answers[0].tokens)
            #expect(answers[0].tokens == (try Command.generate("func reverse", "--max-tokens", "8").tokens))
            #expect(answers[1].prompt_tokens == [0, 5, 6])
            #expect(outcome.errors.contains("\"comment\" is unknown"))
        }

        @Test func howManyAtOnceChangesNoAnswer() throws {
            let long = String(repeating: "let x = 5; ", count: 60)
            let lines = ["func a", long, "The", long + "func b", "{"].map { #"{"prompt": "\#($0)"}"# }
                .joined(separator: "\n")
            let tokens = try run(lines, "--parallel", "1").1.map(\.tokens)
            #expect(tokens.count == 5)
            for flags in [
                [], ["--parallel", "3"], ["--chunk-share", "0.05"], ["--chunk-share", "1", "--draft", "3"],
            ] {
                #expect(try run(lines, flags).1.map(\.tokens) == tokens, "\(flags)")
            }
        }

        @Test(arguments: [
            ["--parallel", "0"], ["--parallel", "-1"], ["--chunk-share", "0"], ["--chunk-share", "1.5"],
            ["--chunk-share", "nan"], ["--chunk-share", "-1"],
        ])
        func badCountsAndSharesAreRefused(flags: [String]) throws {
            #expect(try run(#"{"prompt": "a"}"#, flags).0.status == 2)
            #expect(try Command.run("generate", "a", flags[0], "1").status == 2)
        }

        @Test func aSystemMessageGoesBeforeMessagesToo() throws {
            let user = #"{"role": "user", "content": "Hi"}"#
            let (_, given) = try run(#"{"messages": [\#(user)]}"#, "--chat", "--system", "Be brief.")
            let (_, own) = try run(#"{"messages": [{"role": "system", "content": "Be brief."}, \#(user)]}"#)
            #expect(given[0].prompt_tokens == own[0].prompt_tokens)
            #expect(try run(#"{"prompt": "a"}"#, "--system", "Be brief.").0.status == 2)
        }

        @Test(arguments: [
            ("{\"prompt\": 5}", "prompt"), ("nonsense", "JSON"), ("{}", "exactly one"),
            ("{\"prompt\": \"\"}", "empty"), ("{\"prompt\": \"a\", \"prompt_tokens\": [1]}", "exactly one"),
            ("{\"prompt_tokens\": [1, 4096]}", "4096"), ("{\"prompt\": \"a\", \"max_tokens\": 0}", "max_tokens"),
            ("{\"prompt\": \"a\", \"temperature\": -1}", "temperature"),
            ("{\"prompt\": \"a\", \"repetition_penalty\": 0}", "repetition penalty"),
            ("{\"prompt\": \"a\", \"presence_penalty\": 1000}", "presence penalty"),
            ("{\"prompt\": \"a\", \"frequency_penalty\": \"1\"}", "frequency_penalty"),
            ("{\"prompt\": \"a\", \"logit_bias\": {\"one\": 1}}", "\"one\""),
            ("{\"prompt\": \"a\", \"logit_bias\": {\"17\": 1, \"017\": 2}}", "\"017\""),
            ("{\"prompt\": \"a\", \"logit_bias\": {\"4096\": 1}}", "4096"),
            ("{\"prompt\": \"a\", \"logit_bias\": {\"7\": -101}}", "-101"),
            ("{\"prompt\": \"a\", \"logprobs\": 21}", "logprobs"),
            ("{\"prompt_tokens\": [1, 3000000000]}", "3000000000"), ("{\"prompt\": \"a\", \"seed\": -1}", "seed"),
            (#"{"prompt": "\ud83d x"}"#, "bad JSON at byte 12: the lone surrogate \\ud83d"),
            (#"{"prompt": "a",}"#, "a comma too many"),
            (#"{"prompt": "a", "prompt": "b"}"#, "\"prompt\" appears twice"),
            (#"{"prompt": "a", "max_tokens": 2.5}"#, "`max_tokens` must be a whole number, found 2.5"),
            (#"{"prompt": "a", "max_tokens": 2, "max_completion_tokens": 3}"#, "mean the same"),
            (#"{"prompt": "a", "stop_token_ids": [4096]}"#, "4096"), (#"{"prompt": "a", "stop": [1]}"#, "`stop[0]`"),
            (#"{"messages": [{"role": "user", "content": [{"type": "image_url"}]}]}"#, "image_url"),
            (#"{"prompt": "a", "prediction": 5}"#, "`prediction` must be a string, or an object"),
            (#"{"prompt": "a", "prediction": {"type": "text", "content": "b"}}"#, "of type \"content\""),
            ("{\"messages\": [{\"role\": \"wizard\", \"content\": \"a\"}]}", "wizard"),
        ])
        func aBadLineHasItsErrorInPlaceOfAnAnswer(line: String, complaint: String) throws {
            let folder = try TemporaryFolder()
            let lines = "{\"prompt\": \"func\"}\n\(line)\n{\"prompt\": \"struct\"}\n"
            try folder.write(Array(lines.utf8), "in.jsonl")
            let outcome = try Command.run("generate", "--input-file", folder.path + "/in.jsonl", "--max-tokens", "4")
            let found = outcome.output.split(separator: "\n")
            #expect(outcome.status == 65)
            #expect(found.count == 3 && found[1].contains("\"error\""), "the others are answered")
            #expect(outcome.errors.contains("line 2"))
            #expect(outcome.errors.contains(complaint), "\(outcome.errors)")
        }
    }

    @Test(arguments: [#""prompt": 5"#, #""max_tokens": "3""#, #""logprobs": true"#, #""seed": -1"#])
    func aBadLineKeepsItsId(field: String) throws {
        let folder = try TemporaryFolder()
        try folder.write(Array("{\"id\": \"mine\", \(field)}\n".utf8), "in.jsonl")
        let outcome = try Command.run("generate", "--input-file", folder.path + "/in.jsonl")
        #expect(outcome.status == 65 && outcome.output.contains(#""id":"mine""#), "\(outcome.output)")
        #expect(outcome.errors.contains("1 of the 1 lines") && outcome.errors.contains("has an error"))
    }

    @Test func badLinesAreSaidBeforeTheWeightsAreLoaded() throws {
        let folder = try TemporaryFolder()
        try folder.write(Array("nonsense\n{\"prompt\": \"func\"}\n".utf8), "in.jsonl")
        try folder.write(Array("{}".utf8), "plan.json")
        let outcome = try Command.run(
            "generate", "--input-file", folder.path + "/in.jsonl", "--plan", folder.path + "/plan.json")
        #expect(outcome.status == 65 && outcome.output.isEmpty)
        let complaints = outcome.errors.split(separator: "\n")
        #expect(complaints.count == 2, "\(outcome.errors)")
        #expect(complaints.first?.contains("in.jsonl, line 1") == true)
        #expect(complaints.last?.contains("plan.json") == true)
    }

    @Suite struct OtherSpellings {
        private func answers(_ lines: [String]) throws -> [Generated] {
            let folder = try TemporaryFolder()
            try folder.write(Array(lines.joined(separator: "\n").utf8), "in.jsonl")
            let outcome = try Command.run(
                "generate", "--input-file", folder.path + "/in.jsonl", "--max-tokens", "4")
            try #require(outcome.status == 0, "\(outcome.errors)")
            return try outcome.output.split(separator: "\n").map {
                try JSONDecoder().decode(Generated.self, from: Data($0.utf8))
            }
        }

        @Test("Content in parts, stops as one text, and the newer name of max_tokens")
        func openAIsShapes() throws {
            let found = try answers([
                #"{"messages": [{"role": "user", "content": "Hi you"}], "max_tokens": 2}"#,
                #"{"messages": [{"role": "user", "content": [{"type": "text", "text": "Hi "}, "#
                    + #"{"type": "text", "text": "you"}]}], "max_completion_tokens": 2.0}"#,
                #"{"prompt": "func", "max_tokens": 1, "max_tokens": 1.0, "stop": "zzz"}"#,
            ])
            #expect(found[0].prompt_tokens == found[1].prompt_tokens && found[0].tokens == found[1].tokens)
            #expect(found[1].tokens.count <= 2 && found[2].tokens.count == 1)
        }

        @Test("Predictions are texts, texts in OpenAI's object, or its parts")
        func predictions() throws {
            let text = "(_ a: Int, _ b: Int) -> Int {"
            let found = try answers([
                #"{"prompt": "func add", "prediction": "\#(text)"}"#,
                #"{"prompt": "func add", "prediction": {"type": "content", "content": "\#(text)"}}"#,
                #"{"prompt": "func add", "prediction": {"type": "content", "content": [{"type": "text", "text": "\#(text)"}]}}"#,
                #"{"prompt": "func add", "prediction": ""}"#, #"{"prompt": "func add", "prediction": null}"#,
            ])
            #expect(Set(found.map(\.tokens)).count == 1)
            #expect(found.map { $0.speculation.prediction == nil } == [false, false, false, false, true])
        }

        @Test("Stop tokens of the line end its answer")
        func stopTokens() throws {
            let whole = try answers([#"{"prompt": "func add(", "max_tokens": 4}"#])[0].tokens
            let cut = try answers([#"{"prompt": "func add(", "max_tokens": 4, "stop_token_ids": [\#(whole[1])]}"#])[0]
            #expect(cut.tokens == Array(whole[...(whole.firstIndex(of: whole[1]) ?? 1)]))
            #expect(cut.finish_reason == "stop")
        }
    }

    @Suite struct Chatting {
        @Test func questionsOfAFileAreConversationsOfTheirOwn() throws {
            let folder = try TemporaryFolder()
            try folder.write(Array("Write a struct.\nWrite a func.\n\nWrite a struct.\n".utf8), "questions")
            let outcome = try Command.run("chat", "--input-file", folder.path + "/questions", "--max-tokens", "12")
            #expect(outcome.status == 0)
            let answers = outcome.output.split(separator: "Prompt: ")
            #expect(answers.count == 3)
            #expect(answers.allSatisfy { $0.contains("\nCompletion: ") })
            #expect(answers.first == answers.last)
        }

        @Test func commandsAndTheEndOfInputWork() throws {
            let first = try Command.run("chat", "--max-tokens", "10", input: "Write a func.\n")
            #expect(first.status == 0)
            let again = try Command.run(
                "chat", "--max-tokens", "10", input: "Write a func.\n/clear\nWrite a func.\n/exit\nnever asked\n")
            #expect(again.status == 0)
            #expect(again.output == first.output + first.output)
        }

        @Test func theSecondAnswerKnowsTheFirst() throws {
            let two = try Command.run("chat", "--max-tokens", "10", input: "Write a func.\nWrite a func.\n")
            let one = try Command.run("chat", "--max-tokens", "10", input: "Write a func.\n")
            #expect(two.output.hasPrefix(one.output))
            let plain = try Command.run(
                "chat", "--max-tokens", "10", "--draft", "off", input: "Write a func.\nWrite a func.\n")
            #expect(two.output == plain.output)
        }

        @Test func aFullContextIsSaidAndSurvived() throws {
            let question = String(repeating: "word ", count: 60)
            let outcome = try Command.run(
                "chat", "--context", "40", "--max-tokens", "4", input: "\(question)\nHi\n/exit\n")
            #expect(outcome.status == 0)
            #expect(outcome.errors.contains("--context makes room"))
            #expect(!outcome.output.isEmpty, "the short question is answered")
        }
    }
}
