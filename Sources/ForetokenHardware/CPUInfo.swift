/// One cache of a CPU.
public struct CPUCache: Sendable, Equatable {
    /// 1 is nearest to the core.
    public let level: Int
    /// "Data", "Instruction" or "Unified".
    public let kind: String
    /// Bytes.
    public let byteCount: Int
    /// CPUs that share it, ascending, whether the process may use them or not.
    public let cpus: [Int]

    /// The caches of the CPU described in a folder (/sys/devices/system/cpu/cpu0); empty where the system says nothing.
    ///
    /// - Returns: nil for a cache that there is but that is not known.
    static func read(cpu folder: String, _ findings: inout Findings) -> [CPUCache?] {
        var caches: [CPUCache?] = []
        // Four or five in practice, numbered without gaps.
        for index in 0..<16 {
            let cache = "\(folder)/cache/index\(index)"
            guard SystemFile.exists("\(cache)/level") else { break }
            // Some virtual machines leave out the rest.
            guard SystemFile.exists("\(cache)/size"), SystemFile.exists("\(cache)/shared_cpu_list") else { continue }
            caches.append(one(cache, &findings))
        }
        return caches
    }

    private static func one(_ folder: String, _ findings: inout Findings) -> CPUCache? {
        guard let level = findings.integer("\(folder)/level", in: 1...8), let bytes = size(folder, &findings),
            let cpus = findings.list("\(folder)/shared_cpu_list", below: Topology.cpuLimit)
        else { return nil }
        return CPUCache(
            level: level, kind: findings.line("\(folder)/type") ?? "Unified", byteCount: bytes, cpus: cpus)
    }

    /// A terabyte: figures can be added up without overflow.
    private static let mostBytes = 1 << 40

    private static func size(_ folder: String, _ findings: inout Findings) -> Int? {
        let path = "\(folder)/size"
        return findings.attempt(path) {
            guard let text = try SystemFile.line(path) else { return nil }
            guard let bytes = SystemFile.byteCount(text), (1...mostBytes).contains(bytes)
            else {
                throw HardwareError(.file, "\(path): expected a size as in 32768K, found \"\(text.prefix(80))\"")
            }
            return bytes
        }
    }
}

/// What a bench header or a doctor says of the processor.
public struct CPUInfo: Sendable, Equatable {
    /// The maker's name of the model; on arm64 the identification numbers, since Linux has no name there.
    public let model: String
    /// Highest frequency in MHz, or the present one where that is all the system says; nil where it says neither.
    public let megahertz: Double?
    /// Instruction set extensions that matter to arithmetic on weights, in the system's spelling and order.
    public let features: [String]
    /// Caches of CPU `cpu`, as the system lists them.
    public let caches: [CPUCache]
    /// The mode of transparent huge pages: "always", "madvise" or "never"; nil in kernels without them.
    public let hugePages: String?
    /// CPUs' worth of time the control group grants (docker --cpus); nil is no limit. More workers than this would be
    /// throttled together, in the middle of a run.
    public let quota: Double?

    /// Reads the description of one CPU. What the system does not say is nil, empty or "unknown".
    ///
    /// - Parameters:
    ///   - cpu: number of the CPU that is described.
    ///   - root: where sysfs is mounted.
    ///   - proc: where procfs is mounted.
    ///   - findings: takes what could not be understood.
    public static func read(
        cpu: Int = 0, root: String = "/sys", proc: String = "/proc", findings: inout Findings
    ) -> CPUInfo {
        let folder = "\(root)/devices/system/cpu/cpu\(cpu)"
        let text = findings.text("\(proc)/cpuinfo") ?? ""
        let kilohertz = findings.integer("\(folder)/cpufreq/cpuinfo_max_freq", in: CoreSpeeds.kilohertz)
        return CPUInfo(
            model: model(text),
            megahertz: kilohertz.map { Double($0) / 1000 } ?? megahertz(text),
            features: features(text),
            caches: CPUCache.read(cpu: folder, &findings).compactMap(\.self),
            hugePages: findings.choice("\(root)/kernel/mm/transparent_hugepage/enabled"),
            quota: quota(root: root, proc: proc, findings: &findings))
    }

    /// The same, where nobody asks what could not be understood.
    public static func read(cpu: Int = 0, root: String = "/sys", proc: String = "/proc") -> CPUInfo {
        var findings = Findings()
        return read(cpu: cpu, root: root, proc: proc, findings: &findings)
    }

    /// CPUs' worth of time that the process's control groups grant; nil without a limit, or where it is not known.
    public static func quota(
        root: String = "/sys", proc: String = "/proc", findings: inout Findings
    ) -> Double? {
        ControlGroup.cpuQuota(root: "\(root)/fs/cgroup", proc: proc, &findings)
    }

    private static func megahertz(_ cpuinfo: String) -> Double? {
        SystemFile.field("cpu MHz", in: cpuinfo).flatMap { Double($0) }.flatMap { $0 > 0 && $0 < 1e6 ? $0 : nil }
    }

    private static func model(_ cpuinfo: String) -> String {
        if let name = SystemFile.field("model name", in: cpuinfo) { return name }
        guard let implementer = SystemFile.field("CPU implementer", in: cpuinfo),
            let part = SystemFile.field("CPU part", in: cpuinfo)
        else { return "unknown" }
        return "implementer \(implementer), part \(part)"
    }

    private static let knownFeatures: Set<Substring> = [
        "avx", "avx2", "fma", "f16c", "avx512f", "avx512bw", "avx512vl", "avx512_vnni", "avx512_bf16", "avx512_fp16",
        "avx_vnni", "avx_vnni_int8", "amx_tile", "amx_int8", "amx_bf16", "amx_fp16",
        "asimd", "asimdhp", "asimddp", "i8mm", "bf16", "sve", "sve2", "svei8mm", "svebf16",
    ]

    private static func features(_ cpuinfo: String) -> [String] {
        let flags = SystemFile.field("flags", in: cpuinfo) ?? SystemFile.field("Features", in: cpuinfo) ?? ""
        return flags.split(separator: " ").filter(knownFeatures.contains).map(String.init)
    }
}
