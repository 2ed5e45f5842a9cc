import Glibc

/// What some CPUs had done when it was asked; two of them tell who used the CPUs in between.
public struct MachineLoad: Sendable, Equatable {
    /// Nanoseconds since an arbitrary moment.
    public var time: Int64
    /// Seconds the CPUs had worked for anyone; nil where the system does not say.
    public var busy: Double?
    /// Seconds the hypervisor had kept them for others; nil where the system does not say.
    public var stolen: Double?
    /// Seconds this process had run.
    public var own: Double
    /// Seconds the process's threads had been ready to run and waited for a CPU; nil where the system does not say.
    public var waited: Double?

    /// A load made by hand; see the fields.
    public init(time: Int64, busy: Double?, stolen: Double?, own: Double, waited: Double?) {
        self.time = time
        self.busy = busy
        self.stolen = stolen
        self.own = own
        self.waited = waited
    }

    /// Asks the system, which takes some ten microseconds for each CPU and thread.
    public static func read(cpus: [Int], proc: String = "/proc") -> MachineLoad {
        let times = CPUTimes(of: cpus, (try? SystemFile.text("\(proc)/stat")) ?? "")
        return MachineLoad(
            time: MonotonicClock.now, busy: times?.busy, stolen: times?.stolen,
            own: processSeconds, waited: waited(proc))
    }

    private static var processSeconds: Double {
        var time = timespec()
        guard clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time) == 0 else { return 0 }
        return Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
    }

    /// "run wait slices", in nanoseconds, of each thread; nil in kernels that do not count.
    private static func waited(_ proc: String) -> Double? {
        guard let folder = opendir("\(proc)/self/task") else { return nil }
        defer { closedir(folder) }
        var sum: Double?
        while let entry = readdir(folder) {
            let name = withUnsafeBytes(of: entry.pointee.d_name) { bytes in
                String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
            }
            // A thread may have ended meanwhile.
            guard Int(name) != nil, let line = try? SystemFile.line("\(proc)/self/task/\(name)/schedstat") else {
                continue
            }
            let words = line.split(separator: " ")
            if words.count == 3, let wait = Double(words[1]) { sum = (sum ?? 0) + wait / 1e9 }
        }
        return sum
    }
}

/// The lines "cpu0 user nice system idle iowait irq softirq steal guest guest_nice" of /proc/stat, added up in seconds.
private struct CPUTimes {
    var busy = 0.0
    var stolen = 0.0

    /// Nil where one of the CPUs has no line.
    init?(of cpus: [Int], _ text: String) {
        let ticks = Double(max(1, sysconf(Int32(_SC_CLK_TCK))))
        let wanted = Set(cpus)
        var found = 0
        for line in text.split(separator: "\n") {
            let words = line.split(separator: " ")
            guard let name = words.first, name.hasPrefix("cpu"), let cpu = Int(name.dropFirst(3)), wanted.contains(cpu)
            else { continue }
            let counts = words.dropFirst().compactMap { Double($0) }
            guard counts.count >= 8 else { return nil }
            busy += (counts[0] + counts[1] + counts[2] + counts[5] + counts[6]) / ticks
            stolen += counts[7] / ticks
            found += 1
        }
        if found < wanted.count || found == 0 { return nil }
    }
}
