import ForetokenSpeculation

/// What a run computed and said.
struct ProofOutcome {
    /// Prompts and answers.
    var context: [Int32]
    /// Positions compared: those the run computed itself.
    var positions = 0..<0
    let trace: StepTrace
    /// Tokens generated.
    var generated = 0
    var telemetry = Telemetry()
    /// Whether logits overflowed at the end.
    var hasFailed = false

    /// Takes in all positions of a generated text. The newest token has not been run, unless its row is what failed.
    mutating func takePositions() {
        positions = 0..<min(context.count - (hasFailed ? 0 : 1), trace.rows.count)
    }
}
