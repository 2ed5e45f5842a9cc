import ForetokenHardware
import ForetokenPlacement

/// Passes over the recorded rounds under one placement, and what they are worth.
package struct TimedPasses {
    /// The passes that count, and those during which something else used the machine.
    private var calm: [StepSeconds] = []
    private var all: [StepSeconds] = []
    /// What disturbed the last of the others.
    package private(set) var disturbance: Interference?

    /// None yet.
    package init() {}

    /// Undisturbed passes so far.
    package var calmCount: Int { calm.count }

    /// Takes one more pass in.
    /// - Parameter interference: what others did meanwhile; nil where nobody looked.
    package mutating func add(_ seconds: StepSeconds, _ interference: Interference?) {
        all.append(seconds)
        if let interference, interference.isDisturbing {
            disturbance = interference
        } else {
            calm.append(seconds)
        }
    }

    /// The median of the undisturbed passes, if there are as many as `wanted` and the best of them agree.
    package func reliable(wanted: Int) -> StepSeconds? {
        guard calm.count >= wanted, ReadingAgreement.holds(calm.map(\.step), higherIsBetter: false) else { return nil }
        return Self.median(calm)
    }

    /// The median of the first passes, whatever they are worth; nil without any.
    package func median(first count: Int) -> StepSeconds? { Self.median(Array(all.prefix(count))) }

    private static func median(_ passes: [StepSeconds]) -> StepSeconds? {
        passes.isEmpty ? nil : passes.sorted { $0.step < $1.step }[passes.count / 2]
    }
}

/// Looks whether something else uses the machine while the tuner measures.
struct LoadWatch {
    /// CPUs that are looked at; nil looks at nothing.
    let cpus: [Int]?

    /// What `body` gives, with what others did meanwhile.
    func during<Value>(_ body: () throws -> Value) rethrows -> (value: Value, interference: Interference?) {
        guard let cpus, !cpus.isEmpty else { return (try body(), nil) }
        let start = MachineLoad.read(cpus: cpus)
        let value = try body()
        return (value, Interference(from: start, to: .read(cpus: cpus), cpus: cpus.count))
    }
}

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
