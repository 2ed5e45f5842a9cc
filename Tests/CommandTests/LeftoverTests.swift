import ForetokenTestSupport
import FoundationEssentials
import Glibc
import Testing

extension EngineTests {
    /// Runs that were killed, that meet another one, or whose files may not grow.
    @Suite struct Leftovers {
        private let folder: TemporaryFolder
        private var destination: String { folder.path + "/new" }
        private var convert: [String] { ["convert", "--to", "bf16", destination] }

        init() throws { folder = try TemporaryFolder() }

        private func isWhole() throws -> Bool {
            try Command.run("inspect", "--scan", "--model", destination).status == 0
        }

        @Test func aKilledConversionDoesNotStandInTheWay() throws {
            let killed = try Command(convert)
            killed.wait { (try? folder.names().isEmpty) == false }
            killed.signal(SIGKILL)
            _ = try killed.finish()
            // Where it was quicker than the signal.
            try? FileManager.default.removeItem(atPath: destination)
            let outcome = try Command(convert).finish()
            #expect(outcome.status == 0, "\(outcome.errors)")
            #expect(try isWhole() && folder.names() == ["new"])
        }

        @Test func whatNobodyHoldsIsRemoved() throws {
            try FileManager.default.createDirectory(
                atPath: folder.path + "/.new.foretoken", withIntermediateDirectories: false)
            try folder.write([1], ".new.foretoken/part")
            try folder.write([1], ".new.foretoken-notes")
            #expect(try Command(convert).finish().status == 0)
            #expect(try isWhole() && folder.names() == [".new.foretoken-notes", "new"])
        }

        @Test func twoConversionsAtOnceAreOne() throws {
            let both = try [Command(convert), Command(convert)]
            let outcomes = try both.map { try $0.finish() }
            #expect(outcomes.count { $0.status == 0 } == 1, "\(outcomes.map(\.errors))")
            for loser in outcomes where loser.status != 0 {
                #expect(
                    loser.errors.contains("another run") || loser.errors.contains("exists already"), "\(loser.errors)")
            }
            #expect(try isWhole() && folder.names() == ["new"])
        }

        /// Blocks of 512 or 1024 bytes: more than a message needs, less than any result here.
        private func limited(_ arguments: [String]) throws -> Command.Outcome {
            try Command(["-c", "ulimit -f 4; exec \"$0\" \"$@\"", Command.path] + arguments, program: "/bin/sh")
                .finish()
        }

        @Test func filesThatMayNotGrowLeaveNothing() throws {
            try folder.write(Array(String(repeating: "let value = array[index]\n", count: 60).utf8), "text")
            // One window, so that no part of it can be a trace.
            let recorded = try limited([
                "score", "--text-file", folder.path + "/text", "--context", "512", "--record-routing",
                folder.path + "/trace",
            ])
            for outcome in [recorded, try limited(convert)] {
                #expect(outcome.status == 1 && outcome.errors.contains("File too large"), "\(outcome.errors)")
            }
            #expect(try folder.names() == ["text"])
        }
    }
}
