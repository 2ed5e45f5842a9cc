import ForetokenHardware
import Glibc

/// Memory for routed experts on one node. What is given back returns to the system page by page, and its addresses are
/// used again.
final class ExpertHeap {
    private let nodes: NodeLayout
    private let node: Int
    private(set) var arenas: [MemoryArena]
    private var free: [ExpertBlock] = []

    /// Bytes in blocks handed out.
    private(set) var usedByteCount: Int

    /// - Parameter byteCount: of the first arena, which the caller hands out itself.
    init(_ nodes: NodeLayout, node: Int, byteCount: Int) throws {
        self.nodes = nodes
        self.node = node
        arenas = [try nodes.arena(byteCount: byteCount, node: node)]
        usedByteCount = byteCount
    }

    /// Start of the first arena.
    var base: UnsafeMutableRawPointer { arenas[0].base }

    /// - Throws: `HardwareError` when the node has no room.
    func allocate(byteCount: Int) throws -> ExpertBlock {
        let bytes = MemoryArena.footprint(byteCount: byteCount)
        let block = try reuse(bytes) ?? extend(bytes)
        usedByteCount += bytes
        return block
    }

    /// The smallest free block that is large enough, its rest left free.
    private func reuse(_ bytes: Int) throws -> ExpertBlock? {
        let fits = free.indices.filter { free[$0].byteCount >= bytes }
        guard let index = fits.min(by: { free[$0].byteCount < free[$1].byteCount }) else { return nil }
        let found = free[index]
        let block = ExpertBlock(node: node, base: found.base, byteCount: bytes)
        if let arena = arenas.first(where: { $0.contains(block.base) }), nodes.isReal {
            let pages = wholePages(block)
            if !pages.isEmpty { try arena.populate(pages.lowerBound - arena.base..<pages.upperBound - arena.base) }
        }
        free.remove(at: index)
        if found.byteCount > bytes {
            free.append(ExpertBlock(node: node, base: found.base + bytes, byteCount: found.byteCount - bytes))
        }
        return block
    }

    private func extend(_ bytes: Int) throws -> ExpertBlock {
        let arena = try nodes.arena(byteCount: bytes, node: node)
        if nodes.isReal { try arena.populate() }
        arenas.append(arena)
        return ExpertBlock(node: node, base: arena.base, byteCount: bytes)
    }

    private func wholePages(_ block: ExpertBlock) -> Range<UnsafeMutableRawPointer> {
        let (page, start) = (MemoryArena.pageBytes, Int(bitPattern: block.base))
        let first = (start + page - 1) / page * page - start
        let end = (start + block.byteCount) / page * page - start
        return block.base + first..<block.base + max(first, end)
    }

    /// Gives a block back, whose contents are lost.
    func release(_ block: ExpertBlock) {
        usedByteCount -= block.byteCount
        let pages = wholePages(block)
        if !pages.isEmpty { madvise(pages.lowerBound, pages.upperBound - pages.lowerBound, MADV_DONTNEED) }
        free.append(block)
        free.sort { $0.base < $1.base }
        // Neighbours become one block, unless they are of different arenas.
        var merged: [ExpertBlock] = []
        for block in free {
            if let last = merged.last, last.base + last.byteCount == block.base,
                arenas.contains(where: { $0.contains(last.base) && $0.contains(block.base) })
            {
                merged[merged.count - 1] = ExpertBlock(
                    node: node, base: last.base, byteCount: last.byteCount + block.byteCount)
            } else {
                merged.append(block)
            }
        }
        free = merged
    }
}

extension MemoryArena {
    fileprivate func contains(_ address: UnsafeMutableRawPointer) -> Bool {
        address >= base && address < base + capacity
    }
}
