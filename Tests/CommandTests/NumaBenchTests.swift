import ForetokenHardware
import ForetokenTestSupport
import FoundationEssentials
import Testing

/// `foretoken bench --numa` as its users call it.
@Suite(.serialized)
struct NumaBenchTests {
    private struct Output: Decodable, Equatable {
        struct Figure: Decodable, Equatable {
            let best: Double
            let worst: Double
            let readings: Int
        }
        struct Memory: Decodable, Equatable {
            let id: Int
            let buffer_bytes: Int
            let placement: String
        }
        let fingerprint: String
        let cpu_nodes: [Int]
        let threads: [Int]
        let memory: [Memory]
        let read: [[Figure?]]
        let latency: [[Figure?]]
        let together: [Figure?]
        let remarks: [String]
        let measured_at: Int?
        let cached: Bool
        let disturbed: Bool
    }

    private let folder: TemporaryFolder

    init() throws { folder = try TemporaryFolder() }

    private var environment: [String: String] { ["XDG_CACHE_HOME": folder.path + "/a/b"] }

    private func bench(_ arguments: String...) throws -> Command.Outcome {
        let outcome = try Command(["bench", "--numa", "--seconds", "0.1"] + arguments, environment: environment)
            .finish()
        try #require(outcome.status == 0, "\(outcome.errors)")
        return outcome
    }

    /// Leaves figures of this machine in the cache, as another run would, and returns the file's name in `folder`.
    private func keep(_ change: (inout NumaBandwidth) -> Void = { _ in }) throws -> String {
        let topology = Topology.read()
        let figure = NumaBandwidth.Figure(best: 20e9, worst: 19e9, readings: 5)
        var bandwidth = NumaBandwidth(
            fingerprint: topology.fingerprint, cpuNodes: topology.cpuNodes.map(\.id),
            threads: topology.cpuNodes.map { _ in 1 },
            memory: topology.nodes.map { .init(id: $0.id, bufferBytes: 1 << 28, placement: .bound, share: 1) })
        bandwidth.read = topology.cpuNodes.map { _ in topology.nodes.map { _ in figure } }
        bandwidth.latency = topology.cpuNodes.map { _ in
            topology.nodes.map { _ in .init(best: 100, worst: 110, readings: 5) }
        }
        bandwidth.together = topology.nodes.map { $0.cpus.isEmpty ? nil : figure }
        bandwidth.measuredAt = 1_764_421_200
        let name = "a/b/foretoken/numa-\(topology.fingerprint).json"
        change(&bandwidth)
        try FileManager.default.createDirectory(
            atPath: folder.path + "/a/b/foretoken", withIntermediateDirectories: true)
        try folder.write(Array(JSONEncoder().encode(bandwidth)), name)
        return name
    }

    /// Whether the machine was free to be measured is not the test's to say: both answers are checked.
    @Test func figuresAreMeasuredAndKeptOrSaidNotToBeKnown() throws {
        let outcome = try bench("--json")
        let first = try outcome.json(Output.self)
        #expect(!first.cached && first.fingerprint.count == 16 && first.measured_at != nil)
        #expect(first.read.count == first.cpu_nodes.count && first.threads.allSatisfy { $0 > 0 })
        for figure in first.read.joined().compactMap({ $0 }) {
            #expect(figure.best >= figure.worst && figure.worst > 0 && figure.readings >= 3)
        }
        for figure in first.latency.joined().compactMap({ $0 }) { #expect(figure.best <= figure.worst) }
        #expect(first.memory.allSatisfy { ["bound", "first_touch", "none"].contains($0.placement) })
        if first.disturbed {
            #expect(outcome.errors.contains("nothing was kept") && first.remarks.contains { $0.contains("not known") })
            #expect(try !bench("--json").json(Output.self).cached)
        } else {
            #expect(first.together.contains { $0 != nil })
            let kept = try bench("--json").json(Output.self)
            #expect(kept.cached && kept.read == first.read && kept.latency == first.latency)
        }
        #expect(try !bench("--json", "--fresh").json(Output.self).cached)
    }

    @Test func figuresAreKeptUntilFresh() throws {
        let name = try keep()
        let again = try bench("--json")
        #expect(again.errors.contains("an earlier run (2025-11-29)"))
        let kept = try again.json(Output.self)
        #expect(kept.cached && !kept.disturbed && kept.read.joined().allSatisfy { $0?.best == 20e9 })
        let doctor = try Command(["doctor"], environment: environment).finish()
        #expect(doctor.output.contains("(measured on 2025-11-29, 5 readings at most 5 % apart)"), "\(doctor.output)")

        // What another program left there is no measurement.
        try folder.write(Array("{\"version\": 1".utf8), name)
        let damaged = try bench("--json")
        #expect(damaged.errors.contains("it is damaged"))
        #expect(try !damaged.json(Output.self).cached)
        _ = try keep { $0.fingerprint = "0123456789abcdef" }
        #expect(try bench("--json").errors.contains("it is of machine 0123456789abcdef"))
        // Earlier versions kept figures of busy machines, without a date.
        _ = try keep { $0.measuredAt = nil }
        let dateless = try bench("--json")
        #expect(dateless.errors.contains("it does not say when it was measured"))
        #expect(try !dateless.json(Output.self).cached)
    }

    @Test func theMachineIsDescribedForPlanning() throws {
        _ = try keep()
        let file = folder.path + "/machine.json"
        let outcome = try bench("--topology-out", file)
        #expect(outcome.output.contains("reads, GB/s") && outcome.output.contains("latency, ns"))
        #expect(outcome.output.contains("all nodes at once"))
        struct Doctor: Decodable { let fingerprint: String }
        let here = try Command.run("doctor", "--json").json(Doctor.self)
        let described = try Command.run("doctor", "--json", "--topology", file).json(Doctor.self)
        #expect(here.fingerprint == described.fingerprint)
    }

    @Test(arguments: [
        ["--numa", "--shape", "gigachat3-10b"], ["--numa", "--perplexity"], ["--numa", "--model", "x"],
        ["--numa", "--threads", "1"], ["--fresh"], ["--topology-out", "x"], ["--numa", "--seconds", "0"],
        ["--numa", "--topology-out", "/no/such/folder/x"],
    ])
    func whatDoesNotGoTogetherIsRefused(arguments: [String]) throws {
        let outcome = try Command(["bench"] + arguments).finish()
        #expect(outcome.status == 2 && outcome.output.isEmpty, "\(outcome.errors)")
    }
}
