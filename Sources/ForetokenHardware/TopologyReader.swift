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
        let raw = try rawNodes()
        let split = try split(raw)
        let nodeOfCPU = Dictionary(
            uniqueKeysWithValues: split.nodes.enumerated().flatMap { index, node in node.cpus.map { ($0, index) } })
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
        let described = Set(split.nodes.map(\.id) + split.cpuOnly.map(\.id))
        let columns = raw.indices.filter { described.contains(raw[$0].id) }
        return Topology(
            nodes: split.nodes, cpuOnlyNodes: split.cpuOnly,
            distanceTable: .init(
                ids: columns.map { raw[$0].id }, rows: columns.map { row in columns.map { raw[row].distances[$0] } }),
            cores: try cores.map { siblings in
                guard let node = nodeOfCPU[siblings[0]], siblings.allSatisfy({ nodeOfCPU[$0] == node }) else {
                    throw HardwareError(
                        .file,
                        "\(folder(siblings[0])): its core is said to be CPUs \(NumberList.format(siblings)), "
                            + "which belong to different nodes")
                }
                let package = try SystemFile.integer("\(folder(siblings[0]))/topology/physical_package_id")
                return Topology.Core(cpus: siblings, node: node, package: package ?? 0)
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
        if let withMemory, let stray = withMemory.subtracting(online).min() {
            throw HardwareError(
                .file, "\(system)/node/has_memory: names node \(stray), which \(system)/node/online does not")
        }
        var owner: [Int: Int] = [:]
        let nodes = try online.map { id in
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
        return try wholeMachine(nodes)
    }

    /// A single node's memory is the machine's. Hot-plugged memory may be missing from the node's own figures, and only
    /// the machine's have the kernel's estimate of what can be had.
    private func wholeMachine(_ nodes: [RawNode]) throws -> [RawNode] {
        let path = "\(proc)/meminfo"
        guard nodes.filter(\.hasMemory).count == 1, let text = try SystemFile.text(path) else { return nodes }
        let memory = try MemoryFigures(text, source: path)
        return nodes.map { node in
            var node = node
            if node.hasMemory { node.memory = memory }
            return node
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
        guard distances.count == online.count, distances.allSatisfy({ (10...255).contains($0) }),
            zip(online, distances).allSatisfy({ $0 != id || $1 == 10 })
        else {
            throw HardwareError(
                .file,
                "\(folder)/distance: expected \(online.count) numbers in 10...255, 10 for node \(id) itself, "
                    + "found \"\(line.prefix(80))\"")
        }
        return distances
    }

    /// Nodes whose memory may be used with the CPUs that may, and those of which only CPUs may be used.
    private func split(_ raw: [RawNode]) throws -> (nodes: [Topology.Node], cpuOnly: [Topology.CPUOnlyNode]) {
        let allowedNodes = restriction.memoryNodes.map { Set($0) }
        let allowedCPUs = restriction.cpus.map { Set($0) }
        let kept = raw.indices.filter { raw[$0].hasMemory && allowedNodes?.contains(raw[$0].id) ?? true }
        guard !kept.isEmpty else {
            throw HardwareError(
                .file, "\(system)/node names no memory that this process may use (\(restriction)); check its cpuset")
        }
        let usable = raw.map { $0.cpus.filter { allowedCPUs?.contains($0) ?? true } }
        let cpuOnly = raw.indices.filter { !kept.contains($0) && !usable[$0].isEmpty }.map { index in
            let distances = raw[index].distances
            return Topology.CPUOnlyNode(
                id: raw[index].id, cpus: usable[index],
                nearest: kept.indices.min { (distances[kept[$0]], $0) < (distances[kept[$1]], $1) } ?? 0,
                isForbidden: raw[index].hasMemory)
        }
        let nodes = kept.enumerated().map { place, index in
            let attached = cpuOnly.filter { $0.nearest == place }.flatMap(\.cpus).sorted()
            return Topology.Node(
                id: raw[index].id, cpus: (usable[index] + attached).sorted(), attachedCPUs: attached,
                memoryTotal: raw[index].memory.total, memoryFree: raw[index].memory.free,
                memoryAvailable: raw[index].memory.available, distances: kept.map { raw[index].distances[$0] })
        }
        return (nodes, cpuOnly)
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
