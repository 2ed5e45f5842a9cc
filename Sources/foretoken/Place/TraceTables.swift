import ForetokenPlacement
import ForetokenReport

/// What `place --show` shows to people.
struct TraceTables {
    private let statistics: TraceStatistics

    private static let mostPairs = 10
    private static let hottestShown = 3

    init(_ statistics: TraceStatistics) { self.statistics = statistics }

    /// All tables that there are figures for, a blank line between them.
    func text(on terminal: Terminal) -> String {
        let sections = [
            ("", subject), ("Load and skew of each layer's experts", layers),
            ("Experts a step has to read, mean of the layers", overlap),
            ("Steps by the texts that shared them, mean of the layers", company),
            ("Experts chosen together more often than by chance", pairs), ("Domains", domains),
        ]
        return sections.compactMap { title, table in
            guard let table else { return nil }
            let head = title.isEmpty ? "" : terminal.styled(title, .bold) + "\n"
            return head + table.rendered(on: terminal)
        }.joined(separator: "\n") + notes(on: terminal)
    }

    // MARK: The whole

    private var subject: Table? {
        var table = Table([.init("routing trace"), .init("")])
        let rows = statistics.rows
        let drafts = rows.accepted + rows.rejected
        table.add("model", statistics.model.isEmpty ? "unknown" : statistics.model)
        table.add(
            "experts",
            "\(statistics.expertsPerToken) of \(Format.grouped(statistics.expertCount)) in "
                + count(statistics.layers.count, "layer"))
        table.add("rows", Format.grouped(rows.all))
        table.add("  of prompts", Format.grouped(rows.prompt))
        table.add("  newest tokens", Format.grouped(rows.newest))
        if drafts > 0 {
            let share = Format.percent(Double(rows.accepted) / Double(drafts))
            table.add("  drafts", "\(Format.grouped(drafts)), \(share) accepted")
        }
        table.add("texts", Format.grouped(statistics.textCount))
        table.add("windows", Format.grouped(statistics.windowCount))
        if statistics.hasCompany {
            let steps = statistics.company.reduce(0) { $0 + $1.steps }
            let texts = statistics.company.reduce(0) { $0 + $1.steps * $1.texts }
            table.add(
                "  verified in steps",
                "\(Format.grouped(steps)), of \(Format.fixed(Double(texts) / Double(steps), 2)) texts each")
        }
        for width in statistics.verifyWindows {
            let rows = count(width.rows, "row")
            table.add(statistics.hasCompany ? "    of \(rows)" : "  verified \(rows)", Format.grouped(width.count))
        }
        if let reuse = statistics.reuse {
            table.add(
                "shared with the token before",
                "\(Format.percent(reuse.share)) of its experts, \(Format.percent(reuse.independent)) by chance")
        }
        if let drift = statistics.drift {
            table.add(
                "drift between the halves",
                "\(Format.percent(drift.variation)) of the load, \(Format.percent(drift.variationByChance)) by chance")
        }
        return table
    }

    // MARK: Layers

    private var layers: Table? {
        guard let mean = statistics.skew else { return nil }
        var table = Table([
            .init("layer", .right), .init("hottest/mean", .right), .init("Gini", .right), .init("effective", .right),
            .init("idle", .right), .init("reuse", .right), .init("drift", .right), .init("rank corr.", .right),
            .init("hottest experts (share of rows)"),
        ])
        for layer in statistics.layers {
            guard let skew = layer.skew else { continue }
            table.add(
                ["\(layer.layer)"] + Self.cells(skew)
                    + [percent(layer.reuse)] + Self.cells(layer.drift) + [hottest(layer.load)])
        }
        table.add(["mean"] + Self.cells(mean) + [percent(statistics.reuse?.share)] + Self.cells(statistics.drift))
        return table
    }

    private static func cells(_ skew: TraceStatistics.Skew) -> [String] {
        [
            Format.fixed(skew.hottest, 2) + "×", Format.fixed(skew.gini, 3), Format.fixed(skew.effectiveExperts, 1),
            Format.percent(skew.idle),
        ]
    }

    private static func cells(_ drift: TraceStatistics.Drift?) -> [String] {
        guard let drift else { return ["–", "–"] }
        return [Format.percent(drift.variation), drift.rankCorrelation.map { Format.fixed($0, 2) } ?? "–"]
    }

    private func hottest(_ load: [Int]) -> String {
        load.indices.filter { load[$0] > 0 }.sorted { (load[$1], $0) < (load[$0], $1) }.prefix(Self.hottestShown)
            .map { "\($0) (\(Format.percent(Double(load[$0]) / Double(statistics.rows.all))))" }
            .joined(separator: ", ")
    }

    private func percent(_ share: Double?) -> String { share.map(Format.percent) ?? "–" }

    // MARK: Windows

    private var overlap: Table? {
        let verified = statistics.windowOverlap.map { (statistics.hasCompany ? "verify steps" : "verify windows", $0) }
        let texts = statistics.textOverlap.map { ("rows of a text in turn", $0) }
        guard !texts.isEmpty else { return nil }
        var table = Table([
            .init("window of"), .init("rows", .right), .init("windows", .right), .init("distinct", .right),
            .init("without overlap", .right), .init("read", .right), .init("by chance", .right),
        ])
        for (name, overlap) in verified + texts {
            table.add(
                name, "\(overlap.rows)", Format.grouped(overlap.count), Format.fixed(overlap.distinct, 2),
                Format.grouped(Int(overlap.withoutOverlap)), Format.percent(overlap.distinct / overlap.withoutOverlap),
                Format.fixed(overlap.independent, 2))
        }
        return table
    }

    private var company: Table? {
        guard statistics.hasCompany else { return nil }
        var table = Table([
            .init("texts", .right), .init("steps", .right), .init("rows", .right), .init("tokens", .right),
            .init("distinct", .right), .init("each alone", .right), .init("read", .right),
        ])
        for company in statistics.company {
            table.add(
                "\(company.texts)", Format.grouped(company.steps), Format.fixed(company.rows, 2),
                Format.fixed(company.tokens, 2), Format.fixed(company.distinct, 2), Format.fixed(company.apart, 2),
                Format.percent(company.distinct / company.apart))
        }
        return table
    }

    private var pairs: Table? {
        guard !statistics.pairs.isEmpty else { return nil }
        var table = Table([
            .init("layer", .right), .init("experts", .right), .init("rows together", .right),
            .init("by chance", .right),
            .init("ratio", .right),
        ])
        for pair in statistics.pairs.prefix(Self.mostPairs) {
            table.add(
                "\(pair.layer)", "\(pair.first), \(pair.second)", Format.grouped(pair.together),
                Format.fixed(pair.expected, 1), Format.fixed(Double(pair.together) / pair.expected, 2) + "×")
        }
        return table
    }

    // MARK: Domains

    private var domains: Table? {
        guard !statistics.domains.isEmpty else { return nil }
        var table = Table([
            .init("domain"), .init("rows", .right), .init("windows", .right), .init("drafts accepted", .right),
            .init("hottest/mean", .right), .init("Gini", .right), .init("effective", .right), .init("idle", .right),
            .init("away from all", .right), .init("by chance", .right),
        ])
        for domain in statistics.domains {
            let drafts = domain.rows.accepted + domain.rows.rejected
            table.add(
                [
                    domain.domain, Format.grouped(domain.rows.all), Format.grouped(domain.windows),
                    drafts > 0 ? Format.percent(Double(domain.rows.accepted) / Double(drafts)) : "–",
                ] + (domain.skew.map(Self.cells) ?? ["–", "–", "–", "–"])
                    + [percent(domain.distance), percent(domain.distanceByChance)])
        }
        return table
    }

    private var companyNote: String {
        guard statistics.hasCompany else { return "" }
        return " each alone: what the texts of a step would read if each had a step of its own."
    }

    private func notes(on terminal: Terminal) -> String {
        guard statistics.skew != nil else { return "" }
        let text =
            "effective: as many equally loaded experts would be as hard to foresee (e^entropy). reuse: experts shared with "
            + "the token before. drift, away from all: total variation of the loads, half the sum of the differences of "
            + "shares; by chance is what as many rows drawn from one distribution would show.\(companyNote)"
        return "\n" + terminal.wrapped(text, .dim)
    }
}
