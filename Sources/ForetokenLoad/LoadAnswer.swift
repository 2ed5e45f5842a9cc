/// What came back for one request, and when.
package struct LoadAnswer: Sendable {
    /// How it ended.
    package enum Ending: Sendable, Equatable {
        /// With all that belongs to it.
        case whole
        /// The client went.
        case cancelled
        /// 429: the server has too much to do.
        case crowded
        /// Another status that is no success.
        case refused(status: Int, message: String)
        /// A connection that broke, a stream without its end, an error within it, JSON that is none.
        case broken(String)
    }

    /// What Foretoken tells of itself, and of drafts llama.cpp, too.
    package struct OwnFigures: Sendable {
        package var rounds: Int?
        package var drafted: [Int] = []
        package var accepted: [Int] = []
        /// Windows that the text took part in, its rows in them, and those of them that it shared.
        package var steps: Int?
        package var rows: Int?
        package var shared: Int?
    }

    package internal(set) var ending = Ending.whole
    /// When the request began, and when its end was there.
    var began: Int64 = 0
    var ended: Int64 = 0
    /// When tokens arrived: those of one read came at one time.
    package internal(set) var deliveries: [Int64] = []
    package internal(set) var text: [UInt8] = []
    package internal(set) var tokens: [Int] = []
    package internal(set) var logProbabilities: [Double] = []
    package internal(set) var finishReason: String?
    package internal(set) var promptTokens: Int?
    package internal(set) var cachedTokens: Int?
    package internal(set) var completionTokens: Int?
    package internal(set) var own: OwnFigures?
    /// Seconds after which to come again, of a server that has too much to do.
    package internal(set) var retryAfter: Int?

    // MARK: What follows

    /// Tokens of the answer by the server's own count; by ids or deliveries where it has none.
    package var tokenCount: Int {
        completionTokens ?? (tokens.isEmpty ? deliveries.count : tokens.count)
    }

    /// Nanoseconds to the first token.
    package var firstToken: Int64? { deliveries.first.map { $0 - began } }

    /// Nanoseconds per token after the first.
    package var timePerToken: Double? {
        guard let first = deliveries.first, let last = deliveries.last, tokenCount > 1, last > first else {
            return nil
        }
        return Double(last - first) / Double(tokenCount - 1)
    }

    /// Nanoseconds between deliveries.
    package var gaps: [Int64] { zip(deliveries.dropFirst(), deliveries).map { $0 - $1 } }

    /// Nanoseconds between deliveries of which the later came in that time.
    func gaps(from begin: Int64, to end: Int64) -> [Int64] {
        zip(deliveries.dropFirst(), deliveries).compactMap { later, earlier in
            (begin...max(begin, end)).contains(later) ? later - earlier : nil
        }
    }

    /// Whether it is the same answer, to the last bit of what both show.
    func isIdentical(to other: LoadAnswer) -> Bool {
        text == other.text && tokens == other.tokens && tokenCount == other.tokenCount
            && logProbabilities.map(\.bitPattern) == other.logProbabilities.map(\.bitPattern)
    }

    /// Whether it is how another answer begins.
    func isBeginning(of other: LoadAnswer) -> Bool {
        other.text.starts(with: text) && other.tokens.starts(with: tokens)
    }
}
