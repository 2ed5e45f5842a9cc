import ForetokenHardware
import Testing

/// Whole machines as checked-in trees.
@Suite struct MachineTests {
    private func survey(
        _ name: String, replacing changes: [String: String?] = [:], _ restriction: Topology.Restriction = .init(),
        permissions: PolicyPermissions = .init()
    ) throws -> MachineSurvey {
        let tree = try FixtureTree(name, replacing: changes)
        return try MachineSurvey.read(
            root: tree.sys, proc: tree.proc, restriction: restriction, permissions: permissions)
    }

    private func texts(_ survey: MachineSurvey, _ weight: MachineAdvice.Weight) -> String {
        survey.advice.filter { $0.weight == weight }.map { "\($0.text) [\($0.remedy ?? "")]" }.joined(separator: "\n")
    }

    @Test func twoSocketsWithSubNUMAClusters() throws {
        let survey = try survey("two-sockets-snc2")
        let topology = survey.topology
        #expect(topology.nodes.map(\.cpus) == [[0, 1, 8, 9], [2, 3, 10, 11], [4, 5, 12, 13], [6, 7, 14, 15]])
        #expect(topology.distanceTable.rows[0] == [10, 12, 21, 21] && topology.distanceTable.ids == [0, 1, 2, 3])
        #expect(topology.distance(from: 3, to: 2) == 12 && topology.distance(from: 3, to: 9) == nil)
        #expect(topology.workerCPUs == Array(0...7))
        #expect(topology.socketGroups == [[0, 1], [2, 3]])
        // One last-level cache over two nodes.
        #expect(topology.clusters.map(\.cpus) == [[0, 1, 2, 3, 8, 9, 10, 11], [4, 5, 6, 7, 12, 13, 14, 15]])
        let pool = try #require(survey.hugePages.pools.first)
        #expect(survey.hugePages.pools.count == 1 && pool.node == 0 && pool.pageBytes == 1 << 30)
        #expect(pool.total == 8 && pool.free == 8)
        #expect(survey.numaBalancing == 1)
        #expect(texts(survey, .good).contains("4 memory nodes, 4 with CPUs in 2 groups of short distance"))
        #expect(texts(survey, .mend).contains("8.6 GB are set aside in hugetlb pools"))
        #expect(texts(survey, .note).contains("numa_balancing is 1"))
    }

    @Test func oneSocketInFourNodes() throws {
        let survey = try survey("one-socket-nps4")
        #expect(survey.topology.nodes.map(\.cpus.count) == [4, 4, 4, 4])
        #expect(survey.topology.clusters.map(\.cpus.count) == Array(repeating: 2, count: 8))
        #expect(survey.topology.socketGroups == [[0, 1, 2, 3]])
        #expect(survey.topology.nodes.map(\.memoryAvailable)[1] == 91_000_000 * 1024)
        #expect(texts(survey, .mend).contains("transparent huge pages are off (never)"))
        #expect(texts(survey, .mend).contains("echo madvise >"))
    }

    @Test func aMemoryOnlyNodeWithItsFirmwareTable() throws {
        let survey = try survey("cxl-hmat")
        let topology = survey.topology
        #expect(topology.nodes.map(\.cpus) == [[0, 1], [2, 3], []] && topology.cpuOnlyNodes.isEmpty)
        #expect(topology.cpuNodes.map(\.id) == [0, 1])
        let slow = survey.memoryAccess.filter { $0.node == 2 }
        #expect(slow.map(\.accessClass) == [0, 1] && slow.allSatisfy { $0.initiators == [0] })
        #expect(slow[1].readBandwidth == 30720 && slow[1].writeBandwidth == 25600)
        #expect(slow[1].readLatency == 260 && slow[1].writeLatency == 270)
        #expect(texts(survey, .note).contains("node 2 has memory and no usable CPUs"))
        #expect(texts(survey, .note).contains("numa_balancing is 2"))
    }

    @Test func cpusWithoutMemory() throws {
        let survey = try survey("cpu-only-node")
        let topology = survey.topology
        #expect(topology.nodes.map(\.id) == [0, 2])
        #expect(topology.nodes.map(\.cpus) == [[0, 1, 2, 3], [4, 5]])
        #expect(topology.nodes.map(\.attachedCPUs) == [[2, 3], []] && topology.nodes[0].ownCPUs == [0, 1])
        let bare = try #require(topology.cpuOnlyNodes.first)
        #expect(topology.cpuOnlyNodes.count == 1 && bare.id == 1 && bare.cpus == [2, 3])
        #expect(bare.nearest == 0 && !bare.isForbidden)
        #expect(topology.distanceTable.ids == [0, 1, 2] && topology.distanceTable.rows[1] == [21, 10, 21])
        #expect(
            topology.cpuNodes.map(\.id) == [0, 1, 2] && topology.cpuNodes.map(\.cpus) == [[0, 1], [2, 3], [4, 5]])
        #expect(texts(survey, .mend).contains("node 1 has CPUs and no memory; the CPUs of node 1 (2-3) read node 0"))
    }

    @Test func aRestrictedContainer() throws {
        let survey = try survey("restricted-cpuset", .init(cpus: [2, 3, 4, 5], memoryNodes: [1]))
        let topology = survey.topology
        #expect(topology.nodes.map(\.id) == [1] && topology.nodes[0].cpus == [2, 3, 4, 5])
        let bare = try #require(topology.cpuOnlyNodes.first)
        #expect(topology.cpuOnlyNodes.count == 1 && bare.id == 0 && bare.cpus == [2, 3])
        #expect(bare.nearest == 0 && bare.isForbidden)
        // The other node's memory is not counted, although only one node may be used.
        #expect(topology.nodes[0].memoryTotal == 64_000_000 * 1024)
        #expect(survey.onlineCPUs.count == 8 && survey.onlineNodes == [0, 1])
        #expect(survey.processor.quota == 3 && survey.budget.available == 7_000_000_000)
        let mend = texts(survey, .mend)
        #expect(mend.contains("the memory of node 0 is forbidden"))
        #expect(mend.contains("3.0 CPUs' worth of time to 4 cores") && mend.contains("--threads 3"))
        #expect(texts(survey, .note).contains("may use 4 of 8 CPUs (2-5)"))
        #expect(texts(survey, .note).contains("the control group leaves 7.0 GB"))
        #expect(texts(survey, .note).contains("one memory node: nothing to place"))
    }

    @Test func theMachineTellsMoreThanItsOnlyNode() throws {
        let meminfo = "MemTotal: 24684096 kB\nMemFree: 23457796 kB\nMemAvailable: 24325400 kB\n"
        let topology = try survey("one-node", replacing: ["proc/meminfo": meminfo]).topology
        #expect(topology.nodes[0].memoryTotal == 24_684_096 * 1024)
        #expect(topology.nodes[0].memoryAvailable == 24_325_400 * 1024)
        let two = try survey("two-nodes-smt", replacing: ["proc/meminfo": meminfo]).topology
        #expect(two.nodes.map(\.memoryTotal) == [64_000_000 * 1024, 64_000_000 * 1024])
    }

    @Test func deniedCallsMatterWhereThereAreNodes() throws {
        let denied = PolicyPermissions(bind: 1, setPolicy: 1, getPolicy: 1, query: 1, move: 1)
        let one = try survey("one-node", permissions: denied)
        #expect(texts(one, .mend).isEmpty, "\(texts(one, .mend))")
        #expect(texts(one, .note).contains("denied (EPERM)"))
        let two = try survey("cxl-hmat", permissions: denied)
        #expect(texts(two, .mend).contains("--cap-add SYS_NICE"))
        #expect(texts(two, .mend).contains("mbind, set_mempolicy, get_mempolicy"))
        #expect(texts(two, .note).contains("numa_maps") && texts(two, .note).contains("copying"))
        #expect(texts(two, .note).contains("sysctl kernel.numa_balancing=0"))
        let moving = try survey("cxl-hmat", permissions: PolicyPermissions(query: 1, move: 1))
        #expect(texts(moving, .good).contains("memory can be bound to nodes"))
        let loose = try survey("one-node", permissions: PolicyPermissions(pin: 1))
        #expect(texts(loose, .mend).contains("threads cannot be pinned"))
    }

    @Test func limitsAreNamed() throws {
        var survey = try survey(
            "one-node",
            replacing: [
                "proc/sys/vm/overcommit_memory": "2\n",
                "sys/kernel/mm/transparent_hugepage/defrag": "always defer defer+madvise madvise [never]\n",
            ])
        #expect(texts(survey, .mend).contains("defrag is never"))
        #expect(texts(survey, .note).contains("overcommit_memory is 2"))
        survey.addressSpaceLimit = 4 << 30
        #expect(texts(survey, .mend).contains("ulimit -v allows 4.3 GB"))
        survey = try self.survey("one-node", replacing: ["sys/kernel/mm/transparent_hugepage/enabled": nil])
        #expect(texts(survey, .mend).contains("no transparent huge pages"))
    }

    @Test func thisMachineAnswers() throws {
        let survey = try MachineSurvey.read()
        #expect(!survey.advice.isEmpty && !survey.onlineCPUs.isEmpty)
        #expect(survey.permissions.calls.count == 6)
        #expect(survey.permissions.calls.allSatisfy { $0.error >= 0 })
    }

    @Test func distancesThatAreMissingAreTheKernelsDefaults() throws {
        let path = "sys/devices/system/node/node1/distance"
        let silent = try survey("cxl-hmat", replacing: [path: nil])
        #expect(silent.topology.distanceTable.rows[1] == [20, 10, 20] && silent.findings == Findings())
    }

    @Test func whatIsNotKnownIsNotCalledMissing() throws {
        let survey = try survey(
            "one-node", replacing: ["sys/kernel/mm/transparent_hugepage/enabled": "always madvise never\n"])
        #expect(texts(survey, .mend).isEmpty)
        #expect(texts(survey, .note).contains("transparent_hugepage/enabled: expected words"))
    }
}
