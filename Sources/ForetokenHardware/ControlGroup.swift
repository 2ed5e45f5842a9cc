/// Limits of the control groups this process is in, version 2, version 1 or both.
///
/// Every ancestor limits as well, so all folders from the process's group up to the mount point are looked at. Inside a
/// container /proc often names the host's path, which does not exist there: the mount point itself is then the group.
enum ControlGroup {
    /// Folders of the process's group and its ancestors for a controller, in the unified tree and in the controller's own.
    private static func folders(controller: String, root: String, proc: String) throws -> (v2: [String], v1: [String]) {
        guard let membership = try SystemFile.text("\(proc)/self/cgroup") else { return ([], []) }
        let isUnified = try SystemFile.text("\(root)/cgroup.controllers") != nil
        var v2: [String] = []
        var v1: [String] = []
        for line in membership.split(separator: "\n") {
            // number:controllers:path; the unified tree has number 0 and no controllers.
            let fields = line.split(separator: ":", maxSplits: 2, omittingEmptySubsequences: false)
            guard fields.count == 3 else { continue }
            if fields[1].isEmpty {
                v2 = ancestors(of: fields[2], below: isUnified ? root : "\(root)/unified")
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

    /// Bytes that may still be used before the tightest group is full, or nil without a limit.
    ///
    /// Page cache on the inactive list counts as free: the kernel drops it before it refuses memory.
    static func memoryAvailable(root: String, proc: String) throws -> Int? {
        let (v2, v1) = try folders(controller: "memory", root: root, proc: proc)
        let unified = try v2.compactMap {
            try room(
                limit: "\($0)/memory.max", usage: "\($0)/memory.current", stat: "\($0)/memory.stat", "inactive_file")
        }
        let legacy = try v1.compactMap {
            try room(
                limit: "\($0)/memory.limit_in_bytes", usage: "\($0)/memory.usage_in_bytes", stat: "\($0)/memory.stat",
                "total_inactive_file")
        }
        return (unified + legacy).min()
    }

    private static func room(limit: String, usage: String, stat: String, _ cache: String) throws -> Int? {
        guard let text = try SystemFile.line(limit), text != "max" else { return nil }
        guard let bytes = Int(text), bytes >= 0 else {
            throw HardwareError(.file, "\(limit): expected a number of bytes or max, found \"\(text.prefix(80))\"")
        }
        // Version 1 says "no limit" with the largest multiple of a page.
        guard bytes < Int.max - (1 << 20) else { return nil }
        let used = max(0, try SystemFile.integer(usage) ?? 0)
        let inactive = try SystemFile.text(stat).flatMap { value(of: cache, in: $0) } ?? 0
        return max(0, bytes - (used - min(max(0, inactive), used)))
    }

    /// The number after `key` in lines of "key number".
    private static func value(of key: String, in text: String) -> Int? {
        for line in text.split(separator: "\n") {
            let words = line.split(separator: " ")
            if words.count == 2, words[0] == key { return Int(words[1]) }
        }
        return nil
    }

    /// CPUs' worth of time that the tightest group grants, or nil without a limit.
    static func cpuQuota(root: String, proc: String) throws -> Double? {
        let (v2, v1) = try folders(controller: "cpu", root: root, proc: proc)
        let unified = try v2.compactMap { folder -> Double? in
            guard let words = try SystemFile.line("\(folder)/cpu.max")?.split(separator: " "), words.count == 2 else {
                return nil
            }
            return ratio(Int(words[0]), Int(words[1]))
        }
        let legacy = try v1.compactMap { folder in
            ratio(
                try SystemFile.integer("\(folder)/cpu.cfs_quota_us"),
                try SystemFile.integer("\(folder)/cpu.cfs_period_us"))
        }
        return (unified + legacy).min()
    }

    /// "max" and -1 both mean no limit.
    private static func ratio(_ quota: Int?, _ period: Int?) -> Double? {
        guard let quota, let period, quota > 0, period > 0 else { return nil }
        return Double(quota) / Double(period)
    }
}
