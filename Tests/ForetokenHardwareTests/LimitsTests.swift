import ForetokenHardware
import Testing

@Suite struct LimitsTests {
    private func budget(_ files: [String: String?]) throws -> MemoryBudget {
        let tree = try FixtureTree("one-node", replacing: files)
        return try MemoryBudget.read(proc: tree.proc, groups: "\(tree.sys)/fs/cgroup")
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

    @Test func malformedLimitsAreErrors() {
        #expect(throws: HardwareError.self) {
            try budget([
                "proc/self/cgroup": "4:memory:/\n", "sys/fs/cgroup/memory/memory.limit_in_bytes": "plenty\n",
            ])
        }
        #expect(throws: HardwareError.self) { try budget(["proc/meminfo": nil]) }
    }

    @Test func tooMuchIsRefusedWithTheNumbers() throws {
        let budget = MemoryBudget(systemAvailable: 8 << 30, groupAvailable: 3 << 29)
        try budget.check(needed: 3 << 29, for: "weights")
        let error = #expect(throws: HardwareError.self) { try budget.check(needed: 2 << 30, for: "weights") }
        #expect(error?.kind == .memory)
        #expect(error?.description.contains("2.0 GiB (2147483648 bytes)") == true)
        #expect(error?.description.contains("control group leaves 1.5 GiB") == true)
    }

    @Test func theProcessorIsDescribed() throws {
        let tree = try FixtureTree(
            "one-node",
            replacing: [
                "proc/self/cgroup": "0::/a\n", "sys/fs/cgroup/cgroup.controllers": "cpu\n",
                "sys/fs/cgroup/cpu.max": "max 100000\n", "sys/fs/cgroup/a/cpu.max": "150000 100000\n",
            ])
        let cpu = try CPUInfo.read(root: tree.sys, proc: tree.proc)
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
        let unknown = try CPUInfo.read(root: silent.sys, proc: silent.proc)
        #expect(unknown.model == "unknown" && unknown.megahertz == nil && unknown.caches.isEmpty)
        #expect(unknown.hugePages == nil && unknown.quota == nil)
        let arm = try FixtureTree(replacing: ["proc/cpuinfo": "CPU implementer\t: 0x41\nCPU part\t: 0xd40\n"])
        #expect(try CPUInfo.read(root: arm.sys, proc: arm.proc).model == "implementer 0x41, part 0xd40")
    }

    @Test func theRealMachineAnswers() throws {
        #expect(try MemoryBudget.read().available > 0)
        _ = try CPUInfo.read()
        let memory = try ProcessMemory.read()
        #expect(memory.peakResident >= memory.resident && memory.resident > 0)
        let before = MonotonicClock.now
        #expect(MonotonicClock.now >= before)
    }

    @Test func peaksAreInBytes() throws {
        let tree = try FixtureTree("one-node")
        let memory = try ProcessMemory.read(proc: tree.proc)
        #expect(memory.resident == 2000 * 1024 && memory.peakResident == 3000 * 1024)
        #expect(throws: HardwareError.self) { try ProcessMemory.read(proc: FixtureTree().proc) }
    }
}
