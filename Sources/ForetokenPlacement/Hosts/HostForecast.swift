/// A way to divide a model over hosts. All give the bits of one host: rows and hidden states travel whole, sums never do.
///
/// Whole experts on different hosts are not among them. A step waits for the host that most of its experts lie on, at one row
/// 1.26, 1.73 and 2.49 times the mean of 2, 4 and 8 hosts (DeepSeek-V3, 8 of 256 experts), and it saves only half of the
/// exchanges that cut experts need: they read less at every number of hosts.
public enum HostDivision: String, Sendable, Equatable, Codable, CaseIterable {
    /// All of it on one of the hosts.
    case oneHost = "one-host"
    /// Consecutive layers on each host, embedding, lm_head and MTP modules on the first.
    case layers
    /// Every large matrix cut by output rows; small ones and the cache whole on each host.
    case rows
}

/// What one division is predicted to give. Times are those of reading weights and of the link alone: no host is faster, and
/// real ones are slower by what else they do.
public struct HostForecast: Sendable, Equatable, Encodable {
    /// What lies on one host.
    public struct Part: Sendable, Equatable, Encodable {
        /// Index of the host.
        public var host: Int
        /// Its name.
        public var name: String
        /// Its share of what is cut, or of the layers' bytes: 0…1.
        public var share: Double
        /// Its weight among all hosts, by which `ExpertPlacement.cut` divides the units of every matrix; nil where rows are
        /// not what is divided.
        public var cutWeight: Int?
        /// Its first layer and the one behind its last; nil where layers are not what is divided.
        public var layers: [Int]?
        /// Bytes of weights.
        public var weightBytes: Int
        /// Bytes of the cache.
        public var cacheBytes: Int
        /// Bytes of scratch.
        public var scratchBytes: Int
        /// Bytes that may lie there.
        public var capacity: Int

        /// Bytes of everything.
        public var neededBytes: Int { weightBytes + cacheBytes + scratchBytes }
        /// Bytes for which there is no room.
        public var missingBytes: Int { max(0, neededBytes - capacity) }

        private enum CodingKeys: String, CodingKey {
            case host, name, share, cutWeight, layers, weightBytes, cacheBytes, scratchBytes, capacity, missingBytes
        }

        /// With what is missing.
        public func encode(to encoder: any Encoder) throws {
            var container = encoder.container(keyedBy: CodingKeys.self)
            try container.encode(host, forKey: .host)
            try container.encode(name, forKey: .name)
            try container.encode(share, forKey: .share)
            try container.encodeIfPresent(cutWeight, forKey: .cutWeight)
            try container.encodeIfPresent(layers, forKey: .layers)
            try container.encode(weightBytes, forKey: .weightBytes)
            try container.encode(cacheBytes, forKey: .cacheBytes)
            try container.encode(scratchBytes, forKey: .scratchBytes)
            try container.encode(capacity, forKey: .capacity)
            try container.encode(missingBytes, forKey: .missingBytes)
        }
    }

    /// The division.
    public let division: HostDivision
    /// What lies where, in the order of the hosts; hosts that have nothing are left out of `oneHost`.
    public let parts: [Part]
    /// By rows − 1: seconds of a step.
    public let stepSeconds: [Double]
    /// By rows − 1: of these, seconds in exchanges and transfers.
    public let exchangeSeconds: [Double]
    /// Seconds of one draft; nil without MTP modules.
    public let draftSeconds: Double?
    /// Tokens a second without drafts.
    public let tokensPerSecond: Double
    /// Tokens a second with one draft a step; nil without MTP modules.
    public let draftedTokensPerSecond: Double?
    /// Tokens of a prompt a second; nil where hosts do not say how fast they multiply.
    public let promptTokensPerSecond: Double?
    /// Whether every host has room for its part.
    public let fits: Bool

    /// - Parameter acceptance: how often a draft holds.
    init(
        _ division: HostDivision, parts: [Part], steps: [StepTime], draft: StepTime?, acceptance: Double,
        promptTokensPerSecond: Double?
    ) {
        self.division = division
        self.parts = parts
        stepSeconds = steps.map(\.seconds)
        exchangeSeconds = steps.map(\.exchange)
        draftSeconds = draft?.seconds
        tokensPerSecond = 1 / stepSeconds[0]
        let two = stepSeconds[min(1, steps.count - 1)]
        draftedTokensPerSecond = draft.map { (1 + acceptance) / (two + $0.seconds) }
        self.promptTokensPerSecond = promptTokensPerSecond
        fits = parts.allSatisfy { $0.missingBytes == 0 }
    }

    /// Tokens a second with a draft where that helps.
    public var bestTokensPerSecond: Double { max(tokensPerSecond, draftedTokensPerSecond ?? 0) }

    /// Share of a step of one row that goes into exchanges and transfers.
    public var exchangeShare: Double { exchangeSeconds[0] / stepSeconds[0] }

    /// Bytes for which there is no room, on all hosts.
    public var missingBytes: Int { parts.reduce(0) { $0 + $1.missingBytes } }
}

/// How long hosts take for a step or a draft.
struct StepTime: Equatable {
    /// Seconds of reading, waiting for slower hosts included.
    var reading = 0.0
    /// Seconds of exchanges and transfers.
    var exchange = 0.0

    /// All of it.
    var seconds: Double { reading + exchange }
}
