import Testing

/// `foretoken-fuzz`, whose driver lies beside the program.
@Suite struct FuzzTests {
    private static let program = Command.path + "-fuzz"
    private static let failures = String(#filePath.split(separator: "/Tests/")[0]) + "/Tests/Fuzz/Failures"

    @Test func whatFailedOnceIsReadCleanly() throws {
        let outcome = try Command(["replay", Self.failures], program: Self.program).finish()
        #expect(outcome.status == 0, "\(outcome.output)\(outcome.errors)")
    }

    /// Every format's driver works: a few damaged inputs each.
    @Test func everyFormatIsDriven() throws {
        let outcome = try Command(
            ["--inputs", "60", "--failures", Self.failures], program: Self.program
        ).finish()
        #expect(outcome.status == 0, "\(outcome.output)\(outcome.errors)")
        #expect(!outcome.output.contains(": 0 inputs"))
    }
}
