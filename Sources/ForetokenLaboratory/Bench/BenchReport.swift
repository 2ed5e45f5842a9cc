/// What `bench` measured on this machine. Times are medians in nanoseconds.
public struct BenchReport: Sendable, Encodable {
    /// What was measured.
    public var subject = Subject()
    /// What the machine does when it only reads or only multiplies.
    public var roofs = Roofs()
    /// Panel products by format and rows.
    public var products: [Product] = []
    /// What rows in turn of the text that was read choose; empty for made-up weights and models without experts.
    public var overlap: [Overlap] = []
    /// Verify steps by context.
    public var steps: [StepCurve] = []
    /// Rounds with drafts by context and length; empty without an MTP module.
    public var rounds: [Round] = []
    /// Several texts at once, by their number.
    public var company: [Company] = []
    /// Prompts by length.
    public var prompts: [Prompt] = []
    /// A text that grows while a prompt is read; nil where that would have taken too long.
    public var stream: Stream?
    /// Parts of a step, by context, rows, kind of layer and component.
    public var components: [Component] = []
    /// Steps and prompts behind the contexts that were asked for; empty unless some were.
    public var depths: [Depth] = []
    /// What each resident format costs in fidelity; empty unless asked for.
    public var formats: [FormatLoss] = []
    /// Memory of the process; nil before the model has run.
    public var memory: Memory?
    /// What the whole model would do; nil unless only some of its layers were made.
    public var projection: Projection?
    /// What was left out, and why, one sentence each.
    public var leftOut: [String] = []
    /// Times that everything was measured.
    public var turns = 0
    /// Whether it was cut short.
    public var isPartial = false

    /// Nothing measured yet.
    public init() {}
}

extension BenchReport {
    /// What was measured, and on what.
    public struct Subject: Sendable, Encodable {
        /// The checkpoint's name.
        public var model = ""
        /// Where the tokens come from.
        public var text = ""
        /// Whether the weights are made up.
        public var isSynthetic = false
        /// Worker threads.
        public var threads = 0
        /// Kernels used.
        public var instructionSet = ""
        /// Element type of the latent cache.
        public var cacheType = ""
        /// The processor's name, as it calls itself.
        public var processor = ""
        /// Bytes of packed weights.
        public var weightBytes = 0
        /// Bytes of weights that a step of one row reads.
        public var bytesPerStep = 0
        /// Bytes of the machine's last-level caches; 0 where that is not known.
        public var cacheBytes = 0
        /// Main layers.
        public var layers = 0
        /// Main layers with experts.
        public var moeLayers = 0
    }

    /// A speed with so many threads.
    public struct ThreadSpeed: Sendable, Encodable {
        /// Threads at work.
        public var threads: Int
        /// Bytes or operations a second.
        public var perSecond: Double
    }

    /// What the machine does when it only reads or only multiplies; medians, like everything beside them.
    public struct Roofs: Sendable, Encodable {
        /// Bytes a second read from memory, by threads.
        public var read: [ThreadSpeed] = []
        /// Operations a second of OpenBLAS's sgemm in the shape of a prompt's product, by threads.
        public var sgemm: [ThreadSpeed] = []

        /// Of all threads; nil before anything was measured.
        public var fullRead: Double? { read.last?.perSecond }
        /// Of all threads; nil before anything was measured.
        public var fullSgemm: Double? { sgemm.last?.perSecond }
    }

    /// Products with matrices that no cache holds, all threads.
    public struct Product: Sendable, Encodable {
        /// Number format of the matrices.
        public var format: String
        /// Activation rows.
        public var rows: Int
        /// Bytes of weights a second.
        public var bytesPerSecond: Double
        /// Floating-point operations a second.
        public var operationsPerSecond: Double
        /// Over the read roof; nil where that is unknown.
        public var readShare: Double?
        /// Over sgemm; nil where that is unknown.
        public var sgemmShare: Double?
    }

    /// Verify steps of 1…16 rows, lm_head included, behind a context of so many tokens.
    public struct StepCurve: Sendable, Encodable {
        /// A step of so many rows.
        public struct Point: Sendable, Encodable {
            /// Rows.
            public var rows: Int
            /// Time.
            public var time: Double
            /// T(rows)/T(1), median over steps at the same places.
            public var relative: Double
            /// Bytes of weights that the routing touched in these very windows, mean.
            public var bytes: Double
            /// bytes(rows)/bytes(1).
            public var relativeBytes: Double
            /// `relative` over `relativeBytes`: 1 when time is all reading.
            public var overBytes: Double
        }
        /// Tokens before the step.
        public var context: Int
        /// By rows.
        public var points: [Point]
        /// Undrafted decoding, tokens a second.
        public var tokensPerSecond: Double
        /// Bytes of weights a second while decoding.
        public var bytesPerSecond: Double
        /// Over the read roof; nil where that is unknown.
        public var readShare: Double?
    }

    /// So many rows in turn, at all places of the text that was read before the steps.
    public struct Overlap: Sendable, Encodable {
        /// Rows.
        public var rows: Int
        /// Distinct experts a layer, mean of the layers.
        public var experts: Double
        /// experts(rows)/experts(1).
        public var relative: Double
        /// What `experts` would be if every row chose anew, all experts alike.
        public var byChance: Double
        /// Bytes of weights that such a step reads, over those of one row.
        public var relativeBytes: Double
    }

    /// A round of so many drafts.
    public struct Round: Sendable, Encodable {
        /// Tokens before the round.
        public var context: Int
        /// Drafts.
        public var drafts: Int
        /// Catching up and drafting.
        public var draftTime: Double
        /// The verify step of `drafts` + 1 rows.
        public var verifyTime: Double
        /// The whole round over an undrafted step beside it.
        public var relative: Double
        /// The acceptance of every draft at which the round pays: 1 + α + … + α^drafts = `relative`. nil when none does.
        public var breakEven: Double?
        /// One draft alone, with the MTP step that it needs (the only one: with the catch-up of one row).
        public var lastDraftTime: Double
    }

    /// So many texts at once, with short contexts.
    public struct Company: Sendable, Encodable {
        /// Texts.
        public var texts: Int
        /// Time of a step of one row of each.
        public var time: Double
        /// Time over that of a step of one text, median over steps beside each other.
        public var relative: Double
        /// Bytes of weights that the routing touched, over one text's.
        public var relativeBytes: Double
        /// Tokens a second of all texts together, without drafts.
        public var tokensPerSecond: Double
        /// The same over one text's.
        public var overOne: Double
        /// The same over what the steps alone would give: what scheduling costs.
        public var overSteps: Double
        /// What `overOne` would be if time went with bytes.
        public var byteBound: Double
        /// Tokens a second with `--draft auto`; nil without MTP module.
        public var adaptiveTokensPerSecond: Double?
    }

    /// A prompt from its first token to its last row's logits.
    public struct Prompt: Sendable, Encodable {
        /// Tokens.
        public var tokens: Int
        /// Time.
        public var time: Double
        /// Tokens a second.
        public var tokensPerSecond: Double
        /// Operations a second, of those it needs at least.
        public var operationsPerSecond: Double
        /// Over sgemm; nil where that is unknown.
        public var sgemmShare: Double?
    }

    /// A text that grows while another's prompt is read beside it.
    public struct Stream: Sendable, Encodable {
        /// Tokens of the prompt.
        public var promptTokens: Int
        /// Time between the text's tokens while it is alone.
        public var window: Double
        /// Time between two of its tokens while the prompt is read, in windows; median.
        public var pause: Double
        /// 99th percentile of the same.
        public var longPause: Double
        /// The longest of all, which interruptions by other processes stretch.
        public var longestPause: Double
        /// Time that the prompt takes.
        public var promptTime: Double
        /// The same over what it takes alone; nil where that is unknown.
        public var promptOverAlone: Double?
    }

    /// One part of a step, of all layers of a kind together.
    public struct Component: Sendable, Encodable {
        /// Tokens before the step.
        public var context: Int
        /// Rows.
        public var rows: Int
        /// `dense`, `moe`, or `outside` of the layers.
        public var place: String
        /// What was computed.
        public var name: String
        /// Time.
        public var time: Double
        /// Time over the number of such layers.
        public var perLayer: Double
    }

    /// The model kept in one of the resident formats.
    public struct FormatLoss: Sendable, Encodable {
        /// The format's name.
        public var format: String
        /// Bytes of packed weights.
        public var weightBytes: Int
        /// Bytes of weights that a step of one row reads.
        public var bytesPerStep: Int
        /// Of the scored text, e^(mean nats a token).
        public var perplexity: Double
        /// `perplexity` over that of the weights as stored.
        public var relative: Double
        /// Tokens scored.
        public var tokens: Int

        /// See the fields.
        public init(
            format: String, weightBytes: Int, bytesPerStep: Int, perplexity: Double, relative: Double, tokens: Int
        ) {
            self.format = format
            self.weightBytes = weightBytes
            self.bytesPerStep = bytesPerStep
            self.perplexity = perplexity
            self.relative = relative
            self.tokens = tokens
        }
    }

    /// Memory of the process.
    public struct Memory: Sendable, Encodable {
        /// In memory once the model has run; nil where the system does not say.
        public var resident: Int?
        /// Packed weights.
        public var weights: Int
        /// Latent caches of verifier and MTP modules.
        public var cache: Int

        /// Resident over weights and caches; nil where the system does not say.
        public var share: Double? { resident.map { Double($0) / Double(max(1, weights + cache)) } }
    }
}
