import ForetokenLaboratory
import ForetokenReport

/// `measure --report`: what was measured, as a page for people.
package struct MeasurePage {
    let measurement: Measurement

    /// A page about these figures.
    package init(_ measurement: Measurement) { self.measurement = measurement }

    /// The page as HTML; see `ReportPage`.
    package var html: String { page.rendered() }

    /// Everything, in the order of the questions a reader has.
    private var page: ReportPage {
        let subject = measurement.subject
        let machine = [
            subject.processor, subject.threads > 0 ? count(subject.threads, "thread") : "", subject.instructionSet,
            subject.format != "text" && subject.prompts > 0 && !subject.source.isEmpty
                ? "\(count(subject.prompts, "prompt")) from \(subject.source)" : subject.source,
        ]
        var page = ReportPage(
            title: subject.model.isEmpty ? "Does speculation pay?" : "Does speculation pay for \(subject.model)?",
            subtitle: machine.filter { !$0.isEmpty }.joined(separator: " · "), banner: banner,
            footer: "Made by `foretoken measure`. Speculation changes the speed only: "
                + "with the same prompt, seed and settings the tokens are the same with it and without.")
        page.notices = notices
        page.tiles = tiles
        page.sections = [
            speed, domains, sources, acceptance, lookup, rounds, temperatures, sampling, reliability, costs, overlap,
            adaptive, method,
        ]
        return page
    }

    private var banner: ReportPage.Banner {
        // What is not sure is neither green nor red.
        let verdict = Verdict(measurement)
        let tone: ReportPage.Banner.Tone =
            switch verdict.answer {
            case .yes: .good
            case .no: .bad
            case .hardly, .thin, .foretold, .unknown: .open
            }
        return ReportPage.Banner(tone, headline: verdict.headline, flag: verdict.flag, reason: verdict.reason)
    }

    private var notices: [String] {
        var notices: [String] = []
        if measurement.isPartial {
            notices.append("The measurement was cut short. All figures are of what had been done by then.")
        }
        if measurement.subject.format == "text" {
            notices.append("A given text is read, not generated: there are no rounds and no speeds to compare.")
            return notices
        }
        var missing: [String] = []
        if measurement.conditions.isEmpty { missing.append("how often drafts hold") }
        if measurement.costs == nil { missing.append("what steps cost on this machine") }
        if measurement.speeds.isEmpty { missing.append("speed with drafts against speed without") }
        if !missing.isEmpty { notices.append("Not measured: \(missing.joined(separator: "; ")).") }
        return notices
    }

    private var tiles: [ReportPage.Tile] {
        [speedTile, rateTile, tokensTile, firstDraftTile, checkingTile, roofTile].compactMap { $0 }
    }

    /// The comparison that the answer recommends, or else the fastest fixed length, at the first temperature.
    private var highlighted: Measurement.SpeedComparison? {
        guard let temperature = measurement.comparedTemperatures.first else { return nil }
        let speeds = measurement.speeds(at: temperature)
        let flag = Verdict(measurement).flag
        return speeds.first { "--draft \($0.draft)" == flag && $0.draft != "off" }
            ?? speeds.filter { $0.length != nil }.max { $0.measured.value < $1.measured.value }
    }

    private var speedTile: ReportPage.Tile? {
        guard let best = highlighted, best.measured.isKnown else { return nil }
        let predicted = best.predicted.map { "predicted \(AxisFormat.times.text($0)), " } ?? ""
        return .init(
            "Speed-up", best.measured.times,
            detail: "with `--draft \(best.draft)`; \(predicted)95 % interval \(best.measured.timesRange)")
    }

    private var rateTile: ReportPage.Tile? {
        guard let best = highlighted, best.tokensPerSecond > 0 else { return nil }
        let plain = measurement.speeds(at: best.temperature).first { $0.draft == "off" }
        return .init(
            "Tokens per second", Format.short(best.tokensPerSecond),
            detail: plain.map { "\(Format.short($0.tokensPerSecond)) without drafts" } ?? "with --draft \(best.draft)")
    }

    private var tokensTile: ReportPage.Tile? {
        guard let best = highlighted, best.tokensPerRound > 0 else { return nil }
        let most = best.length.map { ", \($0 + 1) at most" } ?? ""
        return .init(
            "Tokens per timed round", Format.fixed(best.tokensPerRound, 2),
            detail: "with `--draft \(best.draft)`; 1 without drafts\(most)")
    }

    private var firstDraftTile: ReportPage.Tile? {
        guard let condition = measurement.conditions.first, let overall = condition.overall,
            let first = overall.conditional.first, first.isKnown
        else { return nil }
        return .init(
            "First draft holds", first.percent,
            detail:
                "at every position, temperature \(spelled(condition.temperature)); 95 % interval \(first.percentRange)")
    }

    private var checkingTile: ReportPage.Tile? {
        guard let relative = measurement.costs?.relative, relative.count > 1 else { return nil }
        return .init(
            "A step of two rows", AxisFormat.times.text(relative[1]),
            detail: "the time of one row: what checks one draft, its making left out")
    }

    private var roofTile: ReportPage.Tile? {
        guard let share = measurement.costs?.roofShare else { return nil }
        let excuse = measurement.roofExcuse.map { "; \($0)" } ?? ""
        return .init(
            "Memory roof", Format.percent(share),
            detail: "of this machine's read bandwidth, in a plain step\(excuse)")
    }
}
