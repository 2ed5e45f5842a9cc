import ForetokenTestSupport
import Glibc
import Testing
import foretoken

@Suite struct GuessTests {
    @Test(arguments: [
        ("kitten", "sitting", 3), ("genrate", "generate", 1), ("gneerate", "generate", 1), ("", "ab", 2),
        ("Bench", "bench", 0),
        ("abc", "abc", 0),
    ])
    func distances(one: String, other: String, distance: Int) {
        #expect(EditDistance.between(one, other) == distance)
        #expect(EditDistance.between(other, one) == distance)
    }

    @Test(arguments: [
        ("gen", "foretoken generate"), ("genrate", "foretoken generate"), ("run", "foretoken chat"),
        ("server", "foretoken serve"), ("srve", "foretoken serve"), ("llama-bench", "foretoken bench"),
        ("pull", "hf download"), ("quantize", "--weights"), ("list", "inspect --shapes"),
        ("docter", "foretoken doctor"),
        ("xyzzy", "generate, chat, serve"),
        ("Why is the sky blue?", "foretoken generate \""),
    ])
    func unknownCommandsAreAnswered(name: String, answer: String) {
        let error = CommandNames.answer([name])
        let text = "\(error.description)\n\(error.command ?? "")"
        #expect(text.contains(answer), "\(text)")
    }

    /// What is to be copied, whole.
    @Test(arguments: [
        (["run", "deepseek-r1", "Why?"], "foretoken generate --chat \"Why?\" --model OWNER/NAME"),
        (["run", "a/b"], "foretoken chat --model a/b"),
        (
            ["llama-cli", "-m", "a/b", "-p", "it's", "-ngl", "99", "-n", "5"],
            "foretoken generate --model a/b -p \"it's\" --max-tokens 5"
        ),
        (["pull", "a/b"], "hf download a/b"), (["pull", "llama3"], "hf download OWNER/NAME"),
        (["list"], "foretoken inspect --shapes"), (["version"], "foretoken --version"),
        (["genrate", "a b", "--temp", "1"], "foretoken generate \"a b\" --temperature 1"),
        (["write", "me", "a", "$poem", "--json"], "foretoken generate 'write me a $poem' --json"),
        (["a/b", "--ctx-size", "99"], "foretoken chat --model a/b --context 99"),
        (["llama-server", "--port", "1", "-c", "9", "-fa", "on"], "foretoken serve --port 1 --context 9"),
    ])
    func commandsAreThereToBeCopied(arguments: [String], command: String) {
        #expect(CommandNames.answer(arguments).command == command)
    }

    @Test(arguments: [
        (["serve", "-p", "80"], ["serve", "--port", "80"]),
        (
            ["generate", "a", "--top_p=0.5", "--max_tokens", "3"],
            ["generate", "a", "--top-p=0.5", "--max-tokens", "3"]
        ),
        (["generate", "-ngl", "9", "a", "--mlock", "-fa", "on"], ["generate", "a"]),
        (["generate", "a", "--", "-ngl"], ["generate", "a", "--", "-ngl"]),
        (["chat", "-p", "Hi"], ["generate", "--chat", "Hi"]), (["score", "-p", "Hi"], ["score", "Hi"]),
        // A key is no file of keys.
        (["serve", "--api-key", "k"], ["serve", "--api-key", "k"]),
        (["generate", "a", "--seed", "-1"], ["generate", "a", "--seed", "-1"]),
    ])
    func foreignOptionsAreCorrected(arguments: [String], corrected: [String]) {
        #expect(ForeignOptions.corrected(arguments) == corrected)
    }

    @Test(arguments: [
        ("--temp", ["generate"], "--temperature"), ("--temp", ["measure"], "--temperatures"),
        ("-f", ["generate"], "--prompt-file"), ("-ngl", ["serve"], "CPUs"), ("--max-model-len", ["serve"], "--context"),
        ("--draft-max", ["chat"], "--draft"), ("-n", ["serve"], "option of generate, chat"),
        ("-p", ["score"], "foretoken score"),
        ("-p", ["chat"], "--input-file"), ("-cnv", ["generate"], "foretoken chat"),
    ])
    func foreignOptionsAreNamed(option: String, command: [String], answer: String) throws {
        let given = try #require(ForeignOptions.answer(option, in: command))
        #expect(given.contains(answer), "\(given)")
    }

    @Test(arguments: [
        ("/hub/models--a--b-c/snapshots/01ab", "a/b-c"), ("/hub/models--a--b--c/snapshots/01ab/", "a/b--c"),
        ("/models/DeepSeek-V3", "DeepSeek-V3"), ("/x/snapshots/01ab", "01ab"), ("models----b/snapshots/1", "1"),
        ("x", "x"),
    ])
    func checkpointsAreCalledByTheirModel(folder: String, name: String) {
        #expect(ModelFolder.name(of: folder) == name)
    }

    @Test func whatNobodyHasIsLeftToTheParser() {
        #expect(ForeignOptions.answer("--frobnicate", in: ["generate"]) == nil)
    }
}

extension EngineTests {
    /// The first things that people try.
    @Suite struct FirstSteps {
        private let short = ["--max-tokens", "4", "--threads", "1"]

        @Test func nothingToDoIsATour() throws {
            let tour = try Command([]).finish()
            #expect(tour.status == 0 && tour.errors.isEmpty)
            #expect(tour.output.contains("foretoken generate") && tour.output.contains("--help"))
            #expect(tour.output.split(separator: "\n").allSatisfy { $0.count < 80 })
        }

        @Test(arguments: [
            (["gen"], "foretoken generate"), (["help", "gen"], "foretoken help generate"),
            (["run", "--model", "x"], "foretoken chat"),
            (["serve", "-ngl", "99"], "CPUs"), (["serve", "--temp", "1"], "option of generate, chat"),
            (["generate", "a", "--top_p", "1"], "--top-p"), (["generate", "-nice"], "after --"),
            (["generate", "a", "-ngl", "99"], "CPUs"),
            (["generate", "a", "-np", "4"], "--parallel"), (["generate", "-cnv"], "foretoken chat"),
            (["generate", "-np", "4", "a"], "--parallel"), (["generate", "-tp", "8", "a"], "CPUs"),
            (["generate", "-hf", "a/b", "-p", "hi"], "\n  foretoken generate --model a/b -p hi\n"),
            (["generate", "-hello world"], "after --"), (["serve", "-hf", "a/b"], "--model"),
            (["generate", "a", "-sys", "b", "--chat"], "\n  foretoken generate a --system b --chat\n"),
            (["chat", "-m"], "Missing value"), (["-p", "hi there"], "\n  foretoken generate -p \"hi there\"\n"),
            (["--model", "x", "generate", "hi"], "\n  foretoken generate --model x hi\n"),
            (["-m", "x"], "\n  foretoken chat --model x\n"), (["x.gguf"], "GGUF files are not read"),
            (["/"], "\n  foretoken chat --model /\n"), (["serve", "-p", "80"], "\n  foretoken serve --port 80\n"),
            (["serve", "80"], "\n  foretoken serve --port 80\n"),
            (["generate", "hello", "big", "world", "--json"], "\n  foretoken generate \"hello big world\" --json\n"),
            (["score", "--json", "hello", "world"], "\n  foretoken score --json \"hello world\"\n"),
            (["chat", "hello"], "\n  foretoken generate --chat hello\n"),
            (["bench", "/"], "\n  foretoken bench --model /\n"),
            (["generate", "a", "--max_tokens", "3"], "\n  foretoken generate a --max-tokens 3\n"),
            (["generate", "a", "-ngl=4"], "\n  foretoken generate a\n"), (["-v"], "\n  foretoken --version\n"),
            (["generate", "a", "--max-token=1"], "\n  foretoken generate a --max-tokens=1\n"),
            (["generate", "a", "--frob"], "\n  foretoken help generate\n"),
            (["generate", "a", "-cnv"], "\n  foretoken chat\n"),
            (["run", "x", "hi"], "\n  foretoken generate --chat hi --model OWNER/NAME\n"),
        ])
        func wrongGuessesAreAnswered(arguments: [String], answer: String) throws {
            let outcome = try Command(arguments).finish()
            #expect(outcome.status == 2 && outcome.output.isEmpty)
            #expect(outcome.errors.split(separator: "\n").count <= 3)
            #expect(
                outcome.errors.hasPrefix("foretoken: error: ") && outcome.errors.contains(answer), "\(outcome.errors)")
        }

        @Test func otherSpellingsMeanTheSame() throws {
            let own = try Command.generate(
                prompt, "--max-tokens", "6", "--threads", "1", "--context", "90", "--temperature", "0.8", "--seed", "3")
            let short = try Command.generate(
                "-p", prompt, "-n", "6", "-t", "1", "-c", "90", "--temp", "0.8", "--seed", "3")
            let long = try Command.generate(
                "--prompt", prompt, "--n-predict", "6", "-t", "1", "--ctx-size", "90", "--temp", "0.8", "--seed", "3")
            #expect(own.tokens.count == 6 && short.tokens == own.tokens && long.tokens == own.tokens)
            #expect(short.prompt_tokens == own.prompt_tokens && long.prompt_tokens == own.prompt_tokens)
            let missing = try Command.run("generate", "a", "-m", "/no/such/folder")
            #expect(
                missing.status == 2 && missing.errors.contains("/no/such/folder does not exist"), "\(missing.errors)")
        }

        @Test(arguments: [
            ["a", "-p", "b"], ["-p", "a", "--prompt", "b"], ["a", "-n", "1", "--max-tokens", "1"],
            ["a", "-n", "1", "--n-predict", "1"], ["a", "-t", "1", "--threads", "1"],
            ["a", "-c", "9", "--ctx-size", "9"],
            ["a", "-c", "9", "--context", "9"], ["a", "--temp", "1", "--temperature", "1"],
            ["a", "-m", "x", "--model", "x"],
        ])
        func twoSpellingsAreRefused(arguments: [String]) throws {
            let outcome = try Command(["generate"] + arguments).finish()
            #expect(outcome.status == 2 && outcome.errors.contains("is given twice: "), "\(outcome.errors)")
        }

        @Test func otherSpellingsAreNotInHelp() throws {
            for command in ["generate", "chat", "serve", "measure", "prove", "place", "inspect", "tune"] {
                let help = try Command.run("help", command).output
                for spelling in ["-m", "-t", "-c", "-n", "-p", "--temp", "--ctx-size", "--n-predict"] {
                    let words = help.split(whereSeparator: { " \n,[]".contains($0) })
                    #expect(!words.contains(spelling[...]), "\(command) \(spelling)")
                }
            }
        }

        @Test func pipedTextNeedsACommand() throws {
            let outcome = try Command.run(input: "some text")
            #expect(outcome.status == 2 && outcome.output.isEmpty)
            #expect(outcome.errors.contains("\n  … | foretoken generate\n"), "\(outcome.errors)")
        }

        @Test func pipedTextIsThePrompt() throws {
            let expected = try Command.generate(prompt, "--max-tokens", "4", "--threads", "1").tokens
            for arguments in [["generate", "--json"], ["generate", "-", "--json"]] {
                let piped = try Command(arguments + short, input: Array(prompt.utf8)).finish()
                #expect(try piped.json(Generated.self).tokens == expected, "\(piped.errors)")
            }
            let scored = try Command.run("score", "--json", input: "let x = 1")
            #expect(try scored.status == 0 && scored.output == Command.run("score", "--json", "let x = 1").output)
            // Nothing at all is no prompt.
            #expect(try Command.run("generate").errors.contains("give exactly one of PROMPT"))
        }

        @Test func aPromptThatNamesAFileGetsAHint() throws {
            let folder = try TemporaryFolder()
            try folder.write(Array("text".utf8), "prompt.txt")
            let path = folder.path + "/prompt.txt"
            let outcome = try Command(["generate", path] + short).finish()
            #expect(outcome.status == 0 && outcome.errors.contains("--prompt-file reads the file"), "\(outcome.errors)")
            let folderName = try Command(["generate", folder.path] + short).finish()
            #expect(!folderName.errors.contains("--prompt-file"))
        }
    }
}
