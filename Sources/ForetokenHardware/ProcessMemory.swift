/// Memory of this process as the kernel counts it.
public struct ProcessMemory: Sendable, Equatable {
    /// Bytes of address space in use (VmSize).
    public let mapped: Int
    /// Bytes in memory now (VmRSS), file pages included.
    public let resident: Int
    /// The most that was ever in memory (VmHWM), in bytes.
    public let peakResident: Int

    /// Reads `proc`/self/status; nil where it does not say.
    public static func read(proc: String = "/proc") -> ProcessMemory? {
        var findings = Findings()
        guard let text = findings.text("\(proc)/self/status"),
            let mapped = SystemFile.field("VmSize", in: text).flatMap(SystemFile.byteCount),
            let resident = SystemFile.field("VmRSS", in: text).flatMap(SystemFile.byteCount),
            let peak = SystemFile.field("VmHWM", in: text).flatMap(SystemFile.byteCount)
        else { return nil }
        return ProcessMemory(mapped: mapped, resident: resident, peakResident: peak)
    }
}
