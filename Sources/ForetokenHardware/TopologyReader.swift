import Glibc

/// Reads `Topology` from the tree below /sys/devices.
///
/// Two kinds of files are told apart. Those that decide where memory goes must be right: otherwise everything is one node.
/// Those that only advise (cores, sockets, caches, speeds) are not known where they cannot be understood.
struct TopologyReader {
    /// Where the tree lies.
    let devices: String
    let proc: String
    /// What the process may use; nil asks the system.
    let asked: Topology.Restriction?

    private var system: String { "\(devices)/system" }

    /// A node as the system describes it.
    private struct RawNode {
        var id: Int
        var cpus: [Int]
        var memory: MemoryFigures
        var hasMemory: Bool
        /// To every online node.
        var distances: [Int]
    }

    func read(_ findings: inout Findings) -> Topology {
        do {
            return try described(&findings)
        } catch {
            // A machine with one node loses nothing.
            let online = findings.list("\(system)/node/online", below: Topology.nodeLimit)
            if online?.count == 1 {
                findings.add("\(system)/node", "\(error)")
            } else {
                findings.warn("all CPUs and all memory are taken as one node: \(error)")
            }
            return oneNode(&findings)
        }
    }

    /// The machine as its nodes are described.
    /// - Throws: `HardwareError` for a file that decides where memory goes and is malformed or contradicts another.
    private func described(_ findings: inout Findings) throws -> Topology {
        let restriction = try asked ?? .thisProcess(proc: proc, findings: &findings)
        let raw = try rawNodes(&findings)
        let split = try split(raw, restriction)
        let described = Set(split.nodes.map(\.id) + split.cpuOnly.map(\.id))
        let columns = raw.indices.filter { described.contains(raw[$0].id) }
        let table = Topology.DistanceTable(
            ids: columns.map { raw[$0].id }, rows: columns.map { row in columns.map { raw[row].distances[$0] } })
        let cpus = split.nodes.flatMap(\.cpus).sorted()
        guard !cpus.isEmpty else {
            throw HardwareError(
                .file,
                "\(system) names no CPU that this process may use (\(restriction)); check its cpuset and affinity")
        }
        let siblings = siblings(cpus, &findings)
        let homes = split.nodes.map { Set($0.cpus) }
        if let torn = siblings.first(where: { core in !homes.contains { $0.isSuperset(of: core) } }) {
            throw HardwareError(
                .file,
                "\(folder(torn[0])): its core is said to be CPUs \(NumberList.format(torn)), "
                    + "which belong to different nodes")
        }
        return topology(split.nodes, split.cpuOnly, table, siblings, &findings)
    }

    private func topology(
        _ nodes: [Topology.Node], _ cpuOnly: [Topology.CPUOnlyNode], _ table: Topology.DistanceTable,
        _ siblings: [[Int]], _ findings: inout Findings
    ) -> Topology {
        let nodeOfCPU = Dictionary(
            uniqueKeysWithValues: nodes.enumerated().flatMap { index, node in node.cpus.map { ($0, index) } })
        let cpus = nodeOfCPU.keys.sorted()
        let fast = CoreSpeeds(devices: devices).fast(of: cpus, &findings)
        return Topology(
            nodes: nodes, cpuOnlyNodes: cpuOnly, distanceTable: table,
            cores: siblings.map { core in
                let package = findings.integer(
                    "\(folder(core[0]))/topology/physical_package_id", in: -1...Int(Int32.max))
                return Topology.Core(
                    cpus: core, node: nodeOfCPU[core[0]] ?? 0, package: package ?? 0,
                    isFast: core.contains(where: fast.contains))
            }.sorted { ($0.node, $0.cpus[0]) < ($1.node, $1.cpus[0]) },
            clusters: clusters(of: cpus, &findings))
    }

    private func folder(_ cpu: Int) -> String { "\(system)/cpu/cpu\(cpu)" }

    // MARK: One node

    /// Everything the process may use as one node. What the kernel says of its CPUs comes before any file.
    private func oneNode(_ findings: inout Findings) -> Topology {
        // What went wrong with the list of nodes has been said.
        let limits = asked ?? (try? .thisProcess(proc: proc, findings: &findings))
        let mask = limits?.cpus ?? (asked == nil ? Topology.affinity(&findings) : nil)
        let online = findings.list("\(system)/cpu/online", below: Topology.cpuLimit)
        let count = min(max(1, sysconf(Int32(_SC_NPROCESSORS_ONLN))), Topology.cpuLimit)
        let cpus = [mask, online].compactMap(\.self).first { !$0.isEmpty } ?? Array(0..<count)
        let memory = machineMemory(&findings) ?? .physical
        let node = Topology.Node(
            id: limits?.memoryNodes?.first ?? 0, cpus: cpus.sorted(), attachedCPUs: [], memoryTotal: memory.total,
            memoryFree: memory.free, memoryAvailable: memory.available, distances: [10])
        let table = Topology.DistanceTable(ids: [node.id], rows: [[10]])
        return topology([node], [], table, siblings(node.cpus, &findings), &findings)
    }

    private func machineMemory(_ findings: inout Findings) -> MemoryFigures? {
        let path = "\(proc)/meminfo"
        return findings.attempt(path) { try SystemFile.text(path).map { try MemoryFigures($0, source: path) } }
    }

    // MARK: Nodes

    private func rawNodes(_ findings: inout Findings) throws -> [RawNode] {
        guard let online = try SystemFile.list("\(system)/node/online", below: Topology.nodeLimit) else {
            return [try kernelWithoutNodes(&findings)]
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
        return wholeMachine(nodes, &findings)
    }

    /// A single node's memory is the machine's. Hot-plugged memory may be missing from the node's own figures, and only
    /// the machine's have the kernel's estimate of what can be had.
    private func wholeMachine(_ nodes: [RawNode], _ findings: inout Findings) -> [RawNode] {
        guard nodes.filter(\.hasMemory).count == 1, let memory = machineMemory(&findings) else { return nodes }
        return nodes.map { node in
            var node = node
            if node.hasMemory { node.memory = memory }
            return node
        }
    }

    /// A kernel built without NUMA describes no nodes: everything is one.
    private func kernelWithoutNodes(_ findings: inout Findings) throws -> RawNode {
        let path = "\(system)/cpu/online"
        guard let online = try SystemFile.list(path, below: Topology.cpuLimit) else {
            throw HardwareError(.file, "neither \(system)/node/online nor \(path) exists")
        }
        let memory = machineMemory(&findings) ?? .physical
        return RawNode(id: 0, cpus: online, memory: memory, hasMemory: true, distances: [10])
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
    private func split(
        _ raw: [RawNode], _ restriction: Topology.Restriction
    ) throws -> (nodes: [Topology.Node], cpuOnly: [Topology.CPUOnlyNode]) {
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

    /// The hardware threads of each core; every CPU is one where that is not known.
    private func siblings(_ cpus: [Int], _ findings: inout Findings) -> [[Int]] {
        let lists = cpus.map { cpu in
            let (newer, older) = ("core_cpus_list", "thread_siblings_list")
            return findings.list("\(folder(cpu))/topology/\(newer)", below: Topology.cpuLimit)
                ?? findings.list("\(folder(cpu))/topology/\(older)", below: Topology.cpuLimit) ?? [cpu]
        }
        let members = Dictionary(uniqueKeysWithValues: zip(cpus, lists))
        let groups = findings.attempt("\(system)/cpu/topology/core_cpus_list") {
            try self.groups(of: cpus, called: "core") { members[$0] ?? [$0] }
        }
        return groups ?? cpus.map { [$0] }
    }

    /// Divides ascending `cpus` into groups by what `members` says of the first CPU of each.
    private func groups(of cpus: [Int], called name: String, members: (Int) -> [Int]) throws -> [[Int]] {
        let usable = Set(cpus)
        var taken: Set<Int> = []
        var groups: [[Int]] = []
        for cpu in cpus where !taken.contains(cpu) {
            let group = members(cpu).filter(usable.contains)
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

    /// Last-level caches; none where one CPU's are not known or they contradict each other.
    private func clusters(of cpus: [Int], _ findings: inout Findings) -> [Topology.CacheCluster] {
        var last: [Int: CPUCache] = [:]
        for cpu in cpus {
            let caches = CPUCache.read(cpu: folder(cpu), &findings)
            guard !caches.contains(where: { $0 == nil }) else { return [] }
            last[cpu] = caches.compactMap(\.self).max { $0.level < $1.level }
        }
        let groups = findings.attempt("\(system)/cpu/cache/shared_cpu_list") {
            try self.groups(of: cpus.filter { last[$0] != nil }, called: "last-level cache") { last[$0]?.cpus ?? [] }
        }
        return (groups ?? []).compactMap { group in
            last[group[0]].map { .init(cpus: group, level: $0.level, byteCount: $0.byteCount) }
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
