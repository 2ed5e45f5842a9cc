import ForetokenHardware
import ForetokenModel
import ForetokenReport

/// What `doctor --json` prints, its keys spelt in snake_case; the tables are made from the same. What is nil is left out.
package struct DoctorReport: Encodable {
    struct Processor: Encodable {
        let model: String
        /// nil where the system does not say.
        let megahertz: Double?
        /// Instruction set extensions of the processor.
        let features: [String]
        /// What `--isa` can be, best first.
        let instructionSets: [String]
    }

    struct Node: Encodable {
        /// What a node has: "full", "memory_only" or "cpu_only".
        enum Kind: String, Encodable {
            case full
            case memoryOnly = "memory_only"
            case cpuOnly = "cpu_only"
        }

        let id: Int
        let kind: Kind
        /// Its own usable CPUs.
        let cpus: [Int]
        /// Workers that read its memory first: physical cores, those of CPU-only nodes included.
        let workers: Int
        let memoryBytes: Int
        let freeBytes: Int
        /// Free and reclaimable.
        let availableBytes: Int
        /// For a CPU-only node the one whose memory its CPUs read.
        let attachedTo: Int?
    }

    struct Distances: Encodable {
        let nodes: [Int]
        let rows: [[Int]]
    }

    struct Cache: Encodable {
        let level: Int
        let kind: String
        let bytes: Int
        let cpus: [Int]
    }

    struct HugePages: Encodable {
        struct Pool: Encodable {
            let node: Int
            let pageBytes: Int
            let total: Int
            let free: Int
        }
        let enabled: String?
        let defrag: String?
        let pools: [Pool]
    }

    struct Limits: Encodable {
        let onlineCpus: [Int]
        let usableCpus: [Int]
        let onlineNodes: [Int]
        let memoryNodes: [Int]
        /// CPUs' worth of time; nil without a limit.
        let cpuQuota: Double?
        /// nil where the system does not say.
        let memoryAvailableBytes: Int?
        /// nil without a limit.
        let groupAvailableBytes: Int?
        /// nil without a limit.
        let addressSpaceBytes: Int?
        let overcommit: Int?
        /// Workers unless --threads says.
        let defaultThreads: Int
        /// Why there are not as many as cores; nil where there are.
        let defaultThreadsReason: String?
    }

    struct Call: Encodable {
        let call: String
        /// "allowed", or "denied (EPERM)".
        let outcome: String
    }

    struct Access: Encodable {
        let node: Int
        let accessClass: Int
        let initiators: [Int]
        let readMbPerS: Int?
        let writeMbPerS: Int?
        let readNs: Int?
        let writeNs: Int?
    }

    /// A file whose word counts as not known.
    struct Unknown: Encodable {
        let file: String
        let reason: String
    }

    struct Advice: Encodable {
        let weight: MachineAdvice.Weight
        let text: String
        let remedy: String?
    }

    let source: String
    let fingerprint: String
    var processor: Processor?
    let nodes: [Node]
    let distance: Distances
    /// CPUs of each physical core.
    let cores: [[Int]]
    /// Those of them that are not slower than others.
    let fastCores: [[Int]]
    /// Last-level caches.
    var clusters: [Cache] = []
    /// Caches of the first usable CPU.
    var caches: [Cache] = []
    var hugePages: HugePages?
    var limits: Limits?
    var policy: [Call]?
    var numaBalancing: Int?
    var hmat: [Access]?
    /// Fallbacks that were taken.
    var warnings: [String]?
    var unknown: [Unknown]?
    /// What was measured here, or what the file says.
    var bandwidth: NumaBandwidth?
    let advice: [Advice]

    /// Whether this is a file's machine instead of this one.
    var isDescribed: Bool { processor == nil }

    private init(_ topology: Topology, source: String, advice: [MachineAdvice]) {
        self.source = source
        fingerprint = topology.fingerprint
        nodes = Self.nodes(topology)
        distance = Distances(nodes: topology.distanceTable.ids, rows: topology.distanceTable.rows)
        cores = topology.cores.map(\.cpus)
        fastCores = topology.cores.filter(\.isFast).map(\.cpus)
        clusters = topology.clusters.map {
            Cache(level: $0.level, kind: "Unified", bytes: $0.byteCount, cpus: $0.cpus)
        }
        self.advice = advice.map { Advice(weight: $0.weight, text: $0.text, remedy: $0.remedy) }
    }

    /// This machine.
    /// - Parameters:
    ///   - bandwidth: what was measured on it, if anything.
    ///   - now: seconds since 1970.
    package init(_ survey: MachineSurvey, bandwidth: NumaBandwidth?, now: Int) {
        var advice = survey.advice + (bandwidth?.advice(now: now) ?? [])
        if bandwidth == nil {
            advice.append(
                MachineAdvice(
                    .note, "how fast memory is read here has not been measured", remedy: "run foretoken bench --numa"))
        }
        self.init(survey.topology, source: "this machine", advice: advice)
        self.bandwidth = bandwidth
        processor = Processor(
            model: survey.processor.model, megahertz: survey.processor.megahertz, features: survey.processor.features,
            instructionSets: InstructionSet.available)
        caches = survey.processor.caches.map {
            Cache(level: $0.level, kind: $0.kind, bytes: $0.byteCount, cpus: $0.cpus)
        }
        hugePages = HugePages(
            enabled: survey.hugePages.enabled, defrag: survey.hugePages.defrag,
            pools: survey.hugePages.pools.map {
                .init(node: $0.node, pageBytes: $0.pageBytes, total: $0.total, free: $0.free)
            })
        limits = Limits(
            onlineCpus: survey.onlineCPUs, usableCpus: survey.topology.cpus, onlineNodes: survey.onlineNodes,
            memoryNodes: survey.topology.nodes.map(\.id), cpuQuota: survey.processor.quota,
            memoryAvailableBytes: survey.budget.systemAvailable, groupAvailableBytes: survey.budget.groupAvailable,
            addressSpaceBytes: survey.addressSpaceLimit, overcommit: survey.overcommit,
            defaultThreads: survey.defaultWorkers.count, defaultThreadsReason: survey.defaultWorkers.reason)
        warnings = survey.findings.warnings
        unknown = survey.findings.unknown.map { Unknown(file: $0.file, reason: $0.reason) }
        policy = survey.permissions.calls.map { Call(call: $0.name, outcome: $0.outcome) }
        numaBalancing = survey.numaBalancing
        hmat = survey.memoryAccess.map {
            Access(
                node: $0.node, accessClass: $0.accessClass, initiators: $0.initiators, readMbPerS: $0.readBandwidth,
                writeMbPerS: $0.writeBandwidth, readNs: $0.readLatency, writeNs: $0.writeLatency)
        }
    }

    /// A described machine.
    package init(_ file: TopologyFile, source: String) {
        let topology = file.topology
        self.init(topology, source: source, advice: topology.advice)
        bandwidth = NumaBandwidth(file)
    }

    private static func nodes(_ topology: Topology) -> [Node] {
        let withMemory = topology.nodes.enumerated().map { index, node in
            Node(
                id: node.id, kind: node.ownCPUs.isEmpty ? .memoryOnly : .full, cpus: node.ownCPUs,
                workers: topology.workerCPUs(node: index).count, memoryBytes: node.memoryTotal,
                freeBytes: node.memoryFree, availableBytes: node.memoryAvailable, attachedTo: nil)
        }
        let cpuOnly = topology.cpuOnlyNodes.map { node in
            Node(
                id: node.id, kind: .cpuOnly, cpus: node.cpus, workers: 0, memoryBytes: 0, freeBytes: 0,
                availableBytes: 0, attachedTo: topology.nodes[node.nearest].id)
        }
        return (withMemory + cpuOnly).sorted { $0.id < $1.id }
    }
}

extension NumaBandwidth {
    /// A file's figures in the shape of a measurement: single readings, and nothing about all nodes at once.
    package init(_ file: TopologyFile) {
        let threads = file.cpuNodes.map { id in
            file.cores.filter { core in file.nodes.contains { $0.id == id && $0.cpus.contains(core[0]) } }.count
        }
        self.init(
            fingerprint: file.topology.fingerprint, cpuNodes: file.cpuNodes, threads: threads,
            memory: file.memoryNodes.map { .init(id: $0, bufferBytes: 0, placement: .none, share: nil) })
        read = file.readGBps.map { $0.map { .init(best: $0 * 1e9, worst: $0 * 1e9, readings: 1) } }
        if let latencies = file.latencyNanoseconds {
            latency = latencies.map { $0.map { .init(best: $0, worst: $0, readings: 1) } }
        }
    }

    /// Older measurements may be of other memory or another kernel.
    private static let freshDays = 90

    /// What the measured bandwidth will give, when it was measured, and how well its readings agreed.
    fileprivate func advice(now: Int) -> [MachineAdvice] {
        let sum = together.reduce(0) { $0 + ($1?.best ?? 0) }
        guard sum > 0, let day, let measuredAt else { return [] }
        let readings = together.compactMap { $0?.readings }.min() ?? 0
        let days = (now - measuredAt) / 86_400
        let isFresh = (0...Self.freshDays).contains(days)
        let text =
            "memory is read at \(Format.short(sum / 1e9)) GB/s by all cores together: "
            + "each GB of weights that a step reads takes \(Format.short(1e12 / sum)) ms "
            + "(measured on \(day), \(readings) readings at most \(Format.fixed(spread * 100, 0)) % apart)"
        guard !isFresh else { return [MachineAdvice(.good, text)] }
        let age = days < 0 ? "a day that has not come yet" : "\(days) days ago"
        return [MachineAdvice(.note, text + "; that was \(age)", remedy: "run foretoken bench --numa --fresh")]
    }
}
