import ForetokenHardware
import Testing

@Suite struct LimitsTests {
    private func budget(_ files: [String: String?]) throws -> MemoryBudget {
        let tree = try FixtureTree("one-node", replacing: files)
        return MemoryBudget.read(proc: tree.proc, groups: "\(tree.sys)/fs/cgroup")
    }

    @Test func withoutGroupsTheMachineDecides() throws {
        let budget = try budget([:])
        #expect(budget.systemAvailable == 5_000_000 * 1024)
        #expect(budget.groupAvailable == nil)
        #expect(budget.available == budget.systemAvailable)
    }

    @Test func theTightestUnifiedGroupDecides() throws {
        let budget = try budget([
            "proc/self/cgroup": "0::/outer/inner\n", "sys/fs/cgroup/cgroup.controllers": "cpu memory\n",
            "sys/fs/cgroup/outer/memory.max": "1000000\n", "sys/fs/cgroup/outer/memory.current": "700000\n",
            "sys/fs/cgroup/outer/memory.stat": "anon 1\ninactive_file 100000\n",
            "sys/fs/cgroup/outer/inner/memory.max": "max\n", "sys/fs/cgroup/outer/inner/memory.current": "1\n",
        ])
        #expect(budget.groupAvailable == 400_000)
        #expect(budget.available == 400_000)
    }

    @Test func aContainerSeesItsGroupAtTheMountPoint() throws {
        let budget = try budget([
            "proc/self/cgroup": "4:memory:/docker/0123\n3:cpuset:/\n0::/../../elsewhere\n",
            "sys/fs/cgroup/memory/memory.limit_in_bytes": "2000\n",
            "sys/fs/cgroup/memory/memory.usage_in_bytes": "500\n",
            "sys/fs/cgroup/memory/memory.stat": "inactive_file 7\ntotal_inactive_file 100\n",
        ])
        #expect(budget.groupAvailable == 1600)
    }

    @Test func theOldWayToSayNoLimit() throws {
        let budget = try budget([
            "proc/self/cgroup": "4:memory:/\n",
            "sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712\n",
            "sys/fs/cgroup/memory/memory.usage_in_bytes": "500\n",
        ])
        #expect(budget.groupAvailable == nil)
    }

    @Test(
        "The page cache on both lists and reclaimable kernel memory count as free",
        arguments: [
            ("inactive_file", 380), ("active_file", 380), ("slab_reclaimable", 380), ("slab_unreclaimable", 0),
            ("anon", 0),
        ])
    func whatTheKernelDropsIsFree(key: String, freed: Int) throws {
        let budget = try budget([
            "proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cgroup.controllers": "memory\n",
            "sys/fs/cgroup/memory.max": "\(400 << 20)\n", "sys/fs/cgroup/memory.current": "\(395 << 20)\n",
            "sys/fs/cgroup/memory.stat": "\(key) \(380 << 20)\n",
        ])
        #expect(budget.groupAvailable == (5 + freed) << 20)
    }

    @Test func allOfItTogetherIsNeverMoreThanIsUsed() throws {
        let budget = try budget([
            "proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cgroup.controllers": "memory\n",
            "sys/fs/cgroup/memory.max": "1000\n", "sys/fs/cgroup/memory.current": "900\n",
            "sys/fs/cgroup/memory.stat": "active_file 500\ninactive_file 300\nslab_reclaimable \(Int.max)\n",
        ])
        #expect(budget.groupAvailable == 1000)
        let legacy = try self.budget([
            "proc/self/cgroup": "4:memory:/\n", "sys/fs/cgroup/memory/memory.limit_in_bytes": "1000\n",
            "sys/fs/cgroup/memory/memory.usage_in_bytes": "900\n",
            "sys/fs/cgroup/memory/memory.stat":
                "active_file 1\ntotal_active_file 200\ntotal_inactive_file 300\nslab_reclaimable 400\n",
        ])
        #expect(legacy.groupAvailable == 600)
    }

    @Test func theHighMarkLimitsToo() throws {
        let files: [String: String?] = [
            "proc/self/cgroup": "0::/a/b\n", "sys/fs/cgroup/cgroup.controllers": "memory\n",
            "sys/fs/cgroup/a/memory.max": "9000\n", "sys/fs/cgroup/a/memory.high": "5000\n",
            "sys/fs/cgroup/a/memory.current": "1000\n", "sys/fs/cgroup/a/b/memory.max": "max\n",
            "sys/fs/cgroup/a/b/memory.high": "max\n", "sys/fs/cgroup/a/b/memory.current": "10\n",
        ]
        #expect(try budget(files).groupAvailable == 4000)
        #expect(try budget(files.merging(["sys/fs/cgroup/a/b/memory.high": "2000\n"]) { $1 }).groupAvailable == 1990)
        #expect(try budget(files.merging(["sys/fs/cgroup/a/memory.high": "?\n"]) { $1 }).groupAvailable == 8000)
    }

    @Test func whatIsLeftDecidesWhereALimitIsNotKnown() throws {
        let group: [String: String?] = [
            "proc/self/cgroup": "4:memory:/\n", "sys/fs/cgroup/memory/memory.limit_in_bytes": "plenty\n",
        ]
        #expect(try budget(group).available == 5_000_000 * 1024)
        let limited = group.merging(["sys/fs/cgroup/memory/memory.limit_in_bytes": "700\n", "proc/meminfo": nil]) { $1 }
        #expect(try budget(limited).available == 700)
        let none = try budget(group.merging(["proc/meminfo": "MemTotal: 1 kB\nMemFree: 2 kB\n"]) { $1 })
        #expect(none.available == nil)
        try none.check(needed: 1 << 60, for: "weights")
        // A folder where the parts of the usage should be: none of it may be reclaimable, or all.
        let opaque: [String: String?] = [
            "proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cgroup.controllers": "memory\n",
            "sys/fs/cgroup/memory.max": "600\n", "sys/fs/cgroup/memory.current": "500\n",
            "sys/fs/cgroup/memory.stat/folder": "1\n",
        ]
        #expect(try budget(opaque).available == 600)
        // Nobody says which group it is: that at the mount point.
        let nameless: [String: String?] = [
            "sys/fs/cgroup/cgroup.controllers": "memory\n", "sys/fs/cgroup/memory.max": "600\n",
        ]
        #expect(try budget(nameless).available == 600)
        #expect(try budget(nameless.merging(["proc/self/cgroup": "?\n"]) { $1 }).available == 600)
    }

    @Test func tooMuchIsRefusedWithTheNumbers() throws {
        let budget = MemoryBudget(systemAvailable: 8 << 30, groupAvailable: 3 << 29)
        try budget.check(needed: 3 << 29, for: "weights")
        let error = #expect(throws: HardwareError.self) { try budget.check(needed: 2 << 30, for: "weights") }
        #expect(error?.kind == .memory)
        #expect(error?.description.contains("2.0 GiB (2147483648 bytes)") == true)
        #expect(error?.description.contains("control group leaves 1.5 GiB") == true)
    }

    @Test func addressSpaceHasRoomForTheBuffersOfProducts() throws {
        try AddressSpace.check(needed: 1 << 30, workers: 2, for: "weights", available: nil)
        let room = 1 << 30 + 2 * AddressSpace.productBuffer
        try AddressSpace.check(needed: 1 << 30, workers: 2, for: "weights", available: room)
        let error = #expect(throws: HardwareError.self) {
            try AddressSpace.check(needed: 1 << 30, workers: 2, for: "weights", available: room - 1)
        }
        #expect(error?.kind == .memory)
        #expect(error?.description.contains("products 384.0 MiB") == true)
    }

    @Test func theProcessorIsDescribed() throws {
        let tree = try FixtureTree(
            "one-node",
            replacing: [
                "proc/self/cgroup": "0::/a\n", "sys/fs/cgroup/cgroup.controllers": "cpu\n",
                "sys/fs/cgroup/cpu.max": "max 100000\n", "sys/fs/cgroup/a/cpu.max": "150000 100000\n",
            ])
        let cpu = CPUInfo.read(root: tree.sys, proc: tree.proc)
        #expect(cpu.model == "Example 9000 2-Core Processor")
        #expect(cpu.megahertz == 3700)
        #expect(cpu.features == ["fma", "avx2", "avx512_vnni"])
        #expect(cpu.caches.map(\.level) == [1, 2, 3])
        #expect(cpu.caches.map(\.byteCount) == [32 << 10, 1 << 20, 32 << 20])
        #expect(cpu.caches.map(\.cpus) == [[0], [0], [0, 1]])
        #expect(cpu.hugePages == "madvise")
        #expect(cpu.quota == 1.5)
    }

    @Test func processorsThatSayLittle() throws {
        let silent = try FixtureTree()
        let unknown = CPUInfo.read(root: silent.sys, proc: silent.proc)
        #expect(unknown.model == "unknown" && unknown.megahertz == nil && unknown.caches.isEmpty)
        #expect(unknown.hugePages == nil && unknown.quota == nil)
        let arm = try FixtureTree(replacing: ["proc/cpuinfo": "CPU implementer\t: 0x41\nCPU part\t: 0xd40\n"])
        #expect(CPUInfo.read(root: arm.sys, proc: arm.proc).model == "implementer 0x41, part 0xd40")
    }

    @Test func theRealMachineAnswers() throws {
        #expect((MemoryBudget.read().available ?? 0) > 0)
        _ = CPUInfo.read()
        let memory = try #require(ProcessMemory.read())
        #expect(memory.peakResident >= memory.resident && memory.resident > 0)
        let before = MonotonicClock.now
        #expect(MonotonicClock.now >= before)
    }

    @Test func peaksAreInBytes() throws {
        let tree = try FixtureTree("one-node")
        let memory = try #require(ProcessMemory.read(proc: tree.proc))
        #expect(memory.mapped == 4000 * 1024 && memory.resident == 2000 * 1024 && memory.peakResident == 3000 * 1024)
        #expect(try ProcessMemory.read(proc: FixtureTree().proc) == nil)
    }
}
