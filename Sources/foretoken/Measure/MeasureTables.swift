import ForetokenLaboratory
import ForetokenReport

/// A measurement as tables in a terminal.
struct MeasureTables {
    let measurement: Measurement
    let terminal: Terminal

    init(_ measurement: Measurement, _ terminal: Terminal) {
        self.measurement = measurement
        self.terminal = terminal
    }

    /// Everything, with blank lines between the parts.
    var text: String {
        var parts = [heading, verdict]
        for condition in measurement.conditions {
            if condition.domains.contains(where: { !$0.conditional.isEmpty }) { parts.append(acceptance(condition)) }
            parts += lookup(condition)
            if !measurement.speeds.isEmpty || condition.domains.contains(where: { !$0.rounds.isEmpty }) {
                parts.append(rounds(condition))
            }
            parts += [sources(condition.temperature), domainSpeeds(condition.temperature)].compactMap(\.self)
            if condition.domains.contains(where: { $0.agreement != nil }) { parts.append(agreement(condition)) }
            if condition.domains.contains(where: { $0.textAgreement != nil }) { parts.append(textAgreement(condition)) }
        }
        if let first = measurement.conditions.first?.overall, !first.reliability.isEmpty {
            parts.append(reliability(first))
        }
        if let costs = measurement.costs { parts.append(steps(costs)) }
        if !measurement.overlap.isEmpty { parts.append(overlap) }
        if let adaptive = measurement.adaptive { parts.append(choice(adaptive)) }
        return parts.joined(separator: "\n")
    }

    private var heading: String {
        let subject = measurement.subject
        let texts = subject.format == "text" ? "piece" : "prompt"
        var words = [
            subject.model, subject.source,
            "\(Format.grouped(subject.prompts)) \(texts)\(subject.prompts == 1 ? "" : "s")",
            subject.format,
        ]
        if subject.maximumTokens > 0 { words.append("up to \(subject.maximumTokens) tokens each") }
        if !subject.filters.isEmpty { words.append(subject.filters) }
        words.append("\(count(subject.threads, "thread")), \(subject.instructionSet)")
        return terminal.prose(words.joined(separator: " · ").printable)
    }

    private var verdict: String {
        let verdict = Verdict(measurement)
        return terminal.prose(verdict.headline, .bold) + terminal.prose(verdict.reason.filter { $0 != "`" })
    }

    func titled(_ title: String, _ table: Table, _ note: String? = nil) -> String {
        terminal.titled(title, table, note)
    }

    /// Drafts that have a column; the others are in the page and in JSON.
    private static let shownDepth = 4

    private func acceptance(_ condition: Measurement.Condition) -> String {
        let depth = min(Self.shownDepth, condition.domains.map(\.conditional.count).max() ?? 0)
        var table = Table(
            [.init("domain"), .init("places", .right)] + (0..<depth).map { .init("draft \($0 + 1)", .right) }
                + [.init("all \(depth)", .right)])
        for domain in condition.domains {
            table.add(
                [domain.domain, Format.grouped(domain.positions)]
                    + (0..<depth).map { $0 < domain.conditional.count ? bare(domain.conditional[$0]) : "–" }
                    + [domain.cumulative.count >= depth ? percent(domain.cumulative[depth - 1].value) : "–"])
        }
        return titled(
            "Module drafts that hold, %, at temperature \(spelled(condition.temperature)), started at every place",
            table,
            (measurement.subject.format == "text"
                ? "draft d: holds, where the text goes the way of the drafts before it"
                : "draft d: holds, given that those before it did")
                + "; 95 % intervals over \(unit)")
    }

    private var unit: String { measurement.subject.format == "text" ? "pieces of the text" : "prompts" }

    private func rounds(_ condition: Measurement.Condition) -> String {
        guard let all = condition.domains.last else { return "" }
        let speeds = measurement.speeds.filter { $0.temperature == condition.temperature }
        var table = Table([
            .init("--draft"), .init("tokens/round", .right, rank: 2), .init("timed", .right, rank: 1),
            .init("accepted", .right, rank: 2),
            .init("predicted", .right, rank: 3), .init("measured", .right, rank: -1), .init("error", .right, rank: 3),
            .init("tok/s", .right),
        ])
        if speeds.isEmpty {
            for round in all.rounds {
                table.add("\(round.draftLength)", range(round.tokensPerRound), "", interval(round.rate))
            }
        }
        for speed in speeds {
            let round = all.rounds.first { $0.draftLength == speed.length }
            table.add(
                measurement.name(speed),
                round.map { range($0.tokensPerRound) } ?? "", Format.fixed(speed.tokensPerRound, 2),
                round.map { interval($0.rate) } ?? "", speed.predicted.map(times) ?? "", range(speed.measured, "×"),
                speed.error.map(signed) ?? "", Format.short(speed.tokensPerSecond))
        }
        return titled(
            "Rounds at temperature \(spelled(condition.temperature)), \(all.domain)", table,
            "tokens/round, accepted of drafts tried: along all prompts; timed: tokens a round in the runs whose speed was "
                + "compared; speed-up over --draft off, predicted by the same rounds at typical times"
        )
    }

    private func agreement(_ condition: Measurement.Condition) -> String {
        var table = Table([
            .init("domain"), .init("at best Σ min(p,q)", .right), .init("shared noise", .right),
            .init("observed", .right), .init("argmax draft", .right), .init("own noise", .right),
        ])
        for domain in condition.domains {
            guard let agreement = domain.agreement else { continue }
            table.add(
                domain.domain, percent(agreement.overlap.value), percent(agreement.keyed.value),
                interval(agreement.observed), percent(agreement.argmaxDraft.value),
                percent(agreement.independentDraft.value))
        }
        return titled(
            "How a first draft can be chosen at temperature \(spelled(condition.temperature))", table,
            "shared noise is the rule used here: exact chance, and what was seen; on the right what simpler rules would reach"
        )
    }

    private func textAgreement(_ condition: Measurement.Condition) -> String {
        var table = Table([
            .init("text"), .init("draft 1 = text", .right), .init("verifier = text", .right),
        ])
        for domain in condition.domains {
            guard let agreement = domain.textAgreement else { continue }
            table.add(domain.domain, agreement.draft.map(interval) ?? "–", interval(agreement.verifier))
        }
        return titled("Agreement with the text itself", table)
    }

    private func reliability(_ domain: Measurement.DomainAcceptance) -> String {
        var table = Table([
            .init("draft's own probability"), .init("mean", .right), .init("drafts", .right), .init("held", .right),
        ])
        for bin in domain.reliability {
            table.add(
                "\(percent(bin.lowest, 0)) – \(percent(bin.highest, 0))", percent(bin.confidence),
                Format.grouped(bin.accepted.count), interval(bin.accepted))
        }
        let temperature = measurement.conditions.first.map { spelled($0.temperature) } ?? "0"
        return titled("First drafts by their own probability, at temperature \(temperature)", table)
    }

    private func steps(_ costs: Measurement.StepCosts) -> String {
        var table = Table([
            .init("step of"), .init("time", .right), .init("of one row", .right), .init("a row", .right),
        ])
        for (index, time) in costs.verify.enumerated() {
            table.add(
                "\(index + 1) row\(index == 0 ? "" : "s")", duration(time), times(time / costs.verify[0]),
                duration(time / Double(index + 1)))
        }
        if let first = costs.firstDraft.first {
            table.add("first draft", duration(first), times(first / costs.verify[0]), "")
            if let last = costs.firstDraft.last, costs.firstDraft.count > 1 {
                table.add(
                    "after \(costs.firstDraft.count) idle rows", duration(last), times(last / costs.verify[0]), "")
            }
            if costs.laterDraft > 0 {
                table.add("a later draft", duration(costs.laterDraft), times(costs.laterDraft / costs.verify[0]), "")
            }
        }
        let reading = costs.bytesPerStep / costs.verify[0]
        let roof =
            costs.bandwidth > 0
            ? ", beside \(Format.short(costs.bandwidth / 1e9)) GB/s that all threads read from memory" : ""
        let excuse = measurement.roofExcuse.map { " (\($0))" } ?? ""
        return titled(
            "Time of verify steps, median, after \(costs.meanContext) tokens", table,
            "one row reads \(Format.bytes(Int(costs.bytesPerStep))) of weights: \(Format.short(reading)) GB/s\(roof)\(excuse)"
        )
    }

    private var overlap: String {
        let widest = measurement.overlap.map(\.distinct.count).max() ?? 0
        var table = Table(
            [.init("layer", .right)] + (0..<widest).map { .init("\($0 + 1)", .right) })
        for layer in measurement.overlap { table.add(["\(layer.layer)"] + layer.distinct.map { Format.fixed($0, 2) }) }
        if let uniform = measurement.overlap.first?.uniform {
            table.add(["uniform"] + uniform.map { Format.fixed($0, 2) })
        }
        return titled("Distinct experts touched by so many consecutive tokens", table)
    }

    private func choice(_ adaptive: Measurement.AdaptiveChoice) -> String {
        let shares = adaptive.shares.enumerated().filter { $0.element >= 0.0005 }
            .map { "\($0.offset): \(percent($0.element))" }
        return terminal.styled("What --draft auto did", .bold)
            + "\nrounds by drafts verified: \(shares.joined(separator: ", "))\n"
            + terminal.styled("why: \(measurement.reasonOfChoice)", .dim) + "\n"
    }

    // MARK: Numbers

    func percent(_ share: Double, _ decimals: Int = 1) -> String { Format.fixed(share * 100, decimals) + " %" }

    func times(_ factor: Double) -> String { Format.fixed(factor, 2) + "×" }

    func signed(_ share: Double) -> String { Format.signed(share) { percent($0) } }

    private func duration(_ nanoseconds: Double) -> String { MeasurePage.time(nanoseconds) }

    /// A share with its bounds.
    func interval(_ share: Estimate) -> String {
        "\(Format.fixed(share.value * 100, 1)) % (\(Format.fixed(share.low * 100, 1))–\(Format.fixed(share.high * 100, 1)))"
    }

    /// A share in percent with its bounds, below a title that says so.
    func bare(_ share: Estimate) -> String {
        "\(Format.fixed(share.value * 100, 1)) (\(Format.fixed(share.low * 100, 1))–\(Format.fixed(share.high * 100, 1)))"
    }

    /// A quantity with its bounds.
    func range(_ estimate: Estimate, _ suffix: String = "") -> String {
        "\(Format.fixed(estimate.value, 2))\(suffix) (\(Format.fixed(estimate.low, 2))–\(Format.fixed(estimate.high, 2)))"
    }
}
