import ArgumentParser
import ForetokenHardware
import ForetokenModel
import ForetokenReport
import Glibc

/// Shows the machine as this engine sees it, and what to mend.
struct Doctor: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Shows the machine as this engine sees it: what it will give, and what to mend.",
        discussion: """
            With --topology a described machine is shown instead of this one. The file is a JSON object: \
            {"nodes": [{"id", "cpus": […] or "0-31", "memory_bytes"}], "distance": [[…]], "read_gbps": [[CPU node × memory node]]}; \
            "latency_ns" (of the same shape as read_gbps) and "cores" (lists of the CPUs of one core) may be added. \
            `foretoken bench --numa --topology-out FILE` writes one of this machine, `foretoken place --example-topology NAME` one to \
            edit.

            --json prints an object with "source" ("this machine" or the file), "fingerprint", "nodes", "distance", \
            "cores" and "fast_cores" (lists of CPUs), "clusters", "advice" ([{"weight": "good|note|mend", "text", "remedy"}]) and, once it was measured or \
            when a file says it, "bandwidth" (as bench --numa --json has it). Of this machine it also has "processor", \
            "caches", "huge_pages", "limits", "policy", "numa_balancing", "hmat", "warnings" and "unknown" ([{"file", "reason"}]: \
            files that could not be read or understood). What is unknown is left out.
            """)

    @Flag(help: "Prints one JSON object.")
    var json = false

    @OptionGroup var described: TopologyOption

    func run() throws {
        let report: DoctorReport
        if let file = try described.file() {
            report = DoctorReport(file, source: described.topology ?? "")
        } else {
            let survey = try MachineSurvey.read()
            report = DoctorReport(
                survey, bandwidth: BandwidthCache.standard?.read(for: survey.topology), now: time(nil))
        }
        try StandardOutput.write(
            json
                ? JSONOutput.line(report, snakeCase: true)
                : StandardOutput.page { DoctorTables(report, $0).text })
    }
}

/// A machine that one does not have.
struct TopologyOption: ParsableArguments {
    @Option(help: ArgumentHelp("Takes the machine that a JSON file describes instead of this one.", valueName: "file"))
    var topology: String?

    /// The described machine; nil when none was named.
    /// - Throws: `UsageError` where there is no such file, `TopologyFileError` for one that cannot be used.
    func file() throws -> TopologyFile? {
        try topology.map { try TopologyFile(json: InputFile.bytes($0, for: .topology), source: $0) }
    }
}
