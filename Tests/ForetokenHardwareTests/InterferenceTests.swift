import ForetokenHardware
import Testing

/// What counts as disturbed, on made-up readings.
@Suite struct InterferenceTests {
    private func load(
        _ seconds: Double, busy: Double? = nil, stolen: Double? = nil, own: Double = 0, waited: Double? = nil
    ) -> MachineLoad {
        MachineLoad(time: Int64(seconds * 1e9), busy: busy, stolen: stolen, own: own, waited: waited)
    }

    @Test func aQuietMachineDisturbsNothing() {
        let start = load(10, busy: 100, stolen: 5, own: 50, waited: 1)
        let end = load(12, busy: 104, stolen: 5, own: 54, waited: 1.01)
        let quiet = Interference(from: start, to: end, cpus: 2)
        #expect(!quiet.isDisturbing && quiet.others == 0 && quiet.stolen == 0 && quiet.waiting < 0.01)
    }

    @Test func eachKindOfInterferenceIsSeen() {
        let start = load(0, busy: 0, stolen: 0, own: 0, waited: 0)
        let others = Interference(from: start, to: load(1, busy: 1.8, stolen: 0, own: 1, waited: 0), cpus: 2)
        #expect(others.isDisturbing && abs(others.others - 0.38) < 1e-9)
        #expect(others.text == "other programs took 38 % of the CPUs' time")
        let stolen = Interference(from: start, to: load(1, busy: 2, stolen: 0.5, own: 2, waited: 0), cpus: 2)
        #expect(stolen.isDisturbing && abs(stolen.stolen - 0.23) < 1e-9)
        #expect(stolen.text == "the hypervisor took 23 % of the CPUs' time")
        let waiting = Interference(from: start, to: load(1, busy: 2, stolen: 0, own: 2, waited: 0.8), cpus: 2)
        #expect(waiting.isDisturbing && abs(waiting.waiting - 0.4) < 1e-9)
        #expect(waiting.text.contains("waited for 40 %"))
    }

    @Test("Five per cent is still quiet, and ticks of the kernel's clock are not taken for work")
    func limits() {
        let start = load(0, busy: 0, stolen: 0, own: 0, waited: 0)
        #expect(
            !Interference(from: start, to: load(1, busy: 0, stolen: 0, own: 0, waited: 0.049), cpus: 1).isDisturbing)
        #expect(Interference(from: start, to: load(1, busy: 0, stolen: 0, own: 0, waited: 0.051), cpus: 1).isDisturbing)
        // A reading of 10 ms, in which each CPU's tick fell on others.
        #expect(
            !Interference(from: start, to: load(0.01, busy: 0.04, stolen: 0, own: 0, waited: 0), cpus: 2).isDisturbing)
        #expect(Interference(from: start, to: load(1, busy: 0.2, stolen: 0, own: 0, waited: 0), cpus: 2).isDisturbing)
    }

    @Test func whatTheSystemDoesNotSayDisturbsNothing() {
        let unknown = Interference(from: load(0), to: load(1, own: 0.5), cpus: 2)
        #expect(!unknown.isDisturbing)
        let half = Interference(from: load(0, busy: 1), to: load(1, own: 0.5), cpus: 2)
        #expect(!half.isDisturbing)
        // Counters that go back, as they do when a thread ends.
        let back = Interference(
            from: load(1, busy: 9, stolen: 9, own: 0, waited: 9), to: load(1, busy: 1, stolen: 1, own: 1, waited: 1),
            cpus: 1)
        #expect(!back.isDisturbing)
    }

    @Test func loadsAreReadFromTheSystem() throws {
        let stat = """
            cpu  1000 0 0 0 0 0 0 0 0 0
            cpu0 100 10 20 5000 7 3 2 40 100 0
            cpu1 200 0 0 5000 0 0 0 60 0 0
            cpu10 9999 0 0 0 0 0 0 9999 0 0
            intr 1 2 3

            """
        let tree = try FixtureTree(
            replacing: [
                "proc/stat": stat, "proc/self/task/7/schedstat": "5 250000000 9\n",
                "proc/self/task/8/schedstat": "5 500000000 9\n", "proc/self/task/9/schedstat": "?\n",
            ])
        let load = MachineLoad.read(cpus: [0, 1], proc: tree.proc)
        #expect(load.busy == 3.35 && load.stolen == 1 && load.waited == 0.75 && load.own > 0 && load.time > 0)
        #expect(MachineLoad.read(cpus: [0, 2], proc: tree.proc).busy == nil)
        let nothing = try MachineLoad.read(cpus: [0], proc: FixtureTree().proc)
        #expect(nothing.busy == nil && nothing.stolen == nil && nothing.waited == nil)
        let here = MachineLoad.read(cpus: Topology.read().cpus)
        #expect(here.own > 0)
    }

    @Test(
        "The best readings must have been repeated; what is far off is forgiven",
        arguments: [
            ([100, 98, 95, 40, 12], true), ([100, 98, 89, 88, 87], false), ([100, 91], true), ([100, 80], false),
            ([5], true),
            ([], false), ([0, 0, 0], false), ([.infinity, .infinity, .infinity], false),
        ])
    func agreement(readings: [Double], holds: Bool) {
        #expect(ReadingAgreement.holds(readings, higherIsBetter: true) == holds)
        #expect(ReadingAgreement.holds(readings.reversed(), higherIsBetter: true) == holds)
    }

    @Test func figuresComeFromReadingsThatAgree() {
        let figure = ReadingAgreement.figure([4.1, 9, 9.5, 8.9], higherIsBetter: true)
        #expect(figure == .init(best: 9.5, worst: 8.9, readings: 3), "what is far off does not count")
        let latency = ReadingAgreement.figure([102, 100, 400, 109], higherIsBetter: false)
        #expect(latency == .init(best: 100, worst: 109, readings: 3))
        #expect(ReadingAgreement.figure([4.1, 9, 9.5], higherIsBetter: true) == nil, "two of three prove nothing")
        #expect(ReadingAgreement.figure([9, 9], higherIsBetter: true) == nil, "two prove nothing")
        #expect(ReadingAgreement.figure([4.3, 7, 9], higherIsBetter: true) == nil)
        #expect(ReadingAgreement.figure([100, 792, 300], higherIsBetter: false) == nil)
    }
}
