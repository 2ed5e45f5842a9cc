/// Limits of the control groups this process is in, version 2, version 1 or both.
///
/// Every ancestor limits as well, so all folders from the process's group up to the mount point are looked at. Inside a
/// container /proc often names the host's path, which does not exist there: the mount point itself is then the group.
enum ControlGroup {
    /// Folders of the process's group and its ancestors for a controller, in the unified tree and in the controller's own.
    private static func folders(
        controller: String, root: String, proc: String, _ findings: inout Findings
    ) -> (v2: [String], v1: [String]) {
        let path = "\(proc)/self/cgroup"
        let unified = SystemFile.exists("\(root)/cgroup.controllers") ? root : "\(root)/unified"
        guard let membership = findings.text(path) else { return ([unified], ["\(root)/\(controller)"]) }
        var (v2, v1): ([String], [String]) = ([], [])
        for line in membership.split(separator: "\n") {
            // number:controllers:path; the unified tree has number 0 and no controllers.
            let fields = line.split(separator: ":", maxSplits: 2, omittingEmptySubsequences: false)
            guard fields.count == 3, Int(fields[0]) != nil else {
                findings.add(path, "\(path): expected number:controllers:path, found \"\(line.prefix(80))\"")
                return ([unified], ["\(root)/\(controller)"])
            }
            if fields[1].isEmpty {
                v2 = ancestors(of: fields[2], below: unified)
            } else if fields[1].split(separator: ",").contains(Substring(controller)) {
                v1 = ancestors(of: fields[2], below: "\(root)/\(controller)")
            }
        }
        return (v2, v1)
    }

    private static func ancestors(of path: Substring, below mount: String) -> [String] {
        // A group outside the namespace's own root is written with "..", which must not lead out of the mount.
        let names = path.split(separator: "/").filter { $0 != ".." && $0 != "." }
        return (0...names.count).reversed().map { ([Substring(mount)] + names.prefix($0)).joined(separator: "/") }
    }

    // MARK: Memory

    /// Files of one version that say how much of a group's memory is left.
    private struct MemoryFiles {
        /// Each of them a limit: a group above memory.high is not refused memory but stopped again and again.
        let limits: [String]
        let usage: String
        /// Parts of the usage, by their names in memory.stat, that the kernel drops before it refuses memory: the page
        /// cache of both lists and reclaimable kernel memory, which version 1 does not count there.
        let reclaimable: Set<Substring>

        static let unified = MemoryFiles(
            limits: ["memory.max", "memory.high"], usage: "memory.current",
            reclaimable: ["inactive_file", "active_file", "slab_reclaimable"])
        static let legacy = MemoryFiles(
            limits: ["memory.limit_in_bytes"], usage: "memory.usage_in_bytes",
            reclaimable: ["total_inactive_file", "total_active_file"])
    }

    /// Bytes that may still be used before the tightest group is full; nil without a limit, or where it is not known.
    static func memoryAvailable(root: String, proc: String, _ findings: inout Findings) -> Int? {
        let (v2, v1) = folders(controller: "memory", root: root, proc: proc, &findings)
        let unified = v2.compactMap { room($0, .unified, &findings) }
        let legacy = v1.compactMap { room($0, .legacy, &findings) }
        return (unified + legacy).min()
    }

    /// What one group leaves. A usage that is not known, or of which nobody tells how much is reclaimable, counts as none:
    /// the limit still is one.
    private static func room(_ folder: String, _ files: MemoryFiles, _ findings: inout Findings) -> Int? {
        guard let limit = files.limits.compactMap({ bytes("\(folder)/\($0)", &findings) }).min() else { return nil }
        let used = findings.integer("\(folder)/\(files.usage)", in: 0...Int.max) ?? 0
        let path = "\(folder)/memory.stat"
        let statistics = findings.text(path)
        if statistics == nil && SystemFile.exists(path) { return limit }
        let reclaimable = sum(of: files.reclaimable, in: statistics ?? "", below: used)
        return max(0, limit - (used - reclaimable))
    }

    /// A limit in bytes; nil for none.
    private static func bytes(_ path: String, _ findings: inout Findings) -> Int? {
        findings.attempt(path) {
            guard let text = try SystemFile.line(path), text != "max" else { return nil }
            guard let bytes = Int(text), bytes >= 0 else {
                throw HardwareError(.file, "\(path): expected a number of bytes or max, found \"\(text.prefix(80))\"")
            }
            // Version 1 says "no limit" with the largest multiple of a page.
            return bytes > SystemFile.mostBytes ? nil : bytes
        }
    }

    /// The sum of the numbers after some keys in lines of "key number", `limit` at most.
    private static func sum(of keys: Set<Substring>, in text: String, below limit: Int) -> Int {
        var sum = 0
        for line in text.split(separator: "\n") {
            let words = line.split(separator: " ")
            guard words.count == 2, keys.contains(words[0]), let value = Int(words[1]), value > 0 else { continue }
            sum += min(value, limit - sum)
        }
        return sum
    }

    // MARK: Time

    /// CPUs' worth of time that the tightest group grants; nil without a limit, or where it is not known.
    static func cpuQuota(root: String, proc: String, _ findings: inout Findings) -> Double? {
        let (v2, v1) = folders(controller: "cpu", root: root, proc: proc, &findings)
        let unified = v2.compactMap { unifiedQuota("\($0)/cpu.max", &findings) }
        let legacy = v1.compactMap { folder -> Double? in
            guard let quota = findings.integer("\(folder)/cpu.cfs_quota_us", in: -1...Int.max), quota > 0,
                let period = findings.integer("\(folder)/cpu.cfs_period_us", in: 1...Int.max)
            else { return nil }
            return Double(quota) / Double(period)
        }
        return (unified + legacy).min()
    }

    /// "50000 100000", or "max 100000" for no limit.
    private static func unifiedQuota(_ path: String, _ findings: inout Findings) -> Double? {
        findings.attempt(path) {
            guard let line = try SystemFile.line(path) else { return nil }
            let words = line.split(separator: " ")
            if words.first == "max" { return nil }
            guard words.count == 2, let quota = Int(words[0]), let period = Int(words[1]), quota > 0, period > 0 else {
                throw HardwareError(
                    .file, "\(path): expected microseconds and a period, or max, found \"\(line.prefix(80))\"")
            }
            return Double(quota) / Double(period)
        }
    }
}
