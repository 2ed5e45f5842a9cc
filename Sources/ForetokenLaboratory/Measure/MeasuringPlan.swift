import ForetokenModel
import ForetokenSpeculation

/// What is to be measured, and how thoroughly.
public struct MeasuringPlan: Sendable {
    /// Draft lengths (1...15) to report rounds and speeds for, ascending; modules make at most 8 drafts of a round.
    public var lengths = [1, 2, 4, 8, 15]
    /// Whether the adaptive policy is timed beside them.
    public var includesAuto = true
    /// Where drafts may come from; the modules count where there are any.
    public var sources = DraftSources.both
    /// Temperatures, the most important first.
    public var temperatures: [Float] = [0, 0.8]
    /// Filters and seed; its temperature is ignored.
    public var sampling = SamplingOptions()
    /// Most tokens generated for a prompt.
    public var maximumTokens = 96
    /// Tokens that end an answer.
    public var stopTokens: [Int32] = []
    /// Seconds for timing steps and for racing the draft modes, at each temperature; 0 for neither.
    public var timingSeconds = 20.0
    /// Bytes of all last-level caches.
    public var cacheBytes = 0

    /// The defaults.
    public init() {}

    /// Most drafts of modules that are reported.
    public var depth: Int { min(lengths.max() ?? 1, MTPHead.maximumDrafts) }

    /// Drafts of a chain: the adaptive policy's forecast needs all that modules may make.
    var chainDepth: Int { includesAuto && timingSeconds > 0 ? MTPHead.maximumDrafts : depth }

    /// The draft modes to compare, what they are compared with first. What each source is worth alone is told of `auto`.
    /// - Parameter hasModules: whether modules can draft.
    func settings(hasModules: Bool) -> [DraftSetting] {
        let sources = hasModules ? sources : .lookup
        var settings = ([.off] + lengths.map { DraftMode.fixed($0) } + (includesAuto ? [.auto] : [])).map {
            DraftSetting(mode: $0, sources: sources)
        }
        if includesAuto && hasModules && sources == .both {
            settings += [.mtp, .lookup].map { DraftSetting(mode: .auto, sources: $0) }
        }
        return settings
    }
}

/// How many tokens a round drafts, and where from.
struct DraftSetting: Equatable {
    let mode: DraftMode
    let sources: DraftSources

    /// Most drafts of a round that modules make, and look-up.
    /// - Parameter hasModules: whether modules can draft.
    func limits(hasModules: Bool) -> (modules: Int, lookup: Int) {
        (
            hasModules && sources.usesModules ? MTPHead.maximumDrafts : 0,
            sources.looksUp ? Step.windowRows - 1 : 0
        )
    }
}

/// A prompt to continue, or a text to foresee.
public struct MeasuredText: Sendable {
    /// What kind of text it is.
    public let domain: String
    /// Ids of the prompt or text, BOS included where the model wants one.
    public let tokens: [Int32]
    /// Whether drafts are made along the text itself instead of its continuation.
    public let isGiven: Bool
    /// What the model is made to say behind the prompt, in place of its own choice; nil lets it choose. Tells what drafts
    /// are worth on text that a better model would write. It stands for the likeliest tokens, so for temperature 0 alone.
    public let answer: [Int32]?

    /// A text; see the fields.
    public init(domain: String, tokens: [Int32], isGiven: Bool, answer: [Int32]? = nil) {
        self.domain = domain
        self.tokens = tokens
        self.isGiven = isGiven
        self.answer = answer
    }
}
