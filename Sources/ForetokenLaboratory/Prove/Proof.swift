import ForetokenModel

/// A prompt to prove things on.
public struct ProofPrompt: Sendable {
    /// What to call it.
    public let name: String
    /// Its tokens, at least 1.
    public let tokens: [Int32]

    /// A prompt; see the fields.
    public init(name: String, tokens: [Int32]) {
        self.name = name
        self.tokens = tokens
    }
}

/// What a proof is to cover.
public struct ProofSettings: Sendable {
    /// Prompts; most ways are tried on each, in a quick proof on the first alone.
    public var prompts: [ProofPrompt]
    /// Tokens to generate in each run, at least 1.
    public var maximumTokens = 64
    /// Decides the noise, and which planted drafts are wrong.
    public var seed: UInt64 = 0
    /// Whether a few hundred steps have to do.
    public var isQuick = false
    /// Cache type of all ways but the one that tries the others.
    public var cacheType = CacheType.f32
    /// Instruction set of all ways but the one that tries the others.
    public var instructionSet = ""
    /// Threads of all ways but those that try others.
    public var threads = 1
    /// Ids from here on are never drawn; nil when all may be.
    public var drawable: Int?

    /// The defaults on these prompts.
    public init(prompts: [ProofPrompt]) { self.prompts = prompts }

    /// Second prompts, which follow a stopped answer, and their answers: the longest of them.
    static let nextPrompt = 20
    static let nextAnswer = 8

    /// Positions needed behind a prompt besides those of `maximumTokens`.
    public static var reserve: Int { nextPrompt + nextAnswer }

    /// Positions that the caches need.
    public var positions: Int {
        (prompts.map(\.tokens.count).max() ?? 0) + maximumTokens + Self.reserve
    }
}

/// What was compared in ways that must not matter, and whether it was the same.
public struct Proof: Sendable {
    /// One entry for each thing that was varied, in the order they were run.
    public internal(set) var ways: [ProofWay] = []
    /// What could not be tried, and why.
    public internal(set) var omissions: [String] = []
    /// Steps of the verifier in all.
    public internal(set) var stepCount = 0
    /// Whether it was cut short.
    public internal(set) var isPartial = false

    /// The first difference found; nil when everything was the same.
    public var divergence: Divergence? { ways.lazy.compactMap(\.divergence).first }
}

/// One thing that was varied.
public struct ProofWay: Sendable {
    /// What was varied, and under which circumstances.
    public let title: String
    /// Runs that were to be compared with a reference.
    public let plannedRuns: Int
    /// Runs compared.
    public internal(set) var runs = 0
    /// Runs that differed.
    public internal(set) var differingRuns = 0
    /// Generated tokens compared.
    public internal(set) var tokens = 0
    /// Rows of the verifier compared.
    public internal(set) var rows = 0
    /// Values in them, each compared by its bits.
    public internal(set) var values = 0
    /// Drafts verified.
    public internal(set) var draftsVerified = 0
    /// Drafts that held.
    public internal(set) var draftsAccepted = 0
    /// Proposed drafts compared with those of other runs of the same texts.
    public internal(set) var draftsCompared = 0
    /// The first difference.
    public internal(set) var divergence: Divergence?

    init(title: String, plannedRuns: Int) {
        self.title = title
        self.plannedRuns = plannedRuns
    }
}

/// A place where a run did not do what its reference did.
public struct Divergence: Sendable {
    /// What kind of difference it is.
    public enum Kind: String, Sendable {
        /// An operator's values have other bits.
        case values
        /// Another operator, or another expert, came next.
        case order
        /// Everything computed was the same, yet another token came out.
        case token
        /// The text is the same, yet a module proposed another draft, or with another score.
        case draft
    }

    /// One value of the operator.
    public struct Element: Sendable {
        /// Index in the row, which is the row of the operator's weight matrix.
        public let index: Int
        /// Elements of the row.
        public let width: Int
        /// The reference's value.
        public let expected: Float
        /// The run's value.
        public let found: Float
        /// How many elements of the row differ.
        public let differing: Int
    }

    /// What kind of difference it is.
    public let kind: Kind
    /// What was varied.
    public let way: String
    /// The run: draft length, threads and so on.
    public let run: String
    /// The prompt's name.
    public let prompt: String
    /// How tokens were drawn.
    public let sampling: String
    /// The text's number among those served together, from 1; nil when it was alone.
    public internal(set) var text: Int?
    /// Position in the text of the row that differs, or of the token.
    public let position: Int
    /// What the reference computed there.
    public internal(set) var expectedSite: StepSite?
    /// What the run computed in its place; equal to `expectedSite` for `values`.
    public internal(set) var foundSite: StepSite?
    /// The row's place in the reference's step.
    public internal(set) var expectedPlace: RowPlace?
    /// The row's place in the run's step.
    public internal(set) var foundPlace: RowPlace?
    /// The first element that differs; nil when it did not show again in a second run.
    public internal(set) var element: Element?
    /// The first token that differs, and its position; nil when all are the same.
    public internal(set) var token: TokenDifference?
    /// The draft that differs, for `draft`.
    public internal(set) var draft: DraftDifference?
}

/// Texts that differ from here on.
public struct TokenDifference: Sendable, Equatable {
    /// Position in the text.
    public let position: Int
    /// The reference's token; nil when it had ended.
    public let expected: Int32?
    /// The run's token; nil when it had ended.
    public let found: Int32?
}

/// How far a proof has come.
public struct ProofProgress: Sendable {
    /// The way being tried.
    public let title: String
    /// Share of the planned steps, 0...1.
    public let fraction: Double
}
