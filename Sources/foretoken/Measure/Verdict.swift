import ForetokenLaboratory
import ForetokenReport

/// The answer to "should I turn speculation on, and how far?".
package struct Verdict: Equatable {
    /// What kind of answer it is.
    package enum Answer {
        /// Drafting is faster, beyond doubt.
        case yes
        /// It is not.
        case no
        /// Too close to call.
        case hardly
        /// Foretold from costs and acceptance, not seen.
        case foretold
        /// There is nothing to tell it from.
        case unknown
    }

    package let answer: Answer
    /// The answer in a line.
    package let headline: String
    /// What to put on the command line.
    package let flag: String
    /// Why, in one to four sentences; what belongs on a command line stands between backticks.
    package let reason: String

    /// Gains below this are not worth a flag.
    private static let leastGain = 1.02
    /// `auto` is as good as a fixed length, or as none, when it comes this close.
    private static let closeEnough = 0.98
    /// Fewer turns than this prove nothing.
    private static let fewestTurns = 5
    /// A prediction further off than this, or a speed-up above the tokens of a round, shows a disturbed machine.
    private static let mostError = 0.25

    /// The answer that a measurement gives; for its first temperature, with a sentence about each of the others.
    package init(_ measurement: Measurement) {
        let choices = measurement.comparedTemperatures.compactMap { Choice(measurement.speeds(at: $0), at: $0) }
        guard let first = choices.first else {
            self = Self.foretold(measurement) ?? Self.unknown(measurement)
            return
        }
        answer = first.answer
        flag = "--draft \(first.draft)"
        headline = first.headline + (choices.count > 1 ? ", at temperature \(spelled(first.temperature))" : "")
        let account = measurement.account(
            drafts: first.best.length, tokens: first.tokens, known: first.best.roundCost)
        var sentences = [account, first.remark]
        let others = choices.dropFirst()
        func agrees(_ other: Choice) -> Bool { other.draft == first.draft && other.answer == first.answer }
        let same = others.filter(agrees).map { "\(spelled($0.temperature)) (\($0.speed))" }
        if !same.isEmpty { sentences.append("The same holds at temperature \(same.joined(separator: ", ")).") }
        sentences += others.filter { !agrees($0) }.map(\.alternative)
        reason = sentences.filter { !$0.isEmpty }.joined(separator: " ")
    }

    private init(_ answer: Answer, headline: String, flag: String = "--draft auto", reason: String) {
        self.answer = answer
        self.headline = headline
        self.flag = flag
        self.reason = reason
    }

    /// Without a comparison of speeds: what acceptance and costs foretell.
    private static func foretold(_ measurement: Measurement) -> Verdict? {
        guard let costs = measurement.costs else { return nil }
        let gains = (1...8).compactMap { drafts -> (drafts: Int, tokens: Double, gain: Double)? in
            guard let tokens = measurement.expectedTokens(drafts: drafts),
                let cost = costs.round(drafts: drafts, tokens: tokens)
            else { return nil }
            return (drafts, tokens, tokens / (cost.checking + cost.drafting))
        }
        guard let best = gains.max(by: { $0.gain < $1.gain }), best.gain.isFinite else { return nil }
        let account = measurement.account(drafts: best.drafts, tokens: best.tokens)
        let factor = AxisFormat.times.text(best.gain)
        let pays = best.gain >= leastGain
        return Verdict(
            .foretold,
            headline: pays
                ? "Probably: \(factor) as fast is foretold for drafting \(count(best.drafts, "token"))"
                : "Probably not: at best \(factor) is foretold, for drafting \(count(best.drafts, "token"))",
            reason: account + " Speeds were not compared, so leave the choice to `--draft auto`.")
    }

    private static func unknown(_ measurement: Measurement) -> Verdict {
        let overall = measurement.conditions.first?.overall
        guard let first = overall?.conditional.first, first.isKnown else {
            let found = overall?.lookup?.all.map { "What look-up finds holds \($0.held.percent) of the time" }
            return Verdict(
                .unknown,
                headline: found.map { "\($0); whether drafting pays was not measured" }
                    ?? "Not known: nothing was measured", reason: "`--draft auto` finds out as it goes.")
        }
        let advice =
            measurement.subject.format == "text"
            ? "`foretoken measure` with prompts instead of a text compares speeds; "
            : "How often drafts hold is half of the answer, what they cost here is the other half; "
        return Verdict(
            .unknown,
            headline: "The first draft holds \(first.percent) of the time; whether drafting pays was not measured",
            reason: advice + "`--draft auto` finds out as it goes.")
    }

    /// What is best at one temperature.
    private struct Choice {
        let temperature: Float
        /// The fastest fixed length.
        let best: Measurement.SpeedComparison
        let auto: Measurement.SpeedComparison?
        let answer: Answer
        /// The value of `--draft` to use.
        let draft: String
        /// Whether the times contradict what acceptance and step times allow.
        let isDisturbed: Bool

        /// Nil when no fixed length was compared.
        init?(_ speeds: [Measurement.SpeedComparison], at temperature: Float) {
            let known = speeds.filter { $0.measured.isKnown }
            let fixed = known.filter { $0.length != nil }
            guard let best = fixed.max(by: { $0.measured.value < $1.measured.value }) else { return nil }
            self.temperature = temperature
            self.best = best
            auto = known.first { $0.draft == "auto" }
            let gain = auto.map { max($0.measured.value, best.measured.value) } ?? best.measured.value
            isDisturbed = known.contains {
                $0.measured.value > $0.tokensPerRound + mostError || abs($0.error ?? 0) > mostError
            }
            let autoIsClose = auto.map { $0.measured.value >= gain * closeEnough } ?? false
            let winner = autoIsClose ? auto ?? best : best
            let isThin = winner.measured.count < fewestTurns
            if winner.measured.value >= leastGain && winner.measured.low > 1 && !isThin && !isDisturbed {
                answer = .yes
                draft = winner.draft
            } else {
                let isBeaten = best.measured.high < leastGain && (auto?.measured.high ?? 0) < leastGain
                answer = isBeaten && !isThin && !isDisturbed ? .no : .hardly
                // Auto that loses must not be advised as harmless, nor one that nobody timed.
                let isHarmless = auto.map { $0.measured.value >= closeEnough } ?? false
                draft = isHarmless ? "auto" : "off"
            }
        }

        var tokens: Double { best.tokensPerRound }

        private var length: String { count(best.length ?? 0, "token") }

        var headline: String {
            switch answer {
            case .yes where draft == "auto":
                return "Yes: leave drafting on auto, \(auto?.measured.times ?? "–") as fast here"
            case .yes:
                let predicted = best.predicted.map { " (predicted \(AxisFormat.times.text($0)))" } ?? ""
                return "Yes: draft \(length), \(best.measured.times) as fast here\(predicted)"
            case .hardly where isDisturbed:
                return "Not known: the machine was too busy to tell"
            case .hardly:
                let better = auto.flatMap { $0.measured.value > best.measured.value ? $0 : nil }
                let found = better.map { "\($0.measured.times) with auto" }
                return "Hardly: \(found ?? "\(best.measured.times) with \(length) drafted"), too little to be sure of"
            default:
                return
                    "No: drafting does not pay on this machine, at best \(best.measured.times) with \(length) drafted"
            }
        }

        /// What has to be said about `auto`.
        var remark: String {
            guard !isDisturbed else {
                return
                    "These times contradict acceptance and step times, so the machine was probably busy: measure again."
            }
            let others = "the best fixed length, \(length), gives \(best.measured.times)"
            switch (answer, draft) {
            case (.yes, "auto"): return "`--draft auto` comes out best or as good as best: \(others)."
            case (.yes, _):
                return auto.map { "`--draft auto` reaches \($0.measured.times)." } ?? ""
            case (_, "auto"):
                return auto.map { "`--draft auto` notices and costs nothing: \($0.measured.times)." } ?? ""
            default: return auto.map { "`--draft auto` does not pay either: \($0.measured.times)." } ?? ""
            }
        }

        /// The speed-up of what is advised; without drafts, that of the best fixed length.
        var speed: String {
            draft == "auto" ? auto?.measured.times ?? "–" : best.measured.times
        }

        /// A sentence about this temperature, after another answer for another.
        var alternative: String {
            let advice = "At temperature \(spelled(temperature)) use `--draft \(draft)`: "
            return advice
                + (draft == "auto" || answer == .yes
                    ? "\(speed)." : "fixed lengths give at best \(best.measured.times).")
        }
    }
}
