/// How the system hands out pages larger than the ordinary ones.
public struct HugePages: Sendable, Equatable {
    /// Pages of one size set aside on one node (hugetlb); this engine uses transparent ones instead.
    public struct Pool: Sendable, Equatable {
        /// The system's number of the node.
        public let node: Int
        /// Bytes of one page.
        public let pageBytes: Int
        /// Pages set aside.
        public let total: Int
        /// Pages of them that nobody uses.
        public let free: Int
    }

    /// When transparent huge pages are made: "always", "madvise" or "never"; nil in kernels without them.
    public let enabled: String?
    /// How hard a page fault tries to make one: "always", "defer", "defer+madvise", "madvise" or "never".
    public let defrag: String?
    /// Pools by node and page size; those with no page are left out.
    public let pools: [Pool]

    /// Sizes that x86-64 and arm64 kernels know, in KiB.
    private static let poolSizes = [64, 2048, 32_768, 524_288, 1_048_576, 16_777_216]

    /// Asks the system.
    ///
    /// - Parameters:
    ///   - root: where sysfs is mounted.
    ///   - nodes: the system's numbers of the nodes whose pools are read.
    /// - Throws: `HardwareError` for malformed or contradictory files.
    public static func read(root: String = "/sys", nodes: [Int]) throws -> HugePages {
        let transparent = "\(root)/kernel/mm/transparent_hugepage"
        return HugePages(
            enabled: try SystemFile.choice("\(transparent)/enabled"),
            defrag: try SystemFile.choice("\(transparent)/defrag"),
            pools: try nodes.flatMap { node in
                try poolSizes.compactMap { size in
                    try pool("\(root)/devices/system/node/node\(node)/hugepages/hugepages-\(size)kB", node, size)
                }
            })
    }

    private static func pool(_ folder: String, _ node: Int, _ kibibytes: Int) throws -> Pool? {
        guard let total = try SystemFile.integer("\(folder)/nr_hugepages") else { return nil }
        let free = try SystemFile.integer("\(folder)/free_hugepages") ?? 0
        guard total >= 0, free >= 0, free <= total, total <= Int.max >> 10 / kibibytes else {
            throw HardwareError(
                .file, "\(folder): expected some of nr_hugepages to be free, found \(free) of \(total)")
        }
        return total == 0 ? nil : Pool(node: node, pageBytes: kibibytes << 10, total: total, free: free)
    }
}
