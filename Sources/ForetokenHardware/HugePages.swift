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

    /// Asks the system. What cannot be understood is left out.
    ///
    /// - Parameters:
    ///   - root: where sysfs is mounted.
    ///   - nodes: the system's numbers of the nodes whose pools are read.
    ///   - findings: takes what could not be understood.
    public static func read(root: String = "/sys", nodes: [Int], findings: inout Findings) -> HugePages {
        let transparent = "\(root)/kernel/mm/transparent_hugepage"
        if !SystemFile.exists("\(root)/devices/system") {
            findings.add("\(transparent)/enabled", "\(root) does not show the machine, nor whether it has huge pages")
        }
        return HugePages(
            enabled: findings.choice("\(transparent)/enabled"),
            defrag: findings.choice("\(transparent)/defrag"),
            pools: nodes.flatMap { node in
                poolSizes.compactMap { size in
                    pool("\(root)/devices/system/node/node\(node)/hugepages/hugepages-\(size)kB", node, size, &findings)
                }
            })
    }

    /// 256 TiB in one pool: figures can be added up without overflow.
    private static let mostBytes = 1 << 48

    private static func pool(_ folder: String, _ node: Int, _ kibibytes: Int, _ findings: inout Findings) -> Pool? {
        let most = mostBytes >> 10 / kibibytes
        guard let total = findings.integer("\(folder)/nr_hugepages", in: 0...most), total > 0 else { return nil }
        let free = findings.integer("\(folder)/free_hugepages", in: 0...total) ?? 0
        return Pool(node: node, pageBytes: kibibytes << 10, total: total, free: free)
    }
}
