/// Counts of one generation's rounds. A round drafts some tokens (perhaps none), verifies them in one step and accepts a
/// prefix of them; the prompt step is not a round.
public struct Telemetry: Sendable, Equatable {
    /// Rounds run.
    public private(set) var rounds = 0
    /// Tokens that the rounds emitted.
    private var emitted = 0
    private var draftedCounts: Counts = .init(repeating: 0)
    private var acceptedCounts: Counts = .init(repeating: 0)

    /// Drafts of the MTP modules.
    public private(set) var modules = SourceCounts()
    /// Drafts that were looked up.
    public private(set) var lookup = SourceCounts()
    /// Those of them that the prediction of the answer had, too.
    public private(set) var prediction = SourceCounts()

    private typealias Counts = SIMD16<Int32>

    /// No rounds yet.
    public init() {}

    /// Counts a round that emitted its accepted drafts and the verifier's own token behind them, or ended the text with its
    /// last accepted draft. Drafts behind that end met no verdict and are not counted.
    ///
    /// - Parameters:
    ///   - made: how many of the round's drafts the modules made: the first ones.
    ///   - predicted: by draft, a bit: whether it was looked up and the prediction had it.
    package mutating func record(
        drafted: Int, modules made: Int, predicted: UInt16 = 0, accepted: Int, emitted: Int
    ) {
        rounds += 1
        self.emitted += emitted
        let judged = emitted > accepted ? drafted : accepted
        for i in 0..<judged { draftedCounts[i] += 1 }
        for i in 0..<accepted { acceptedCounts[i] += 1 }
        modules.add(drafted: min(made, judged), accepted: min(made, accepted))
        lookup.add(drafted: judged - min(made, judged), accepted: accepted - min(made, accepted))
        func count(_ drafts: Int) -> Int { (predicted & (1 << UInt16(drafts) - 1)).nonzeroBitCount }
        prediction.add(drafted: count(judged), accepted: count(accepted))
    }

    /// Adds another generation's counts.
    public mutating func add(_ other: Telemetry) {
        rounds += other.rounds
        emitted += other.emitted
        draftedCounts &+= other.draftedCounts
        acceptedCounts &+= other.acceptedCounts
        modules.add(drafted: other.modules.drafted, accepted: other.modules.accepted)
        lookup.add(drafted: other.lookup.drafted, accepted: other.lookup.accepted)
        prediction.add(drafted: other.prediction.drafted, accepted: other.prediction.accepted)
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

    private static func list(_ counts: Counts) -> [Int] { counts.indices.map { Int(counts[$0]) } }
}

/// Drafts of one source.
public struct SourceCounts: Sendable, Equatable {
    /// Drafts that met a verdict.
    public private(set) var drafted = 0
    /// Those that held.
    public private(set) var accepted = 0

    /// No drafts.
    public init() {}

    /// Adds another generation's counts.
    public mutating func add(_ other: SourceCounts) { add(drafted: other.drafted, accepted: other.accepted) }

    mutating func add(drafted: Int, accepted: Int) {
        self.drafted += drafted
        self.accepted += accepted
    }
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
