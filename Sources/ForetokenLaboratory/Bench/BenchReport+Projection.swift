import ForetokenWeights

extension BenchReport {
    /// What the whole model would do if all its layers were like those measured. Nobody ran it.
    public struct Projection: Sendable, Encodable {
        /// The shape's name.
        public var shape: String
        /// What its makers call it.
        public var title: String
        /// What is not known of the model or not made of it.
        public var remarks: [String]
        /// Its main layers.
        public var layers: Int
        /// Weights of the main model.
        public var parameters: Int
        /// Weights that one token's step reads, lm_head included.
        public var activeParameters: Int
        /// Bytes of the published files.
        public var fileBytes: Int
        /// By format: what the whole model takes in memory.
        public var memory: [FormatMemory]
        /// Bytes of latents that each token of a text takes, in the cache's type and with the MTP modules' share.
        public var cacheBytesPerToken: Int
        /// Tokens before the step.
        public var context: Int
        /// Time of an undrafted step.
        public var time: Double
        /// Undrafted decoding, tokens a second.
        public var tokensPerSecond: Double
        /// By context: the same behind others that were measured.
        public var contexts: [ContextProjection] = []
        /// Bytes of weights that a draft reads over those of a step of one row; nil without an MTP module.
        public var draftBytes: Double?
        /// Time of a draft over that of a step of one row; nil where no module was made.
        public var draftTime: Double?
        /// Steps of several rows by how rows overlap in their experts; empty for models without experts.
        public var overlaps: [OverlapProjection] = []
    }

    /// The weights kept in one of the resident formats.
    public struct FormatMemory: Sendable, Encodable {
        /// The format's name.
        public var format: String
        /// Bytes of packed weights.
        public var weightBytes: Int
        /// Whether it is the format that was measured in.
        public var isMeasured: Bool
    }

    /// An undrafted step of the whole model behind one context.
    public struct ContextProjection: Sendable, Encodable {
        /// Tokens before the step.
        public var context: Int
        /// Time.
        public var time: Double
        /// Tokens a second.
        public var tokensPerSecond: Double
        /// Part of the time that queries, attention over the latents and values take.
        public var attentionShare: Double
    }

    /// Steps of the whole model whose rows overlap so.
    public struct OverlapProjection: Sendable, Encodable {
        /// A step of so many rows.
        public struct Row: Sendable, Encodable {
            /// Rows.
            public var rows: Int
            /// Distinct experts a layer that the overlap says.
            public var experts: Double
            /// Bytes of weights that such a step reads, over those of one row.
            public var relativeBytes: Double
            /// Distinct experts that the made-up router chose in the steps that were timed.
            public var madeExperts: Double
            /// T(rows)/T(1) of the whole model, from the layers that were timed.
            public var relative: Double
        }

        /// What drafts would gain, in tokens a second over none.
        public struct Gain: Sendable, Encodable {
            /// The best fixed number of drafts.
            public var drafts: Int
            /// With that number.
            public var fixed: Double
            /// With a gate that keeps the drafts that pay.
            public var gated: Double
        }

        /// The overlap's name.
        public var name: String
        /// Where it comes from.
        public var source: String
        /// By rows.
        public var rows: [Row]
        /// If time went with bytes; nil without an MTP module.
        public var gainByBytes: Gain?
        /// By the times measured; nil without an MTP module.
        public var gain: Gain?
        /// Tokens a second with drafts that a gate keeps where they pay, by the times measured; nil without an MTP module.
        public var draftedTokensPerSecond: Double?
        /// The chances to hold that both assume, by draft.
        public var acceptance = DraftForecast.acceptance
    }
}

extension BenchReport {
    /// Steps and a prompt's chunk behind one long context; of a part of a model they are projected to the whole.
    public struct Depth: Sendable, Encodable {
        /// A step of so many rows.
        public struct Row: Sendable, Encodable {
            /// Rows.
            public var rows: Int
            /// Time.
            public var time: Double
            /// T(rows)/T(1).
            public var relative: Double
        }
        /// Tokens before the step.
        public var context: Int
        /// By rows.
        public var rows: [Row]
        /// Undrafted decoding, tokens a second.
        public var tokensPerSecond: Double
        /// Part of a step of one row that queries, attention over the latents and values take.
        public var attentionShare: Double
        /// Bytes of latents of a text that long.
        public var cacheBytes: Int
        /// A prompt's rows at this place; nil where that would have taken too long.
        public var chunk: Chunk?
        /// Whether times are those of a whole model of which only some layers were run.
        public var isProjected: Bool
        /// Whether latents are made up, so that no text had to be read.
        public var hasMadeLatents: Bool

        /// A prompt's rows that are read in one step.
        public struct Chunk: Sendable, Encodable {
            /// Rows.
            public var tokens: Int
            /// Time.
            public var time: Double
            /// Rows a second.
            public var tokensPerSecond: Double
            /// Part of the time that queries, attention over the latents and values take.
            public var attentionShare: Double
        }
    }
}
