import ForetokenHardware
import Testing

/// Which readings between nodes count, and what is said of the others.
@Suite struct NumaSeriesTests {
    private static let quiet = MachineLoad(time: 0, busy: 0, stolen: 0, own: 0, waited: 0)

    private func interference(waited: Double) -> Interference {
        Interference(
            from: Self.quiet, to: .init(time: 1_000_000_000, busy: 0, stolen: 0, own: 0, waited: waited), cpus: 1)
    }

    private let read = NumaSeries.Quantity.read(row: 0, column: 0)
    private let job = NumaSeries.Job.read(row: 0, column: 0)

    @Test func undisturbedReadingsSettleAFigure() {
        var series = NumaSeries()
        #expect(!series.isSettled(job) && series.best(read) == nil)
        for value in [98.0, 100, 99, 60, 97, 90] {
            #expect(!series.isSettled(job))
            series.add([read: value], of: job, interference(waited: 0.01))
        }
        #expect(series.isSettled(job) && series.best(read) == 100 && series.reasons.isEmpty)
        #expect(series.figure(read, isWhole: true) == .init(best: 100, worst: 90, readings: 5))
    }

    @Test func disturbedReadingsAreThrownAway() {
        var series = NumaSeries()
        for value in [4.0, 4.1, 4.2, 4.0, 4.1, 4.2, 4, 4, 4, 4] {
            series.add([read: value], of: job, interference(waited: 0.4))
        }
        #expect(!series.isSettled(job) && series.figure(read, isWhole: true) == nil && series.best(read) == nil)
        #expect(
            series.reasons == [
                "how fast memory is read is not known, since the machine was busy: "
                    + "its own threads waited for 40 % of the CPUs' time while other programs ran"
            ])
        for value in [99.0, 100, 98] { series.add([read: value], of: job, interference(waited: 0)) }
        #expect(
            series.figure(read, isWhole: true) == .init(best: 100, worst: 98, readings: 3) && series.reasons.isEmpty)
    }

    @Test func readingsThatCannotBeRepeatedAreNotKnown() {
        var series = NumaSeries()
        let latency = NumaSeries.Quantity.latency(row: 0, column: 1)
        let pair = NumaSeries.Job.latency(row: 0, column: 1)
        for value in [100.0, 200, 300, 400, 500, 792] {
            series.add([latency: value], of: pair, interference(waited: 0))
        }
        #expect(!series.isSettled(pair) && series.figure(latency, isWhole: true) == nil && series.best(latency) == 100)
        #expect(series.reasons.count == 1 && series.reasons[0].contains("could not be repeated"))
        // Cut short, what there is has to do; it is not kept.
        #expect(series.figure(latency, isWhole: false) == .init(best: 100, worst: 792, readings: 6))
    }

    @Test func oneSentenceForEachKind() {
        var series = NumaSeries()
        for column in 0..<3 {
            series.add([.read(row: 0, column: column): 1], of: .read(row: 0, column: column), interference(waited: 0.5))
        }
        series.add([.together(column: 0): 1, .together(column: 1): 1], of: .together, interference(waited: 0.5))
        #expect(series.reasons.count == 2 && series.reasons[0].contains("not known (3 figures), since"))
        #expect(series.reasons[1].hasPrefix("how fast all nodes together read is not known, since"))
    }

    @Test func figuresOfOneRunAreSettledTogether() {
        var series = NumaSeries()
        for turn in 0..<5 {
            series.add(
                [.tierRead(column: 2): 30, .tierOwn(column: 2): Double(100 - 20 * turn)], of: .tiers,
                interference(waited: 0))
        }
        #expect(!series.isSettled(.tiers) && series.figure(.tierRead(column: 2), isWhole: true) != nil)
        #expect(series.reasons.count == 1 && series.reasons[0].hasPrefix("how fast memory-only nodes are read"))
    }
}
