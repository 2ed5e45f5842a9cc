import ForetokenLaboratory
import Testing
import foretoken

@Suite struct VerdictTests {
    /// Off, fixed lengths from 1, and auto last where it is given.
    private func verdict(
        _ measured: [Double], auto: Double?, predicted: Double? = nil, half: Double = 0.01, prompts: Int = 45,
        costs: Measurement.StepCosts? = SampleMeasurement.full().costs
    ) -> Verdict {
        var measurement = Measurement()
        measurement.costs = costs
        measurement.speeds = speeds(measured, auto: auto, predicted: predicted, half: half, prompts: prompts, at: 0)
        return Verdict(measurement)
    }

    private func speeds(
        _ measured: [Double], auto: Double?, predicted: Double? = nil, half: Double = 0.01, prompts: Int = 45,
        at temperature: Float
    ) -> [Measurement.SpeedComparison] {
        func comparison(_ draft: String, _ value: Double) -> Measurement.SpeedComparison {
            var result = SampleMeasurement.comparison(
                draft, temperature, predicted, value, tokens: 1.8, prompts: prompts)
            result.measured = SampleMeasurement.estimate(value, half, 45)
            return result
        }
        return [comparison("off", 1)] + measured.enumerated().map { comparison("\($0 + 1)", $1) }
            + (auto.map { [comparison("auto", $0)] } ?? [])
    }

    @Test func aGainIsAYesWithItsLength() {
        let verdict = verdict([1.19, 1.1], auto: 1.03, predicted: 1.21)
        #expect(verdict.answer == .yes)
        #expect(verdict.flag == "--draft 1")
        #expect(verdict.headline == "Yes: draft 1 token, 1.19× as fast here (predicted 1.21×)")
        #expect(verdict.reason.contains("With 1 draft a round yields 1.80 tokens and takes 1.23× the time"))
        #expect(verdict.reason.contains("`--draft auto` reaches 1.03×"))
    }

    @Test func autoIsAdvisedWhereItComesClose() {
        let verdict = verdict([1.2, 1.3], auto: 1.29)
        #expect(verdict.answer == .yes && verdict.flag == "--draft auto")
        #expect(verdict.headline.contains("1.29×") && verdict.reason.contains("2 tokens, gives 1.30×"))
        #expect(self.verdict([1.2, 1.3], auto: 1.41).headline.contains("1.41×"))
    }

    @Test func aLossIsANo() {
        let verdict = verdict([0.98, 0.8], auto: 1.0)
        #expect(verdict.answer == .no && verdict.flag == "--draft auto")
        #expect(verdict.headline.contains("at best 0.98×") && verdict.reason.contains("costs nothing: 1.00×"))
    }

    @Test func autoIsNotAdvisedWhereItLosesOrIsUnknown() {
        #expect(verdict([0.9], auto: 0.9).flag == "--draft off")
        #expect(verdict([0.9], auto: nil).flag == "--draft off")
    }

    @Test func timesThatCannotBeProveNothing() {
        // More than the 1.8 tokens of a round; then a prediction far off.
        let impossible = verdict([2.4], auto: 1)
        #expect(impossible.answer == .hardly && impossible.headline.hasPrefix("Not known"))
        #expect(verdict([0.9], auto: 1, predicted: 1.4).reason.contains("measure again"))
    }

    /// A length that nobody is advised to take may have been timed while the machine was busy.
    @Test func disturbedTimesOfOthersSpoilNothing() {
        var measurement = Measurement()
        measurement.speeds = speeds([1.3, 0.9], auto: 1.3, predicted: 1.3, at: 0)
        #expect(measurement.speeds[2].measured.value == 0.9)
        #expect(Verdict(measurement).answer == .yes)
    }

    @Test func whatMayBeChanceIsLeftToAuto() {
        #expect(verdict([1.05, 1.01], auto: 1.0, half: 0.08).answer == .hardly)
        #expect(verdict([1.05, 1.01], auto: 1.0, half: 0.08).flag == "--draft auto")
        #expect(verdict([0.99], auto: 1.05, half: 0.08).headline == "Hardly: 1.05× with auto, too little to be sure of")
        #expect(verdict([1.01], auto: 1.0, half: 0.001).answer == .no, "one percent is not worth a flag")
    }

    /// Two prompts say little of how prompts differ, however clear their figures are.
    @Test func fewPromptsAreNoYesAndNoNo() {
        let gain = verdict([1.19, 1.1], auto: 1.2, prompts: 2)
        #expect(gain.answer == .thin && gain.flag == "--draft auto")
        #expect(gain.headline == "Probably: 1.20× as fast here, but timed on 2 prompts only")
        #expect(gain.reason.contains("The data are thin: 2 prompts were timed, and intervals over fewer than 8 say"))
        #expect(gain.reason.contains("About 8 prompts like these would do"))
        let loss = verdict([0.9, 0.8], auto: 1.0, prompts: 7)
        #expect(loss.answer == .thin && loss.headline.hasPrefix("Probably not: at best 1.00×"))
        #expect(loss.headline.contains("7 prompts only"))
        let little = verdict([1.012], auto: nil, half: 0.005, prompts: 3)
        #expect(little.headline.hasPrefix("Probably not: at best 1.01×") && little.flag == "--draft off")
        #expect(verdict([1.19], auto: nil, prompts: 1).flag == "--draft 1")
        #expect(verdict([1.19], auto: nil, prompts: 1).reason.contains("1 prompt was timed"))
        #expect(verdict([1.19, 1.1], auto: 1.2, prompts: 8).answer == .yes)
        #expect(verdict([0.9, 0.8], auto: 1.0, prompts: 8).answer == .no)
        // A busy machine is the first thing to say, but not all.
        let busy = verdict([2.4], auto: 1, prompts: 2)
        #expect(busy.headline.hasPrefix("Not known") && busy.reason.contains("2 prompts were timed"))
        #expect(!verdict([2.4], auto: 1).reason.contains("were timed"))
        // A turn is a prompt's run: without enough of them there is no certainty either.
        var measurement = Measurement()
        measurement.speeds = speeds([1.3], auto: nil, at: 0)
        for index in measurement.speeds.indices {
            measurement.speeds[index].measured = SampleMeasurement.estimate(1.3, 0.01, 4)
        }
        #expect(Verdict(measurement).answer == .thin)
        #expect(Verdict(measurement).reason.contains("fewer than 5 turns prove nothing"))
    }

    /// Where a suite has more prompts than there was time for, time is what is missing.
    @Test func moreTimeIsAdvisedWhereThereAreMorePrompts() {
        var measurement = SampleMeasurement.full(temperatures: [0])
        for index in measurement.speeds.indices { measurement.speeds[index].prompts = 3 }
        let verdict = Verdict(measurement)
        #expect(verdict.answer == .thin)
        #expect(verdict.reason.contains("3 of 45 prompts were timed (drafts were tried at 4,230 places)"))
        #expect(verdict.reason.contains("About 8 would do: a longer `--seconds` times more of them."))
    }

    /// An interval that reaches below 1 is no yes, and says how many prompts would make it narrow enough: its reach over the
    /// gain, squared.
    @Test func intervalsThatReachBelowOneAreOpen() {
        let verdict = verdict([1.1], auto: 1.0, half: 0.2, prompts: 10)
        #expect(verdict.answer == .hardly)
        #expect(verdict.reason.contains("10 prompts were timed, and the interval, 0.90–1.30×, reaches below 1."))
        #expect(verdict.reason.contains("About 40 prompts like these would do"), "\(verdict.reason)")
        let near = self.verdict([1.0], auto: 1.01, half: 0.03, prompts: 10)
        #expect(near.answer == .hardly && near.reason.contains("reaches above 1.02×"), "\(near.reason)")
        #expect(near.reason.contains("About 90 prompts"), "\(near.reason)")
    }

    @Test func otherTemperaturesAreNamedWhereTheyDiffer() {
        var measurement = Measurement()
        measurement.speeds =
            speeds([1.2, 1.3], auto: 1.1, at: 0) + speeds([1.1, 1.21], auto: 1.1, at: 0.3)
            + speeds([1.15, 1.1], auto: 1.05, at: 0.8)
            + speeds([0.9, 0.8], auto: 1, at: 1.5)
        let verdict = Verdict(measurement)
        #expect(verdict.flag == "--draft 2" && verdict.headline.contains("at temperature 0"))
        #expect(verdict.reason.contains("The same holds at temperature 0.3 (1.21×)."))
        #expect(verdict.reason.contains("At temperature 0.8 use `--draft 1`: 1.15×."))
        #expect(verdict.reason.contains("At temperature 1.5 use `--draft auto`"))
    }

    @Test func withoutSpeedsCostsForetell() {
        let verdict = Verdict(SampleMeasurement.partial)
        #expect(verdict.answer == .foretold && verdict.headline.hasPrefix("Probably: "))
        #expect(verdict.flag == "--draft auto")
        var slow = SampleMeasurement.losing
        slow.speeds = []
        #expect(Verdict(slow).headline.hasPrefix("Probably not"))
    }

    @Test func withoutCostsNothingIsForetold() {
        let verdict = Verdict(SampleMeasurement.text)
        #expect(verdict.answer == .unknown && verdict.headline.contains("66.1 %"))
        #expect(Verdict(Measurement()).answer == .unknown)
    }

    @Test(arguments: [Double.nan, .infinity, 0, -1]) func senselessFiguresDoNoHarm(value: Double) {
        let costs = Measurement.StepCosts.made(
            verify: [value, value], firstDraft: [value], laterDraft: value, meanContext: 0, bytesPerStep: value,
            bandwidth: value)
        #expect(!verdict([value], auto: value, costs: costs).headline.isEmpty)
        var measurement = SampleMeasurement.partial
        measurement.costs = costs
        #expect(Verdict(measurement).answer == .unknown)
    }
}
