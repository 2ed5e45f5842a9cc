import ForetokenModel

/// One generation: a prompt, and how it is to be continued.
public struct GenerationRequest: Sendable {
    /// Tokens to append to the generator's context, BOS included where the model wants one.
    public var prompt: [Int32]
    /// Most tokens to generate, at least 1; 0 is possible where the prompt is scored.
    public var maximumTokens = 256
    /// How tokens are drawn.
    public var sampling = SamplingOptions()
    /// How many tokens are drafted.
    public var draft = DraftMode.auto
    /// Where drafts may come from; the modules count where there are any.
    public var sources = DraftSources.both
    /// What the answer is expected to be like; drafts are looked up in it.
    public var prediction: LookupBase?
    /// Other texts that drafts are looked up in.
    public var bases: [LookupBase] = []
    /// Which tokens may come; nil where all may. Log-probabilities stay those of the model.
    public var mask: (any TokenMask)?
    /// Tokens that end the generation; they are emitted.
    public var stopTokens: [Int32] = []
    /// Wants the log-probability of every generated token and of so many (0...20) likeliest ones.
    public var logProbabilities: Int?
    /// Whether each token's event has its log-probabilities, too, where they are wanted; the result has them anyway.
    public var streamsLogProbabilities = false
    /// Wants the log-probability of every prompt token that another comes before, and of so many (0...20) likeliest ones.
    public var promptLogProbabilities: Int?
    /// Only requests with the same salt share what is cached of their prompts.
    public var cacheSalt = ""
    /// Gives the request up when it is asked to; nil where only the observer can.
    public var cancellation: Cancellation?

    /// Most likeliest tokens that log-probabilities can be asked for.
    public static let maximumLogProbabilities = 20

    /// A request with the defaults.
    public init(prompt: [Int32]) { self.prompt = prompt }
}

/// Why a generation ended.
public enum FinishReason: String, Sendable {
    /// A stop token, or the observer asked for the end (a stop string).
    case stop
    /// The token limit, or the end of the context.
    case length
    /// The observer cancelled.
    case cancelled
}

/// What an observer wants after an event.
public enum Continuation: Sendable {
    /// Go on.
    case proceed
    /// The token just seen completes the answer.
    case stop
    /// Give up.
    case cancel
}

/// What happens during a generation, in order.
public enum GenerationEvent: Sendable {
    /// So many of the request's prompt tokens have been run.
    case prompt(done: Int, of: Int)
    /// The prompt has been read and scored, as the result has it.
    case promptScored([TokenLogProbabilities])
    /// A token has been accepted. Its log-probabilities are there if the request streams them.
    case token(Int32, TokenFate, logProbabilities: TokenLogProbabilities?)
}

/// Where a token of the output came from first. The verifier chose all of them.
public enum TokenSource: String, Sendable, CaseIterable {
    /// The verifier: nobody had guessed it.
    case own
    /// A draft of the MTP modules.
    case mtp
    /// A draft that was looked up.
    case lookup
    /// A draft that was looked up, and that the prediction of the answer had as well.
    case prediction
}

/// A draft that did not hold: the verifier chose another token.
public struct RejectedDraft: Sendable, Equatable {
    /// What was drafted.
    public let token: Int32
    /// Where it came from; never the verifier.
    public let source: TokenSource
    /// Which draft of its round it was, from 1.
    public let draft: Int

    /// A draft from there.
    public init(_ token: Int32, _ source: TokenSource, draft: Int) {
        self.token = token
        self.source = source
        self.draft = draft
    }
}

/// How a token of the output came about.
public struct TokenFate: Sendable, Equatable {
    /// Where it came from.
    public let source: TokenSource
    /// Which draft of its round it was, from 1; 0 for the verifier's own.
    public let draft: Int
    /// The draft in whose place the verifier's own came; the round's drafts behind that one fell with it.
    public let rejected: RejectedDraft?

    /// A token from there.
    public init(_ source: TokenSource, draft: Int) {
        self.source = source
        self.draft = draft
        rejected = nil
    }

    /// The verifier's own token where a draft stood that did not hold.
    public init(ownInsteadOf rejected: RejectedDraft) {
        source = .own
        draft = 0
        self.rejected = rejected
    }

    /// The fate of a token that nobody had guessed.
    public static let own = TokenFate(.own, draft: 0)
}

/// What a generation came to.
public struct GenerationResult: Sendable {
    /// Generated tokens, the one that ended the generation included.
    public let tokens: [Int32]
    /// An entry for each token, where they were asked for; else empty.
    public let logProbabilities: [TokenLogProbabilities]
    /// An entry for each token of the prompt that another comes before, where they were asked for; else empty.
    public let promptLogProbabilities: [TokenLogProbabilities]
    /// Tokens at the prompt's beginning that were not run, since they were cached.
    public let cachedCount: Int
    /// Why it ended.
    public let reason: FinishReason
    /// What was drafted and accepted.
    public let telemetry: Telemetry
    /// How its windows were shared with other texts.
    public let company: CompanyCounts
    /// What the adaptive policy found and did; nil when it was not asked for, or nothing can draft.
    public let policy: PolicyReport?
    /// How long it took.
    public let timings: Timings
    /// By node: what the rounds read from it, and what its workers waited for.
    public let traffic: [NodeTraffic]
}

extension GenerationResult {
    /// What a script came to, for tests of what is made of results.
    package init(script tokens: [Int32], reason: FinishReason) {
        self.init(
            tokens: tokens, logProbabilities: [], promptLogProbabilities: [], cachedCount: 0, reason: reason,
            telemetry: Telemetry(), company: CompanyCounts(), policy: nil, timings: Timings(), traffic: [])
    }
}

/// A request that the generator cannot serve.
public struct GenerationError: Error, CustomStringConvertible, Sendable {
    /// Whose fault it is.
    public enum Kind: Sendable {
        /// The request's or the checkpoint's.
        case unusable
        /// The request's: what it allows leaves no token to go on with.
        case nothingAllowed
        /// The machine's or the program's.
        case system
    }

    /// What is wrong, with numbers, and what to do.
    public let description: String
    /// Whose fault it is.
    public internal(set) var kind = Kind.unusable

    package init(description: String, kind: Kind = .unusable) {
        self.description = description
        self.kind = kind
    }
}

extension GenerationError {
    static func nothingAllowed(position: Int) -> GenerationError {
        GenerationError(
            description:
                "no token may stand at position \(position): the request's mask, its bans and the model's vocabulary leave "
                + "none there, though the text is not complete; allow more", kind: .nothingAllowed)
    }

    package static func overflow(position: Int) -> GenerationError {
        GenerationError(
            description:
                "the logits for position \(position) are not finite: the checkpoint's weights or scales overflow FP32; "
                + "it is damaged or was exported wrongly")
    }
}
