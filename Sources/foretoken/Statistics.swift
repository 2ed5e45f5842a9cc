import ForetokenReport
import ForetokenSpeculation

/// The figures below an answer.
enum Statistics {
    /// A few aligned lines with a blank one above.
    static func text(_ result: GenerationResult, on terminal: Terminal) -> String {
        let (timings, telemetry) = (result.timings, result.telemetry)
        var table = Table([
            .init(""), .init("", .right), .init("", .right, rank: 2), .init("", .right), .init("", rank: 1),
        ])
        table.add(
            "prompt", count(timings.promptCount, "token"), Format.duration(nanoseconds: timings.promptNanoseconds),
            speed(timings.promptPerSecond))
        table.add(
            "generated", count(timings.predictedCount, "token"),
            Format.duration(nanoseconds: timings.predictedNanoseconds), speed(timings.predictedPerSecond))
        if telemetry.rounds > 0 {
            table.add(
                "rounds", Format.grouped(telemetry.rounds), "", Format.fixed(telemetry.tokensPerRound, 2) + " tok/round"
            )
        }
        for (index, (drafted, accepted)) in zip(telemetry.drafted, telemetry.accepted).enumerated() {
            table.add(
                "draft \(index + 1)", "\(Format.grouped(accepted))/\(Format.grouped(drafted))", "accepted",
                Format.percent(Double(accepted) / Double(drafted)))
        }
        for (name, counts) in [("look-up", telemetry.lookup), ("prediction", telemetry.prediction)]
        where counts.drafted > 0 {
            table.add(
                name, "\(Format.grouped(counts.accepted))/\(Format.grouped(counts.drafted))", "accepted",
                Format.percent(Double(counts.accepted) / Double(counts.drafted)))
        }
        if let policy = result.policy, telemetry.rounds > 0 {
            table.add("auto", Format.percent(policy.draftingShare), "of rounds", "drafted", costAndYield(policy))
            if policy.earlierRuns > 0 {
                table.add("", "", "", "", "\(count(policy.earlierRuns, "earlier run")) to learn from")
            }
        }
        return "\n"
            + table.rendered(on: terminal).split(separator: "\n").map { terminal.styled(String($0), .dim) + "\n" }
            .joined()
    }

    private static func costAndYield(_ policy: PolicyReport) -> String {
        guard let cost = policy.extraSteps, let yield = policy.extraTokens else { return "" }
        return "each costs \(Format.fixed(cost, 2)) steps more and brings \(Format.fixed(yield, 2)) tokens"
    }

    private static func count(_ number: Int, _ noun: String) -> String {
        "\(Format.grouped(number)) \(noun)\(number == 1 ? "" : "s")"
    }

    private static func speed(_ tokensPerSecond: Double) -> String {
        tokensPerSecond > 0 ? Format.short(tokensPerSecond) + " tok/s" : ""
    }
}
