import ForetokenSpeculation
import ForetokenTestSupport
import ForetokenTokenizer
import Glibc
import Testing
import foretoken

@Suite struct ChatCommandTests {
    @Test(arguments: [
        ("/help", ChatCommand.help), ("/?", .help), ("/bye", .exit), ("/exit", .exit), ("/clear", .clear),
        ("/stats", .stats),
        ("/retry", .retry), ("/system Be brief.  ", .system("Be brief.")), ("/system", .system(nil)),
        ("/system \"\"", .system("")), ("/temperature 0.7", .temperature(0.7)), ("/temp", .temperature(nil)),
        ("/seed 7", .seed(7)), ("/draft auto", .draft(.auto)), ("/draft off", .draft(.off)),
        ("/draft 3", .draft(.fixed(3))),
        ("/marks on", .marks(true)), ("/marks off", .marks(false)), ("/save a b.jsonl", .save("a b.jsonl")),
        ("/load x", .load("x")),
    ])
    func commandsAreRead(text: String, command: ChatCommand) throws { #expect(try ChatCommand.parse(text) == command) }

    @Test(arguments: [
        "Hi", " /exit", "/exit\nplease", "// a comment", "/* a comment */", "/usr/bin/env fails", "/", "/ 3", "/3",
    ])
    func messagesAreNoCommands(text: String) throws { #expect(try ChatCommand.parse(text) == nil) }

    @Test(arguments: [
        ("/hlep", "did you mean /help?"), ("/frobnicate", "/help lists them"),
        ("/frobnicate", "With a space before it"),
        ("/temperature hot", "a number"), ("/draft 16", "1...15"), ("/marks maybe", "on or off"),
        ("/save", "name of a file"),
        ("/exit now", "takes nothing"), ("/seed -1", "0 or more"),
    ])
    func whatIsNoCommandIsExplained(text: String, message: String) {
        let error = #expect(throws: (any Error).self) { try ChatCommand.parse(text) }
        #expect(error.map { "\($0)".contains(message) } == true, "\(error.map { "\($0)" } ?? "")")
    }
}

@Suite struct TranscriptTests {
    @Test func whatIsSavedIsLoaded() throws {
        let turns = [
            ChatMessage(.user, "Hi \"you\"\n\t\u{1B}[31m\u{202E}日本"), ChatMessage(.assistant, ""),
            ChatMessage(.user, "/exit"), ChatMessage(.assistant, "{\"role\": \"user\"}"),
        ]
        for system in [nil, "Be\nbrief."] {
            let transcript = Transcript(system: system, turns: turns)
            let bytes = try transcript.encoded()
            #expect(bytes.count { $0 == UInt8(ascii: "\n") } == turns.count + (system == nil ? 0 : 1))
            #expect(try Transcript(bytes, source: "f") == transcript)
        }
    }

    @Test(arguments: [
        ("", "no conversation"), ("\n\n", "no conversation"),
        ("{\"role\":\"system\",\"content\":\"a\"}", "no conversation"),
        ("{\"role\":\"user\",\"content\":\"a\"}", "ends with a question"),
        ("{\"role\":\"assistant\",\"content\":\"a\"}", "line 1: the role here must be \"system\" or \"user\""),
        (
            "{\"role\":\"user\",\"content\":\"a\"}\n{\"role\":\"user\",\"content\":\"a\"}",
            "line 2: the role here must be \"assistant\""
        ),
        ("{\"role\":\"user\",\"content\":\"a\"}\n{\"role\":\"system\",\"content\":\"a\"}", "line 2"),
        ("{\"role\":\"tool\",\"content\":\"a\"}", "found \"tool\""), ("{\"role\":\"user\"}", "`content`"),
        ("{\"role\":\"user\",\"content\":null}", "`content`"), ("{\"role\":\"user\",\"content\":[]}", "`content`"),
        ("{\"role\":\"user\",\"content\":\"a\",\"tool_calls\":[]}", "tool_calls"), ("[]", "JSON object"), ("{", "byte"),
        ("hello", "byte"), ("\u{0}\u{1}", "byte"), (String(repeating: "[", count: 100_000), "line 1"),
    ])
    func hostileFilesAreRefused(text: String, message: String) {
        let error = #expect(throws: (any Error).self) { try Transcript(Array(text.utf8), source: "f") }
        #expect(error.map { "\($0)".contains(message) } == true, "\(error.map { "\($0)" } ?? "")")
    }
}

extension EngineTests {
    /// Commands of a conversation, where nobody looks on.
    @Suite struct ChatCommands {
        private let folder: TemporaryFolder
        private let short = ["--max-tokens", "10", "--threads", "1"]

        init() throws { folder = try TemporaryFolder() }

        private func chat(_ input: String, _ arguments: String...) throws -> Command.Outcome {
            let outcome = try Command(["chat"] + short + arguments, input: Array(input.utf8)).finish()
            try #require(outcome.status == 0, "\(outcome.errors)")
            return outcome
        }

        @Test func settingsAreThoseOfTheCommandLine() throws {
            let question = "Write a func.\n"
            let changed = try chat("/temperature 0.9\n/seed 5\n/draft off\n/system Be brief.\n" + question)
            let given = try chat(
                question, "--temperature", "0.9", "--seed", "5", "--system", "Be brief.", "--draft", "3")
            #expect(changed.output == given.output && !changed.output.isEmpty)
            #expect(changed.errors.contains("temperature 0.9, seed 5") && changed.errors.contains("drafts: off"))
            #expect(try chat("/temperature 0.9\n/temperature 0\n" + question).output == (try chat(question).output))
        }

        @Test func draftsMayChangeBetweenAnswers() throws {
            let (one, two) = ("Write a func.\n", "And another one.\n")
            let plain = try chat(one + two + one, "--draft", "off").output
            #expect(try chat(one + "/draft off\n" + two + "/draft 4\n" + one, "--draft", "2").output == plain)
            #expect(try chat(one + "/draft 4\n" + two + "/draft auto\n" + one, "--draft", "off").output == plain)
        }

        @Test func askingAgainTakesTheNextSeed() throws {
            let question = "Write a func.\n"
            let first = try chat(question, "--temperature", "1", "--seed", "4").output
            let second = try chat(question, "--temperature", "1", "--seed", "5").output
            let both = try chat(question + "/retry\n", "--temperature", "1", "--seed", "4")
            #expect(both.output == first + second && first != second)
            #expect(both.errors.contains("--seed 5"))
            let greedy = try chat(question + "/retry\n")
            #expect(try greedy.output == chat(question).output + chat(question).output)
            #expect(greedy.errors.contains("always the same"))
            #expect(try chat("/retry\n").errors.contains("nothing to ask again"))
        }

        @Test func savedConversationsGoOn() throws {
            let path = folder.path + "/talk.jsonl"
            let (one, two) = ("Write a func.\n", "And another one.\n")
            let whole = try chat("/system Be brief.\n" + one + "/save \(path)\n" + two)
            let loaded = try chat("/load \(path)\n" + two)
            #expect(whole.output.hasSuffix("\n" + loaded.output) && !loaded.output.isEmpty)
            #expect(loaded.errors.contains("going on after 1 question"))
            let lines = try String(decoding: folder.read("talk.jsonl"), as: UTF8.self).split(separator: "\n")
            #expect(lines.count == 3 && lines[0] == #"{"content":"Be brief.","role":"system"}"#)
            // It is replaced by a later one, but nothing else is.
            #expect(try chat(two + "/save \(path)\n").errors.contains("saved to"))
            try folder.write(Array("precious".utf8), "other")
            let refused = try chat(one + "/save \(folder.path)/other\n/save \(folder.path)/none/x\n/save -\n" + two)
            #expect(refused.errors.contains("is no saved conversation") && refused.errors.contains("does not exist"))
            #expect(try folder.read("other") == Array("precious".utf8))
            #expect(try refused.output == chat(one + two).output, "the conversation goes on")
        }

        @Test func whatCannotBeLoadedChangesNothing() throws {
            let (one, two) = ("Write a func.\n", "And another one.\n")
            try folder.write(Array("{\"role\":\"user\",\"content\":\"a\"}\n".utf8), "half")
            let words = String(repeating: "word ", count: 5000)
            let long = "{\"role\":\"user\",\"content\":\"\(words)\"}\n{\"role\":\"assistant\",\"content\":\"b\"}\n"
            try folder.write(Array(long.utf8), "long")
            var input = one
            for name in ["half", "long", "none", "."] { input += "/load \(folder.path)/\(name)\n" }
            let outcome = try chat(input + "/load /dev/zero\n/load -\n/nonsense\n/temperature -1\n/draft 99\n" + two)
            #expect(try outcome.output == chat(one + two).output)
            for message in [
                "ends with a question", "but the context holds", "does not exist", "16 MiB", "no command /nonsense",
                "1...15",
            ] { #expect(outcome.errors.contains(message), "\(message): \(outcome.errors)") }
        }

        @Test func plainInputGetsNoEscapes() throws {
            let outcome = try chat("/help\nWrite a func.\n/stats\n/marks on\n/bye\nnever asked\n")
            #expect(!outcome.errors.contains("\u{1B}") && !outcome.output.contains("\u{1B}"))
            for text in ["/temperature T", "context ", "tok/s", "of drafts accepted", "no terminal"] {
                #expect(outcome.errors.contains(text), "\(text): \(outcome.errors)")
            }
        }
    }

    /// The same on a terminal.
    @Suite struct ChatOnATerminal {
        private let folder: TemporaryFolder

        init() throws { folder = try TemporaryFolder() }

        /// The messages that the model got, by what was saved.
        private func questions(_ name: String) throws -> [String?] {
            try Transcript(folder.read(name), source: name).turns.filter { $0.role == .user }.map(\.content)
        }

        @Test(arguments: [20, 40, 80])
        func messagesAreEdited(columns: Int) throws {
            let terminal = try PseudoTerminal(["chat", "--max-tokens", "4", "--threads", "1"], columns: columns)
            terminal.waitForPrompt()
            // A word too many, two letters in the wrong place, and an accent.
            terminal.type("Write  thing func\u{17}\u{17}a func in Swift, plea\u{1B}[Dse\u{1}\u{5}\u{301}\r")
            terminal.waitForPrompt(2)
            terminal.type("\u{1B}[200~two\rlines of a paste\u{1B}[201~\r")
            terminal.waitForPrompt(3)
            terminal.type("\u{1B}[A\u{1B}[A\u{1B}[A again\r")
            terminal.waitForPrompt(4)
            terminal.type("kept\\\rlonger\r/save \(folder.path)/talk\r")
            terminal.waitForPrompt(6)
            terminal.type("\u{4}")
            #expect(terminal.finish() == 0, "\(terminal.output)")
            #expect(
                try questions("talk") == [
                    "Write  a func in Swift, plesea\u{301}", "two\nlines of a paste",
                    "Write  a func in Swift, plesea\u{301} again", "kept\nlonger",
                ])
            #expect(terminal.screen.unknown.isEmpty)
            #expect(terminal.output.utf8.last == UInt8(ascii: "\n") && terminal.output.count(of: "\u{1B}[?2004l") == 1)
            #expect(terminal.output.count(of: "\u{1B}[?2004h") == 6 && terminal.isUsual)
        }

        /// Answers that take long by any clock: nothing is as slow as the portable kernels.
        private static let longAnswers = [
            "chat", "--max-tokens", "4000", "--ignore-eos", "--threads", "1", "--isa", "generic", "--draft", "off",
        ]

        /// What is typed while an answer comes is neither shown among it nor lost.
        @Test func typingAheadIsTheNextMessage() throws {
            let terminal = try PseudoTerminal(Self.longAnswers)
            terminal.waitForPrompt()
            terminal.type("Write a func.\r")
            terminal.wait { $0.utf8.count > 600 }
            terminal.type("/save \(folder.path)/talk\r/bye")
            // The answer goes on for a while.
            let before = terminal.output.utf8.count
            terminal.wait { $0.utf8.count > before + 600 }
            #expect(!terminal.output.contains("/save") && !terminal.output.contains("/bye"), "\(terminal.output)")
            terminal.type("\u{3}")
            terminal.waitForPrompt(3)
            terminal.wait(for: "/bye")
            #expect(terminal.output.contains("interrupted]") && terminal.screen.text.hasSuffix("> /bye"))
            #expect(try questions("talk") == ["Write a func."])
            terminal.type("\r")
            #expect(terminal.finish() == 0 && terminal.isUsual)
        }

        @Test func historyIsSearched() throws {
            let terminal = try PseudoTerminal(["chat", "--max-tokens", "2", "--threads", "1"])
            terminal.waitForPrompt()
            terminal.type("first words\r")
            terminal.waitForPrompt(2)
            terminal.type("others\r")
            terminal.waitForPrompt(3)
            terminal.type("\u{12}word")
            terminal.wait(for: "(search: word) first words")
            terminal.type("\r")
            terminal.waitForPrompt(4)
            terminal.type("/save \(folder.path)/talk\r/bye\r")
            #expect(try terminal.finish() == 0 && questions("talk") == ["first words", "others", "first words"])
        }

        /// However the program ends or stops, the terminal is as it was.
        @Test(arguments: [SIGTERM, SIGHUP, SIGQUIT, SIGSEGV, SIGXCPU], [false, true])
        func theTerminalIsPutBack(signal: Int32, isAnswering: Bool) throws {
            // The language's own report of a crash would ask for keys; its handler is there, and finds nobody to report.
            let terminal = try PseudoTerminal(
                Self.longAnswers,
                environment: ["SWIFT_BACKTRACE": isAnswering ? "enable=yes,swift-backtrace=/bin/true" : "enable=no"])
            terminal.waitForPrompt()
            #expect(!terminal.isUsual)
            if isAnswering {
                terminal.type("Write a func.\r")
                terminal.wait { $0.utf8.count > 600 }
                #expect(!terminal.isUsual)
            }
            terminal.send(signal)
            #expect(terminal.finish() == (signal == SIGTERM ? 130 : 128 + signal), "\(terminal.output)")
            #expect(terminal.isUsual && terminal.output.count(of: "\u{1B}[?2004l") == 1)
        }

        @Test func stoppingPutsTheTerminalBackForAsLong() throws {
            // Only what a shell has started can be stopped.
            let terminal = try PseudoTerminal(
                ["-i"], environment: ["PS1": "shell: ", "NO_COLOR": "1"], program: "/bin/sh")
            terminal.wait(for: "shell: ")
            terminal.type("\(Command.path) chat --max-tokens 4 --threads 1\n")
            terminal.waitForPrompt()
            terminal.type("half")
            terminal.wait(for: "> half")
            terminal.type("\u{1A}")
            terminal.wait(for: "topped")
            #expect(terminal.output.count(of: "\u{1B}[?2004l") == 1)
            terminal.type("stty -a\n")
            terminal.wait(for: "icanon")
            #expect(terminal.output.contains(" icanon") && !terminal.output.contains("-echo "), "\(terminal.output)")
            terminal.type("fg\n")
            terminal.wait { $0.count(of: "> half") >= 2 }
            terminal.type(" a line\r")
            terminal.wait(for: "tok/s")
            terminal.type("/save \(folder.path)/talk\r/bye\r")
            terminal.wait(for: "saved to")
            terminal.wait(for: "shell: ", 3)
            terminal.type("exit\n")
            #expect(try terminal.finish() == 0 && questions("talk") == ["half a line"])
        }

        @Test func controlCAndMarks() throws {
            let terminal = try PseudoTerminal(["chat", "--max-tokens", "8", "--threads", "1"])
            terminal.waitForPrompt()
            terminal.type("not sent\u{3}/marks on\rWrite a func.\r")
            terminal.waitForPrompt(3)
            terminal.type("/marks off\r/exit\r")
            #expect(terminal.finish() == 0 && terminal.output.contains("marks are on"), "\(terminal.output)")
            #expect(terminal.output.contains("the verifier's own"))
            let other = try PseudoTerminal(["chat", "--threads", "1"])
            other.waitForPrompt()
            other.type("\u{3}")
            #expect(other.finish() == 130)
        }

        @Test func controlCStopsAnAnswerAndNoMore() throws {
            let terminal = try PseudoTerminal(Self.longAnswers)
            terminal.waitForPrompt()
            terminal.type("Write a func.\r")
            terminal.wait { $0.utf8.count > 600 }
            terminal.type("\u{3}")
            terminal.waitForPrompt(2)
            #expect(terminal.output.contains("interrupted]"), "\(terminal.output.suffix(300))")
            terminal.type("/save \(folder.path)/talk\r/bye\r")
            #expect(try terminal.finish() == 0 && questions("talk") == ["Write a func."])
        }

        @Test func dumbTerminalsGetPlainLines() throws {
            for environment in [["TERM": "dumb"], ["FORETOKEN_PLAIN": "1"]] {
                let terminal = try PseudoTerminal(
                    ["chat", "--max-tokens", "24", "--threads", "1", "--show-drafts"], environment: environment)
                terminal.wait(for: "> ")
                terminal.type("Write a func.\n")
                terminal.wait(for: "tok/s")
                terminal.type("/exit\n")
                #expect(terminal.finish() == 0 && !terminal.output.contains("\u{1B}"), "\(terminal.output)")
                // Who drafted what is told by quotes.
                #expect(terminal.output.count(of: "‹") >= 2 && terminal.output.contains("drafted by MTP›"))
            }
        }

        @Test func withoutColourThereIsNone() throws {
            let terminal = try PseudoTerminal(
                ["chat", "--max-tokens", "4", "--threads", "1"], environment: ["NO_COLOR": "1"])
            terminal.waitForPrompt()
            terminal.type("Write a func.\r")
            terminal.waitForPrompt(2)
            terminal.type("\u{4}")
            #expect(terminal.finish() == 0)
            for style in ["\u{1B}[1m", "\u{1B}[2m", "\u{1B}[36m", "\u{1B}[32m"] {
                #expect(!terminal.output.contains(style))
            }
        }
    }
}
