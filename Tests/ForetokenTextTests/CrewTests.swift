import ForetokenHardware
import ForetokenTestSupport
import ForetokenText
import FoundationEssentials
import Testing

@Suite struct CrewTests {
    /// Six CPUs on one node, two on another, and memory alone on a third.
    private func topology() throws -> Topology {
        let text = """
            {"nodes":[{"id":0,"cpus":[0,1,2,3,4,5],"memory_bytes":1000000000},
                      {"id":1,"cpus":[6,7],"memory_bytes":1000000000},
                      {"id":2,"cpus":[],"memory_bytes":1000000000}],
             "distance":[[10,21,28],[21,10,38],[28,38,10]],"read_gbps":[[100,40,20],[40,100,20]]}
            """
        return try TopologyFile(json: Array(text.utf8), source: "test").topology
    }

    @Test(
        "Workers are spread over nodes in proportion to their cores",
        arguments: [(1, [1, 0, 0]), (2, [1, 1, 0]), (4, [3, 1, 0]), (7, [5, 2, 0]), (8, [6, 2, 0])])
    func spread(count: Int, expected: [Int]) throws {
        let topology = try topology()
        #expect(topology.spread(count) == expected)
        let cpus = topology.nodes.indices.flatMap { topology.cpus(node: $0, count: expected[$0]) }
        #expect(Set(cpus).count == count)
        for (index, workers) in expected.enumerated() {
            #expect(Set(topology.cpus(node: index, count: workers)).isSubset(of: Set(topology.nodes[index].cpus)))
        }
    }

    @Test("Fast cores come first, then the others, then second hardware threads; a node's fast ones by its share")
    func fastCoresFirst() throws {
        let folder = try TemporaryFolder()
        func write(_ text: String, _ path: String) throws {
            let file = "sys/devices/" + path
            let parent = folder.path + "/" + file.split(separator: "/").dropLast().joined(separator: "/")
            try FileManager.default.createDirectory(atPath: parent, withIntermediateDirectories: true)
            try folder.write(Array(text.utf8), file)
        }
        try write("2-5\n", "cpu_core/cpus")
        try write("0-1\n", "cpu_atom/cpus")
        try write("0-5\n", "system/cpu/online")
        for cpu in 2...5 { try write(cpu < 4 ? "2-3\n" : "4-5\n", "system/cpu/cpu\(cpu)/topology/core_cpus_list") }
        let topology = Topology.read(root: folder.path + "/sys", proc: folder.path, restriction: .init())
        #expect(topology.defaultWorkers(quota: nil).count == 2)
        #expect((1...6).map { topology.spread($0) } == [[1], [2], [3], [4], [5], [6]])
        #expect(topology.cpus(node: 0, count: 6) == [2, 4, 0, 1, 3, 5])
    }

    @Test func thisMachineHasWorkForEveryCount() throws {
        let topology = Topology.read()
        for count in 1...topology.cpus.count {
            #expect(topology.spread(count).reduce(0, +) == count)
            #expect(topology.spread(count).count == topology.nodes.count)
        }
    }
}
