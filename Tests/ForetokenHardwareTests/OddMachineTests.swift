import FoundationEssentials
import ForetokenHardware
import Testing

/// Files of /sys and /proc that cannot be read or understood: the machine is used all the same.
@Suite struct OddMachineTests {
    /// What can be wrong with a file.
    enum Fault: CaseIterable {
        case unreadable, empty, garbage, hugeNumber, beyondNumbers, negative, folder, missing

        var text: String? {
            switch self {
            case .unreadable, .folder, .missing: nil
            case .empty: ""
            case .garbage: "\u{1}lots, (of) 1-?:\n\u{fffd}\n"
            case .hugeNumber: "9223372036854775807\n"
            case .beyondNumbers: "99999999999999999999999\n"
            case .negative: "-5\n"
            }
        }

        /// Whether a reader must notice, whatever the file is for.
        var isPlain: Bool { [.unreadable, .garbage, .folder].contains(self) }
    }

    /// Ends of paths whose text nobody reads, or that may say anything.
    private static let free = [
        "cgroup.controllers", "cpuset.cpus.effective", "cpuset.mems.effective", "self/status", "cpuinfo", "memory.stat",
        "cache/index0/type", "cache/index1/type", "cache/index2/type", "initiators/node0", "initiators/node1",
    ]

    private static let whole = Topology.Restriction()

    private func survey(_ tree: FixtureTree, _ restriction: Topology.Restriction) throws -> MachineSurvey {
        try MachineSurvey.read(
            root: tree.sys, proc: tree.proc, restriction: restriction, permissions: PolicyPermissions())
    }

    private func spoil(_ path: String, _ fault: Fault, of tree: FixtureTree) throws {
        let file = "\(tree.root)/\(path)"
        try FileManager.default.removeItem(atPath: file)
        switch fault {
        case .missing: break
        case .folder: try FileManager.default.createDirectory(atPath: file, withIntermediateDirectories: false)
        // A link to itself cannot be opened by anyone, root included.
        case .unreadable: try FileManager.default.createSymbolicLink(atPath: file, withDestinationPath: file)
        default: try tree.write(fault.text ?? "", to: path)
        }
    }

    @Test(
        "Every file in turn is spoilt in every way, and the machine still answers",
        arguments: [
            ("one-node", whole), ("cxl-hmat", whole),
            ("restricted-cpuset", Topology.Restriction(cpus: [2, 3, 4, 5], memoryNodes: [1])), ("groups-v1", whole),
            ("hybrid", whole),
        ])
    func everyFileMayBeSpoilt(name: String, restriction: Topology.Restriction) throws {
        let tree = try FixtureTree(name)
        let good = try survey(tree, restriction)
        #expect(good.findings == Findings(), "\(good.findings)")
        let unread = (0..<8).filter { !good.topology.cpus.contains($0) }
        for (path, content) in tree.files.sorted(by: { $0.key < $1.key })
        where !unread.contains(where: { path.contains("cpu/cpu\($0)/") }) {
            for fault in Fault.allCases {
                try spoil(path, fault, of: tree)
                let found = try survey(tree, restriction)
                let topology = found.topology
                #expect(!topology.nodes.isEmpty && !topology.cores.isEmpty && !topology.workerCPUs.isEmpty)
                #expect(Set(topology.cores.flatMap(\.cpus)) == Set(topology.cpus))
                #expect(!found.advice.isEmpty && found.defaultWorkers.count >= 1 && topology.cacheBytes >= 0)
                #expect(topology.probeBytes(budget: found.budget).count == topology.nodes.count)
                // A kernel without NUMA has no such file, and that is nothing to talk about.
                let isSilent = fault == .missing && path.hasSuffix("node/online")
                if topology.nodes.count < good.topology.nodes.count && !isSilent {
                    #expect(topology.nodes.count == 1 && found.findings.warnings.count >= 1, "\(path) \(fault)")
                }
                if fault.isPlain && !Self.free.contains(where: path.hasSuffix) {
                    #expect(found.findings != Findings(), "\(path) \(fault)")
                }
                if fault == .missing { #expect(found.findings.unknown.count <= 1, "\(path)") }
                if fault != .missing { try FileManager.default.removeItem(atPath: "\(tree.root)/\(path)") }
                try tree.write(content, to: path)
            }
        }
        #expect(try survey(tree, restriction) == good)
    }

    private static let cache = "sys/devices/system/cpu/cpu0/cache/index2"
    private static let node = "sys/devices/system/node"

    /// What only advises: the topology is that of the good machine but for the caches, and one sentence names the file.
    @Test(arguments: [
        ("\(cache)/shared_cpu_list", "0"), ("\(cache)/shared_cpu_list", "1"), ("\(cache)/size", ""),
        ("\(cache)/level", "99"), ("sys/devices/system/cpu/cpu0/cpufreq/cpuinfo_max_freq", "fast"),
        ("sys/kernel/mm/transparent_hugepage/enabled", "always madvise never"),
        ("proc/sys/kernel/numa_balancing", "on"), ("proc/sys/vm/overcommit_memory", "7"),
        ("sys/devices/system/cpu/cpu1/topology/physical_package_id", "?"),
        ("sys/devices/system/cpu/cpu0/topology/core_cpus_list", "1"),
        ("\(node)/node0/hugepages/hugepages-2048kB/nr_hugepages", "-1"),
        ("\(node)/node0/access0/initiators/read_latency", "-5"), ("\(node)/node0/distance", "0"),
        ("\(node)/node0/meminfo", "Node 0 MemTotal: 1 kB\nNode 0 MemFree: 2 kB"), ("\(node)/has_memory", ""),
    ])
    func whatOnlyAdvisesIsNotKnown(path: String, content: String) throws {
        let good = try survey(FixtureTree("one-node"), Self.whole).topology
        let found = try survey(
            FixtureTree("one-node", replacing: ["sys/devices/system/cpu/online": "0-1\n", path: content + "\n"]),
            Self.whole)
        #expect(found.findings.warnings.isEmpty, "\(found.findings.warnings)")
        #expect(found.findings.sentences.count == 1, "\(found.findings.sentences)")
        #expect(found.findings.sentences.allSatisfy { $0.contains("it counts as not known") })
        #expect(found.topology.nodes == good.nodes && found.topology.cores == good.cores)
        #expect(found.topology.clusters == (path.hasPrefix(Self.cache) ? [] : good.clusters))
        let notes = found.advice.filter { $0.weight == .note }.map(\.text)
        #expect(notes.contains { $0 == found.findings.sentences.first })
    }

    /// What decides where memory goes: everything is one node, which a warning says.
    @Test(arguments: [
        ("\(node)/node1/cpulist", "0-1", "CPU 0 belongs to node 0 already"), ("\(node)/node1/cpulist", "1-2", "CPU 1"),
        ("\(node)/online", "0-3", "node0/distance"), ("\(node)/has_memory", "0-3", "node 3"),
        ("\(node)/node1/distance", "21 10 9", "node1/distance"), ("\(node)/node1/distance", "21 10", "node1/distance"),
        ("\(node)/node1/distance", "21 20 38", "node1/distance"), ("\(node)/node1/meminfo", "?", "node1/meminfo"),
        ("sys/devices/system/cpu/cpu1/topology/core_cpus_list", "1-2", "CPUs 1-2, which belong to different nodes"),
        ("\(node)/online", "all", "node/online"),
    ])
    func whatDecidesFallsBackToOneNode(path: String, content: String, reason: String) throws {
        let found = try survey(FixtureTree("cxl-hmat", replacing: [path: content + "\n"]), Self.whole)
        let topology = found.topology
        #expect(topology.nodes.map(\.id) == [0] && topology.nodes[0].cpus == [0, 1, 2, 3])
        #expect(topology.nodes[0].memoryTotal == 384_000_000 * 1024 && topology.cpuOnlyNodes.isEmpty)
        #expect(topology.distanceTable.rows == [[10]] && topology.clusters.count == 2)
        #expect(found.findings.warnings.count == 1)
        #expect(found.findings.warnings[0].hasPrefix("all CPUs and all memory are taken as one node: "))
        #expect(found.findings.warnings[0].contains(reason), "\(found.findings.warnings)")
        #expect(found.advice.contains { $0.weight == .mend && $0.text == found.findings.warnings[0] })
    }

    @Test func fakeNodesThatAllListTheSameCPUs() throws {
        let found = try survey(
            FixtureTree(
                "one-node",
                replacing: [
                    "\(Self.node)/online": "0-1\n", "\(Self.node)/has_memory": "0-1\n",
                    "\(Self.node)/node0/distance": "10 10\n", "\(Self.node)/node1/distance": "10 10\n",
                    "\(Self.node)/node1/cpulist": "0-1\n", "sys/devices/system/cpu/online": "0-1\n",
                    "\(Self.node)/node1/meminfo": "Node 1 MemTotal: 8 kB\nNode 1 MemFree: 4 kB\n",
                ]), Self.whole)
        #expect(found.topology.nodes.count == 1 && found.topology.nodes[0].cpus == [0, 1])
        #expect(found.topology.nodes[0].memoryTotal == 16_000_000 * 1024)
        #expect(found.findings.warnings.count == 1 && found.findings.warnings[0].contains("CPU 0 belongs to node 0"))
    }

    @Test("Without /sys and /proc there are the CPUs the kernel lets the process use, and the memory it counts")
    func nothingIsMounted() throws {
        let empty = try FixtureTree()
        var findings = Findings()
        let topology = Topology.read(root: empty.sys, proc: empty.proc, findings: &findings)
        #expect(topology.nodes.count == 1 && topology.cpus == Topology.read().cpus)
        #expect(topology.nodes[0].memoryTotal > 0 && topology.nodes[0].memoryFree <= topology.nodes[0].memoryTotal)
        #expect(findings.warnings.count == 1 && findings.warnings[0].contains("node/online"))
        let found = try survey(empty, .init(cpus: [3, 5], memoryNodes: [2]))
        #expect(found.topology.cores.map(\.cpus) == [[3], [5]] && found.topology.nodes.map(\.id) == [2])
        #expect(found.budget == MemoryBudget(systemAvailable: nil, groupAvailable: nil))
        #expect(found.findings.warnings.count == 2 && found.findings.warnings[1].contains("nothing is checked"))
        #expect(found.advice.contains { $0.weight == .mend && $0.text == found.findings.warnings[1] })
        #expect(!found.advice.contains { $0.text.contains("this kernel has no transparent huge pages") })
        #expect(throws: Never.self) { try found.budget.check(needed: .max, for: "weights") }
    }

    @Test func aKernelWithoutNodesIsOneNodeWithoutAWord() throws {
        let tree = try FixtureTree(
            replacing: [
                "sys/devices/system/cpu/online": "0-2\n", "proc/meminfo": "MemTotal: 8 kB\nMemFree: 4 kB\n",
            ])
        let found = try survey(tree, Self.whole)
        #expect(found.findings == Findings() && found.topology.cpus == [0, 1, 2])
    }

    @Test func listsOfForbiddenNodesThatAreMalformed() throws {
        let tree = try FixtureTree("two-nodes-smt", replacing: ["proc/self/status": "Mems_allowed_list:\tall\n"])
        #expect(throws: HardwareError.self) {
            var findings = Findings()
            return try Topology.Restriction.thisProcess(proc: tree.proc, findings: &findings)
        }
        var findings = Findings()
        let topology = Topology.read(root: tree.sys, proc: tree.proc, findings: &findings)
        #expect(topology.nodes.count == 1 && findings.warnings.count == 1)
        #expect(findings.warnings[0].contains("Mems_allowed_list"))
    }

    @Test func manyFilesOfOneKindAreOneSentence() throws {
        let tree = try FixtureTree("cxl-hmat")
        for cpu in 0..<4 { try tree.write("big\n", to: "sys/devices/system/cpu/cpu\(cpu)/topology/core_cpus_list") }
        let found = try survey(tree, Self.whole).findings
        #expect(found.unknown.count == 4 && found.sentences.count == 1)
        #expect(found.sentences[0].contains("cpu0/topology") && found.sentences[0].contains("so do 3 more of its kind"))
        #expect(found.leavesUnknown("topology/core_cpus_list") && !found.leavesUnknown("meminfo"))
    }
}
