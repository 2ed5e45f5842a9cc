import ForetokenTestSupport
import Testing

extension EngineTests {
    /// Standard input, output and error closed by whoever starts the program.
    @Suite struct ClosedDescriptors {
        /// Runs the program with some of its descriptors closed, by a shell's redirections such as `<&- >&-`.
        private func run(_ closed: String, _ arguments: [String]) throws -> Command.Outcome {
            try Command(["-c", "exec \"$0\" \"$@\" \(closed)", Command.path] + arguments, program: "/bin/sh").finish()
        }

        @Test func aClosedInputIsAtItsEnd() throws {
            #expect(try run("<&-", ["chat"]).status == 0)
            let prompt = try run("<&-", ["generate", "--prompt-file", "-"])
            #expect(prompt.status == 65 && prompt.errors.contains("empty"), "\(prompt.errors)")
            #expect(try run("<&-", ["generate", "a", "--max-tokens", "2"]).status == 0)
        }

        @Test func anAnswerThatNobodyGetsIsAnError() throws {
            for arguments in [["generate", "a", "--max-tokens", "2"], ["score", "a b"], ["--version"], ["doctor"]] {
                let outcome = try run(">&-", arguments)
                #expect(outcome.status == 1, "\(arguments)")
                #expect(outcome.errors.hasPrefix("foretoken: error: cannot write"), "\(outcome.errors)")
            }
        }

        @Test func closedErrorsChangeNothing() throws {
            let outcome = try run("2>&-", ["generate", prompt, "--max-tokens", "4"])
            #expect(outcome.status == 0)
            #expect(try outcome.output == Command.run("generate", prompt, "--max-tokens", "4").output)
            #expect(try run("2>&-", ["generate", "--no-such-flag"]).status == 2)
        }

        /// What is opened first must not become the output or the errors of the program.
        @Test(arguments: [">&-", "2>&-", "<&- >&-", "<&- 2>&-", ">&- 2>&-", "<&- >&- 2>&-"])
        func filesAreNotTakenForStreams(closed: String) throws {
            let folder = try TemporaryFolder()
            let path = folder.path + "/trace"
            let record = ["generate", "a", "--max-tokens", "3", "--record-routing", path]
            #expect(try Command(record).finish().status == 0)
            let before = try folder.read("trace")
            _ = try run(closed, record)
            let after = try folder.read("trace")
            #expect(after.starts(with: before))
            let shown = try run(closed, ["place", "--show", path])
            #expect(shown.status == (closed.contains(" >&-") || closed.hasPrefix(">&-") ? 1 : 0))
            #expect(try folder.read("trace") == after)
            let whole = try Command.run("place", "--show", path)
            #expect(whole.status == 0 && !whole.errors.contains("no whole record"), "\(whole.errors)")
        }
    }
}
