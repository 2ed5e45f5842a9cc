import CForetokenSystem
import ForetokenHardware
import Glibc
import Testing

@Suite struct MemoryPolicyTests {
    private static var denial: Int32 { foretoken_numa_available() }

    @Test(.enabled(if: denial == 0, "memory policy calls are denied here (errno \(denial))"))
    func aPageLiesWhereItWasAsked() throws {
        let node = try #require(try Topology.Restriction.thisProcess().memoryNodes?.first ?? 0)
        let arena = try MemoryArena(byteCount: 4096)
        let untouched = try MemoryArena(byteCount: 4096)
        #expect(foretoken_memory_bind_preferred(arena.base, arena.capacity, Int32(node)) == 0)
        memset(arena.base, 1, arena.capacity)
        let pages: [UnsafeMutableRawPointer?] = [arena.base, untouched.base]
        var nodes: [Int32] = [-1, -1]
        let error = foretoken_page_nodes(pages, pages.count, &nodes)
        if error == EPERM || error == ENOSYS {
            try Test.cancel("the memory was bound, but asking where pages lie is denied here (errno \(error))")
        }
        #expect(error == 0)
        #expect(nodes[0] == Int32(node))
        #expect(nodes[1] < 0, "a page that was never touched lies nowhere")
        withExtendedLifetime((arena, untouched)) {}
    }

    @Test func refusalsComeBackAsErrors() throws {
        #expect(foretoken_memory_bind_preferred(nil, 4096, -1) == EINVAL)
        #expect(foretoken_memory_bind_preferred(nil, 4096, FORETOKEN_MAX_NODES) == EINVAL)
        #expect([0, EPERM, ENOSYS].contains(Self.denial))
    }
}
