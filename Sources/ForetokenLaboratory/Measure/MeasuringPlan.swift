import ForetokenModel
import ForetokenSpeculation

/// What is to be measured, and how thoroughly.
public struct MeasuringPlan: Sendable {
    /// Draft lengths (1...8) to report rounds and speeds for, ascending.
    public var lengths = [1, 2, 3, 4]
    /// Whether the adaptive policy is timed beside them.
    public var includesAuto = true
    /// Temperatures, the most important first.
    public var temperatures: [Float] = [0, 0.8]
    /// Filters and seed; its temperature is ignored.
    public var sampling = SamplingOptions()
    /// Most tokens generated for a prompt.
    public var maximumTokens = 96
    /// Tokens that end an answer.
    public var stopTokens: [Int32] = []
    /// Seconds for timing steps and for racing the draft modes, at each temperature; 0 for neither.
    public var timingSeconds = 20.0
    /// Bytes of all last-level caches.
    public var cacheBytes = 0

    /// The defaults.
    public init() {}

    /// Most drafts that are reported.
    var depth: Int { lengths.max() ?? 1 }

    /// Drafts of a chain: the adaptive policy's forecast needs all that it may make.
    var chainDepth: Int { includesAuto && timingSeconds > 0 ? MTPHead.maximumDrafts : depth }
}

/// A prompt to continue, or a text to foresee.
public struct MeasuredText: Sendable {
    /// What kind of text it is.
    public let domain: String
    /// Ids of the prompt or text, BOS included where the model wants one.
    public let tokens: [Int32]
    /// Whether drafts are made along the text itself instead of its continuation.
    public let isGiven: Bool

    /// A text; see the fields.
    public init(domain: String, tokens: [Int32], isGiven: Bool) {
        self.domain = domain
        self.tokens = tokens
        self.isGiven = isGiven
    }
}
