import ForetokenModel

/// A number with its 95 % interval.
public struct Estimate: Sendable, Equatable, Encodable {
    /// The point estimate.
    public let value: Double
    /// Lower bound of the interval; both bounds equal `value` where nothing varies.
    public let low: Double
    /// Upper bound.
    public let high: Double
    /// Trials behind it.
    public let count: Int

    /// An estimate; see the fields.
    public init(value: Double, low: Double, high: Double, count: Int) {
        self.value = value
        self.low = low
        self.high = high
        self.count = count
    }
}

/// What `measure` found out: how often drafts hold, on which text and at which temperature, and what that buys here.
public struct Measurement: Sendable, Encodable {
    /// What was measured, and on what.
    public var subject = Subject()
    /// One entry for each temperature.
    public var conditions: [Condition] = []
    /// What steps cost on this machine; nil when not measured.
    public var costs: StepCosts?
    /// Off first, then the draft lengths in ascending order, `auto` last. Empty when not measured.
    public var speeds: [SpeedComparison] = []
    /// By temperature and domain, what `auto` gains there. Empty when not measured, or without `auto`.
    public var domainSpeeds: [DomainSpeed] = []
    /// What the adaptive policy did; nil when it was not run.
    public var adaptive: AdaptiveChoice?
    /// By verifier layer with experts: how many distinct ones windows of tokens touch.
    public var overlap: [LayerOverlap] = []
    /// Whether it was cut short: all figures are of what had been done by then.
    public var isPartial = false

    /// Nothing measured yet.
    public init() {}
}

extension Measurement {
    /// What was measured, and on what.
    public struct Subject: Sendable, Encodable {
        /// The checkpoint's name.
        public var model = ""
        /// The suite's or text's name.
        public var source = ""
        /// `raw`, `chat` or `text`.
        public var format = "raw"
        /// Worker threads.
        public var threads = 0
        /// Kernels used.
        public var instructionSet = ""
        /// Element type of the latent cache.
        public var cacheType = ""
        /// The processor's name, as it calls itself.
        public var processor = ""
        /// Bytes of the machine's last-level caches; 0 where that is not known.
        public var cacheBytes = 0
        /// Most drafts of a chain.
        public var depth = 0
        /// Most tokens generated for a prompt; 0 for a given text.
        public var maximumTokens = 0
        /// Prompts or texts measured.
        public var prompts = 0
        /// Seed of the sampling noise.
        public var seed: UInt64 = 0
        /// The sampling filters, as the command line spells them; empty without any.
        public var filters = ""
        /// Where drafts came from: `mtp`, `lookup` or `both`.
        public var sources = "mtp"

        /// Nothing known yet.
        public init() {}
    }

    /// Everything found at one temperature.
    public struct Condition: Sendable, Encodable {
        /// 0 is greedy.
        public var temperature: Float
        /// Each domain in the order of the suite; then, when there are several, all together under the name `all`, but
        /// for those whose answers were given.
        public var domains: [DomainAcceptance]

        /// See the fields.
        public init(temperature: Float, domains: [DomainAcceptance]) {
            self.temperature = temperature
            self.domains = domains
        }
    }

    /// How often drafts held in one domain, at one temperature.
    public struct DomainAcceptance: Sendable, Encodable {
        /// The suite's name for it.
        public var domain: String
        /// Whether it stands for all domains together.
        public var isSummary = false
        /// Whether the model was made to say given answers.
        public var isMadeToSay = false
        /// Prompts of the domain.
        public var prompts: Int
        /// Positions at which a chain of drafts was started.
        public var positions: Int
        /// A chain from every position. Entry d − 1: draft d holds, given that those before it did.
        public var conditional: [Estimate]
        /// Drafts 1…d all hold: the product of the conditional shares.
        public var cumulative: [Estimate]
        /// What was looked up in the text; nil where nothing was to be.
        public var lookup: LookupAcceptance?
        /// By draft length: what real rounds come to. Empty for a given text.
        public var rounds: [RoundAcceptance]
        /// Draft 1 against its own probability, ascending; empty bins are left out.
        public var reliability: [ReliabilityBin]
        /// How the two distributions agree; nil at temperature 0.
        public var agreement: SamplingAgreement?
        /// A given text only: share of positions whose first draft is the text's token, and whose verifier's choice is.
        public var textAgreement: TextAgreement?
    }

    /// Rounds of one fixed draft length.
    public struct RoundAcceptance: Sendable, Encodable {
        /// Drafts of every round.
        public var draftLength: Int
        /// Rounds, over all prompts.
        public var rounds: Int
        /// Accepted drafts over drafts tried.
        public var rate: Estimate
        /// Entry d − 1: draft d is accepted, given that those before it were.
        public var conditional: [Estimate]
        /// 1 + accepted drafts a round.
        public var tokensPerRound: Estimate
    }

    /// Drafts whose own probability lies in a range.
    public struct ReliabilityBin: Sendable, Encodable {
        /// Lower end of the range.
        public var lowest: Double
        /// Upper end of the range.
        public var highest: Double
        /// Mean of the drafts' own probabilities.
        public var confidence: Double
        /// Share that held.
        public var accepted: Estimate
    }

    /// The verifier's distribution p and the draft's q at the same position, both after temperature and filters: how
    /// often a draft can hold, by the rule that picks it.
    public struct SamplingAgreement: Sendable, Encodable {
        /// Σ min(p, q): no lossless rule accepts more often.
        public var overlap: Estimate
        /// Σ_i 1 / Σ_j max(p_j / p_i, q_j / q_i): noise shared between draft and verifier, the rule used here
        /// (Gumbel coupling, arXiv 2408.07978).
        public var keyed: Estimate
        /// How often drafts really held, at the same positions.
        public var observed: Estimate
        /// p(argmax q): a draft that always takes its likeliest token.
        public var argmaxDraft: Estimate
        /// Σ p q: a draft drawn with noise of its own.
        public var independentDraft: Estimate
    }

    /// How well a given text was foreseen.
    public struct TextAgreement: Sendable, Encodable {
        /// Draft 1 is the text's token; nil without modules.
        public var draft: Estimate?
        /// The verifier's likeliest token is the text's.
        public var verifier: Estimate
    }

    /// Distinct experts that windows of consecutive tokens touch in one layer.
    public struct LayerOverlap: Sendable, Encodable {
        /// Decoder layer.
        public var layer: Int
        /// Routed experts there are.
        public var experts: Int
        /// Entry w − 1: mean number for w tokens.
        public var distinct: [Double]
        /// The same if tokens chose experts independently and uniformly.
        public var uniform: [Double]
    }

    /// What steps take here, in nanoseconds, with `meanContext` cached positions.
    public struct StepCosts: Sendable, Encodable {
        /// Entry r − 1: a verify step with r rows, lm_head included.
        public var verify: [Double]
        /// What each further cached position adds to that.
        public var verifyPerPosition: [Double]
        /// Entry c − 1: making up for c rows that the modules have not seen, and the first draft. Empty without modules.
        public var firstDraft: [Double]
        /// Each further draft.
        public var laterDraft: Double
        /// What each further cached position adds to a draft.
        public var draftPerPosition: Double
        /// Choosing and emitting one token behind the step.
        public var drawing: Double
        /// Cached positions at which these were taken, on average.
        public var meanContext: Int
        /// Bytes of weights that a step with one row reads.
        public var bytesPerStep: Double
        /// What the machine reads from memory with all threads, in bytes a second; 0 when there was no memory to try.
        public var bandwidth: Double
    }

    /// One draft mode's speed against no drafts, in runs that took turns.
    public struct SpeedComparison: Sendable, Encodable {
        /// `off`, `1`…`15` or `auto`.
        public var draft: String
        /// Where drafts came from: `mtp`, `lookup` or `both`.
        public var sources: String
        /// 0 is greedy.
        public var temperature: Float
        /// Speed-up when the same rounds are run along the recorded texts, by the steps' typical times; 1 for `off`.
        public var predicted: Double?
        /// Speed-up seen; its count is of turns, in each of which one prompt was run in every mode.
        public var measured: Estimate
        /// Generated tokens a second, the prompt's time left out.
        public var tokensPerSecond: Double
        /// Generated tokens a round, in the runs that were timed.
        public var tokensPerRound: Double
        /// Prompts that were timed.
        public var prompts: Int
        /// Drafts of the modules and of look-up that met a verdict, and those that held.
        public var drafts = SourceDrafts()
        /// What a round takes by the same forecast, in undrafted steps; nil without drafts.
        public var roundCost: RoundCost?
    }

    /// What the adaptive policy did, at the first temperature.
    public struct AdaptiveChoice: Sendable, Encodable {
        /// Entry k: share of rounds that verified k drafts.
        public var shares: [Double]
    }
}

extension Measurement.StepCosts {
    /// What a round takes, in undrafted steps: checking its drafts with the verifier, and making them. nil for lengths
    /// not timed.
    ///
    /// - Parameters:
    ///   - drafts: its draft length, from 1.
    ///   - tokens: tokens it brings on average; the draft head catches up with as many rows.
    public func round(drafts: Int, tokens: Double) -> (checking: Double, drafting: Double)? {
        guard tokens.isFinite, drafts > 0, drafts < verify.count, let plain = verify.first, plain > 0,
            !firstDraft.isEmpty
        else { return nil }
        let place = min(max(0, tokens - 1), Double(firstDraft.count - 1))
        let (below, above) = (firstDraft[Int(place)], firstDraft[min(Int(place) + 1, firstDraft.count - 1)])
        let first = below + (above - below) * (place - place.rounded(.down))
        let drafting = first + Double(min(drafts, MTPHead.maximumDrafts) - 1) * laterDraft
        let step = plain + drawing
        let result = ((verify[drafts] + tokens * drawing) / step, drafting / step)
        return result.0.isFinite && result.1.isFinite ? result : nil
    }
}
