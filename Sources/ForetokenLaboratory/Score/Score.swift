#if canImport(Glibc)
    import Glibc
#endif

/// What a text's tokens cost the model.
public struct Score: Sendable {
    /// How a text was cut. Each window after the first holds the text's first token and the newest tokens, no more than
    /// `length`, and takes in `stride` new ones, the last one perhaps fewer.
    public struct Windows: Sendable {
        /// Windows the model has seen.
        public var count = 0
        /// Tokens of the longest.
        public var length = 0
        /// New tokens of each after the first.
        public var stride = 0
    }

    /// Natural-log probability of each token given those before it; nil for the first.
    public var logProbabilities: [Double?] = []
    /// Per position: the token the model finds likeliest there, and its natural-log probability; nil for the first.
    public var favourites: [(token: Int32, logProbability: Double)?] = []
    /// Per position: the largest raw logits, highest first, ties by lower id. They predict the next token.
    public var top: [[(token: Int32, logit: Float)]] = []
    /// Mean nats over all tokens but the first.
    public var negativeLogLikelihood = 0.0
    /// The MTP modules' guesses, when asked for.
    public var mtp: MTPScore?
    /// How the text was cut.
    public var windows = Windows()
    /// Whether everything asked for was done. Otherwise all of this is about the text's beginning.
    public var isComplete = true

    /// e^nll.
    public var perplexity: Double { exp(negativeLogLikelihood) }
    /// Nats of all scored tokens together.
    public var totalNats: Double { -logProbabilities.reduce(0) { $0 + ($1 ?? 0) } }
}

/// What the MTP modules make of a text, every token known (teacher-forced).
public struct MTPScore: Sendable {
    /// One module's result.
    public struct Module: Sendable {
        /// Mean nats of the tokens it guesses, over targets inside the text; nil without any.
        public var negativeLogLikelihood: Double?
        /// Entry i is the best guess for position i + 2 + module index.
        public var argmax: [Int32] = []
    }

    /// Per module, in order.
    public var modules: [Module] = []
    /// Entry [d − 1][t]: draft d of a chain started at row t, for position t + 1 + d. Empty unless asked for.
    public var recursive: [[Int32]] = []
}
