import ForetokenPlacement
import ForetokenReport

extension PlacementStudy {
    /// Fewer rows than this leave much to chance, by a synthetic router of 256 experts.
    static let fewRows = 4000
    /// Plans from fewer are no better than without statistics, by the same router.
    static let uselessRows = 1000
    /// More hardly help.
    static let enoughRows = 16_000
    /// A domain that is further from the mix than so many times what chance explains is said to differ, …
    private static let strikingDifference = 2.0
    /// … if at least this share of its load is elsewhere …
    private static let leastDomainDifference = 0.1
    /// … and it has so many rows.
    private static let leastDomainRows = 200

    /// Everything that the reader must know before trusting the figures, the most important first.
    package var caveats: [String] { doubts + assumptions }

    /// What may change the answer.
    var doubts: [String] {
        [
            exampleCaveat, machine.remark.map { "The " + $0 + "." }, lengthCaveat, windowCaveat, textCaveat, change,
            pieceCaveat,
        ]
        .compactMap { $0 }
    }

    /// What the figures take for granted.
    var assumptions: [String] { [shapeCaveat, unrecordedLayers, costCaveat].compactMap { $0 } }

    /// Domains that differ explain a drift. What an example does has no reasons.
    private var change: String? { subject.isExample ? nil : differingDomains ?? drift }

    private var exampleCaveat: String? {
        guard subject.isExample else { return nil }
        return
            "The routing is an example that no model made: it shows what planning tells, not where your experts should lie. "
            + "Record your own text with `generate --record-routing`."
    }

    private var shapeCaveat: String? {
        guard subject.isShape else { return nil }
        let shared = "Only the model's dimensions are known; bytes are those of its published format."
        return trace.model.isEmpty || subject.isExample
            ? shared : shared + " The plan is bound to the model that the trace was recorded with."
    }

    private var lengthCaveat: String? {
        let rows = trace.rows.all
        guard hasChoice, rows < Self.fewRows else { return nil }
        let advice = "record \(Format.grouped(Self.fewRows)) or more, \(Format.grouped(Self.enoughRows)) are enough"
        let trust =
            rows < Self.uselessRows
            ? "too few to plan from: what statistics promise here may be luck"
            : "few: they rank policies, but plans made from them lose a few percent to plans from more"
        return "The trace has \(Format.grouped(rows)) rows, \(trust); \(advice)."
    }

    private var windowCaveat: String? {
        guard let width = report.windows.cutWidth else { return nil }
        let recorded = trace.verifyWindows.reduce(0) { $0 + $1.count }
        return "Only \(count(recorded, "verify window")) were recorded, so prompts were cut into windows of "
            + "\(count(width, "row")); a step counts as one token, since nothing says which drafts would have held."
    }

    private var differingDomains: String? {
        let differing = trace.domains.filter { domain in
            guard let distance = domain.distance, let chance = domain.distanceByChance else { return false }
            return domain.rows.all >= Self.leastDomainRows && distance >= Self.leastDomainDifference
                && distance > Self.strikingDifference * chance
        }
        guard hasChoice, !differing.isEmpty else { return nil }
        let list = differing.prefix(4).map { domain in
            "\(domain.domain.printable) (\(Format.percent(domain.distance ?? 0)) of its load elsewhere, "
                + "\(Format.percent(domain.distanceByChance ?? 0)) by chance)"
        }
        return
            "Domains that route unlike the mix: \(list.joined(separator: ", ")). Record them in the proportions that "
            + "will be served."
    }

    private var drift: String? {
        guard hasChoice, let drift = trace.drift, drift.variation >= Self.leastDomainDifference,
            drift.variation > Self.strikingDifference * drift.variationByChance
        else { return nil }
        return "The load changed between the trace's halves by \(Format.percent(drift.variation)), "
            + "\(Format.percent(drift.variationByChance)) being chance: record longer, or text in its usual order."
    }

    private var unrecordedLayers: String? {
        let missing = subject.layers - report.layers.count
        guard hasChoice, missing > 0 else { return nil }
        return
            "The trace lacks \(count(missing, "layer")) with experts (it never has those of MTP modules): they are cut evenly over "
            + "all nodes with workers, and their time is not part of a step."
    }

    /// Only traces in their text form do not know their model.
    private var textCaveat: String? {
        guard trace.model.isEmpty else { return nil }
        return
            "The trace is text: it does not say which model it is of, so only sizes were compared, nor which drafts held, "
            + "so every row of a round counts as a token."
    }

    /// Whether the fixed cost of a piece outweighs what is read for it.
    private var pieceCaveat: String? {
        let fastest = report.nodes.map(\.bandwidth).max() ?? 0
        let part = Double(subject.expertBytes) / Double(2 * max(1, report.nodes.count)) / max(1, fastest)
        guard hasChoice, part * 1e6 < machine.pieceMicroseconds else { return nil }
        return
            "Experts are so small here that a piece's fixed cost outweighs reading it: `bench` and `generate --plan` tell "
            + "more than this prediction."
    }

    private var costCaveat: String? {
        guard hasChoice, !machine.hasGivenCosts else { return nil }
        return "A piece is taken to cost \(Format.short(machine.pieceMicroseconds)) µs and a barrier "
            + "\(Format.short(machine.barrierMicroseconds)) µs unless `--piece-us` and `--barrier-us` say otherwise."
    }
}
