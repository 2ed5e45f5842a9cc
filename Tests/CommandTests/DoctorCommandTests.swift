import ForetokenTestSupport
import FoundationEssentials
import Testing

/// `foretoken doctor` as its users call it.
@Suite struct DoctorCommandTests {
    private struct Output: Decodable {
        struct Processor: Decodable {
            let model: String
            let instruction_sets: [String]
        }
        struct Node: Decodable {
            let id: Int
            let kind: String
            let cpus: [Int]
            let workers: Int
            let memory_bytes: Int
            let available_bytes: Int
            let attached_to: Int?
        }
        struct Distance: Decodable {
            let nodes: [Int]
            let rows: [[Int]]
        }
        struct Limits: Decodable {
            let usable_cpus: [Int]
            let memory_available_bytes: Int
            let default_threads: Int
        }
        struct Call: Decodable {
            let call: String
            let outcome: String
        }
        struct Bandwidth: Decodable {
            struct Figure: Decodable { let best: Double }
            let cpu_nodes: [Int]
            let read: [[Figure]]
        }
        struct Advice: Decodable {
            let weight: String
            let text: String
            let remedy: String?
        }
        let source: String
        let fingerprint: String
        let processor: Processor?
        let nodes: [Node]
        let distance: Distance
        let cores: [[Int]]
        let limits: Limits?
        let policy: [Call]?
        let bandwidth: Bandwidth?
        let advice: [Advice]
    }

    static let tiered = """
        {"nodes": [{"id": 0, "cpus": [0, 1], "memory_bytes": 64000000000}, {"id": 1, "cpus": [2], "memory_bytes": 0},
                   {"id": 2, "cpus": [], "memory_bytes": 256000000000}],
         "distance": [[10, 20, 30], [20, 10, 40], [30, 40, 10]], "read_gbps": [[150, 30], [40, 20]]}
        """

    private func described(_ json: String, _ arguments: String...) throws -> Command.Outcome {
        let folder = try TemporaryFolder()
        try folder.write(Array(json.utf8), "machine.json")
        return try Command(["doctor", "--topology", folder.path + "/machine.json"] + arguments).finish()
    }

    @Test func thisMachineAsJSON() throws {
        let outcome = try Command.run("doctor", "--json")
        #expect(outcome.status == 0, "\(outcome.errors)")
        let output = try outcome.json(Output.self)
        #expect(output.source == "this machine" && output.fingerprint.count == 16)
        #expect(output.processor?.instruction_sets.contains("generic") == true)
        let limits = try #require(output.limits)
        #expect(limits.memory_available_bytes > 0)
        #expect((1...output.cores.count).contains(limits.default_threads))
        #expect(output.cores.joined().sorted() == limits.usable_cpus)
        #expect(output.nodes.reduce(0) { $0 + $1.workers } == output.cores.count)
        #expect(output.nodes.contains { $0.memory_bytes > 0 && $0.available_bytes > 0 })
        #expect(output.policy?.map(\.call).contains("mbind") == true)
        #expect(output.advice.contains { $0.weight == "good" } && !output.advice.contains { $0.text.isEmpty })
    }

    @Test func thisMachineAsTables() throws {
        let outcome = try Command.run("doctor", environment: ["XDG_CACHE_HOME": "/nonexistent"])
        #expect(outcome.status == 0 && outcome.errors.isEmpty, "\(outcome.errors)")
        for part in [
            "machine ", "instruction sets", "generic", "usable CPUs", "huge pages", "cpuset", "mbind", "numa_balancing",
            "node", "available", "fit now",
            "threads", "by default", "has not been measured",
        ] { #expect(outcome.output.contains(part), "\(part) is missing:\n\(outcome.output)") }
    }

    @Test func aDescribedMachine() throws {
        let output = try described(Self.tiered, "--json").json(Output.self)
        #expect(output.source.hasSuffix("/machine.json") && output.processor == nil && output.limits == nil)
        #expect(output.nodes.map(\.kind) == ["full", "cpu_only", "memory_only"])
        #expect(output.nodes.map(\.workers) == [3, 0, 0] && output.nodes[1].attached_to == 0)
        #expect(output.distance.nodes == [0, 1, 2] && output.distance.rows[1] == [20, 10, 40])
        #expect(output.bandwidth?.cpu_nodes == [0, 1])
        #expect(output.bandwidth?.read.map { $0.map(\.best) } == [[150e9, 30e9], [40e9, 20e9]])
        #expect(output.advice.contains { $0.text.contains("tiered") })
        #expect(output.advice.contains { $0.remedy?.contains("memory channels") == true })

        let text = try described(Self.tiered).output
        for part in ["memory only", "CPUs only, counted to node 0", "64.0 GB", "150", "30.0", "distance", "! node 1"] {
            #expect(text.contains(part), "\(part) is missing:\n\(text)")
        }
    }

    @Test func descriptionsThatCannotBe() throws {
        let missing = try Command.run("doctor", "--topology", "/no/such/file")
        #expect(missing.status == 2 && missing.output.isEmpty)
        for (part, replacement, place) in [
            ("[20, 10, 40]", "[20, 11, 40]", "distance[1][1]"), ("150", "-1", "read_gbps[0][0]"),
            ("\"id\": 1", "\"id\": 0", "nodes[1].id"), ("{\"nodes\"", "\"nodes\"", "JSON"),
        ] {
            let pieces = Self.tiered.split(separator: part, maxSplits: 1, omittingEmptySubsequences: false)
            let outcome = try described(pieces.joined(separator: replacement))
            #expect(outcome.status == 65 && outcome.output.isEmpty)
            #expect(outcome.errors.contains("machine.json") && outcome.errors.contains(place), "\(outcome.errors)")
        }
    }
}
