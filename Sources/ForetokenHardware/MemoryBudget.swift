/// How much memory can be had now, from the machine and within the process's control groups.
public struct MemoryBudget: Sendable, Equatable {
    /// MemAvailable of /proc/meminfo, in bytes: what can be had without swapping; nil where the system does not say.
    public let systemAvailable: Int?
    /// Bytes left below the tightest limit of the process's control groups; nil without a limit, or where it is not known.
    public let groupAvailable: Int?

    /// The smaller of the two; nil where nothing is known.
    public var available: Int? { [systemAvailable, groupAvailable].compactMap(\.self).min() }

    /// A budget made by hand.
    public init(systemAvailable: Int?, groupAvailable: Int?) {
        self.systemAvailable = systemAvailable
        self.groupAvailable = groupAvailable
    }

    /// Asks the system. What cannot be understood is not known, and what is left decides.
    ///
    /// - Parameters:
    ///   - proc: where procfs is mounted.
    ///   - groups: where the control groups are mounted.
    ///   - findings: takes what could not be understood, and a warning where nothing at all is known.
    public static func read(
        proc: String = "/proc", groups: String = "/sys/fs/cgroup", findings: inout Findings
    ) -> MemoryBudget {
        let path = "\(proc)/meminfo"
        var reason = "\(path) does not exist"
        var system: Int?
        do {
            system = try SystemFile.text(path).map { try MemoryFigures($0, source: path).available }
        } catch {
            reason = "\(error)"
            findings.add(path, reason)
        }
        let budget = MemoryBudget(
            systemAvailable: system,
            groupAvailable: ControlGroup.memoryAvailable(root: groups, proc: proc, &findings))
        if budget.available == nil {
            findings.warn("how much memory is available is not known, so nothing is checked before loading: \(reason)")
        }
        return budget
    }

    /// The same, where somebody else tells what could not be understood.
    public static func read(proc: String = "/proc", groups: String = "/sys/fs/cgroup") -> MemoryBudget {
        var findings = Findings()
        return read(proc: proc, groups: groups, findings: &findings)
    }

    /// Refuses what does not fit; nothing where it is not known how much does.
    ///
    /// - Parameters:
    ///   - needed: bytes.
    ///   - what: what they are for, as in "weights, cache and scratch".
    /// - Throws: `HardwareError` of kind `memory` with the numbers.
    public func check(needed: Int, for what: String) throws {
        guard let available, needed > available else { return }
        let limit = available == systemAvailable ? "the machine has" : "this process's control group leaves"
        throw HardwareError(
            .memory,
            "\(what) need \(Self.format(needed)), but \(limit) \(Self.format(available)) available; "
                + "free memory, raise the limit, use a shorter context or a smaller model")
    }

    /// "12.3 GiB (13207024435 bytes)".
    static func format(_ bytes: Int) -> String {
        bytes < 1024 ? "\(bytes) bytes" : "\(FigureText.binaryBytes(bytes)) (\(bytes) bytes)"
    }
}
