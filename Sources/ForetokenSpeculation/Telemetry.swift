/// Counts of one generation's rounds. A round drafts some tokens (perhaps none), verifies them in one step and accepts a
/// prefix of them; the prompt step is not a round.
public struct Telemetry: Sendable, Equatable {
    /// Rounds run.
    public private(set) var rounds = 0
    /// Tokens that the rounds emitted.
    private var emitted = 0
    private var draftedCounts: Counts = .init(repeating: 0)
    private var acceptedCounts: Counts = .init(repeating: 0)

    private typealias Counts = SIMD8<Int32>

    /// No rounds yet.
    public init() {}

    /// Counts a round that emitted its accepted drafts and the verifier's own token behind them, or ended the text with its
    /// last accepted draft. Drafts behind that end met no verdict and are not counted.
    package mutating func record(drafted: Int, accepted: Int, emitted: Int) {
        rounds += 1
        self.emitted += emitted
        let judged = emitted > accepted ? drafted : accepted
        for i in 0..<judged { draftedCounts[i] += 1 }
        for i in 0..<accepted { acceptedCounts[i] += 1 }
    }

    /// Adds another generation's counts.
    public mutating func add(_ other: Telemetry) {
        rounds += other.rounds
        emitted += other.emitted
        draftedCounts &+= other.draftedCounts
        acceptedCounts &+= other.acceptedCounts
    }

    /// By draft position: how often such a draft was verified. Ends with the last position that ever was.
    public var drafted: [Int] { Array(Self.list(draftedCounts).prefix(depth)) }

    /// By draft position: how often that draft was accepted; as long as `drafted`.
    public var accepted: [Int] { Array(Self.list(acceptedCounts).prefix(depth)) }

    /// Tokens emitted per round, the prompt's own first token not among them; 0 without rounds.
    public var tokensPerRound: Double { rounds == 0 ? 0 : Double(emitted) / Double(rounds) }

    /// Tokens of the rounds beyond one each.
    package var extraTokens: Int { max(0, emitted - rounds) }

    private var depth: Int { (Self.list(draftedCounts).lastIndex { $0 > 0 } ?? -1) + 1 }

    private static func list(_ counts: Counts) -> [Int] { (0..<8).map { Int(counts[$0]) } }
}

/// Durations and token counts of one generation.
public struct Timings: Sendable, Equatable {
    /// Prompt tokens run through the model (cached ones not counted).
    public var promptCount = 0
    /// Nanoseconds from the first prompt token to the first generated one.
    public var promptNanoseconds: Int64 = 0
    /// Generated tokens, the first included.
    public var predictedCount = 0
    /// Nanoseconds from the first generated token to the last.
    public var predictedNanoseconds: Int64 = 0

    /// Prompt tokens per second.
    public var promptPerSecond: Double { Self.rate(promptCount, promptNanoseconds) }

    /// Generated tokens per second; the first token belongs to the prompt's time.
    public var predictedPerSecond: Double { Self.rate(max(0, predictedCount - 1), predictedNanoseconds) }

    private static func rate(_ count: Int, _ nanoseconds: Int64) -> Double {
        nanoseconds == 0 ? 0 : Double(count) / Double(nanoseconds) * 1e9
    }
}
