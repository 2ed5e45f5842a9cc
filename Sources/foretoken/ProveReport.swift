import ForetokenLaboratory
import ForetokenModel
import ForetokenReport

/// What `prove` prints.
struct ProveReport: Encodable {
    let proof: Proof
    let settings: ProofSettings
    let model: String
    let nanoseconds: Int64

    // MARK: Text

    /// A table with a row for each way, the verdict, and the first divergence if there is one.
    func text(on terminal: Terminal) -> String {
        var table = Table([
            .init("what varies"), .init("runs", .right), .init("tokens", .right, rank: 1),
            .init("rows", .right, rank: 1), .init("values", .right, rank: 1), .init("held", .right, rank: 1),
            .init("result", rank: -1),
        ])
        for way in proof.ways where way.runs > 0 {
            table.add(
                way.title, way.runs < way.plannedRuns ? "\(way.runs)/\(way.plannedRuns)" : "\(way.runs)",
                way.tokens == 0 ? "" : Format.grouped(way.tokens), Format.grouped(way.rows),
                Self.count(way.values),
                way.draftsVerified == 0
                    ? "" : Format.percent(Double(way.draftsAccepted) / Double(way.draftsVerified)),
                way.differingRuns == 0 ? "identical" : "DIFFERENT (\(way.differingRuns))")
        }
        var text = table.rendered(on: terminal) + "\n"
        if proof.ways.contains(where: { $0.draftsVerified > 0 }) {
            text += terminal.styled("held: share of the verified drafts that were accepted", .dim) + "\n"
        }
        for omission in proof.omissions { text += "Left out: \(omission)\n" }
        text += terminal.styled(verdict, proof.divergence == nil ? .green : .red) + "\n"
        if let divergence = proof.divergence { text += "\n" + divergence.text(on: terminal) }
        return text
    }

    private var verdict: String {
        let runs = proof.ways.reduce(0) { $0 + $1.runs }
        let tokens = proof.ways.reduce(0) { $0 + $1.tokens }
        let values = proof.ways.reduce(0) { $0 + $1.values }
        let drafts = proof.ways.reduce(0) { $0 + $1.draftsCompared }
        let extent =
            "\(Format.grouped(runs)) runs, \(Format.grouped(tokens)) tokens, "
            + (drafts > 0 ? "\(Format.grouped(drafts)) drafts, " : "") + "\(Self.count(values)) values compared in "
            + "\(Format.grouped(proof.stepCount)) steps and \(Format.duration(nanoseconds: nanoseconds))"
        let differing = proof.ways.reduce(0) { $0 + $1.differingRuns }
        let judgement =
            differing > 0
            ? "DIFFERENT: \(differing) of the runs differ from their reference"
            : "Identical\(proof.isPartial ? " so far" : ""), bit for bit"
        return "\(proof.isPartial ? "Interrupted. " : "")\(judgement): \(extent)."
    }

    private static func count(_ values: Int) -> String {
        switch values {
        case ..<1_000_000: Format.grouped(values)
        case ..<1_000_000_000: "\(Format.short(Double(values) / 1e6)) M"
        default: "\(Format.short(Double(values) / 1e9)) G"
        }
    }

    // MARK: JSON

    private enum CodingKeys: CodingKey {
        case model, identical, partial, quick, threads, instruction_set, cache_type, seed, max_tokens, prompts, steps
        case seconds, ways, left_out, divergence
    }

    private struct PromptFigures: Encodable {
        let name: String
        let tokens: Int
    }

    private struct WayFigures: Encodable {
        let way: ProofWay

        private enum CodingKeys: CodingKey {
            case title, identical, planned_runs, runs, differing_runs, tokens, rows, values, drafts_verified
            case drafts_accepted, drafts_compared, divergence
        }

        func encode(to encoder: any Encoder) throws {
            var container = encoder.container(keyedBy: CodingKeys.self)
            try container.encode(way.title, forKey: .title)
            // Null where nothing was compared.
            try container.encode(way.runs == 0 ? nil : way.differingRuns == 0, forKey: .identical)
            try container.encode(way.plannedRuns, forKey: .planned_runs)
            try container.encode(way.runs, forKey: .runs)
            try container.encode(way.differingRuns, forKey: .differing_runs)
            try container.encode(way.tokens, forKey: .tokens)
            try container.encode(way.rows, forKey: .rows)
            try container.encode(way.values, forKey: .values)
            try container.encode(way.draftsVerified, forKey: .drafts_verified)
            try container.encode(way.draftsAccepted, forKey: .drafts_accepted)
            try container.encode(way.draftsCompared, forKey: .drafts_compared)
            try container.encode(way.divergence.map(DivergenceFigures.init), forKey: .divergence)
        }
    }

    func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode(model, forKey: .model)
        let isEmpty = proof.ways.allSatisfy { $0.runs == 0 }
        try container.encode(isEmpty ? nil : proof.divergence == nil, forKey: .identical)
        try container.encode(proof.isPartial, forKey: .partial)
        try container.encode(settings.isQuick, forKey: .quick)
        try container.encode(settings.threads, forKey: .threads)
        try container.encode(settings.instructionSet, forKey: .instruction_set)
        try container.encode(settings.cacheType.rawValue, forKey: .cache_type)
        try container.encode(settings.seed, forKey: .seed)
        try container.encode(settings.maximumTokens, forKey: .max_tokens)
        try container.encode(
            settings.prompts.map { PromptFigures(name: $0.name, tokens: $0.tokens.count) }, forKey: .prompts)
        try container.encode(proof.stepCount, forKey: .steps)
        try container.encode(Double(nanoseconds) / 1e9, forKey: .seconds)
        try container.encode(proof.ways.map { WayFigures(way: $0) }, forKey: .ways)
        try container.encode(proof.omissions, forKey: .left_out)
        try container.encode(proof.divergence.map(DivergenceFigures.init), forKey: .divergence)
    }
}
