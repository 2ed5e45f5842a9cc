import Testing

/// The script that watches emulated machines: only silence ends a command, however slow it is.
@Suite struct WatchedTests {
    private static let script =
        #filePath.split(separator: "/", omittingEmptySubsequences: false).dropLast(3).joined(separator: "/")
        + "/Bench/numa-vm/watched"

    private func watch(silence: Int, total: Int, _ command: String) throws -> Command.Outcome {
        try Command(["\(silence)", "\(total)", "bash", "-c", command], program: Self.script).finish()
    }

    @Test func slowCommandsAreLeftAlone() throws {
        let outcome = try watch(
            silence: 60, total: 600, "for i in 1 2 3; do sleep 0.2; echo $i; done; printf end; exit 35")
        #expect(outcome.status == 35)
        #expect(outcome.output == "1\n2\n3\nend\n")
    }

    @Test func silentCommandsAreEnded() throws {
        let outcome = try watch(silence: 1, total: 600, "echo a; exec sleep 600")
        #expect(outcome.status == 124)
        #expect(outcome.output == "a\nended after 1 seconds without a line\n")
    }

    @Test func endlessCommandsAreEnded() throws {
        let outcome = try watch(silence: 60, total: 2, "while :; do echo x; sleep 0.1; done")
        #expect(outcome.status == 124)
        #expect(outcome.output.hasSuffix("x\nended after 2 seconds\n"))
    }
}
