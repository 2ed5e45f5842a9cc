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
    static func read(cpu folder: String) throws -> [CPUCache] {
        var caches: [CPUCache] = []
        // Four or five in practice, numbered without gaps.
        for index in 0..<16 {
            let cache = "\(folder)/cache/index\(index)"
            guard let level = try SystemFile.integer("\(cache)/level") else { break }
            // Some virtual machines leave out the rest.
            guard let size = try SystemFile.line("\(cache)/size"),
                let cpus = try SystemFile.list("\(cache)/shared_cpu_list", below: Topology.cpuLimit)
            else { continue }
            guard let bytes = SystemFile.byteCount(size), (1...8).contains(level) else {
                throw HardwareError(
                    .file, "\(cache): expected a level of 1...8 and a size, found \(level) and \"\(size)\"")
            }
            let kind = try SystemFile.line("\(cache)/type") ?? "Unified"
            caches.append(CPUCache(level: level, kind: kind, byteCount: bytes, cpus: cpus))
        }
        return caches
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

    /// Reads the description of one CPU.
    ///
    /// - Parameters:
    ///   - cpu: number of the CPU that is described.
    ///   - root: where sysfs is mounted.
    ///   - proc: where procfs is mounted.
    /// - Throws: `HardwareError` for malformed files. What the system does not say is nil, empty or "unknown".
    public static func read(cpu: Int = 0, root: String = "/sys", proc: String = "/proc") throws -> CPUInfo {
        let folder = "\(root)/devices/system/cpu/cpu\(cpu)"
        let text = try SystemFile.text("\(proc)/cpuinfo") ?? ""
        let kilohertz = try SystemFile.integer("\(folder)/cpufreq/cpuinfo_max_freq")
        return CPUInfo(
            model: model(text),
            megahertz: kilohertz.map { Double($0) / 1000 }
                ?? SystemFile.field("cpu MHz", in: text).flatMap { Double($0) },
            features: features(text),
            caches: try CPUCache.read(cpu: folder),
            hugePages: try SystemFile.choice("\(root)/kernel/mm/transparent_hugepage/enabled"),
            quota: try ControlGroup.cpuQuota(root: "\(root)/fs/cgroup", proc: proc))
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
