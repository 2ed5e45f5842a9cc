import CForetokenSystem
import Glibc

extension MemoryArena {
    /// Makes fresh pages real and makes sure that they lie on the arena's home.
    ///
    /// It goes in steps of 4 MiB and stops at the first page that lies elsewhere and cannot be moved: a full node is an
    /// error, where touching would spill to other nodes in silence and strict binding would end in the OOM killer. Page
    /// cache on a full node gives way. Threads may populate ranges that do not overlap at the same time. Unless the arena
    /// `isBound`, the calling thread must run on the home node.
    ///
    /// - Parameters:
    ///   - range: bytes from the base on, both ends at multiples of `pageBytes`; nil is the whole arena. Their content is
    ///     lost when an error is thrown.
    ///   - proc: where procfs is mounted; asked where move_pages is denied.
    /// - Throws: `HardwareError` of kind `memory` with the node, what was wanted and what was placed.
    public func populate(_ range: Range<Int>? = nil, proc: String = "/proc") throws {
        let range = range ?? 0..<capacity
        precondition(
            range.lowerBound >= 0 && range.upperBound <= capacity && range.lowerBound % Self.pageBytes == 0
                && range.upperBound % Self.pageBytes == 0,
            "\(range) are not whole pages of an arena of \(capacity) bytes")
        if home != .anywhere, policy.canLocate {
            var placed = 0
            let nodes = home.nodes.map(Int32.init)
            let error = foretoken_memory_populate(
                base + range.lowerBound, range.count, nodes, Int32(nodes.count), &placed)
            if !MemoryPolicySupport.isDenial(error) { return try check(error, placed: placed, of: range.count) }
        }
        let looks = home == .anywhere ? 1 : 16
        let step = max(Self.censusBytes, (range.count / looks + Self.hugePageBytes) & -Self.hugePageBytes)
        for start in stride(from: range.lowerBound, to: range.upperBound, by: step) {
            let piece = start..<min(start + step, range.upperBound)
            try populateByAreas(piece, placedBefore: start - range.lowerBound, of: range.count, proc: proc)
        }
    }

    /// Bytes between two looks at /proc/self/numa_maps, which walks all memory of the process.
    private static let censusBytes = 32 * hugePageBytes

    /// Populates a piece and looks it up in the counts that the kernel shows for the whole arena.
    private func populateByAreas(_ piece: Range<Int>, placedBefore: Int, of wanted: Int, proc: String) throws {
        var placed = 0
        let error = foretoken_memory_populate(base + piece.lowerBound, piece.count, nil, 0, &placed)
        try check(error, placed: placedBefore + placed, of: wanted)
        guard home != .anywhere, let areas = MappedAreas.read(proc: proc) else { return }
        let homes = Set(home.nodes)
        let address = UInt(bitPattern: base)
        let found = areas.areas(overlapping: address..<address + UInt(capacity)).flatMap(\.nodeBytes)
        if found.contains(where: { !homes.contains($0.key) && $0.value > 0 }) {
            madvise(base + piece.lowerBound, piece.count, MADV_DONTNEED)
            try check(ENOSPC, placed: placedBefore, of: wanted)
        }
    }

    private func check(_ error: Int32, placed: Int, of wanted: Int) throws {
        guard error != 0 else { return }
        let progress = "\(MemoryBudget.format(wanted)) were wanted, \(MemoryBudget.format(placed)) of them placed"
        switch error {
        case ENOSPC where isBound:
            throw HardwareError(
                .memory,
                "\(home) is full: \(progress) before pages went elsewhere; free memory there (numastat -m), "
                    + "give it less in the plan, or use a smaller model")
        case ENOSPC:
            throw HardwareError(
                .memory,
                "\(home) is full, or no thread there touched the pages, which could not be bound to it: \(progress) "
                    + "before pages went elsewhere; free memory there or give it less in the plan")
        case ENOMEM:
            throw HardwareError(
                .memory, "the machine is out of memory: \(progress) on \(home); free memory or use a smaller model")
        default: throw HardwareError.system("populating memory on \(home) (\(progress))", errno: error)
        }
    }
}
