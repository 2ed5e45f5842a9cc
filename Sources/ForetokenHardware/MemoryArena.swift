import CForetokenSystem
import Glibc

/// One block of zeroed anonymous memory that is handed out piece by piece and freed as a whole.
///
/// Arenas of at least 2 MiB start on a huge-page boundary and ask for transparent huge pages. Pages become real when they
/// are populated or first touched: on the arena's home where the system lets it be bound, on the node of the touching
/// thread otherwise. Allocating is for one thread at a time, `populate` for any number on ranges that do not overlap.
public final class MemoryArena {
    /// Alignment of every allocation: one cache line, one AVX-512 vector.
    public static let alignment = 64
    /// Size of a transparent huge page on x86-64 and on arm64 with 4 KiB pages.
    public static let hugePageBytes = 2 << 20
    /// Size of an ordinary page.
    public static let pageBytes = Int(sysconf(Int32(_SC_PAGESIZE)))

    /// Bytes the arena can hand out.
    public let capacity: Int
    /// Bytes handed out so far, padding included.
    public private(set) var used = 0
    /// Start of the memory.
    public let base: UnsafeMutableRawPointer
    /// Where its pages are meant to lie.
    public let home: MemoryHome
    /// Whether the system was told so. False for `.anywhere`, and where memory policy calls are denied: threads of the
    /// node must then be the first to touch the pages.
    public let isBound: Bool
    let policy: MemoryPolicySupport

    /// Maps `byteCount` bytes, rounded up to whole pages, and binds them to their home.
    ///
    /// - Parameters:
    ///   - byteCount: above 0.
    ///   - home: where the pages are to lie once they are touched.
    ///   - policy: which calls need not be tried, since they were denied before.
    /// - Throws: `HardwareError` when the system refuses the memory, or when the home names nodes that have none for this
    ///   process.
    public init(byteCount: Int, home: MemoryHome = .anywhere, policy: MemoryPolicySupport = .untried) throws {
        guard byteCount > 0, byteCount <= Int.max - 3 * Self.hugePageBytes else {
            throw HardwareError(.argument, "an arena has a size above 0 that fits the address space, not \(byteCount)")
        }
        let isLarge = byteCount >= Self.hugePageBytes
        let page = isLarge ? Self.hugePageBytes : Self.pageBytes
        let capacity = (byteCount + page - 1) / page * page
        let base = try Self.map(capacity, alignment: page)
        do {
            isBound = try Self.bind(base, capacity, home, policy)
        } catch {
            Self.unmap(base, capacity)
            throw error
        }
        // A wish: `PageCensus.hugePageBytes` tells what came of it.
        if isLarge { madvise(base, capacity, MADV_HUGEPAGE) }
        self.capacity = capacity
        self.base = base
        self.home = home
        self.policy = policy
    }

    deinit { Self.unmap(base, capacity) }

    /// Maps `bytes` bytes at a multiple of `alignment`, by reserving more and giving both ends back. Pages of other rights
    /// lie on both sides, so that the kernel keeps the arena as one mapping and counts its pages apart; the one in front may
    /// be read, as kernels load a byte more than they need there.
    private static func map(_ bytes: Int, alignment: Int) throws -> UnsafeMutableRawPointer {
        let whole = bytes + alignment + 2 * pageBytes
        let found = mmap(nil, whole, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)
        guard let found, found != MAP_FAILED else { throw refusal(bytes, errno: errno) }
        let first = Int(bitPattern: found) + pageBytes
        let base = found + pageBytes + (alignment - first % alignment) % alignment
        let (head, tail) = (base - pageBytes - found, found + whole - (base + bytes + pageBytes))
        if head > 0 { munmap(found, head) }
        if tail > 0 { munmap(base + bytes + pageBytes, tail) }
        guard mprotect(base, bytes, PROT_READ | PROT_WRITE) == 0, mprotect(base - pageBytes, pageBytes, PROT_READ) == 0
        else {
            let code = errno
            unmap(base, bytes)
            throw refusal(bytes, errno: code)
        }
        return base
    }

    private static func refusal(_ bytes: Int, errno code: Int32) -> HardwareError {
        HardwareError(
            .memory,
            "mapping \(bytes) bytes of memory: \(String(cString: strerror(code))) (errno \(code)); "
                + "free memory, raise the limit (ulimit -v, vm.overcommit_memory) or load less")
    }

    private static func unmap(_ base: UnsafeMutableRawPointer, _ bytes: Int) {
        munmap(base - pageBytes, bytes + 2 * pageBytes)
    }

    /// Returns whether it worked; a denial is no error.
    private static func bind(
        _ base: UnsafeMutableRawPointer, _ bytes: Int, _ home: MemoryHome, _ policy: MemoryPolicySupport
    ) throws -> Bool {
        if home == .anywhere { return false }
        guard !home.nodes.isEmpty, home.nodes.allSatisfy({ (0..<Topology.nodeLimit).contains($0) }) else {
            throw HardwareError(
                .argument, "memory lies on nodes with numbers in 0..<\(Topology.nodeLimit), not on \(home.nodes)")
        }
        guard policy.canBind else { return false }
        let error = foretoken_memory_bind(base, bytes, home.nodes.map(Int32.init), Int32(home.nodes.count))
        if error == 0 { return true }
        if MemoryPolicySupport.isDenial(error) { return false }
        let advice =
            error == EINVAL ? "; a node there has no memory, or this process may not use it (cpuset.mems)" : ""
        let refusal = HardwareError.system("binding \(MemoryBudget.format(bytes)) to \(home)", errno: error)
        throw HardwareError(refusal.kind, refusal.description + advice)
    }

    /// The next `byteCount` bytes, 64-byte aligned and zero.
    ///
    /// - Precondition: they fit into what is left.
    public func allocate(byteCount: Int) -> UnsafeMutableRawPointer {
        precondition(
            byteCount >= 0 && byteCount <= capacity - used,
            "an arena of \(capacity) bytes, \(used) of them used, cannot give \(byteCount)")
        let start = base + used
        // The capacity is whole pages, so the padding fits whenever the bytes do.
        used += Self.footprint(byteCount: byteCount)
        return start
    }

    /// The next `count` elements, 64-byte aligned and zero.
    ///
    /// - Precondition: they fit into what is left.
    public func allocate<Element: BitwiseCopyable>(_: Element.Type, count: Int) -> UnsafeMutablePointer<Element> {
        let (bytes, overflow) = count.multipliedReportingOverflow(by: MemoryLayout<Element>.stride)
        precondition(count >= 0 && !overflow, "\(count) elements fit no arena")
        return allocate(byteCount: bytes).bindMemory(to: Element.self, capacity: count)
    }

    /// Bytes an allocation of `byteCount` bytes takes, padding included: what a caller sums to size an arena.
    public static func footprint(byteCount: Int) -> Int { (byteCount + alignment - 1) / alignment * alignment }
}
