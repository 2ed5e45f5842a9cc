import CForetokenSystem
import ForetokenHardware
import Glibc
import Testing

/// Everything is denied, as in a container.
let denied = MemoryPolicySupport(bindError: EPERM, threadError: EPERM, locateError: EPERM)

@Suite struct MemoryPolicyTests {
    /// A machine without a page to try on fails every test here.
    private static let policy = (try? MemoryPolicySupport.probe()) ?? .untried
    /// No machine has this node.
    private static let nowhere = Int(FORETOKEN_MAX_NODES) - 1

    private func usableNodes() throws -> [Int] { Topology.read().nodes.map(\.id) }

    @Test func callsWorkOrAreDenied() {
        for code in [Self.policy.bindError, Self.policy.threadError, Self.policy.locateError] {
            #expect([0, EPERM, ENOSYS].contains(code))
        }
        #expect(MemoryPolicySupport.untried.canBind && MemoryPolicySupport.untried.canLocate)
    }

    @Test func theUserLearnsWhatIsDenied() {
        let noNUMA = MemoryPolicySupport(bindError: ENOSYS, threadError: ENOSYS, locateError: ENOSYS)
        let noPlaces = MemoryPolicySupport(bindError: 0, threadError: 0, locateError: EPERM)
        #expect(
            denied.description
                == "memory policy calls are denied (EPERM); placed by first touch and verified through numa_maps; "
                + "run with --cap-add SYS_NICE to bind memory to nodes")
        #expect(noNUMA.description.contains("ENOSYS") && !noNUMA.description.contains("SYS_NICE"))
        #expect(noPlaces.description.contains("move_pages is denied (EPERM)"))
        #expect(!MemoryPolicySupport.untried.description.contains("denied"))
    }

    @Test(arguments: [policy, denied])
    func populatedMemoryLiesAtHome(policy: MemoryPolicySupport) throws {
        let nodes = try usableNodes()
        // Unbound memory lies on the node of this thread, whichever it is.
        let home: MemoryHome = policy.canBind ? .node(nodes[0]) : .interleaved(nodes)
        let arena = try MemoryArena(byteCount: 9 << 20, home: home, policy: policy)
        #expect(arena.isBound == policy.canBind)
        try arena.populate()
        _ = arena.allocate(byteCount: arena.capacity)
        let census = try PageCensus.take(of: [arena.region], policy: policy)
        #expect(census.method == (policy.canLocate ? .everyPage : .areas(isApproximate: false)))
        #expect(census.intendedBytes == arena.capacity)
        #expect(census.onTargetBytes == arena.capacity && census.onTargetFraction == 1)
        #expect(census.unknownBytes == 0 && census.caveat == nil)
        if let huge = census.hugePageBytes { #expect((0...arena.capacity).contains(huge)) }
    }

    @Test(arguments: [0, EPERM])
    func fullOrWrongNodesAreErrors(locateError: Int32) throws {
        let policy = MemoryPolicySupport(bindError: EPERM, threadError: EPERM, locateError: locateError)
        let arena = try MemoryArena(byteCount: 6 << 20, home: .node(Self.nowhere), policy: policy)
        let error = #expect(throws: HardwareError.self) { try arena.populate(0..<4 << 20) }
        #expect(error?.kind == .memory)
        let text = try #require(error?.description)
        #expect(text.contains("node \(Self.nowhere)") && text.contains("could not be bound"))
        #expect(text.contains("4.0 MiB (4194304 bytes) were wanted, 0 bytes of them placed"))
        let census = try PageCensus.take(of: [.init(base: arena.base, byteCount: 4 << 20, home: arena.home)])
        #expect(census.unknownBytes == 4 << 20, "what was populated is given back")
    }

    @Test func severalThreadsPopulateTheirOwnRanges() throws {
        final class Job {
            let arena: MemoryArena
            init(_ arena: MemoryArena) { self.arena = arena }
        }
        let job = Job(try MemoryArena(byteCount: 8 << 20, home: .interleaved(try usableNodes())))
        let pool = try WorkerPool(threads: 2)
        pool.run(
            { context, worker, workers in
                let arena = Unmanaged<Job>.fromOpaque(context!).takeUnretainedValue().arena
                let half = arena.capacity / Int(workers)
                // A failure leaves pages without a place, which the census finds.
                try? arena.populate(Int(worker) * half..<Int(worker + 1) * half)
            }, Unmanaged.passUnretained(job).toOpaque())
        let region = PageCensus.Region(base: job.arena.base, byteCount: job.arena.capacity, home: job.arena.home)
        #expect(try PageCensus.take(of: [region]).onTargetFraction == 1)
    }

    @Test func populatingKeepsWhatIsThere() throws {
        let arena = try MemoryArena(byteCount: 1 << 16)
        memset(arena.base, 7, 4096)
        try arena.populate()
        #expect(arena.base.load(as: UInt8.self) == 7)
        #expect(arena.base.load(fromByteOffset: 8192, as: UInt8.self) == 0)
    }

    @Test func homesThatCannotBeAreErrors() throws {
        for home in [MemoryHome.interleaved([]), .node(-1), .node(Int(FORETOKEN_MAX_NODES)), .interleaved([0, -4])] {
            let error = #expect(throws: HardwareError.self) { try MemoryArena(byteCount: 4096, home: home) }
            #expect(error?.kind == .argument)
        }
        guard Self.policy.canBind else { return }
        let error = #expect(throws: HardwareError.self) { try MemoryArena(byteCount: 4096, home: .node(Self.nowhere)) }
        #expect(error?.description.contains("to node \(Self.nowhere): Invalid argument") == true)
    }

    @Test func refusalsComeBackAsErrors() {
        #expect(foretoken_memory_bind(nil, 4096, [-1], 1) == EINVAL)
        #expect(foretoken_memory_bind(nil, 4096, [0, FORETOKEN_MAX_NODES], 2) == EINVAL)
        #expect(foretoken_memory_bind(nil, 4096, nil, 0) == EINVAL)
    }
}
