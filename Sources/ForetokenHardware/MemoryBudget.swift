/// How much memory can be had now, from the machine and within the process's control groups.
public struct MemoryBudget: Sendable, Equatable {
    /// MemAvailable of /proc/meminfo, in bytes: what can be had without swapping.
    public let systemAvailable: Int
    /// Bytes left below the tightest limit of the process's control groups; nil without a limit.
    public let groupAvailable: Int?

    /// The smaller of the two.
    public var available: Int { min(systemAvailable, groupAvailable ?? .max) }

    /// A budget made by hand.
    public init(systemAvailable: Int, groupAvailable: Int?) {
        self.systemAvailable = systemAvailable
        self.groupAvailable = groupAvailable
    }

    /// Asks the system.
    ///
    /// - Parameters:
    ///   - proc: where procfs is mounted.
    ///   - groups: where the control groups are mounted.
    /// - Throws: `HardwareError` when /proc/meminfo is missing or a file is malformed.
    public static func read(proc: String = "/proc", groups: String = "/sys/fs/cgroup") throws -> MemoryBudget {
        let path = "\(proc)/meminfo"
        guard let text = try SystemFile.text(path) else {
            throw HardwareError(.file, "\(path) does not exist; is procfs mounted?")
        }
        return MemoryBudget(
            systemAvailable: try MemoryFigures(text, source: path).available,
            groupAvailable: try ControlGroup.memoryAvailable(root: groups, proc: proc))
    }

    /// Refuses what does not fit.
    ///
    /// - Parameters:
    ///   - needed: bytes.
    ///   - what: what they are for, as in "weights, cache and scratch".
    /// - Throws: `HardwareError` of kind `memory` with the numbers.
    public func check(needed: Int, for what: String) throws {
        guard needed > available else { return }
        let limit =
            groupAvailable.map { $0 < systemAvailable ? "this process's control group leaves" : "the machine has" }
            ?? "the machine has"
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
