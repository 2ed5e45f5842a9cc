import ForetokenHardware
import Testing

@Suite struct TopologyFileTests {
    /// Two sockets and a memory-only node, given out of order.
    private static let good = """
        {"nodes": [{"id": 2, "cpus": [], "memory_bytes": 512000000000},
                   {"id": 0, "cpus": [1, 0], "memory_bytes": 128000000000},
                   {"id": 1, "cpus": [2, 3], "memory_bytes": 64000000000}],
         "distance": [[10, 28, 38], [28, 10, 21], [38, 21, 10]],
         "read_gbps": [[30.5, 200, 60], [20, 61, 180]],
         "latency_ns": [[260, 95, 140], [330, 141, 96]]}
        """

    private func read(_ json: String) throws -> TopologyFile {
        try TopologyFile(json: Array(json.utf8), source: "machine.json")
    }

    private func bandwidth(_ topology: Topology) -> NumaBandwidth {
        var bandwidth = NumaBandwidth(
            fingerprint: topology.fingerprint, cpuNodes: topology.cpuNodes.map(\.id),
            threads: topology.cpuNodes.map(\.cpus.count),
            memory: topology.nodes.map { .init(id: $0.id, bufferBytes: 1 << 28, placement: .bound, share: 1) })
        for row in bandwidth.cpuNodes.indices {
            for column in bandwidth.memory.indices {
                let best = Double(100 - 10 * row - 7 * column)
                bandwidth.read[row][column] = .init(best: best * 1e9, worst: best * 0.9e9, readings: 5)
                bandwidth.latency[row][column] = .init(best: best, worst: best + 1, readings: 5)
            }
        }
        return bandwidth
    }

    @Test func nodesAreSortedWithTheirFigures() throws {
        let file = try read(Self.good)
        #expect(file.nodes.map(\.id) == [0, 1, 2] && file.nodes.map(\.cpus) == [[0, 1], [2, 3], []])
        #expect(file.distances == [[10, 21, 28], [21, 10, 38], [28, 38, 10]])
        #expect(file.cpuNodes == [0, 1] && file.memoryNodes == [0, 1, 2])
        #expect(file.readGBps == [[200, 60, 30.5], [61, 180, 20]])
        #expect(file.latencyNanoseconds == [[95, 140, 260], [141, 96, 330]])
        let topology = file.topology
        #expect(topology.nodes.map(\.memoryAvailable) == [128_000_000_000, 64_000_000_000, 512_000_000_000])
        #expect(topology.workerCPUs(node: 1) == [2, 3] && topology.workerCPUs(node: 2).isEmpty)
        #expect(topology.nodes[2].distances == [28, 38, 10])
    }

    @Test func cpusMayBeRanges() throws {
        let ranges = Self.good.replacing("[1, 0]", with: "\"0-1\"").replacing("\"cpus\": []", with: "\"cpus\": \"\"")
        #expect(try read(ranges) == read(Self.good))
        for bad in ["1-0", "0,0", "0-", "a", "0-99999999", "-1"] {
            let error = #expect(throws: TopologyFileError.self) {
                _ = try read(Self.good.replacing("[1, 0]", with: "\"\(bad)\""))
            }
            let text = error?.description ?? ""
            #expect(text.contains("`nodes[1].cpus`") && text.contains("ascending"), "\(text)")
        }
    }

    @Test func nodesWithoutMemoryLendTheirCPUs() throws {
        let file = try read(
            """
            {"nodes": [{"id": 0, "cpus": [0], "memory_bytes": 8000000000}, {"id": 5, "cpus": [1], "memory_bytes": 0}],
             "distance": [[10, 20], [20, 10]], "read_gbps": [[10], [8]]}
            """)
        let bare = try #require(file.topology.cpuOnlyNodes.first)
        #expect(bare.id == 5 && bare.cpus == [1] && bare.nearest == 0 && !bare.isForbidden)
        #expect(file.topology.nodes[0].cpus == [0, 1] && file.topology.nodes[0].attachedCPUs == [1])
        #expect(file.latencyNanoseconds == nil)
        #expect(file.topology.advice.contains { $0.text.contains("node 5 has CPUs and no memory") })
    }

    @Test(arguments: ["one-node", "two-sockets-snc2", "one-socket-nps4", "cxl-hmat", "cpu-only-node", "two-nodes-smt"])
    func aMachineComesBackFromItsFile(name: String) throws {
        let tree = try FixtureTree(name)
        let topology = Topology.read(root: tree.sys, proc: tree.proc, restriction: .init())
        let file = try TopologyFile(topology, bandwidth(topology))
        let again = try read(file.json)
        #expect(again == file)
        #expect(again.topology.fingerprint == topology.fingerprint)
        #expect(again.topology.workerCPUs == topology.workerCPUs)
        #expect(again.topology.nodes.map(\.cpus) == topology.nodes.map(\.cpus))
        #expect(again.topology.cpuOnlyNodes == topology.cpuOnlyNodes)
        #expect(again.readGBps[0][0] == 100)
    }

    @Test func whatWasNotMeasuredHereIsNotWritten() throws {
        let tree = try FixtureTree("cxl-hmat")
        let topology = Topology.read(root: tree.sys, proc: tree.proc, restriction: .init())
        var partial = bandwidth(topology)
        partial.read[1][2] = nil
        let error = #expect(throws: TopologyFileError.self) { try TopologyFile(topology, partial) }
        #expect(error?.description.contains("the CPUs of node 1 read node 2") == true)
        var foreign = bandwidth(topology)
        foreign.fingerprint = "0123456789abcdef"
        #expect(throws: TopologyFileError.self) { try TopologyFile(topology, foreign) }
        var silent = bandwidth(topology)
        silent.latency[0][0] = nil
        #expect(try TopologyFile(topology, silent).latencyNanoseconds == nil)
    }

    @Test(arguments: [
        ("\"id\": 1,", "\"id\": 0,", "nodes[2].id: node 0 is described in nodes[1]"),
        ("\"id\": 1,", "\"id\": -1,", "nodes[2].id"), ("\"id\": 1,", "\"id\": 1024,", "nodes[2].id"),
        ("\"id\": 1,", "\"id\": 1.5,", "nodes[2].id"), ("\"id\": 1,", "\"id\": \"1\",", "nodes[2].id"),
        ("\"id\": 1,", "", "the key `nodes[2].id` is missing"), ("[2, 3]", "[2, 0]", "nodes[2].cpus: CPU 0"),
        ("[2, 3]", "[2, 2]", "nodes[2].cpus: CPU 2"), ("[2, 3]", "[8192]", "nodes[2].cpus"),
        ("[2, 3]", "\"3-2\"", "nodes[2].cpus"), ("64000000000", "64", "nodes[2].memory_bytes"),
        ("64000000000", "-1", "nodes[2].memory_bytes"), ("64000000000", "2e18", "nodes[2].memory_bytes"),
        ("64000000000", "1e400", "machine.json"),
        ("\"memory_bytes\": 512000000000", "\"memory_bytes\": 0", "leave it out"),
        (", [38, 21, 10]]", "]", "distance: expected 3 rows"), ("[38, 21, 10]", "[38, 21]", "distance[2]: expected 3"),
        ("[38, 21, 10]", "[38, 21, 11]", "distance[2][2]: expected 10"),
        ("[38, 21, 10]", "[9, 21, 10]", "distance[2][0]"), ("[38, 21, 10]", "[256, 21, 10]", "distance[2][0]"),
        ("[20, 61, 180]", "[20, 61]", "read_gbps[1]: expected 3"), ("[20, 61, 180]", "[20, 0, 180]", "read_gbps[1][1]"),
        ("[20, 61, 180]", "[20, -61, 180]", "read_gbps[1][1]"), ("[20, 61, 180]", "[20, 61e9, 180]", "read_gbps[1][1]"),
        ("[20, 61, 180]", "[20, null, 180]", "read_gbps[1][1]"), (", [20, 61, 180]", "", "read_gbps: expected 2 rows"),
        ("[330, 141, 96]", "[330, 141, 0]", "latency_ns[1][2]"), ("\"read_gbps\"", "\"read_gps\"", "\"read_gps\""),
        ("\"latency_ns\"", "\"latencies\"", "\"latencies\""), ("[[260", "[[[260]", "latency_ns[0][0]"),
        ("\"latency_ns\"", "\"cores\": [[0, 2], [1], [3]], \"latency_ns\"", "cores[0]"),
        ("\"latency_ns\"", "\"cores\": [[0, 1], [1], [2, 3]], \"latency_ns\"", "cores[1]: CPU 1"),
        ("\"latency_ns\"", "\"cores\": [[0, 1], [2]], \"latency_ns\"", "CPU 3 belongs to no core"),
        ("\"latency_ns\"", "\"cores\": [[]], \"latency_ns\"", "cores[0]"), ("{\"nodes\"", "[\"nodes\"", "machine.json"),
    ])
    func impossibleNumbersAreNamed(part: String, replacement: String, message: String) throws {
        let pieces = Self.good.split(separator: part, maxSplits: 1, omittingEmptySubsequences: false)
        try #require(pieces.count == 2, "\(part) is not in the description")
        let error = #expect(throws: TopologyFileError.self) { try read(pieces.joined(separator: replacement)) }
        #expect(error?.description.hasPrefix("machine.json: ") == true)
        #expect(error?.description.contains(message) == true, "\(error?.description ?? "")")
    }

    @Test(arguments: [
        "", "{}", "[]", "null", "{\"nodes\": [], \"distance\": [], \"read_gbps\": []}",
        "{\"nodes\": [{\"id\": 0, \"cpus\": [], \"memory_bytes\": 99999999}], \"distance\": [[10]], \"read_gbps\": [[1]]}",
        "{\"nodes\": [{\"id\": 0, \"cpus\": [0], \"memory_bytes\": 0}], \"distance\": [[10]], \"read_gbps\": [[1]]}",
    ])
    func machinesThatCannotBeAreErrors(json: String) {
        #expect(throws: TopologyFileError.self) { try read(json) }
    }

    @Test func fingerprintsTellMachinesApartAndNotTheirFreeMemory() throws {
        func fingerprint(_ name: String, _ changes: [String: String?] = [:], _ mask: [Int]? = nil) throws -> String {
            let tree = try FixtureTree(name, replacing: changes)
            let restriction = Topology.Restriction(cpus: mask)
            return Topology.read(root: tree.sys, proc: tree.proc, restriction: restriction).fingerprint
        }
        let one = try fingerprint("cxl-hmat")
        #expect(one.count == 16 && one.allSatisfy { $0.isHexDigit && !$0.isUppercase })
        let folder = "sys/devices/system/node/node2"
        let emptier = "Node 2 MemTotal: 256000100 kB\nNode 2 MemFree: 5 kB\n"
        #expect(try fingerprint("cxl-hmat", ["\(folder)/meminfo": emptier]) == one)
        let smaller = "Node 2 MemTotal: 128000000 kB\nNode 2 MemFree: 5 kB\n"
        #expect(try fingerprint("cxl-hmat", ["\(folder)/meminfo": smaller]) != one)
        #expect(try fingerprint("cxl-hmat", ["\(folder)/distance": "28 39 10\n"]) != one)
        #expect(try fingerprint("cxl-hmat", [:], [0, 1, 2]) != one)
        #expect(try fingerprint("cpu-only-node") != one)
        // FNV-1a of "0:0-1:15:10\n", computed elsewhere.
        #expect(try fingerprint("one-node") == "799d59db71305e8e")
    }

    @Test func measurementsSayWhatIsWrongWithThem() throws {
        let tree = try FixtureTree("cxl-hmat")
        let good = bandwidth(Topology.read(root: tree.sys, proc: tree.proc, restriction: .init()))
        #expect(good.fault == nil)
        var other = good
        other.version = 2
        #expect(other.fault?.contains("version 2") == true)
        other = good
        other.together.removeLast()
        #expect(other.fault?.contains("sizes") == true)
        other = good
        other.read[0][0] = .init(best: .infinity, worst: 1, readings: 1)
        #expect(other.fault?.contains("impossible") == true)
        other = good
        let figure = NumaBandwidth.Figure(best: 4, worst: 3, readings: 2)
        #expect(figure.spread == 0.25)
        other.tiers = [.init(memory: 7, reader: 0, read: figure, own: figure)]
        #expect(other.fault?.contains("does not describe") == true)
    }

    @Test func buffersForMeasuringLeaveMostOfANodeFree() throws {
        let tree = try FixtureTree("cxl-hmat")
        let topology = Topology.read(root: tree.sys, proc: tree.proc, restriction: .init())
        let plenty = MemoryBudget(systemAvailable: 1 << 40, groupAvailable: nil)
        #expect(topology.probeBytes(budget: plenty) == [256 << 20, 256 << 20, 256 << 20])
        #expect(
            topology.probeBytes(budget: .init(systemAvailable: 1 << 40, groupAvailable: 240 << 20)) == [
                20 << 20, 20 << 20, 20 << 20,
            ])
        #expect(topology.probeBytes(budget: .init(systemAvailable: 24 << 20, groupAvailable: nil)) == [0, 0, 0])
        let large = try FixtureTree("two-sockets-snc2")
        let sockets = Topology.read(root: large.sys, proc: large.proc, restriction: .init())
        #expect(sockets.probeBytes(budget: plenty) == Array(repeating: 4 * 105 << 20, count: 4))
        let full = try FixtureTree(
            "cxl-hmat",
            replacing: [
                "sys/devices/system/node/node2/meminfo": "Node 2 MemTotal: 163840 kB\nNode 2 MemFree: 100000 kB\n"
            ])
        let small = Topology.read(root: full.sys, proc: full.proc, restriction: .init())
        #expect(small.probeBytes(budget: plenty)[2] == 24 << 20)
    }

    @Test func buffersLieWhereTheyAreMeantTo() throws {
        let topology = Topology.read()
        let node = topology.nodes[0].id
        let buffer = try NodeBuffer(node: node, byteCount: 4 << 20)
        for offset in stride(from: 0, to: buffer.byteCount, by: 4096) {
            buffer.base.storeBytes(of: 1, toByteOffset: offset, as: UInt8.self)
        }
        guard let share = buffer.placedFraction() else { try Test.cancel("asking where pages lie is denied here") }
        if topology.nodes.count == 1 { #expect(share == 1) } else { #expect(share > 0.5) }
    }
}
