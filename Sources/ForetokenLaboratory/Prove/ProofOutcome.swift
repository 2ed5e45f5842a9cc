import ForetokenSpeculation

/// What a run computed and said.
struct ProofOutcome {
    /// Prompts and answers.
    var context: [Int32]
    /// Positions compared: those the run computed itself.
    var positions = 0..<0
    let trace: StepTrace
    /// What the modules proposed.
    let drafts: DraftTrace
    /// Tokens generated.
    var generated = 0
    var telemetry = Telemetry()
    /// Whether logits overflowed at the end.
    var hasFailed = false

    /// The same, as if its answer had ended after so many tokens.
    func ended(after tokens: Int, _ subject: ProofSubject) -> ProofOutcome {
        var result = self
        result.context = Array(context.prefix(subject.promptCount + tokens))
        result.positions = positions.clamped(to: 0..<max(0, result.context.count - 1))
        return result
    }

    /// Takes in all positions of a generated text but the first `cached`. The newest token has not been run, unless its row
    /// is what failed.
    mutating func takePositions(cached: Int = 0) {
        positions = cached..<max(cached, min(context.count - (hasFailed ? 0 : 1), trace.rows.count))
    }
}

/// What became of one text of a run.
struct ProofRun {
    let subject: ProofSubject
    /// The text's number among those served together, from 1; nil when it was alone.
    var text: Int?
    /// Tokens of the whole answer that it was to have; nil for all.
    var tokenCount: Int?
    let outcome: ProofOutcome
}
