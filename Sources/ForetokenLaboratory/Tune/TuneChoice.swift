import ForetokenPlacement

/// Which of some plans that were tried is taken.
package struct TuneChoice {
    /// By candidate, in the order of prediction: seconds of a step; nil where it was not measured.
    package let steps: [Double?]
    /// Whether each could be run.
    package let canRun: [Bool]
    /// Its place among the planner's results: simpler policies come first.
    package let results: [Int]
    /// Whether times of one of them cannot be relied on.
    package let isDisturbed: Bool
    /// Times as close as this are alike, as a share.
    package let tolerance: Double

    /// What there is to choose from; see the fields.
    package init(steps: [Double?], canRun: [Bool], results: [Int], isDisturbed: Bool, tolerance: Double) {
        self.steps = steps
        self.canRun = canRun
        self.results = results
        self.isDisturbed = isDisturbed
        self.tolerance = tolerance
    }

    /// The simplest of the plans whose time is as good as the fastest's. Where a time cannot be relied on, none tells
    /// anything, and the first that could be run, the best by prediction, is taken.
    ///
    /// - Returns: nil where not all that could be run were measured.
    package var best: Int? {
        let runnable = steps.indices.filter { canRun[$0] }
        let times = runnable.compactMap { steps[$0] }
        guard let fastest = times.min(), times.count == runnable.count else { return nil }
        guard !isDisturbed else { return runnable.first }
        let limit = fastest * (1 + tolerance)
        return runnable.filter { (steps[$0] ?? .infinity) <= limit }.min { results[$0] < results[$1] }
    }

    /// How much longer a step takes under the best plan than under the placement before, as a share; nil where one of the
    /// two is not known, or the difference is no larger than that between two medians of one placement.
    /// - Parameter present: seconds of a step under the placement before, nil where not known.
    package func loss(against present: Double?) -> Double? {
        guard let best, !isDisturbed, let present, let step = steps[best] else { return nil }
        let loss = step / present - 1
        return loss > max(0.03, tolerance) ? loss : nil
    }
}

extension Tuner.Outcome {
    /// What there is to choose from.
    var choice: TuneChoice {
        TuneChoice(
            steps: candidates.map { $0.measured?.step }, canRun: candidates.map { $0.problem == nil },
            results: candidates.map(\.result), isDisturbed: isDisturbed, tolerance: report.tolerance)
    }

    /// Whether times of a candidate cannot be relied on.
    public var isDisturbed: Bool { candidates.contains { $0.isDisturbed } }

    /// How much longer a step takes under the plan that was taken than under the placement before, as a share; nil where it
    /// does not, or one of the two is not known.
    public var loss: Double? { choice.loss(against: present?.step) }
}
