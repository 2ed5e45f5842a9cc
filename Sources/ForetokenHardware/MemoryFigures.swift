import Glibc

/// What /proc/meminfo or a node's meminfo says, in bytes.
struct MemoryFigures {
    let total: Int
    let free: Int
    /// The kernel's estimate for /proc/meminfo; for a node, which has none: free + page cache + reclaimable slabs.
    let available: Int

    private static let keys: Set<Substring> = [
        "MemTotal", "MemFree", "MemAvailable", "Active(file)", "Inactive(file)", "SReclaimable",
    ]

    /// - Throws: `HardwareError` naming `source` when MemTotal or MemFree is missing or a figure is malformed.
    init(_ text: String, source: String) throws {
        var figures: [Substring: Int] = [:]
        for line in text.split(separator: "\n") {
            // "Node 0 MemTotal:  6252760 kB", without the first two words in /proc.
            guard let colon = line.firstIndex(of: ":"), let key = line[..<colon].split(separator: " ").last,
                Self.keys.contains(key)
            else { continue }
            let figure = String(SystemFile.trimmed(line[line.index(after: colon)...]))
            guard let bytes = SystemFile.byteCount(figure) else {
                throw HardwareError(.file, "\(source), \(key): expected a size in kB, found \"\(figure.prefix(80))\"")
            }
            figures[key] = bytes
        }
        guard let total = figures["MemTotal"], let free = figures["MemFree"], free <= total else {
            throw HardwareError(.file, "\(source): MemTotal or MemFree is missing, or more is free than there is")
        }
        self.total = total
        self.free = free
        let reclaimable = ["Active(file)", "Inactive(file)", "SReclaimable"].map { min(figures[$0] ?? 0, total) }
        available = figures["MemAvailable"] ?? min(total, reclaimable.reduce(free, +))
    }

    private init(total: Int, free: Int) {
        self.total = total
        self.free = free
        available = free
    }

    /// What the C library knows of the machine's memory, for where no file says it; the page cache does not count as free.
    static var physical: MemoryFigures {
        let page = max(1, sysconf(Int32(_SC_PAGESIZE)))
        func bytes(_ name: Int) -> Int {
            let (bytes, overflow) = max(0, sysconf(Int32(name))).multipliedReportingOverflow(by: page)
            return overflow ? SystemFile.mostBytes : min(bytes, SystemFile.mostBytes)
        }
        let total = bytes(Int(_SC_PHYS_PAGES))
        return MemoryFigures(total: total, free: min(total, bytes(Int(_SC_AVPHYS_PAGES))))
    }
}
