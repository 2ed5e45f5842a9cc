import ForetokenTestSupport
import Glibc
import Testing

extension EngineTests {
    @Suite struct Failing {
        @Test(arguments: [
            ["--no-such-flag"], ["help", "no-such-command"], ["generate"], ["generate", "a", "--prompt-tokens", "1"],
            ["generate", "a", "--draft", "16"],
            ["generate", "a", "--isa", "abacus"], ["generate", "a", "--threads", "0"],
            ["generate", "a", "--max-tokens", "0"], ["generate", "a", "--temperature=-1"],
            ["generate", "a", "--cache-type", "f64"], ["generate", "a", "--weights", "int9"],
            ["generate", "a", "--stop", ""],
            ["generate", "a", "--system", "b"], ["generate", "a", "--seed", "-1"],
            ["generate", "a", "--temperature", "-1"], ["generate", "a", "--repetition-penalty", "0"],
            ["generate", "a", "--presence-penalty", "-101"], ["generate", "a", "--frequency-penalty", "nan"],
            ["generate", "a", "--logit-bias", "5"], ["generate", "a", "--logit-bias", "5=101"],
            ["generate", "a", "--logit-bias", "5=1", "--logit-bias", "5=2"], ["generate", "a", "--logprobs", "2"],
            ["generate", "a", "--json", "--logprobs", "21"], ["generate", "a", "--json", "--logprobs", "-1"],
            ["chat", "--frequency-penalty", "101"],
            ["generate", "--prompt-tokens", "1,x"], ["generate", "--prompt-file", "/no/such/file"],
            ["generate", "a", "--model", "/no/such/folder"], ["inspect", "/no/such/folder"], ["score"],
            ["score", "a", "--seed", "1"], ["score", "a", "--context", "1"], ["score", "a", "--json", "--per-token"],
            ["convert", "--to", "bf16", "/no/such/folder", "/no/such/place"], ["convert", "--to", "png", "a", "b"],
            ["convert", "a", "b"], ["convert", "--grow", "hidden=3", "b"], ["convert", "--grow", "1gb"],
            ["convert", "--grow", "1gb", "--to", "bf16", "a", "b"], ["convert", "--grow", "1gb", "a", "b", "c"],
            ["prove", "--prompt-tokens", "inf"], ["prove", "--prompt-tokens", "nan"],
            ["serve", "--port", "65536"], ["serve", "--parallel", "0"], ["serve", "--chunk-share", "0"],
            ["serve", "--max-queue", "-1"], ["serve", "--drain", "-1"], ["serve", "--api-key-file", "/no/such/file"],
        ])
        func theCommandLineAloneIsWrong(arguments: [String]) throws {
            try expect(2, Command(arguments).finish())
        }

        @Test(arguments: [
            ["generate", ""], ["generate", "--prompt-tokens", ""], ["generate", "--prompt-tokens", "0,4096"],
            ["generate", "--prompt-tokens", "0,-1"], ["generate", "--prompt-tokens", "99999999999"],
            ["generate", "a long prompt indeed", "--context", "2"], ["generate", "a", "--context", "4097"],
            ["score", ""], ["score", "--tokens", "4096"], ["chat", "--input-file", "/dev/null"],
            ["chat", "--thinking"], ["generate", "a", "--logit-bias", "4096=1"],
            ["generate", "a", "--logit-bias", "-1=1"], ["serve", "--api-key-file", "/dev/null"],
        ])
        func whatWasGivenCannotBeUsed(arguments: [String]) throws {
            try expect(65, Command(arguments).finish())
        }

        @Test func linksInACircleCannotBeUsed() throws {
            let folder = try TemporaryFolder()
            try #require(symlink("circle", folder.path + "/circle") == 0)
            for arguments in [["a", "--model"], ["--prompt-file"], ["a", "--plan"], ["a", "--chat-template"]] {
                let outcome = try Command(["generate"] + arguments + [folder.path + "/circle"]).finish()
                try expect(65, outcome)
                #expect(
                    outcome.errors.contains("circle") && outcome.errors.contains("symbolic links"), "\(outcome.errors)")
            }
        }

        @Test(arguments: ["3000000000", "-1"])
        func foreignIdsAreNamedAsTheyWereGiven(id: String) throws {
            for arguments in [
                ["generate", "--prompt-tokens", id], ["score", "--tokens", id],
                ["generate", "a", "--logit-bias", "\(id)=1"],
            ] {
                let outcome = try Command(arguments).finish()
                try expect(65, outcome)
                #expect(outcome.errors.contains(" \(id),"), "\(outcome.errors)")
            }
        }

        @Test func textsThatLookLikeFlagsAreExplained() throws {
            for command in ["generate", "score"] {
                let outcome = try Command.run(command, "- one")
                try expect(2, outcome)
                #expect(outcome.errors.contains("after --"))
                #expect(try Command.run(command, "--threads", "1", "--", "- one").status == 0)
            }
            #expect(try Command.run("generate", "a", "--seed", "-1").errors.contains("'-1'"))
        }

        @Test func promptsThatAreNotUTF8AreRefused() throws {
            let folder = try TemporaryFolder()
            try folder.write(Array("good".utf8) + [0xFF] + Array("bad".utf8), "prompt")
            for arguments in [["generate", "--prompt-file"], ["score", "--text-file"], ["chat", "--input-file"]] {
                let outcome = try Command(arguments + [folder.path + "/prompt"]).finish()
                try expect(65, outcome)
                #expect(outcome.errors.contains("UTF-8"))
            }
        }

        @Test func promptsLongerThanTheModelsContextAreRefusedWithTheNumbers() throws {
            let ids = Array(repeating: "17", count: 4097).joined(separator: ",")
            let outcome = try Command.run("generate", "--prompt-tokens", ids)
            try expect(65, outcome)
            #expect(outcome.errors.contains("4097") && outcome.errors.contains("4096"))
        }

        @Test func aDamagedCheckpointIsRefused() throws {
            let folder = try TemporaryFolder()
            try folder.write(Array("{\"model_type\": \"llama\"}".utf8), "config.json")
            try expect(65, Command.run("generate", "a", "--model", folder.path))
        }

        @Test func aCheckpointWithoutMTPRunsUndraftedAndSaysSo() throws {
            let folder = try TemporaryFolder()
            try TinyModel(TinyGeometry { $0.mtpModules = 0 }).write(to: folder)
            let arguments = [
                "generate", "--model", folder.path, "--prompt-tokens", "1,2,3", "--max-tokens", "4", "--json",
            ]
            let auto = try Command(arguments).finish()
            #expect(auto.status == 0, "\(auto.errors)")
            #expect(auto.errors.contains("no MTP module") && auto.errors.contains("looked up"))
            #expect(auto.output.contains("\"sources\":{\"lookup\":{"))
            #expect(try Command(arguments + ["--draft", "off"]).finish().output.contains("\"drafted\":[]"))
            #expect(try Command(arguments + ["--draft", "2"]).finish().status == 0)
            try expect(65, Command(arguments + ["--draft", "2", "--draft-source", "mtp"]).finish())
            try expect(65, Command(["generate", "a", "--draft", "9", "--draft-source", "mtp"]).finish())
        }

        @Test func helpAndVersionAreAnswers() throws {
            let version = try Command.run("--version")
            #expect(version.status == 0 && version.output == "0.1.0\n")
            let help = try Command.run("generate", "--help")
            #expect(help.status == 0 && help.output.contains("--draft") && help.errors.isEmpty)
        }

        /// One error line, nothing on standard output.
        private func expect(_ status: Int32, _ outcome: Command.Outcome) throws {
            #expect(outcome.status == status, "\(outcome.errors)")
            #expect(outcome.errors.hasPrefix("foretoken: error: ") || outcome.errors.contains("\nforetoken: error: "))
            #expect(outcome.output.isEmpty)
        }
    }

    @Suite struct Interrupting {
        /// Waits for the first text, then presses Ctrl-C.
        private func interrupt(_ command: Command) {
            command.wait { !command.outputSoFar.isEmpty }
            command.signal(SIGINT)
        }

        @Test func theFirstInterruptStopsAndReports() throws {
            let command = try Command(["generate", prompt, "--max-tokens", "4000", "--ignore-eos", "--threads", "1"])
            interrupt(command)
            let outcome = try command.finish()
            #expect(outcome.status == 130)
            #expect(outcome.errors.contains("tok/s"), "statistics are printed")
            #expect(!outcome.output.isEmpty)
        }

        @Test(arguments: [["--json"], ["--context", "64"]])
        func interruptedScoresAreReported(arguments: [String]) throws {
            let folder = try TemporaryFolder()
            try folder.write(Array(String(repeating: "let x = 1\n", count: 200_000).utf8), "text")
            let report = try Command.interrupt(
                ["score", "--text-file", folder.path + "/text", "--threads", "1"] + arguments)
            #expect(report.status == 130)
            #expect(report.errors.contains("interrupted: these figures are about the first "))
            #expect(report.output.contains(arguments[0] == "--json" ? "\"perplexity\":" : "stride 32"))
        }

        @Test func aClosedPipeEndsQuietly() throws {
            let script = #"{ "$0" generate struct --max-tokens 4000 --ignore-eos; echo status $? >&2; } | head -c 1"#
            let outcome = try Command(["-c", script, Command.path], program: "/bin/sh").finish()
            #expect(outcome.errors.hasSuffix("status 0\n"), "\(outcome.errors)")
            #expect(!outcome.errors.contains("error"))
        }
    }
}
