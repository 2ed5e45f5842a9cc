import ForetokenHardware
import Glibc
import Testing

@Suite struct PageCensusTests {
    /// Two mappings of 1 MiB and one of 4 MiB, as the kernel writes them.
    private static let smaps = """
        7f0000000000-7f0000100000 rw-p 00000000 00:00 0 
        Size:               1024 kB
        AnonHugePages:         0 kB
        VmFlags: rd wr mr mw me ac sd 
        7f0000100000-7f0000200000 rw-p 00000000 00:00 0 
        AnonHugePages:         0 kB
        7f0000400000-7f0000800000 rw-p 00000000 00:00 0                          [heap]
        AnonHugePages:      2048 kB

        """
    private static let numaMaps = """
        7f0000000000 prefer:1 anon=256 dirty=256 N1=256 kernelpagesize_kB=4
        7f0000100000 interleave:0-1 anon=192 dirty=192 N0=128 N1=64 kernelpagesize_kB=4
        7f0000400000 prefer (many):0-1 heap anon=1024 dirty=1024 N0=256 N1=768 kernelpagesize_kB=4
        7ffff0000000 default file=/a\\040N9=9 mapped=12 N0=12 kernelpagesize_kB=4

        """

    private func census(
        _ regions: [(UInt, Int, MemoryHome)], numaMaps: String? = numaMaps, smaps: String? = smaps
    ) throws -> PageCensus {
        let tree = try FixtureTree(replacing: ["proc/self/numa_maps": numaMaps, "proc/self/smaps": smaps])
        let regions = regions.map { address, bytes, home in
            PageCensus.Region(base: UnsafeRawPointer(bitPattern: address)!, byteCount: bytes, home: home)
        }
        return try PageCensus.take(of: regions, policy: denied, proc: tree.proc)
    }

    @Test func wholeMappingsAreExact() throws {
        let census = try census([(0x7f00_0000_0000, 1 << 20, .node(1)), (0x7f00_0040_0000, 4 << 20, .node(1))])
        #expect(census.method == .areas(isApproximate: false) && census.caveat == nil)
        #expect(census.nodes.map(\.id) == [0, 1])
        #expect(census.nodes.map(\.intendedBytes) == [0, 5 << 20])
        #expect(census.nodes.map(\.onTargetBytes) == [0, 4 << 20])
        #expect(census.nodes.map(\.strayBytes) == [1 << 20, 0])
        #expect(census.unknownBytes == 0 && census.onTargetFraction == 0.8)
        #expect(census.hugePageBytes == 2 << 20)
    }

    @Test func partsOfMappingsAreApproximate() throws {
        // The upper half of one mapping, which one line of numa_maps counts as a whole.
        let census = try census([(0x7f00_0060_0000, 2 << 20, .node(1))])
        #expect(census.method == .areas(isApproximate: true))
        #expect(census.caveat?.contains("approximate") == true)
        #expect(census.onTargetFraction == 0.75)
        #expect(census.hugePageBytes == 1 << 20)
    }

    @Test func interleavedMemoryMayLieOnAnyOfItsNodes() throws {
        let census = try census([(0x7f00_0010_0000, 1 << 20, .interleaved([0, 1]))])
        #expect(census.nodes.map(\.intendedBytes) == [1 << 19, 1 << 19])
        #expect(census.nodes.map(\.onTargetBytes) == [1 << 19, 1 << 18])
        #expect(census.unknownBytes == 1 << 18, "64 pages were never touched")
        #expect(census.onTargetFraction == 0.75)
    }

    @Test func regionsOverSeveralMappingsAndNone() throws {
        let census = try census([(0x7f00_0000_0000, 3 << 20, .node(1)), (0x1000, 4096, .anywhere)])
        #expect(census.nodes.map(\.onTargetBytes) == [0, (1 << 20) + (1 << 18)])
        #expect(census.unknownBytes == (3 << 20) - (1 << 20) - (3 << 18), "the third MiB is not mapped")
    }

    @Test func explicitHugePagesCountWithTheirSize() throws {
        let census = try census(
            [(0x7f00_0000_0000, 4 << 20, .node(3))],
            numaMaps: "7f0000000000 bind:3 file=/anon_hugepage\\040(deleted) huge anon=2 N3=2 kernelpagesize_kB=2048\n",
            smaps: "7f0000000000-7f0000400000 rw-p 00000000 00:0f 1 /anon_hugepage (deleted)\n"
                + "Private_Hugetlb:    4096 kB\n")
        #expect(census.nodes.map(\.onTargetBytes) == [4 << 20])
        #expect(census.hugePageBytes == 4 << 20)
    }

    @Test func whereNothingTellsNothingIsClaimed() throws {
        let census = try census([(0x7f00_0000_0000, 1 << 20, .node(1))], numaMaps: nil)
        #expect(census.method == .unknown && census.caveat != nil)
        #expect(census.unknownBytes == 1 << 20 && census.onTargetFraction == 0 && census.hugePageBytes == nil)
        #expect(try self.census([]).onTargetFraction == 1)
    }

    @Test(arguments: [
        ("what 7f\n", smaps), ("7f0000000000 default N0=9\n", smaps),
        ("7f0000000000 default N0=-3 kernelpagesize_kB=4\n", smaps),
        ("7f0000000000 default N0=9223372036854775807 kernelpagesize_kB=4\n", smaps),
        (numaMaps, "Rss: 4 kB\n7f-3f rw-p\n"), (numaMaps, "7f00-7fff rw-p\nAnonHugePages: many\n"),
    ])
    func whatCannotBeUnderstoodIsNotKnown(numaMaps: String, smaps: String) throws {
        let census = try census([(0x7f00_0000_0000, 4096, .node(0))], numaMaps: numaMaps, smaps: smaps)
        #expect(census.method == .unknown && census.onTargetFraction == 0 && census.hugePageBytes == nil)
        #expect(census.caveat?.contains("does not tell where pages lie") == true)
    }

    @Test func samplesStandForAllPages() throws {
        let nodes = Topology.read().nodes.map(\.id)
        let arena = try MemoryArena(byteCount: 4 << 20, home: .interleaved(nodes))
        try arena.populate()
        let region = PageCensus.Region(base: arena.base + 100, byteCount: (4 << 20) - 999, home: arena.home)
        let census = try PageCensus.take(of: [region], pageLimit: 100)
        guard case .samples(let asked, let pages) = census.method else {
            try Test.cancel("asking where pages lie is denied here")
        }
        #expect((50...100).contains(asked) && pages == 1024)
        #expect(census.onTargetBytes == region.byteCount && census.onTargetFraction == 1)
        #expect(census.caveat?.contains("\(asked) of 1024 pages") == true)
    }

    @Test func untouchedMemoryLiesNowhere() throws {
        let arena = try MemoryArena(byteCount: 1 << 16, home: .node(Topology.read().nodes[0].id))
        for policy in [MemoryPolicySupport.untried, denied] {
            let region = PageCensus.Region(base: arena.base, byteCount: 1 << 16, home: arena.home)
            let census = try PageCensus.take(of: [region], policy: policy)
            #expect(census.unknownBytes == 1 << 16 && census.onTargetBytes == 0)
        }
    }
}
