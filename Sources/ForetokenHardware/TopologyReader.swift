/// Reads `Topology` from the tree below /sys/devices/system.
struct TopologyReader {
    let system: String
    let proc: String
    let restriction: Topology.Restriction

    /// A node as the system describes it.
    private struct RawNode {
        var id: Int
        var cpus: [Int]
        var memory: MemoryFigures
        var hasMemory: Bool
        /// To every online node.
        var distances: [Int]
    }

    func read() throws -> Topology {
        let nodes = try usableNodes(rawNodes())
        let nodeOfCPU = Dictionary(
            uniqueKeysWithValues: nodes.enumerated().flatMap { index, node in node.cpus.map { ($0, index) } })
        guard !nodeOfCPU.isEmpty else {
            throw HardwareError(
                .file,
                "\(system) names no CPU that this process may use (\(restriction)); check its cpuset and affinity")
        }
        let cpus = nodeOfCPU.keys.sorted()
        let cores = try groups(of: cpus, called: "core") { cpu in
            try SystemFile.list("\(folder(cpu))/topology/core_cpus_list", below: Topology.cpuLimit)
                ?? SystemFile.list("\(folder(cpu))/topology/thread_siblings_list", below: Topology.cpuLimit) ?? [cpu]
        }
        return Topology(
            nodes: nodes,
            cores: try cores.map { siblings in
                let package = try SystemFile.integer("\(folder(siblings[0]))/topology/physical_package_id")
                return Topology.Core(cpus: siblings, node: nodeOfCPU[siblings[0]] ?? 0, package: package ?? 0)
            }.sorted { ($0.node, $0.cpus[0]) < ($1.node, $1.cpus[0]) },
            clusters: try clusters(of: cpus))
    }

    private func folder(_ cpu: Int) -> String { "\(system)/cpu/cpu\(cpu)" }

    // MARK: Nodes

    private func rawNodes() throws -> [RawNode] {
        guard let online = try SystemFile.list("\(system)/node/online", below: Topology.nodeLimit) else {
            return [try kernelWithoutNodes()]
        }
        let withMemory = try SystemFile.list("\(system)/node/has_memory", below: Topology.nodeLimit).map { Set($0) }
        var owner: [Int: Int] = [:]
        return try online.map { id in
            let folder = "\(system)/node/node\(id)"
            guard let cpus = try SystemFile.list("\(folder)/cpulist", below: Topology.cpuLimit),
                let meminfo = try SystemFile.text("\(folder)/meminfo")
            else {
                throw HardwareError(.file, "\(folder): node \(id) is online, but its cpulist or meminfo is missing")
            }
            for cpu in cpus {
                if let other = owner.updateValue(id, forKey: cpu) {
                    throw HardwareError(.file, "\(folder)/cpulist: CPU \(cpu) belongs to node \(other) already")
                }
            }
            let memory = try MemoryFigures(meminfo, source: "\(folder)/meminfo")
            return RawNode(
                id: id, cpus: cpus, memory: memory, hasMemory: withMemory?.contains(id) ?? (memory.total > 0),
                distances: try distances(folder, from: id, to: online))
        }
    }

    /// A kernel built without NUMA describes no nodes: everything is one.
    private func kernelWithoutNodes() throws -> RawNode {
        let meminfo = "\(proc)/meminfo"
        guard let online = try SystemFile.list("\(system)/cpu/online", below: Topology.cpuLimit),
            let text = try SystemFile.text(meminfo)
        else {
            throw HardwareError(
                .file,
                "neither \(system)/node/online nor \(system)/cpu/online with \(meminfo) exists; is sysfs mounted?")
        }
        return RawNode(
            id: 0, cpus: online, memory: try MemoryFigures(text, source: meminfo), hasMemory: true, distances: [10])
    }

    private func distances(_ folder: String, from id: Int, to online: [Int]) throws -> [Int] {
        // Without the file: the kernel's own defaults, LOCAL_DISTANCE and REMOTE_DISTANCE.
        guard let line = try SystemFile.line("\(folder)/distance") else { return online.map { $0 == id ? 10 : 20 } }
        let distances = line.split(separator: " ").compactMap { Int($0) }
        guard distances.count == online.count, distances.allSatisfy({ (1...255).contains($0) }) else {
            throw HardwareError(
                .file, "\(folder)/distance: expected \(online.count) numbers in 1...255, found \"\(line.prefix(80))\"")
        }
        return distances
    }

    /// Nodes whose memory may be used, with the CPUs that may.
    private func usableNodes(_ raw: [RawNode]) throws -> [Topology.Node] {
        let allowedNodes = restriction.memoryNodes.map { Set($0) }
        let allowedCPUs = restriction.cpus.map { Set($0) }
        let kept = raw.indices.filter { raw[$0].hasMemory && allowedNodes?.contains(raw[$0].id) ?? true }
        guard !kept.isEmpty else {
            throw HardwareError(
                .file, "\(system)/node names no memory that this process may use (\(restriction)); check its cpuset")
        }
        var cpus = [[Int]](repeating: [], count: raw.count)
        for (index, node) in raw.enumerated() {
            let usable = node.cpus.filter { allowedCPUs?.contains($0) ?? true }
            let home =
                kept.contains(index)
                ? index : kept.min { (node.distances[$0], $0) < (node.distances[$1], $1) } ?? kept[0]
            cpus[home] += usable
        }
        return kept.map { index in
            Topology.Node(
                id: raw[index].id, cpus: cpus[index].sorted(), memoryTotal: raw[index].memory.total,
                memoryFree: raw[index].memory.free, memoryAvailable: raw[index].memory.available,
                distances: kept.map { raw[index].distances[$0] })
        }
    }

    // MARK: Cores and caches

    /// Cuts ascending `cpus` into groups by what `members` says of the first CPU of each.
    private func groups(of cpus: [Int], called name: String, members: (Int) throws -> [Int]) throws -> [[Int]] {
        let usable = Set(cpus)
        var taken: Set<Int> = []
        var groups: [[Int]] = []
        for cpu in cpus where !taken.contains(cpu) {
            let group = try members(cpu).filter(usable.contains)
            guard group.contains(cpu), taken.isDisjoint(with: group) else {
                throw HardwareError(
                    .file,
                    "\(folder(cpu)): its \(name) is said to be CPUs \(NumberList.format(group)), which leaves out "
                        + "CPU \(cpu) or takes another \(name)'s")
            }
            taken.formUnion(group)
            groups.append(group)
        }
        return groups
    }

    private func clusters(of cpus: [Int]) throws -> [Topology.CacheCluster] {
        var found: [Int: CPUCache] = [:]
        for cpu in cpus { found[cpu] = try CPUCache.read(cpu: folder(cpu)).max { $0.level < $1.level } }
        let described = cpus.filter { found[$0] != nil }
        return try groups(of: described, called: "last-level cache") { found[$0]?.cpus ?? [] }.compactMap { group in
            found[group[0]].map { .init(cpus: group, level: $0.level, byteCount: $0.byteCount) }
        }
    }
}

extension Topology.Restriction: CustomStringConvertible {
    /// Both lists as the kernel writes them.
    public var description: String {
        let cpus = cpus.map(NumberList.format) ?? "all"
        let nodes = memoryNodes.map(NumberList.format) ?? "all"
        return "CPUs \(cpus), memory of nodes \(nodes)"
    }
}
