import ForetokenHardware
import Testing

@Suite struct TopologyTests {
    private static let unrestricted = Topology.Restriction()

    private func read(_ tree: FixtureTree, _ restriction: Topology.Restriction = unrestricted) -> Topology {
        Topology.read(root: tree.sys, proc: tree.proc, restriction: restriction)
    }

    @Test func oneNode() throws {
        let topology = try read(FixtureTree("one-node"))
        let node = try #require(topology.nodes.first)
        #expect(topology.nodes.count == 1)
        #expect(node.id == 0 && node.cpus == [0, 1] && node.distances == [10])
        #expect(node.memoryTotal == 16_000_000 * 1024)
        #expect(node.memoryFree == 4_000_000 * 1024)
        #expect(node.memoryAvailable == 5_000_000 * 1024)
        #expect(topology.workerCPUs == [0, 1])
        #expect(topology.clusters.map(\.cpus) == [[0, 1]])
        #expect(topology.clusters.map(\.byteCount) == [32 << 20])
    }

    @Test func twoNodesWithSMT() throws {
        let topology = try read(FixtureTree("two-nodes-smt"))
        #expect(topology.nodes.map(\.cpus) == [[0, 1, 4, 5], [2, 3, 6, 7]])
        #expect(topology.nodes.map(\.distances) == [[10, 21], [21, 10]])
        #expect(topology.cores.map(\.cpus) == [[0, 4], [1, 5], [2, 6], [3, 7]])
        #expect(topology.cores.map(\.node) == [0, 0, 1, 1])
        #expect(topology.cores.map(\.package) == [0, 0, 1, 1])
        #expect(topology.workerCPUs == [0, 1, 2, 3])
        #expect(topology.workerCPUs(node: 1) == [2, 3])
        #expect(topology.clusters.map(\.cpus) == [[0, 1, 4, 5], [2, 3, 6, 7]])
        #expect(topology.clusters.allSatisfy { $0.level == 3 && $0.byteCount == 36 << 20 })
        #expect(topology.cpus == Array(0...7))
    }

    @Test func aMaskLeavesPartsOfCores() throws {
        let topology = try read(FixtureTree("two-nodes-smt"), .init(cpus: [4, 5, 2, 3, 6]))
        #expect(topology.cores.map(\.cpus) == [[4], [5], [2, 6], [3]])
        #expect(topology.workerCPUs == [4, 5, 2, 3])
        #expect(topology.clusters.map(\.cpus) == [[2, 3, 6], [4, 5]])
    }

    @Test func cpusWithoutTheirMemoryGoToTheNearestNode() throws {
        let restricted = try read(FixtureTree("two-nodes-smt"), .init(memoryNodes: [1]))
        #expect(restricted.nodes.map(\.id) == [1])
        #expect(restricted.nodes.map(\.cpus) == [Array(0...7)])
        #expect(restricted.nodes.map(\.distances) == [[10]])

        let mixed = try read(FixtureTree("memory-only-node"))
        #expect(mixed.nodes.map(\.id) == [0, 2])
        #expect(mixed.nodes.map(\.cpus) == [[0, 1, 2, 3], []])
        #expect(mixed.nodes.map(\.distances) == [[10, 30], [30, 10]])
        #expect(mixed.workerCPUs(node: 1).isEmpty)
    }

    @Test func memoryNodesComeFromTheProcessStatus() throws {
        let tree = try FixtureTree("two-nodes-smt")
        var findings = Findings()
        #expect(try Topology.Restriction.thisProcess(proc: tree.proc, findings: &findings).memoryNodes == [1])
        let empty = try FixtureTree()
        #expect(try Topology.Restriction.thisProcess(proc: empty.proc, findings: &findings).memoryNodes == nil)
        #expect(findings == Findings())
    }

    @Test func kernelsThatSayLittle() throws {
        let tree = try FixtureTree(
            replacing: [
                "sys/devices/system/cpu/online": "0-2\n", "proc/meminfo": "MemTotal: 8 kB\nMemFree: 4 kB\n",
            ])
        let topology = read(tree)
        #expect(topology.nodes.map(\.cpus) == [[0, 1, 2]])
        #expect(topology.cores.map(\.cpus) == [[0], [1], [2]])
        #expect(topology.clusters.isEmpty)
    }

    @Test func thisMachineIsReadable() throws {
        let topology = Topology.read()
        #expect(!topology.workerCPUs.isEmpty)
        #expect(Set(topology.workerCPUs).isSubset(of: topology.cpus))
        #expect(topology.nodes.allSatisfy { $0.memoryTotal > 0 })
    }

    @Test(arguments: [
        "0-", "-1", "3-1", "0,0", "1,0", "0-1,1", "a", "0 1", "0,,1", "0-1-2", "0-99999999", "+1", "0x1", ",",
    ])
    func garbageInListsIsNoted(list: String) throws {
        let path = "sys/devices/system/node/node0/cpulist"
        let tree = try FixtureTree(
            "one-node", replacing: [path: list + "\n", "sys/devices/system/cpu/online": "0-1\n"])
        var findings = Findings()
        let topology = Topology.read(
            root: tree.sys, proc: tree.proc, restriction: Self.unrestricted, findings: &findings)
        #expect(topology.nodes.map(\.cpus) == [[0, 1]])
        #expect(findings.sentences.count == 1 && findings.sentences[0].contains(path), "\(findings)")
    }

    @Test func whatTheKernelAllowsComesBeforeFilesThatContradictIt() throws {
        #expect(try read(FixtureTree("one-node"), .init(cpus: [7])).cpus == [7])
        #expect(try read(FixtureTree("one-node"), .init(cpus: [0], memoryNodes: [1])).nodes.map(\.id) == [1])
    }
}
