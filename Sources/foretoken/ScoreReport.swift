import ForetokenLaboratory

/// What `score --json` prints.
struct ScoreReport: Encodable {
    struct Module: Encodable {
        let nll: Double?
        let argmax: [Int32]

        func encode(to encoder: any Encoder) throws {
            var container = encoder.container(keyedBy: CodingKeys.self)
            try container.encode(nll, forKey: .nll)
            try container.encode(argmax, forKey: .argmax)
        }

        private enum CodingKeys: CodingKey {
            case nll, argmax
        }
    }

    struct MTP: Encodable {
        let nll: Double?
        let argmax: [Int32]
        let modules: [Module]
        let recursive: [[Int32]]

        func encode(to encoder: any Encoder) throws {
            var container = encoder.container(keyedBy: CodingKeys.self)
            try container.encode(nll, forKey: .nll)
            try container.encode(argmax, forKey: .argmax)
            try container.encode(modules, forKey: .modules)
            try container.encode(recursive, forKey: .recursive)
        }

        private enum CodingKeys: CodingKey {
            case nll, argmax, modules, recursive
        }
    }

    let tokens: [Int32]
    let logprobs: [Double?]
    /// [id, raw logit].
    let top: [[RankedEntry<Float>]]
    /// nil, null in JSON, when there is one token only: it has nothing before it to go by.
    let nll: Double?
    /// nil for one token, and when it is too large for a number.
    let perplexity: Double?
    let bits_per_byte: Double?
    let mtp: MTP?

    init(_ score: ForetokenLaboratory.Score, _ tokens: [Int32], bitsPerByte: Double?, topCount: Int) {
        self.tokens = tokens
        logprobs = score.logProbabilities
        top =
            topCount == 0
            ? Array(repeating: [], count: tokens.count)
            : score.top.map { $0.map { RankedEntry($0.token, $0.logit) } }
        let isScored = tokens.count > 1
        nll = isScored ? score.negativeLogLikelihood : nil
        perplexity = isScored && score.perplexity.isFinite ? score.perplexity : nil
        bits_per_byte = isScored ? bitsPerByte : nil
        mtp = score.mtp.map { mtp in
            let modules = mtp.modules.map { Module(nll: $0.negativeLogLikelihood, argmax: $0.argmax) }
            return MTP(
                nll: modules[0].nll, argmax: modules[0].argmax, modules: modules, recursive: mtp.recursive)
        }
    }

    private enum CodingKeys: CodingKey {
        case tokens, logprobs, top, nll, perplexity, bits_per_byte, mtp
    }

    /// Every key is always there, null where there is no number.
    func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode(tokens, forKey: .tokens)
        try container.encode(logprobs, forKey: .logprobs)
        try container.encode(top, forKey: .top)
        try container.encode(nll, forKey: .nll)
        try container.encode(perplexity, forKey: .perplexity)
        try container.encode(bits_per_byte, forKey: .bits_per_byte)
        try container.encode(mtp, forKey: .mtp)
    }
}
