/// What planning over hosts must know of a model: by layer what a step reads, how that can be cut, and what hosts would have to
/// tell each other.
public struct HostedModel: Sendable, Equatable {
    /// Matrices that can be cut by output rows, all at the same places.
    public struct Cut: Sendable, Equatable {
        /// Bytes of all of them.
        public var bytes: Int
        /// Units of rows, or of as many heads as fill such, that prompts multiply as a whole: hosts' cuts lie between them.
        public var units: Int

        /// Matrices; see the fields.
        public init(bytes: Int, units: Int) {
            self.bytes = bytes
            self.units = units
        }

        /// The bytes of units `range`; those of consecutive ranges add up to all of them.
        func bytes(_ range: Range<Int>) -> Int {
            units == 0 ? 0 : bytes * range.upperBound / units - bytes * range.lowerBound / units
        }
    }

    /// The routed experts of a layer, all of one size.
    public struct Experts: Sendable, Equatable {
        /// How many there are.
        public var count: Int
        /// Gate and up projections of one.
        public var gateUp: Cut
        /// The down projection of one.
        public var down: Cut

        /// Experts; see the fields.
        public init(count: Int, gateUp: Cut, down: Cut) {
            self.count = count
            self.gateUp = gateUp
            self.down = down
        }

        /// Bytes of one.
        var bytes: Int { gateUp.bytes + down.bytes }
    }

    /// A decoder layer.
    public struct Layer: Sendable, Equatable {
        /// Bytes that every host would read whole, being too small to be worth an exchange: down-projections of query and
        /// latent, router, indexer.
        public var wholeBytes: Int
        /// The matrices that attention has by head.
        public var heads: Cut
        /// The output projection.
        public var output: Cut
        /// Gate and up projections of the dense MLP, or of the shared expert.
        public var gateUp: Cut
        /// Its down projection.
        public var down: Cut
        /// Routed experts; nil in a dense layer.
        public var experts: Experts?
        /// Floats of a row that all heads put out.
        public var attendedFloats: Int
        /// Floats of a row of hidden state.
        public var hiddenFloats: Int
        /// Floats of a row between gate-and-up and down: of the dense MLP, or of the row's experts and the shared one.
        public var activationFloats: Int
        /// Bytes of the latent cache for a token.
        public var cacheBytesPerToken: Int
        /// Multiply-adds of one row.
        public var multiplyAdds: Double

        /// A layer; see the fields.
        public init(
            wholeBytes: Int, heads: Cut, output: Cut, gateUp: Cut, down: Cut, experts: Experts?, attendedFloats: Int,
            hiddenFloats: Int, activationFloats: Int, cacheBytesPerToken: Int, multiplyAdds: Double
        ) {
            self.wholeBytes = wholeBytes
            self.heads = heads
            self.output = output
            self.gateUp = gateUp
            self.down = down
            self.experts = experts
            self.attendedFloats = attendedFloats
            self.hiddenFloats = hiddenFloats
            self.activationFloats = activationFloats
            self.cacheBytesPerToken = cacheBytesPerToken
            self.multiplyAdds = multiplyAdds
        }

        /// Bytes that a step reads that needs `distinct` of the routed experts, a mean.
        func readBytes(distinct: Double) -> Double {
            Double(wholeBytes + heads.bytes + output.bytes + gateUp.bytes + down.bytes)
                + distinct * Double(experts?.bytes ?? 0)
        }

        /// Bytes that lie in memory.
        var heldBytes: Int {
            wholeBytes + heads.bytes + output.bytes + gateUp.bytes + down.bytes
                + (experts.map { $0.count * $0.bytes } ?? 0)
        }

        /// Floats of a row that its four exchanges make whole on every host.
        var exchangedFloats: [Int] { [attendedFloats, hiddenFloats, activationFloats, hiddenFloats] }
    }

    /// An MTP module.
    public struct Module: Sendable, Equatable {
        /// Its decoder block.
        public var block: Layer
        /// Its input projection.
        public var projection: Cut

        /// A module; see the fields.
        public init(block: Layer, projection: Cut) {
            self.block = block
            self.projection = projection
        }
    }

    /// The main layers, in order.
    public var layers: [Layer]
    /// The MTP modules.
    public var modules: [Module]
    /// Bytes of the embedding, of which a step reads a row.
    public var embeddingBytes: Int
    /// lm_head, which a step reads.
    public var lmHead: Cut
    /// Whether lm_head is the embedding, and so takes no memory of its own.
    public var tiesEmbeddings: Bool
    /// The copy of lm_head that drafts read; no bytes without modules.
    public var draftLMHead: Cut
    /// Of that, what a draft usually reads: the rows of frequent tokens.
    public var frequentLMHead: Cut
    /// Bytes of norms, biases and tables, which every host has.
    public var otherBytes: Int
    /// Bytes of scratch of one host.
    public var scratchBytes: Int
    /// Tokens that the cache has room for.
    public var positions: Int
    /// Experts that each token is sent to; 0 without experts.
    public var expertsPerToken: Int
    /// Rows of a prompt that are computed together.
    public var promptRows: Int

    /// A model; see the fields.
    public init(
        layers: [Layer], modules: [Module], embeddingBytes: Int, lmHead: Cut, tiesEmbeddings: Bool, draftLMHead: Cut,
        frequentLMHead: Cut, otherBytes: Int, scratchBytes: Int, positions: Int, expertsPerToken: Int,
        promptRows: Int = 512
    ) {
        self.layers = layers
        self.modules = modules
        self.embeddingBytes = embeddingBytes
        self.lmHead = lmHead
        self.tiesEmbeddings = tiesEmbeddings
        self.draftLMHead = draftLMHead
        self.frequentLMHead = frequentLMHead
        self.otherBytes = otherBytes
        self.scratchBytes = scratchBytes
        self.positions = positions
        self.expertsPerToken = expertsPerToken
        self.promptRows = promptRows
    }

    /// Bytes of all weights but `otherBytes`.
    public var weightBytes: Int {
        layers.reduce(embeddingBytes + headBytes) { $0 + $1.heldBytes } + moduleBytes
    }

    /// Bytes of the heads that lie in memory beside the embedding.
    var headBytes: Int { (tiesEmbeddings ? 0 : lmHead.bytes) + draftLMHead.bytes }

    /// Bytes of all modules.
    var moduleBytes: Int { modules.reduce(0) { $0 + $1.block.heldBytes + $1.projection.bytes } }

    /// Bytes of cache that a layer takes.
    func cacheBytes(_ layer: Layer) -> Int { positions * layer.cacheBytesPerToken }

    /// Bytes of all layers' and modules' caches.
    public var cacheBytes: Int { (layers + modules.map(\.block)).reduce(0) { $0 + cacheBytes($1) } }

    /// Multiply-adds of one row in all layers.
    var multiplyAdds: Double { layers.reduce(0) { $0 + $1.multiplyAdds } }
}
