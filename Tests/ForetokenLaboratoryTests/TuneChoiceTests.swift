import ForetokenHardware
import ForetokenLaboratory
import Testing

/// What the times of plans that were tried are worth.
@Suite struct TuneChoiceTests {
    private func passes(_ steps: [(step: Double, waited: Double)]) -> TimedPasses {
        var passes = TimedPasses()
        for (step, waited) in steps {
            let start = MachineLoad(time: 0, busy: nil, stolen: nil, own: 0, waited: 0)
            let end = MachineLoad(time: 1_000_000_000, busy: nil, stolen: nil, own: 0, waited: waited)
            passes.add(.init(step: step, experts: step / 2), Interference(from: start, to: end, cpus: 1))
        }
        return passes
    }

    @Test func theMedianOfQuietPasses() {
        let quiet = passes([(10, 0), (10.2, 0), (10.4, 0)])
        #expect(quiet.reliable(wanted: 3) == .init(step: 10.2, experts: 5.1) && quiet.disturbance == nil)
        let mixed = passes([(30, 0.5), (10, 0), (10.2, 0), (20, 0.3), (10.4, 0)])
        #expect(mixed.calmCount == 3 && mixed.reliable(wanted: 3)?.step == 10.2)
    }

    @Test func tooFewQuietPassesAreNotReliable() {
        let busy = passes([(10, 0), (30, 0.5), (20, 0.3)])
        #expect(busy.calmCount == 1 && busy.reliable(wanted: 3) == nil && busy.disturbance?.isDisturbing == true)
        #expect(busy.median(first: 3)?.step == 20 && busy.median(first: 1)?.step == 10 && busy.median(first: 0) == nil)
    }

    @Test func passesThatDifferAreNotReliable() {
        #expect(passes([(10, 0), (14, 0), (19, 0)]).reliable(wanted: 3) == nil)
    }

    @Test func withoutALookEveryPassCounts() {
        var passes = TimedPasses()
        passes.add(.init(step: 3, experts: 1), nil)
        #expect(passes.reliable(wanted: 1)?.step == 3 && TimedPasses().reliable(wanted: 1) == nil)
    }

    private func choice(
        _ steps: [Double?], canRun: [Bool] = [true, true, true], isDisturbed: Bool = false
    ) -> TuneChoice {
        TuneChoice(steps: steps, canRun: canRun, results: [4, 0, 2], isDisturbed: isDisturbed, tolerance: 0.01)
    }

    @Test func theFastestIsTakenAndOfEqualsTheSimplest() {
        #expect(choice([10, 12, 11]).best == 0)
        #expect(choice([10, 10.05, 10.08]).best == 1)
        #expect(choice([10, nil, 11], canRun: [true, false, true]).best == 0)
        #expect(choice([10, nil, 11]).best == nil, "one was not measured")
        #expect(choice([nil, nil, nil], canRun: [false, false, false]).best == nil)
    }

    @Test func disturbedTimesLeaveTheChoiceToPrediction() {
        #expect(choice([30, 10, 11], isDisturbed: true).best == 0)
        #expect(choice([nil, 10, 11], canRun: [false, true, true], isDisturbed: true).best == 1)
        #expect(choice([30, 10, 11], isDisturbed: true).loss(against: 5) == nil)
    }

    @Test func aPlanThatIsSlowerThanNoneIsALoss() throws {
        let loss = try #require(choice([13.8, 15, 16]).loss(against: 10))
        #expect(abs(loss - 0.38) < 1e-9)
        #expect(choice([10.2, 15, 16]).loss(against: 10) == nil, "within what two medians differ")
        #expect(choice([9, 15, 16]).loss(against: 10) == nil && choice([99, 99, 99]).loss(against: nil) == nil)
    }
}
