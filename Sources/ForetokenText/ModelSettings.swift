import ForetokenModel
import ForetokenTokenizer
import ForetokenWeights

/// How several hosts are to share a model.
public enum DivisionWish: String, Sendable, CaseIterable {
    /// As is predicted to be fastest, of what fits.
    case auto
    /// By output rows of every large matrix.
    case rows
    /// By layers.
    case layers
}

/// Which model, and how it runs.
public struct ModelSettings: Sendable {
    /// How conversations are written.
    public enum Chat: Sendable {
        /// As one of DeepSeek's models expects them.
        case deepSeek(DeepSeekChat.Generation)
        /// By a Jinja template with this source.
        case template(String)
    }

    /// A placement plan.
    public struct Plan: Sendable {
        /// What messages call the file.
        public var name: String
        /// What it holds.
        public var bytes: [UInt8]

        /// A plan; see the fields.
        public init(name: String, bytes: [UInt8]) {
            self.name = name
            self.bytes = bytes
        }
    }

    /// The checkpoint's folder; nil for the embedded model.
    public var directory: String?
    /// Worker threads; nil for as many as the machine is good for.
    public var threads: Int?
    /// One of `InstructionSet.available`; nil for the best.
    public var instructionSet: String?
    /// Element type of the latent cache.
    public var cacheType = CacheType.f32
    /// How the large matrices are kept in memory.
    public var weights = ResidentFormat.stored
    /// Most tokens of a text; nil for what the work needs.
    public var context: Int?
    /// Where the experts lie on the machine's nodes; nil cuts them over all.
    public var plan: Plan?
    /// How conversations are written; nil for the checkpoint's own way.
    public var chat: Chat?
    /// How several hosts share the model.
    public var division = DivisionWish.auto

    /// The embedded model with the defaults.
    public init() {}
}
