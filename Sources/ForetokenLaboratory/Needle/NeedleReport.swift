/// How well a model finds facts that are hidden in long texts.
public struct NeedleReport: Sendable, Encodable {
    /// One fact in one text, asked for at the end.
    public struct Trial: Sendable, Encodable {
        /// What the text says.
        public var value: String
        /// What the model said, greedily.
        public var answer: String
        /// Whether that is the value.
        public var isExact: Bool
        /// Nats of the value's tokens behind the question.
        public var logProbability: Double
        /// The same behind the same text without the fact.
        public var control: Double
        /// Tokens of the text, question included.
        public var tokens: Int

        /// See the fields.
        public init(
            value: String, answer: String, isExact: Bool, logProbability: Double, control: Double, tokens: Int
        ) {
            self.value = value
            self.answer = answer
            self.isExact = isExact
            self.logProbability = logProbability
            self.control = control
            self.tokens = tokens
        }

        /// By how much the fact's presence raises the value's log-probability.
        public var gain: Double { logProbability - control }
    }

    /// All trials of one length and depth.
    public struct Cell: Sendable, Encodable {
        /// Tokens that text and answer may have.
        public var length: Int
        /// Where the fact stands: 0 at the beginning, 100 right before the question.
        public var depth: Double
        /// What was tried.
        public var trials: [Trial]
        /// Trials whose answer is the value.
        public var exact: Int
        /// Mean nats by which the fact's presence raises the value's log-probability.
        public var gain: Double
        /// Mean nats of the value's tokens.
        public var logProbability: Double
        /// The same without the fact.
        public var control: Double

        /// - Parameter trials: one at least.
        public init(length: Int, depth: Double, trials: [Trial]) {
            self.length = length
            self.depth = depth
            self.trials = trials
            let count = Double(max(1, trials.count))
            exact = trials.count { $0.isExact }
            gain = trials.reduce(0) { $0 + $1.gain } / count
            logProbability = trials.reduce(0) { $0 + $1.logProbability } / count
            control = trials.reduce(0) { $0 + $1.control } / count
        }
    }

    /// The checkpoint's name.
    public var model = ""
    /// What the texts are made of, and whether they are continued or answered in chat.
    public var form = ""
    /// Worker threads.
    public var threads = 0
    /// Kernels used.
    public var instructionSet = ""
    /// Element type of the latent cache.
    public var cacheType = ""
    /// By length, then by depth.
    public var cells: [Cell] = []
    /// Whether it was cut short.
    public var isPartial = false

    /// Nothing measured yet.
    public init() {}

    /// Trials of all cells.
    public var trialCount: Int { cells.reduce(0) { $0 + $1.trials.count } }
    /// Trials of all cells whose answer is the value.
    public var exactCount: Int { cells.reduce(0) { $0 + $1.exact } }
}
