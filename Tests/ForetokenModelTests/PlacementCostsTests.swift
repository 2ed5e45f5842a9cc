import ForetokenModel
import ForetokenTestSupport
import Testing

/// What experts cost, from made-up times and from real ones.
@Suite struct PlacementCostsTests {
    private func readings(
        barriers: [Double] = [1], wholes: [Double] = [100], halves: [Double] = [120],
        passes: [[Double]] = [[50, 60, 90]]
    ) -> PlacementReadings {
        var readings = PlacementReadings(layers: 2, experts: 5, expertBytes: 700)
        (readings.barriers, readings.wholes, readings.halves, readings.passes) = (barriers, wholes, halves, passes)
        return readings
    }

    @Test func costsAreTakenApart() throws {
        let costs = try #require(readings().costs)
        #expect(costs.pieceSeconds == 2 && costs.barrierSeconds == 1)
        #expect(costs.bandwidth == 7000 / 78.0, "100, less two meetings and ten pieces")
        #expect(costs.rowCost == [1, 56 / 46.0, 86 / 46.0])
    }

    @Test("A pass that was interrupted moves no median of five; of one alone it does")
    func interruptedPasses() {
        #expect(readings(halves: [900]).costs == nil)
        let five = readings(
            barriers: [1, 1, 50, 1, 1], wholes: [100, 100, 100, 999, 100], halves: [120, 900, 120, 120, 950],
            passes: [[50, 60, 90], [50, 60, 90], [1, 1, 1], [50, 60, 90], [50, 999, 90]])
        #expect(five.costs == readings().costs)
    }

    @Test func figuresThatContradictEachOtherAreNone() {
        #expect(readings(barriers: [60]).costs == nil, "meetings longer than what is read between them")
        #expect(readings(passes: [[50, 3, 90]]).costs == nil, "an expert's work shorter than the meetings in it")
        #expect(readings(passes: []).costs == nil)
        #expect(readings(halves: [90]).costs?.pieceSeconds == 0, "more pieces that cost less cost nothing")
    }

    @Test("Costs are measured; an ended measurement gives none")
    func probing() throws {
        let model = try Model.load(Fixtures.demoModel, threads: 1)
        let probe = try #require(PlacementProbe(model: model))
        #expect(probe.measure(seconds: 0.05, goesOn: { false }) == nil)
        // While other programs run, most passes may be interrupted, and their figures contradict each other: nothing is
        // measured then, by design. One of many attempts finds the processor free.
        var measured: PlacementCosts?
        for attempt in 1...40 where measured == nil { measured = probe.measure(seconds: 0.02 * Double(attempt)) }
        let costs = try #require(measured, "costs could not be measured in forty attempts")
        #expect(costs.bandwidth > 0 && costs.pieceSeconds >= 0 && costs.barrierSeconds >= 0)
        #expect(costs.rowCost.count == PlacementProbe.rows && costs.rowCost[0] == 1)
        #expect(costs.rowCost.allSatisfy { $0 >= 1 && $0.isFinite })
    }
}
