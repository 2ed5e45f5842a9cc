import Glibc

/// One block of zeroed anonymous memory that is handed out piece by piece and freed as a whole.
///
/// Arenas of at least 2 MiB start on a huge-page boundary and ask for transparent huge pages. Pages become real when they
/// are first touched, on the node of the thread that touches them. Not for use by several threads at once.
public final class MemoryArena {
    /// Alignment of every allocation: one cache line, one AVX-512 vector.
    public static let alignment = 64
    /// Size of a transparent huge page on x86-64 and on arm64 with 4 KiB pages.
    public static let hugePageBytes = 2 << 20

    /// Bytes the arena can hand out.
    public let capacity: Int
    /// Bytes handed out so far, padding included.
    public private(set) var used = 0
    /// Start of the memory.
    public let base: UnsafeMutableRawPointer
    /// Whether the system took the wish for huge pages. (With transparent huge pages switched off it still does;
    /// AnonHugePages in /proc/self/smaps has the truth.)
    public let isHugePageAdvised: Bool
    /// Where its pages are meant to lie.
    public let home: MemoryHome

    /// Maps `byteCount` bytes, rounded up to whole pages.
    ///
    /// - Parameter home: where the pages are to lie once they are touched.
    /// - Throws: `HardwareError` when the system refuses.
    public init(byteCount: Int, home: MemoryHome = .anywhere) throws {
        self.home = home
        guard byteCount > 0, byteCount <= Int.max - 2 * Self.hugePageBytes else {
            throw HardwareError(.argument, "an arena has a size above 0 that fits the address space, not \(byteCount)")
        }
        let isLarge = byteCount >= Self.hugePageBytes
        let page = isLarge ? Self.hugePageBytes : Int(sysconf(Int32(_SC_PAGESIZE)))
        capacity = (byteCount + page - 1) / page * page
        base = try Self.map(capacity, slack: isLarge ? Self.hugePageBytes : 0)
        isHugePageAdvised = isLarge && madvise(base, capacity, MADV_HUGEPAGE) == 0
    }

    deinit { munmap(base, capacity) }

    /// Maps `bytes` bytes at a multiple of `slack` (0: any page), by mapping more and giving both ends back.
    private static func map(_ bytes: Int, slack: Int) throws -> UnsafeMutableRawPointer {
        let found = mmap(nil, bytes + slack, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)
        guard let found, found != MAP_FAILED else {
            let code = errno
            throw HardwareError(
                .memory,
                "mapping \(bytes) bytes of memory: \(String(cString: strerror(code))) (errno \(code)); "
                    + "free memory, raise the limit (ulimit -v, vm.overcommit_memory) or load less")
        }
        guard slack > 0 else { return found }
        let head = (slack - Int(bitPattern: found) % slack) % slack
        if head > 0 { munmap(found, head) }
        if head < slack { munmap(found + head + bytes, slack - head) }
        return found + head
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
