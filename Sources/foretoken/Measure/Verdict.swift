import ForetokenLaboratory
import ForetokenReport

/// The answer to "should I turn speculation on, and how far?".
///
/// A yes or a no needs data: at least as many timed prompts as `Bootstrap` believes the resampling of (8), and 5 turns. A
/// yes also needs an interval of the speed-up that lies above 1 as a whole, and a no one that lies below `leastGain` as a
/// whole. Anything else is told with how much was measured, and what would do.
package struct Verdict: Equatable {
    /// What kind of answer it is.
    package enum Answer {
        /// Drafting is faster, beyond doubt.
        case yes
        /// It is not.
        case no
        /// Too close to call.
        case hardly
        /// It looks like a yes or a no, but rests on too few prompts.
        case thin
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
    /// More prompts than this are no advice.
    private static let mostPrompts = 10_000.0

    /// The answer that a measurement gives; for its first temperature, with a sentence about each of the others.
    package init(_ measurement: Measurement) {
        let choices = measurement.comparedTemperatures.compactMap { Choice(measurement, at: $0) }
        guard let first = choices.first else {
            self = Self.foretold(measurement) ?? Self.unknown(measurement)
            return
        }
        answer = first.answer
        flag = "--draft \(first.draft)"
        headline = first.headline + (choices.count > 1 ? ", at temperature \(spelled(first.temperature))" : "")
        let account = measurement.account(
            drafts: first.best.length, tokens: first.tokens, known: first.best.roundCost)
        var sentences = [account, first.remark, first.lack]
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
        /// `auto` where it comes close to the fastest, else the best fixed length.
        let winner: Measurement.SpeedComparison
        let answer: Answer
        /// The value of `--draft` to use.
        let draft: String
        /// Whether the times that the answer rests on contradict what acceptance and step times allow.
        let isDisturbed: Bool
        /// Prompts at this temperature, and their places at which drafts were started.
        let data: (prompts: Int, places: Int)

        /// Nil when no fixed length was compared.
        init?(_ measurement: Measurement, at temperature: Float) {
            let known = measurement.speeds(at: temperature).filter { $0.measured.isKnown }
            let fixed = known.filter { $0.length != nil }
            guard let best = fixed.max(by: { $0.measured.value < $1.measured.value }) else { return nil }
            self.temperature = temperature
            self.best = best
            let auto = known.first { $0.draft == "auto" }
            self.auto = auto
            let gain = auto.map { max($0.measured.value, best.measured.value) } ?? best.measured.value
            isDisturbed = [best, auto].compactMap(\.self).contains {
                $0.measured.value > $0.tokensPerRound + mostError || abs($0.error ?? 0) > mostError
            }
            let autoIsClose = auto.map { $0.measured.value >= gain * closeEnough } ?? false
            winner = autoIsClose ? auto ?? best : best
            let isThin = winner.measured.count < fewestTurns || winner.prompts < Bootstrap.fewPrompts
            let pays = winner.measured.value >= leastGain && winner.measured.low > 1
            let isBeaten = best.measured.high < leastGain && (auto?.measured.high ?? 0) < leastGain
            answer = isDisturbed || !(pays || isBeaten) ? .hardly : isThin ? .thin : pays ? .yes : .no
            // Auto that loses must not be advised as harmless, nor one that nobody timed.
            let isHarmless = auto.map { $0.measured.value >= closeEnough } ?? false
            let isAdvised = answer == .yes || (answer == .thin && pays && !isHarmless)
            draft = isAdvised ? winner.draft : isHarmless ? "auto" : "off"
            let overall = measurement.conditions.first { $0.temperature == temperature }?.overall
            data = (max(winner.prompts, overall?.prompts ?? 0), overall?.positions ?? 0)
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
            case .thin:
                let factor = winner.measured.times
                return (pays ? "Probably: \(factor) as fast" : "Probably not: at best \(factor)")
                    + " here, but timed on \(count(winner.prompts, "prompt")) only"
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
            case (.yes, _), (.thin, _):
                return auto.map { "`--draft auto` reaches \($0.measured.times)." } ?? ""
            case (_, "auto"):
                let gains = (auto?.measured.value ?? 0) >= leastGain
                let what = gains ? "gave" : "notices and costs nothing:"
                return auto.map { "`--draft auto` \(what) \($0.measured.times)." } ?? ""
            default: return auto.map { "`--draft auto` does not pay either: \($0.measured.times)." } ?? ""
            }
        }

        /// How much was measured, and what would do; empty for a sure answer.
        var lack: String {
            guard answer == .thin || answer == .hardly else { return "" }
            let (timed, few) = (winner.prompts, Bootstrap.fewPrompts)
            let prompts = data.prompts > timed ? "\(timed) of \(count(data.prompts, "prompt"))" : count(timed, "prompt")
            let places = data.places > 0 ? " (drafts were tried at \(count(data.places, "place")))" : ""
            var reasons: [String] = []
            if timed < few { reasons.append("intervals over fewer than \(few) say little of how prompts differ") }
            if winner.measured.count < fewestTurns { reasons.append("fewer than \(fewestTurns) turns prove nothing") }
            if answer == .hardly && !isDisturbed {
                let least = "above \(AxisFormat.times.text(leastGain)), the least that is worth a flag"
                let bound = pays ? "below 1" : least
                reasons.append("the interval, \(unsure.timesRange), reaches \(bound)")
            }
            if reasons.isEmpty { return "" }
            let verb = timed == 1 ? "was" : "were"
            return "\(answer == .thin ? "The data are thin: " : "")\(prompts) \(verb) timed\(places), and "
                + reasons.joined(separator: ", and ") + "." + advice
        }

        private var pays: Bool { winner.measured.value >= leastGain }

        /// The speed-up whose interval leaves the answer open.
        private var unsure: Estimate {
            if pays { return winner.measured }
            return auto.flatMap { $0.measured.high > best.measured.high ? $0.measured : nil } ?? best.measured
        }

        /// What would do: intervals shrink with the root of the number of prompts.
        private var advice: String {
            var needed = Double(Bootstrap.fewPrompts)
            if answer == .hardly && !isDisturbed {
                let reach = pays ? unsure.value - unsure.low : unsure.high - unsure.value
                let gap = abs(unsure.value - (pays ? 1 : leastGain))
                needed = max(needed, Double(winner.prompts + 1), Double(winner.prompts) * (reach / gap) * (reach / gap))
            }
            // More of them would not settle what lies between auto and a length that nobody is advised to take.
            let isSettled = answer != .hardly || pays || unsure.value < leastGain
            guard needed <= mostPrompts, isSettled else { return "" }
            let number = Int(needed.rounded(.up))
            if data.prompts >= number { return " About \(number) would do: a longer `--seconds` times more of them." }
            return " About \(Format.grouped(number)) prompts like these would do"
                + (data.prompts > winner.prompts ? ", with `--seconds` for all of them." : ".")
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
