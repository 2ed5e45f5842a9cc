/// Memory of this process as the kernel counts it.
public struct ProcessMemory: Sendable, Equatable {
    /// Bytes in memory now (VmRSS), file pages included.
    public let resident: Int
    /// The most that was ever in memory (VmHWM), in bytes.
    public let peakResident: Int

    /// Reads `proc`/self/status.
    ///
    /// - Throws: `HardwareError` when the file or its figures are missing.
    public static func read(proc: String = "/proc") throws -> ProcessMemory {
        let path = "\(proc)/self/status"
        guard let text = try SystemFile.text(path),
            let resident = SystemFile.field("VmRSS", in: text).flatMap(SystemFile.byteCount),
            let peak = SystemFile.field("VmHWM", in: text).flatMap(SystemFile.byteCount)
        else { throw HardwareError(.file, "\(path): expected sizes VmRSS and VmHWM in kB") }
        return ProcessMemory(resident: resident, peakResident: peak)
    }
}
