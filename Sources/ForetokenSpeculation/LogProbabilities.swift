#if canImport(Glibc)
    import Glibc
#endif

/// Natural-log probabilities of one generated token, from the model's raw logits over the whole vocabulary: before
/// penalties, bias, temperature and filters.
public struct TokenLogProbabilities: Sendable {
    /// The generated token.
    public let token: Int32
    /// Its own log-probability.
    public let logProbability: Double
    /// The likeliest tokens, as many as were asked for, likeliest first, ties by lower id.
    public let top: [(token: Int32, logProbability: Double)]
}

/// The softmax of a row of raw logits at temperature 1, in natural logarithms.
package struct LogSoftmax {
    private let largest: Double
    private let logOfSum: Double

    package init(_ logits: UnsafeMutableBufferPointer<Float>) {
        var largest = -Float.infinity
        for logit in logits where logit > largest { largest = logit }
        var sum = 0.0
        for logit in logits { sum += exp(Double(logit) - Double(largest)) }
        self.largest = Double(largest)
        logOfSum = log(sum)
    }

    /// Whether the logits were numbers.
    var isFinite: Bool { (largest + logOfSum).isFinite }

    /// The log-probability of a token with that logit.
    package func callAsFunction(_ logit: Float) -> Double { Double(logit) - largest - logOfSum }
}

/// A token and its raw logit.
package typealias RankedToken = (token: Int32, logit: Float)

extension [RankedToken] {
    /// So many are kept in order while the row is read; more are cheaper to sort at the end.
    private static var keptInOrder: Int { 64 }

    /// Appends the `count` largest of a row of logits, highest first, ties by lower id; NaN and -infinity have no rank.
    package mutating func appendLargest(_ count: Int, of logits: UnsafeMutableBufferPointer<Float>) {
        guard count > 0 else { return }
        guard count <= Self.keptInOrder else {
            let ranked = logits.enumerated().lazy.filter { $0.element > -.infinity }
                .map { RankedToken(token: Int32($0.offset), logit: $0.element) }
                .sorted { ($1.logit, $0.token) < ($0.logit, $1.token) }
            append(contentsOf: ranked.prefix(count))
            return
        }
        let start = self.count
        for (token, logit) in logits.enumerated() where logit > -.infinity {
            if self.count == start + count {
                guard logit > self[self.count - 1].logit else { continue }
                removeLast()
            }
            var place = self.count
            while place > start && logit > self[place - 1].logit { place -= 1 }
            insert((Int32(token), logit), at: place)
        }
    }
}

/// Collects log-probabilities while tokens are generated, in memory reserved beforehand.
struct LogProbabilityRecord {
    private let topCount: Int
    private var chosen: [(token: RankedToken, softmax: LogSoftmax, topEnd: Int)] = []
    private var top: [RankedToken] = []

    /// Room for `capacity` tokens with `topCount` others each.
    init(topCount: Int, capacity: Int) {
        self.topCount = topCount
        chosen.reserveCapacity(capacity)
        top.reserveCapacity(capacity * topCount)
    }

    /// Notes `token`, drawn from these raw logits; false when they are not numbers.
    mutating func append(_ token: Int32, _ logits: UnsafeMutableBufferPointer<Float>) -> Bool {
        let softmax = LogSoftmax(logits)
        guard softmax.isFinite else { return false }
        top.appendLargest(topCount, of: logits)
        chosen.append(((token, logits[Int(token)]), softmax, top.count))
        return true
    }

    /// Everything noted, in order.
    var entries: [TokenLogProbabilities] { chosen.indices.map(entry) }

    /// What was noted last.
    var newest: TokenLogProbabilities? { chosen.indices.last.map(entry) }

    private func entry(_ index: Int) -> TokenLogProbabilities {
        let (token, softmax, end) = chosen[index]
        let start = index > 0 ? chosen[index - 1].topEnd : 0
        return TokenLogProbabilities(
            token: token.token, logProbability: softmax(token.logit),
            top: top[start..<end].map { ($0.token, softmax($0.logit)) })
    }
}
