import ForetokenHardware
import Testing

/// How many workers there are unless the user says.
@Suite struct DefaultWorkersTests {
    private func read(_ tree: FixtureTree, cpus: [Int]? = nil) -> (topology: Topology, workers: DefaultWorkers) {
        var findings = Findings()
        let topology = Topology.read(
            root: tree.sys, proc: tree.proc, restriction: .init(cpus: cpus), findings: &findings)
        let quota = CPUInfo.quota(root: tree.sys, proc: tree.proc, findings: &findings)
        return (topology, topology.defaultWorkers(quota: quota))
    }

    @Test func withoutLimitsThereIsOneForEachCore() throws {
        let workers = try read(FixtureTree("two-nodes-smt")).workers
        #expect(workers.count == 4 && workers.reason == nil)
    }

    @Test(
        "A quota is rounded down, and never to nothing",
        arguments: [("50000", 1, "0.5"), ("150000", 1, "1.5"), ("300000", 3, "3.0"), ("399999", 3, "4.0")])
    func quotas(quota: String, count: Int, said: String) throws {
        for files in [
            [
                "proc/self/cgroup": "0::/a\n", "sys/fs/cgroup/cgroup.controllers": "cpu\n",
                "sys/fs/cgroup/cpu.max": "max 100000\n", "sys/fs/cgroup/a/cpu.max": "\(quota) 100000\n",
            ],
            [
                "proc/self/cgroup": "3:cpu,cpuacct:/a\n", "sys/fs/cgroup/cpu/a/cpu.cfs_quota_us": "\(quota)\n",
                "sys/fs/cgroup/cpu/a/cpu.cfs_period_us": "100000\n", "sys/fs/cgroup/cpu/cpu.cfs_quota_us": "-1\n",
                "sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000\n",
            ],
        ] {
            let workers = try read(FixtureTree("two-nodes-smt", replacing: files)).workers
            #expect(workers.count == count)
            let threads = count == 1 ? "1 thread" : "\(count) threads"
            #expect(
                workers.reason == "\(threads): the control group grants \(said) CPUs' worth of time to 4 cores")
        }
    }

    @Test(arguments: ["400000 100000", "900000 100000", "max 100000", "-1 100000", "nonsense", ""])
    func quotasThatDoNotLimit(quota: String) throws {
        let workers = try read(
            FixtureTree(
                "two-nodes-smt",
                replacing: ["proc/self/cgroup": "0::/\n", "sys/fs/cgroup/unified/cpu.max": quota + "\n"])
        ).workers
        #expect(workers.count == 4 && workers.reason == nil)
    }

    @Test func onlyTheFastCoresOfAHybrid() throws {
        let (topology, workers) = try read(FixtureTree("hybrid"))
        #expect(topology.cores.map(\.cpus) == [[0, 1], [2, 3], [4], [5], [6], [7]])
        #expect(topology.cores.map(\.isFast) == [true, true, false, false, false, false])
        #expect(workers.count == 2)
        #expect(workers.reason == "2 threads: 2 of 6 cores are fast, and the others would keep them waiting")
    }

    @Test func whoMayUseSlowCoresOnlyUsesThem() throws {
        let (topology, workers) = try read(FixtureTree("hybrid"), cpus: [4, 5, 6])
        #expect(topology.cores.allSatisfy(\.isFast) && workers.count == 3 && workers.reason == nil)
    }

    @Test func aHybridWithAQuota() throws {
        let quota = ["proc/self/cgroup": "0::/\n", "sys/fs/cgroup/unified/cpu.max": "100000 100000\n"]
        let workers = try read(FixtureTree("hybrid", replacing: quota)).workers
        #expect(workers.count == 1 && workers.reason?.contains("2 of 6 cores are fast") == true)
        #expect(workers.reason?.contains("grants 1.0 CPUs") == true)
    }

    /// Eight CPUs with one figure each, on a machine without the kernel's lists of a hybrid's cores.
    private func figures(_ file: String, _ values: [String]) throws -> FixtureTree {
        var files: [String: String?] = ["sys/devices/cpu_core/cpus": nil, "sys/devices/cpu_atom/cpus": nil]
        for (cpu, value) in values.enumerated() where !value.isEmpty {
            files["sys/devices/system/cpu/cpu\(cpu)/\(file)"] = value + "\n"
        }
        return try FixtureTree("hybrid", replacing: files)
    }

    @Test(
        "Capacities and highest frequencies tell kinds of cores apart",
        arguments: ["cpu_capacity", "cpufreq/cpuinfo_max_freq"])
    func figuresTell(file: String) throws {
        let scale = file == "cpu_capacity" ? "" : "000"
        let big = "1024" + scale
        let (favoured, little) = ("940" + scale, "530" + scale)
        let mixed = try read(figures(file, [little, little, little, little, big, big, favoured, favoured]))
        #expect(mixed.topology.cores.filter(\.isFast).flatMap(\.cpus) == [4, 5, 6, 7] && mixed.workers.count == 4)
        let alike = try read(figures(file, [big, big, favoured, favoured, big, big, big, favoured]))
        #expect(alike.workers.count == 6 && alike.workers.reason == nil)
        for unknown in ["", "fast", "0", "-1"] {
            let partial = try read(figures(file, [little, little, little, little, big, big, big, unknown]))
            #expect(partial.workers.count == 6, "one CPU of which nothing is known: all are used")
        }
    }
}
