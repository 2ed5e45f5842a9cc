import ForetokenHardware

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
