/// Mean times of verify steps.
public struct StepSeconds: Sendable, Equatable {
    /// Whole steps, lm_head included.
    public var step: Double
    /// Of these: the experts, the shared one included.
    public var experts: Double

    /// Times made by hand, in seconds.
    public init(step: Double, experts: Double) {
        self.step = step
        self.experts = experts
    }
}
