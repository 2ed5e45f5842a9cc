import ForetokenTestSupport
import Testing

/// Under limits of `ulimit` the program works, or says in one sentence what it lacks; nothing hangs or crashes.
@Suite struct UnderLimits {
    /// Runs the program under a limit; what hangs is ended, with 137.
    private func run(_ limit: String, _ arguments: String...) throws -> Command.Outcome {
        let script = "unset OPENBLAS_NUM_THREADS; ulimit \(limit); exec timeout -s KILL 60 \"$0\" \"$@\""
        return try Command(["-c", script, Command.path] + arguments, program: "/bin/sh").finish()
    }

    @Test(arguments: [150_000, 200_000, 250_000, 300_000])
    func littleAddressSpaceIsEnoughForWhatMultipliesNothing(kibibytes: Int) throws {
        let version = try run("-v \(kibibytes)", "--version")
        #expect(version.status == 0 && version.output == "0.1.0\n", "\(version)")
        let inspected = try run("-v \(kibibytes)", "inspect")
        #expect(inspected.status == 0 && inspected.errors.isEmpty, "\(inspected)")
        let generated = try run("-v \(kibibytes)", "generate", "a", "--max-tokens", "2")
        #expect(generated.status == 1 && generated.errors.contains("ulimit -v leaves"), "\(generated)")
    }

    @Test func addressSpaceForNothingIsRefused() throws {
        // What the libraries alone take differs between builds: somewhere there is room for them and for nothing else.
        let outcomes = try stride(from: 60, through: 140, by: 10).map { try run("-v \($0 << 10)", "inspect") }
        for outcome in outcomes { #expect([0, 1, 127].contains(outcome.status), "\(outcome)") }
        #expect(outcomes.contains { $0.status == 1 && $0.errors.contains("ulimit -v leaves") }, "\(outcomes)")
    }

    @Test func aSmallStackIsEnlarged() throws {
        let usual = try Command.run("generate", "a", "--max-tokens", "8")
        let outcome = try run("-S -s 128", "generate", "a", "--max-tokens", "8", "--threads", "2")
        #expect(outcome.status == 0 && outcome.output == usual.output, "\(outcome)")
    }

    @Test(arguments: [64, 128, 2048])
    func aStackThatCannotBeEnlargedIsRefused(kibibytes: Int) throws {
        let outcome = try run("-s \(kibibytes)", "generate", "a", "--max-tokens", "2")
        #expect(outcome.status == 1, "\(outcome)")
        #expect(
            outcome.errors == "foretoken: error: ulimit -s allows a stack of \(kibibytes) KiB, but up to 4096 KiB are "
                + "needed; use ulimit -s 8192\n")
    }

    /// A template that calls itself goes down to the interpreter's own bound.
    @Test func theSmallestStackHoldsTheDeepestTemplate() throws {
        let folder = try TemporaryFolder()
        try folder.write(Array("{% macro f(n) %}{{ f(n + 1) }}{% endmacro %}{{ f(0) }}".utf8), "deep.jinja")
        let outcome = try run(
            "-s 4096", "generate", "--chat", "a", "--chat-template", folder.path + "/deep.jinja")
        #expect(outcome.status == 65 && outcome.errors.contains("calls lie deeper than 400 levels"), "\(outcome)")
    }
}
