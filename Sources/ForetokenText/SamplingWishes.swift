import ForetokenSpeculation

/// What is said of how tokens are drawn; nil leaves a setting as it is.
public struct SamplingWishes: Sendable, Equatable {
    /// `SamplingOptions.temperature`.
    public var temperature: Float?
    /// `SamplingOptions.topK`.
    public var topK: Int?
    /// `SamplingOptions.topP`.
    public var topP: Float?
    /// `SamplingOptions.minP`.
    public var minP: Float?
    /// `SamplingOptions.seed`.
    public var seed: UInt64?
    /// `SamplingOptions.repetitionPenalty`.
    public var repetitionPenalty: Float?
    /// `SamplingOptions.presencePenalty`.
    public var presencePenalty: Float?
    /// `SamplingOptions.frequencyPenalty`.
    public var frequencyPenalty: Float?
    /// `SamplingOptions.logitBias`; replaces all biases.
    public var logitBias: [Int: Float]?

    /// Nothing is said.
    public init() {}

    /// The settings with what is wished in place of theirs. They are not checked.
    public func applied(to base: SamplingOptions) -> SamplingOptions {
        var options = base
        options.temperature = temperature ?? base.temperature
        options.topK = topK ?? base.topK
        options.topP = topP ?? base.topP
        options.minP = minP ?? base.minP
        options.seed = seed ?? base.seed
        options.repetitionPenalty = repetitionPenalty ?? base.repetitionPenalty
        options.presencePenalty = presencePenalty ?? base.presencePenalty
        options.frequencyPenalty = frequencyPenalty ?? base.frequencyPenalty
        options.logitBias = logitBias ?? base.logitBias
        return options
    }
}

extension SamplingOptions {
    /// Refuses values that mean nothing.
    /// - Throws: `SettingsError`.
    package func check() throws {
        if let problem { throw SettingsError(problem) }
    }
}
