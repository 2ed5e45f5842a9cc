/// What was measured of a server. Times are in milliseconds; what the server does not tell is nil.
package struct LoadReport: Sendable, Encodable {
    package var address: String
    package var server: ServerFacts
    /// Whether prompts were of token ids, so that their lengths are exact.
    package var promptsAreTokens: Bool
    package var promptTokens: Int
    package var maximumTokens: Int
    package var temperature: Double
    package var goal: LoadPlan.Goal
    package var levels: [LevelFigures] = []
    package var prefix: PrefixFigures?
    package var stall: StallFigures?
    package var cancel: CancelFigures?
    package var overload: OverloadFigures?
    package var soak: SoakFigures?
    /// Trials that could not be made, and why.
    package var leftOut: [String] = []
    /// Whether somebody stopped it.
    package var isPartial = false
}

/// Durations in milliseconds, by nearest rank.
package struct Spread: Sendable, Encodable, Equatable {
    package let count: Int
    package let mean: Double
    package let p50: Double
    package let p95: Double
    package let p99: Double
    package let longest: Double

    /// nil where there is none.
    package init?(nanoseconds: [Double]) {
        guard !nanoseconds.isEmpty else { return nil }
        let sorted = nanoseconds.sorted()
        func rank(_ share: Double) -> Double {
            sorted[max(0, Int((share * Double(sorted.count)).rounded(.up)) - 1)] / 1e6
        }
        count = sorted.count
        mean = sorted.reduce(0, +) / Double(sorted.count) / 1e6
        (p50, p95, p99, longest) = (rank(0.5), rank(0.95), rank(0.99), rank(1))
    }

    package init?(nanoseconds: [Int64]) { self.init(nanoseconds: nanoseconds.map { Double($0) }) }
}

/// How many answers were compared with the same request's alone.
package struct EqualityFigures: Sendable, Encodable {
    package var compared = 0
    package var identical = 0
    /// Of the first that was not: its request and where it parts.
    package var firstDifference: String?

    mutating func compare(_ answer: LoadAnswer, with alone: LoadAnswer, request: Int) {
        compared += 1
        if answer.isIdentical(to: alone) {
            identical += 1
        } else if firstDifference == nil {
            let same = zip(answer.text, alone.text).prefix { $0 == $1 }.count
            let ids = zip(answer.tokens, alone.tokens).prefix { $0 == $1 }.count
            firstDifference =
                "request \(request) parts after \(same) bytes of text"
                + (alone.tokens.isEmpty ? "" : " and \(ids) tokens")
        }
    }
}

/// One concurrency.
package struct LevelFigures: Sendable, Encodable {
    package let concurrency: Int
    package internal(set) var requests = 0
    package internal(set) var failed = 0
    /// What the first that failed said.
    package internal(set) var failure: String?
    package internal(set) var seconds = 0.0
    package internal(set) var outputTokens = 0
    package internal(set) var tokensPerSecond = 0.0
    package internal(set) var firstToken: Spread?
    package internal(set) var perToken: Spread?
    /// Between deliveries, which may bring several tokens.
    package internal(set) var gap: Spread?
    /// Requests that met the goal, per second, and their share.
    package internal(set) var goodput = 0.0
    package internal(set) var goodShare = 0.0
    /// By position; of servers that tell only sums, at one.
    package internal(set) var drafted: [Int] = []
    package internal(set) var accepted: [Int] = []
    package internal(set) var tokensPerRound: Double?
    /// Rows of a text in a window: its own token and drafts.
    package internal(set) var rowsOfText: Double?
    /// Rows of a window, of all texts.
    package internal(set) var rowsPerStep: Double?
    /// Share of a text's windows that others were in.
    package internal(set) var sharedSteps: Double?
    package internal(set) var equality = EqualityFigures()

    /// Accepted of those drafted; nil without drafts.
    package var acceptance: Double? {
        let count = drafted.reduce(0, +)
        return count == 0 ? nil : Double(accepted.reduce(0, +)) / Double(count)
    }
}

/// The first token of a prompt whose beginning is cached, over that of a new prompt as long.
package struct PrefixFigures: Sendable, Encodable {
    package let promptTokens: Int
    package let prefixTokens: Int
    package let others: Int
    /// Medians. Cold and alone; cached and alone; cached and others behind it.
    package internal(set) var cold = 0.0
    package internal(set) var cached = 0.0
    package internal(set) var crowded = 0.0
    /// Tokens that the server says it had.
    package internal(set) var hit: Int?
    package var ratio: Double { crowded / cold }
}

/// What others' long prompts do to a stream.
package struct StallFigures: Sendable, Encodable {
    package let promptTokens: Int
    package internal(set) var prompts = 0
    /// Between deliveries before the others came, and while their prompts were read.
    package internal(set) var quiet: Spread?
    package internal(set) var beside: Spread?
    /// The prompts' first tokens.
    package internal(set) var firstToken: Spread?

    /// The 99th percentile and the longest, in windows: the mean of quiet gaps, since a client that is not woken at once
    /// finds two deliveries together.
    package var windowsP99: Double? { ratio { $0.p99 } }
    package var windowsLongest: Double? { ratio { $0.longest } }

    private func ratio(_ figure: (Spread) -> Double) -> Double? {
        guard let quiet, let beside, quiet.mean > 0 else { return nil }
        return figure(beside) / quiet.mean
    }
}

/// How soon a client that has gone costs nothing any more.
package struct CancelFigures: Sendable, Encodable {
    package let busy: Int
    /// From the disconnect until the server counts one request less, as far as asking it again and again can tell.
    package internal(set) var latency: Spread?
    /// What one such question takes.
    package internal(set) var question = 0.0
    /// A window's time: the mean between deliveries.
    package internal(set) var window: Double?
    /// From the last disconnect until the pages are those that there were before; nil where they never were.
    package internal(set) var pagesFreed: Double?
    package internal(set) var pagesBefore: Int?
    package internal(set) var pagesAfter: Int?
}

/// More requests than the server takes.
package struct OverloadFigures: Sendable, Encodable {
    package let clients: Int
    package internal(set) var seconds = 0.0
    package internal(set) var accepted = 0
    package internal(set) var refused = 0
    /// Refusals that do not say when to come again.
    package internal(set) var withoutRetryAfter = 0
    /// Requests that were neither answered to the end nor refused with 429.
    package internal(set) var failed = 0
    package internal(set) var failure: String?
    package internal(set) var memory: MemoryFigures?
}

/// A server's resident memory.
package struct MemoryFigures: Sendable, Encodable {
    /// Bytes when the load had begun, and at its end.
    package let begin: Int
    package let end: Int
    package var growth: Int { end - begin }
}

/// A long time with clients that go at random.
package struct SoakFigures: Sendable, Encodable {
    package let clients: Int
    package internal(set) var seconds = 0.0
    package internal(set) var whole = 0
    package internal(set) var cancelled = 0
    package internal(set) var refused = 0
    package internal(set) var failed = 0
    package internal(set) var failure: String?
    package internal(set) var equality = EqualityFigures()
    /// Cancelled answers that are how the same request's answer alone begins.
    package internal(set) var beginnings = 0
    package internal(set) var runningAfter: Int?
    package internal(set) var pagesBefore: Int?
    package internal(set) var pagesAfter: Int?
    package internal(set) var cachedPages: Int?
    package internal(set) var memory: MemoryFigures?
}
