import ForetokenTestSupport
import Testing

extension EngineTests {
    /// Files without an end, and lines longer than anybody writes.
    @Suite struct EndlessInput {
        @Test(arguments: [
            (["generate", "--prompt-file", "/dev/zero"], "16 MiB that a prompt may have"),
            (["generate", "--input-file", "/dev/zero"], "line 1 is longer than the 16 MiB"),
            (["measure", "--suite", "/dev/zero"], "line 1 is longer than the 16 MiB"),
            (["chat", "--input-file", "/dev/zero"], "line 1 is longer than the 16 MiB"),
            (["score", "--text-file", "/dev/zero"], "64 MiB that a text may have"),
            (["place", "--show", "/dev/zero"], "does not begin as a routing trace"),
            (["place", "--trace", "/dev/zero"], "does not begin as a routing trace"),
            (["place", "--trace", "TRACE", "--topology", "/dev/zero"], "description of a machine may have"),
            (["place", "--trace", "TRACE", "--shape", "/dev/zero"], "4 MiB that a config.json may have"),
            (["generate", "a", "--plan", "/dev/zero"], "64 MiB that a plan may have"),
        ])
        func whatNeverEndsIsRefusedAtItsBound(arguments: [String], complaint: String) throws {
            let folder = try TemporaryFolder()
            let trace = folder.path + "/trace"
            if arguments.contains("TRACE") {
                try #require(try Command.run("score", "a b c", "--record-routing", trace).status == 0)
            }
            // Some 2 GiB of address space, in kilobytes: what is read without a bound would need more.
            let script = "ulimit -v 2000000; exec \"$0\" \"$@\""
            let given = arguments.map { $0 == "TRACE" ? trace : $0 }
            let outcome = try Command(["-c", script, Command.path] + given, program: "/bin/sh").finish()
            #expect(outcome.status == 65 && outcome.output.isEmpty)
            #expect(outcome.errors.contains("/dev/zero") && outcome.errors.contains(complaint), "\(outcome.errors)")
        }

        @Test func longLinesOfAChatAreReadAndTheNextOneToo() throws {
            let long = [UInt8](repeating: 0xFF, count: 8 << 20)
            let command = try Command(
                ["chat", "--max-tokens", "4"], input: long + Array("\nWrite a func.\n".utf8))
            let outcome = try command.finish()
            #expect(outcome.status == 0 && outcome.errors.contains("not valid UTF-8"), "\(outcome.errors)")
            #expect(try outcome.output == Command.run("chat", "--max-tokens", "4", input: "Write a func.\n").output)
        }

        @Test func anEmptyFileOfQuestionsIsNamed() throws {
            let folder = try TemporaryFolder()
            try folder.write([], "nothing.txt")
            let outcome = try Command.run("chat", "--input-file", folder.path + "/nothing.txt")
            #expect(outcome.status == 65 && outcome.errors.contains("nothing.txt"), "\(outcome.errors)")
        }
    }
}
