import ForetokenReport
import ForetokenSpeculation

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

    init(_ score: ForetokenSpeculation.Score, _ tokens: [Int32], bitsPerByte: Double?, topCount: Int) {
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

extension ScoreReport {
    /// The figures as a small table.
    func summary(on terminal: Terminal) -> String {
        var table = Table([.init("score"), .init("", .right)])
        table.add("tokens", Format.grouped(tokens.count))
        table.add("nats per token", nll.map { Format.fixed($0, 4) } ?? "–")
        table.add("perplexity", perplexity.map { Format.fixed($0, 3) } ?? "–")
        if let bits_per_byte { table.add("bits per byte", Format.fixed(bits_per_byte, 4)) }
        for (index, module) in (mtp?.modules ?? []).enumerated() {
            table.add("MTP module \(index), nats per token", module.nll.map { Format.fixed($0, 4) } ?? "–")
            table.add("MTP module \(index), guesses right", Format.percent(shareRight(module, offset: 2 + index)))
        }
        for (index, chain) in (mtp?.recursive ?? []).enumerated() {
            let right = shareRight(Module(nll: 0, argmax: chain), offset: 2 + index)
            table.add("draft \(index + 1), guesses right", Format.percent(right))
        }
        return table.rendered(on: terminal)
    }

    /// Share of guesses that agree with the text; guess i is for position i + offset.
    private func shareRight(_ module: Module, offset: Int) -> Double {
        let targets = tokens.dropFirst(offset)
        guard !targets.isEmpty else { return 0 }
        return Double(zip(module.argmax, targets).count { $0 == $1 }) / Double(targets.count)
    }
}
