import CForetokenSystem

/// Memory whose pages are to lie on one node, for measuring how fast that node is read.
public final class NodeBuffer {
    /// The system's number of the node.
    public let node: Int
    /// Start of the memory, on a huge-page boundary when there is room for one.
    public var base: UnsafeMutableRawPointer { arena.base }
    /// Bytes of the memory, whole pages.
    public var byteCount: Int { arena.capacity }
    /// Whether the memory is bound to the node; otherwise its pages lie where they are touched first.
    public var isBound: Bool { arena.isBound }

    private let arena: MemoryArena

    /// Maps memory and binds it, if the system lets it. No page is touched yet.
    ///
    /// - Throws: `HardwareError` when the memory cannot be had.
    public init(node: Int, byteCount: Int) throws {
        self.node = node
        arena = try MemoryArena(byteCount: byteCount, home: .node(node))
    }

    /// Fraction of the touched pages that lie on the node, by up to 256 samples spread evenly; nil where it is denied to ask.
    public func placedFraction() -> Double? {
        let pages = byteCount / MemoryArena.pageBytes
        var places = [Int32](repeating: -1, count: min(256, pages))
        let stride = pages / places.count * MemoryArena.pageBytes
        guard foretoken_page_nodes(base, places.count, stride, &places) == 0 else { return nil }
        return Double(places.filter { $0 == Int32(node) }.count) / Double(places.count)
    }
}

extension Topology {
    /// Bytes to read from each of `nodes` when its speed is measured: four times the last-level caches that any node's
    /// CPUs share and at least 256 MiB, but never more than a quarter of what is free there, or together than a quarter
    /// of what the process may take. 0 where less than 4 MiB is left.
    public func probeBytes(budget: MemoryBudget) -> [Int] {
        let caches = cpuNodes.map { node in
            clusters.filter { !Set($0.cpus).isDisjoint(with: node.cpus) }.reduce(0) { $0 + $1.byteCount }
        }
        let wanted = max(256 << 20, 4 * (caches.max() ?? 0))
        return nodes.map { node in
            let bytes = min(wanted, node.memoryFree / 4, (budget.available ?? .max) / 4 / nodes.count)
            return bytes < 4 << 20 ? 0 : bytes / MemoryArena.hugePageBytes * MemoryArena.hugePageBytes
        }
    }
}
