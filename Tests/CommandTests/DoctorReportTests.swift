import ForetokenHardware
import ForetokenReport
import ForetokenTestSupport
import Glibc
import Testing
import foretoken

/// What `doctor` says of machines that are made up.
@Suite struct DoctorReportTests {
    private static let day = 86_400

    private func report(measured days: Int?, now: Int = 20_000 * day) throws -> String {
        var survey = try MachineSurvey.read()
        survey.findings = Findings()
        let bandwidth = days.map { days in
            var bandwidth = NumaBandwidth(
                fingerprint: "x", cpuNodes: [0], threads: [2],
                memory: [.init(id: 0, bufferBytes: 1, placement: .bound, share: 1)])
            bandwidth.together = [.init(best: 20e9, worst: 19e9, readings: 5)]
            bandwidth.measuredAt = now - days * Self.day
            return bandwidth
        }
        return DoctorTables(
            DoctorReport(survey, bandwidth: bandwidth, now: now),
            Terminal(isInteractive: false, usesColor: false, width: 400)
        ).text
    }

    @Test func aMeasurementIsShownWithItsDayAndSpread() throws {
        let text = try report(measured: 3)
        #expect(
            text.contains(
                "✓ memory is read at 20.0 GB/s by all cores together: each GB of weights that a step reads takes 50.0 ms "
                    + "(measured on 2024-10-01, 5 readings at most 5 % apart)\n"), "\(text)")
        #expect(!text.contains("has not been measured"))
    }

    @Test(arguments: [(91, "91 days ago"), (-2, "a day that has not come yet")])
    func anOldMeasurementIsNotGood(days: Int, said: String) throws {
        let text = try report(measured: days)
        #expect(text.contains("· memory is read at 20.0 GB/s") && text.contains("that was \(said)\n"))
        #expect(text.contains("→ run foretoken bench --numa --fresh"))
    }

    @Test func noMeasurementIsSaid() throws {
        let text = try report(measured: nil)
        #expect(text.contains("· how fast memory is read here has not been measured\n  → run foretoken bench --numa"))
    }
}
