import Testing

/// `Bench/numa-vm/watch`, which ends an emulated machine that hangs, tried with commands that play the machine.
@Suite struct WatchTests {
    private static let program = String(#filePath.split(separator: "/Tests/")[0]) + "/Bench/numa-vm/watch"

    private func watch(silence: Int, total: Int, _ script: String) throws -> Command.Outcome {
        try Command(["\(silence)", "\(total)", "/bin/sh", "-c", script], program: Self.program).finish()
    }

    /// Seconds of silence are counted, not seconds in all: passing check after check, it runs twice as long as it may
    /// be silent.
    @Test func whoSpeaksIsNotEnded() throws {
        let outcome = try watch(silence: 10, total: 600, "for i in $(seq 20); do echo ok $i; sleep 1; done; exit 33")
        #expect(outcome.status == 33)
        #expect(outcome.output == (1...20).map { "ok \($0)\n" }.joined())
    }

    @Test func whoFallsSilentIsEnded() throws {
        let outcome = try watch(silence: 1, total: 600, "echo ok; exec sleep 600")
        #expect(outcome.status == 124)
        #expect(outcome.output.hasSuffix("ended: no new line for 1 seconds\n"))
    }

    @Test func whoSpeaksForEverIsEnded() throws {
        let outcome = try watch(silence: 600, total: 2, "while echo ok; do sleep 0.1; done")
        #expect(outcome.status == 124)
        #expect(outcome.output.hasSuffix("ended: no result within 2 seconds in all\n"))
    }

    @Test func linesAreThoseOfTheConsole() throws {
        let outcome = try watch(silence: 600, total: 600, #"printf 'a\r\n\nend'; exit 3"#)
        #expect(outcome.status == 3)
        #expect(outcome.output == "a\n\nend\n")
    }
}
