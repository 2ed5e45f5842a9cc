import ForetokenHardware
import Glibc

/// Memory for routed experts on one node. What is given back returns to the system page by page, and its addresses are
/// used again.
final class ExpertHeap {
    private let nodes: NodeLayout
    private let node: Int
    private var arenas: [MemoryArena]
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
        usedByteCount += bytes
        let fits = free.indices.filter { free[$0].byteCount >= bytes }
        if let index = fits.min(by: { free[$0].byteCount < free[$1].byteCount }) {
            let found = free.remove(at: index)
            if found.byteCount > bytes {
                free.append(
                    ExpertBlock(node: node, base: found.base + bytes, byteCount: found.byteCount - bytes))
            }
            return ExpertBlock(node: node, base: found.base, byteCount: bytes)
        }
        do {
            arenas.append(try nodes.arena(byteCount: bytes, node: node))
        } catch {
            usedByteCount -= bytes
            throw error
        }
        return ExpertBlock(node: node, base: arenas[arenas.count - 1].base, byteCount: bytes)
    }

    /// Gives a block back, whose contents are lost.
    func release(_ block: ExpertBlock) {
        usedByteCount -= block.byteCount
        let page = UInt(sysconf(Int32(_SC_PAGESIZE)))
        let first = (UInt(bitPattern: block.base) + page - 1) / page * page
        let end = (UInt(bitPattern: block.base) + UInt(block.byteCount)) / page * page
        if first < end { madvise(UnsafeMutableRawPointer(bitPattern: first), Int(end - first), MADV_DONTNEED) }
        free.append(block)
    }
}
