import ForetokenLaboratory
import ForetokenReport
import ForetokenSpeculation

extension MeasureTables {
    /// What look-up finds, by domain and by length of the match; empty where nothing was looked up.
    func lookup(_ condition: Measurement.Condition) -> [String] {
        guard condition.domains.contains(where: { $0.lookup != nil }) else { return [] }
        var byDomain = Table([.init("domain"), .init("found", .right)] + Self.heldColumns)
        for domain in condition.domains {
            guard let lookup = domain.lookup else { continue }
            byDomain.add([domain.domain, bare(lookup.found)] + cells(lookup.all))
        }
        let domains = titled(
            "Look-up at temperature \(spelled(condition.temperature)), at every place, %", byDomain,
            "found: share of places; held: of what was found")
        guard let overall = condition.overall, let lookup = overall.lookup, !lookup.byLength.isEmpty else {
            return [domains]
        }
        var byLength = Table([.init("match of"), .init("finds", .right)] + Self.heldColumns)
        for (index, kind) in lookup.byLength.enumerated() {
            byLength.add([lookup.span(index), Format.grouped(kind.held.count)] + cells(kind))
        }
        return [
            domains,
            titled(
                "The same by length of the match, \(overall.domain), %", byLength,
                "module agrees: its first draft is the token found; differs: it is another"),
        ]
    }

    private static let heldColumns: [Table.Column] = [
        .init("held", .right), .init("module agrees", .right), .init("module differs", .right),
    ]

    private func cells(_ kind: Measurement.LookupKind?) -> [String] {
        [kind?.held, kind?.agreed, kind?.disagreed].map { $0.map(bare) ?? "–" }
    }

    /// What `auto` gains with each source of drafts; nil where that was not compared.
    func sources(_ temperature: Float) -> String? {
        let speeds = measurement.sourceSpeeds(at: temperature)
        guard speeds.count > 1 else { return nil }
        var table = Table([
            .init("auto with"), .init("predicted", .right, rank: 1), .init("measured", .right, rank: -1),
            .init("error", .right, rank: 1),
            .init("mtp drafts", .right), .init("held", .right), .init("look-up", .right), .init("held", .right),
        ])
        for speed in speeds {
            let drafts = speed.drafts
            table.add(
                speed.sources, speed.predicted.map(times) ?? "–", range(speed.measured, "×"),
                speed.error.map(signed) ?? "–", Format.grouped(drafts.modules),
                share(drafts.modulesHeld, of: drafts.modules), Format.grouped(drafts.lookup),
                share(drafts.lookupHeld, of: drafts.lookup))
        }
        return titled("What each source gains at temperature \(spelled(temperature))", table)
    }

    private func share(_ part: Int, of all: Int) -> String {
        all == 0 ? "–" : percent(Double(part) / Double(all))
    }

    /// What `auto` gains in each domain; nil where that was not compared.
    func domainSpeeds(_ temperature: Float) -> String? {
        let speeds = measurement.domainSpeeds(at: temperature)
        guard !speeds.isEmpty else { return nil }
        var table = Table([
            .init("domain"), .init("texts", .right, rank: 1), .init("predicted", .right, rank: 2),
            .init("auto", .right, rank: -1), .init("error", .right, rank: 2), .init("best fixed", .right),
            .init("copies", .right, rank: 1),
        ])
        for speed in speeds {
            table.add(
                speed.domain, Format.grouped(speed.prompts), speed.predicted.map(times) ?? "–",
                range(speed.auto, "×"), speed.error.map(signed) ?? "–",
                "\(speed.best): \(range(speed.bestSpeed, "×"))", speed.copyLimit.map(times) ?? "–")
        }
        return titled(
            "--draft auto over off by domain, at temperature \(spelled(temperature))", table,
            "copies: the most that copied text can gain here, max n/T(n), if every draft holds and costs nothing")
    }
}

extension Measurement.LookupAcceptance {
    /// Lengths of a kind of match: 5–7, or 32 and more.
    func span(_ index: Int) -> String {
        let first = byLength[index].length
        return LookupOdds.lengths.first { $0 > first }.map { "\(first)–\($0 - 1)" } ?? "\(first) and more"
    }
}
