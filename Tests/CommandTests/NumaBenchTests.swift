import ForetokenTestSupport
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
        let cached: Bool
    }

    private let folder: TemporaryFolder

    init() throws { folder = try TemporaryFolder() }

    private func bench(_ arguments: String...) throws -> Command.Outcome {
        let outcome = try Command(
            ["bench", "--numa", "--seconds", "0.1"] + arguments, environment: ["XDG_CACHE_HOME": folder.path + "/a/b"]
        ).finish()
        try #require(outcome.status == 0, "\(outcome.errors)")
        return outcome
    }

    @Test func figuresAreKeptUntilFresh() throws {
        let first = try bench("--json").json(Output.self)
        #expect(!first.cached && first.fingerprint.count == 16)
        #expect(first.read.count == first.cpu_nodes.count && first.threads.allSatisfy { $0 > 0 })
        for figure in first.read.joined().compactMap({ $0 }) {
            #expect(figure.best >= figure.worst && figure.worst > 0 && figure.readings == 5)
        }
        for figure in first.latency.joined().compactMap({ $0 }) { #expect(figure.best <= figure.worst) }
        #expect(first.memory.allSatisfy { ["bound", "first_touch", "none"].contains($0.placement) })
        #expect(first.together.contains { $0 != nil })

        let again = try bench("--json")
        #expect(again.errors.contains("an earlier run"))
        let kept = try again.json(Output.self)
        #expect(kept.cached && kept.read == first.read && kept.latency == first.latency)
        #expect(try !bench("--json", "--fresh").json(Output.self).cached)
        #expect(
            try Command.run("doctor", environment: ["XDG_CACHE_HOME": folder.path + "/a/b"]).output.contains("GB/s"))

        // What another program left there is no measurement.
        let path = "a/b/foretoken/numa-\(first.fingerprint).json"
        try folder.write(Array("{\"version\": 1".utf8), path)
        let damaged = try bench("--json")
        #expect(damaged.errors.contains("it is damaged"))
        #expect(try !damaged.json(Output.self).cached)
        let text = String(decoding: try folder.read(path), as: UTF8.self)
        let foreign = text.split(separator: first.fingerprint).joined(separator: "0123456789abcdef")
        try folder.write(Array(foreign.utf8), path)
        #expect(try bench("--json").errors.contains("it is of machine 0123456789abcdef"))
    }

    @Test func theMachineIsDescribedForPlanning() throws {
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
        ["--numa", "--shape", "v3-lite"], ["--numa", "--perplexity"], ["--numa", "--model", "x"],
        ["--numa", "--threads", "1"], ["--fresh"], ["--topology-out", "x"], ["--numa", "--seconds", "0"],
        ["--numa", "--topology-out", "/no/such/folder/x"],
    ])
    func whatDoesNotGoTogetherIsRefused(arguments: [String]) throws {
        let outcome = try Command(["bench"] + arguments).finish()
        #expect(outcome.status == 2 && outcome.output.isEmpty, "\(outcome.errors)")
    }
}
