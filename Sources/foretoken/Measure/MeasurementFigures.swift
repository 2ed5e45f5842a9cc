import ForetokenLaboratory
import ForetokenReport

// Figures that the answer, the page and the terminal's tables have in common.

extension Estimate {
    /// Whether there is a number at all.
    var isKnown: Bool { count > 0 && value.isFinite }

    /// 81.2 %; a dash when unknown.
    package var percent: String { isKnown ? Format.percent(value) : "–" }

    /// Its interval in percent: 79.9–82.4 %.
    var percentRange: String { percentBounds + " %" }

    /// The same below a share, where the unit is said already: 79.9–82.4.
    package var percentBounds: String { "\(Format.fixed(low * 100, 1))–\(Format.fixed(high * 100, 1))" }

    /// 1.19×; a dash when unknown.
    package var times: String { isKnown ? AxisFormat.times.text(value) : "–" }

    /// Its interval as factors: 1.15–1.23×.
    var timesRange: String { "\(Format.fixed(low, 2))–\(AxisFormat.times.text(high))" }

    /// A cell with the share and its interval.
    var percentCell: DataTable.Cell { isKnown ? DataTable.Cell(percent, detail: percentBounds) : "–" }

    /// A cell with the number and its interval, to two decimals.
    var numberCell: DataTable.Cell {
        isKnown
            ? DataTable.Cell(Format.fixed(value, 2), detail: "\(Format.fixed(low, 2))–\(Format.fixed(high, 2))") : "–"
    }

    /// As a point of a chart; NaN, which charts leave out, when unknown.
    func point(at x: Double) -> LineChart.Point { LineChart.Point(x, isKnown ? value : .nan, low: low, high: high) }

    /// As a bar of a chart; nil when unknown.
    var bar: BarChart.Bar? { isKnown ? BarChart.Bar(value, low: low, high: high) : nil }
}

extension Measurement {
    /// Temperatures at which speed was compared, in the order of the measurement.
    var comparedTemperatures: [Float] {
        speeds.reduce(into: []) { if !$0.contains($1.temperature) { $0.append($1.temperature) } }
    }

    /// The comparisons at one temperature.
    func speeds(at temperature: Float) -> [SpeedComparison] { speeds.filter { $0.temperature == temperature } }

    /// What a comparison is called: the draft mode, and where drafts came from if that was not as in the others.
    func name(_ speed: SpeedComparison) -> String {
        speed.sources == subject.sources || speed.draft == "off" ? speed.draft : "\(speed.draft), \(speed.sources)"
    }

    /// The comparisons of `auto` at one temperature, one for each choice of sources.
    func sourceSpeeds(at temperature: Float) -> [SpeedComparison] {
        speeds(at: temperature).filter { $0.draft == "auto" }
    }

    /// What `auto` gains by domain, at one temperature.
    func domainSpeeds(at temperature: Float) -> [DomainSpeed] {
        domainSpeeds.filter { $0.temperature == temperature }
    }

    /// Tokens a round of so many drafts is expected to yield: seen in rounds, or else from drafts at every position.
    func expectedTokens(drafts: Int) -> Double? {
        guard let overall = conditions.first?.overall else { return nil }
        if let rounds = overall.rounds.first(where: { $0.draftLength == drafts }), rounds.tokensPerRound.isKnown {
            return rounds.tokensPerRound.value
        }
        let cumulative = overall.cumulative.prefix(drafts)
        guard cumulative.count == drafts, cumulative.allSatisfy(\.isKnown) else { return nil }
        return 1 + cumulative.reduce(0) { $0 + $1.value }
    }
}

extension Measurement {
    /// What a round with so many drafts yields and costs, in a sentence; empty when not even that is known.
    ///
    /// - Parameter known: what such a round took in the runs that were timed, which the tokens are of as well then; nil where
    ///   it is to be told from the tokens and the costs.
    func account(drafts: Int?, tokens: Double, known: RoundCost? = nil) -> String {
        guard let drafts, tokens.isFinite, tokens > 0 else { return "" }
        let round = known == nil ? "a round" : "a timed round"
        let yield = "With \(count(drafts, "draft")) \(round) yields \(Format.fixed(tokens, 2)) tokens"
        let told = known.map { (checking: $0.checking, drafting: $0.drafting) }
        guard let cost = told ?? costs?.round(drafts: drafts, tokens: tokens) else { return yield + "." }
        let times = AxisFormat.times
        return yield + " and takes \(times.text(cost.checking + cost.drafting)) the time of a plain step:"
            + " \(times.text(cost.checking)) for checking, \(times.text(cost.drafting)) for drafting."
    }

    /// Why the adaptive policy chose what it chose: what the first draft is worth, by the timed rounds where there are some,
    /// so that it is what the answer says.
    var reasonOfChoice: String {
        let timed = comparedTemperatures.first.flatMap { first in speeds(at: first).first { $0.length == 1 } }
        if let timed, let cost = timed.roundCost {
            return account(drafts: 1, tokens: timed.tokensPerRound, known: cost)
        }
        return account(drafts: 1, tokens: expectedTokens(drafts: 1) ?? .nan)
    }
}

extension Measurement.Condition {
    /// All domains together, or the only one.
    var overall: Measurement.DomainAcceptance? { domains.last }

    /// Whether the domain at that place sums up the others.
    func isSummary(_ index: Int) -> Bool { domains[index].isSummary }
}

extension Measurement.SpeedComparison {
    /// The fixed number of drafts; nil for `off` and `auto`.
    var length: Int? { Int(draft).flatMap { $0 > 0 ? $0 : nil } }

    /// How far the prediction lies above what was seen: 0.02 for 2 % too high.
    var error: Double? {
        guard draft != "off" else { return nil }
        return measured.error(of: predicted)
    }
}

extension Measurement.DomainSpeed {
    /// The same for `auto` in this domain.
    var error: Double? { auto.error(of: predicted) }
}

extension Estimate {
    /// How far a prediction lies above this.
    func error(of predicted: Double?) -> Double? {
        guard let predicted, isKnown, value > 0 else { return nil }
        return predicted / value - 1
    }
}

extension Measurement.StepCosts {
    /// Time of a step over the time of one with a single row, by rows.
    var relative: [Double] {
        guard let plain = verify.first, plain > 0 else { return [] }
        return verify.map { $0 / plain }
    }

    /// Share of the machine's read bandwidth that an undrafted step reaches; nil where one of them is unknown.
    package var roofShare: Double? {
        guard let plain = verify.first, plain > 0, bandwidth > 0, bytesPerStep > 0 else { return nil }
        let share = bytesPerStep / (plain / 1e9) / bandwidth
        return share.isFinite && share > 0 ? share : nil
    }
}

extension Measurement {
    /// Why a plain step reads its weights faster than this machine reads memory; nil where it does not.
    var roofExcuse: String? {
        costs.flatMap { ReadRoof.excuse($0.roofShare, bytes: $0.bytesPerStep, cache: subject.cacheBytes) }
    }
}

/// 1 draft, 2 drafts.
func count(_ number: Int, _ noun: String) -> String { "\(Format.grouped(number)) \(noun)\(number == 1 ? "" : "s")" }

/// A temperature as people write it: 0, 0.8.
func spelled(_ temperature: Float) -> String {
    temperature == temperature.rounded() ? Format.fixed(Double(temperature), 0) : "\(temperature)"
}
