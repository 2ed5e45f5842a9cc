import ForetokenPlacement

/// A text to tune placements on.
public struct TuneText: Sendable {
    /// What kind of text it is.
    public let domain: String
    /// Tokens to begin with, at least 1.
    public let prompt: [Int32]

    /// A text; see the fields.
    public init(domain: String, prompt: [Int32]) {
        self.domain = domain
        self.prompt = prompt
    }
}

/// Texts as they were generated, with the rounds that made them and the experts these used.
struct TuneRecording {
    /// One text.
    struct Text {
        /// Prompt and answer.
        var tokens: [Int32]
        var promptCount: Int
        /// Verify windows: where each began, and its rows.
        var windows: [(position: Int, rows: Int)]
    }

    let texts: [Text]
    let trace: RoutingTrace
    /// The trace as a file.
    let file: [UInt8]
}

/// Mean times of verify steps.
public struct StepSeconds: Sendable, Equatable {
    /// Whole steps, head included.
    public var step: Double
    /// Of these: the experts, the shared one included.
    public var experts: Double

    /// Times made by hand, in seconds.
    public init(step: Double, experts: Double) {
        self.step = step
        self.experts = experts
    }
}
