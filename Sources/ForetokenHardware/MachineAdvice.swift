/// One plain sentence about what a machine will give or what to mend on it.
public struct MachineAdvice: Sendable, Equatable {
    /// How much it matters.
    public enum Weight: String, Sendable, Codable {
        /// As it should be.
        case good
        /// Good to know.
        case note
        /// Costs speed or fails, and can be mended.
        case mend
    }

    /// How much it matters.
    public let weight: Weight
    /// What there is and what it means.
    public let text: String
    /// What to do; nil where nothing is to be done.
    public let remedy: String?

    /// A sentence with its remedy.
    public init(_ weight: Weight, _ text: String, remedy: String? = nil) {
        self.weight = weight
        self.text = text
        self.remedy = remedy
    }
}

extension MachineSurvey {
    /// What the machine will give and what to mend, most general first.
    public var advice: [MachineAdvice] {
        unknown + workers + topology.advice + policy + pages + limits
    }

    // MARK: What the system does not tell

    private var unknown: [MachineAdvice] {
        findings.warnings.map { MachineAdvice(.mend, $0) } + findings.sentences.map { MachineAdvice(.note, $0) }
    }

    // MARK: Threads

    private var workers: [MachineAdvice] {
        let cores = topology.cores.count
        var advice: [MachineAdvice] = []
        if !permissions.pin.isAllowed {
            advice.append(
                MachineAdvice(
                    .mend,
                    "threads cannot be pinned: \(permissions.pin.name) is \(permissions.pin.outcome); "
                        + "workers sleep between phases and speed is uneven",
                    remedy: "let the sandbox allow sched_setaffinity"))
        }
        let hidden = onlineCPUs.count - topology.cpus.count
        if hidden > 0 {
            advice.append(
                MachineAdvice(
                    .note,
                    "this process may use \(topology.cpus.count) of \(onlineCPUs.count) CPUs "
                        + "(\(NumberList.format(topology.cpus))); its affinity or cpuset leaves out the others"))
        }
        if let reason = defaultWorkers.reason, topology.cores.contains(where: { !$0.isFast }) {
            advice.append(MachineAdvice(.note, "\(reason); --threads \(cores) takes all cores"))
        }
        guard let quota = processor.quota, quota < Double(cores) else { return advice }
        return advice + [
            MachineAdvice(
                .mend,
                "the control group grants \(FigureText.decimal(quota)) CPUs' worth of time to \(cores) cores: "
                    + "as many workers would be stopped together, in the middle of a step",
                remedy: "leave it at --threads \(defaultWorkers.count), or raise the limit (docker --cpus, cpu.max)")
        ]
    }

    // MARK: Memory policy

    private var policy: [MachineAdvice] {
        let denied = [permissions.bind, permissions.setPolicy, permissions.getPolicy].filter { !$0.isAllowed }
        let places = topology.nodes.count > 1
        var advice: [MachineAdvice] = []
        if let first = denied.first {
            let names = denied.map(\.name).joined(separator: ", ")
            let text = "memory policy calls are \(first.outcome): \(names)"
            advice.append(
                places
                    ? MachineAdvice(
                        .mend, text + "; memory is placed by first touch, and memory-only nodes cannot be reached",
                        remedy: "run the container with --cap-add SYS_NICE")
                    : MachineAdvice(.note, text + "; with one memory node nothing is lost"))
        } else if places {
            advice.append(MachineAdvice(.good, "memory can be bound to nodes"))
        }
        if places && !permissions.query.isAllowed {
            advice.append(
                MachineAdvice(
                    .note,
                    "\(permissions.query.name) is \(permissions.query.outcome); "
                        + "where pages lie is read from /proc/self/numa_maps"))
        }
        if places && !permissions.move.isAllowed {
            advice.append(
                MachineAdvice(
                    .note,
                    "\(permissions.move.name) is \(permissions.move.outcome); "
                        + "experts are moved by copying them"))
        }
        if places, let numaBalancing, numaBalancing != 0 {
            advice.append(
                MachineAdvice(
                    .note,
                    "kernel.numa_balancing is \(numaBalancing): the kernel moves pages after their readers; "
                        + (denied.isEmpty
                            ? "memory that is bound is left alone" : "what is placed by first touch may wander"),
                    remedy: denied.isEmpty ? nil : "sysctl kernel.numa_balancing=0"))
        }
        return advice
    }

    // MARK: Pages

    private var pages: [MachineAdvice] {
        var advice: [MachineAdvice] = []
        switch hugePages.enabled {
        case "always", "madvise":
            if hugePages.defrag == "never" || hugePages.defrag == "defer" {
                advice.append(
                    MachineAdvice(
                        .mend,
                        "transparent huge pages are on, but defrag is \(hugePages.defrag ?? ""): "
                            + "loading takes only those that lie ready",
                        remedy: "echo madvise > /sys/kernel/mm/transparent_hugepage/defrag"))
            } else {
                advice.append(MachineAdvice(.good, "transparent huge pages are on (\(hugePages.enabled ?? ""))"))
            }
        case nil where findings.leavesUnknown("transparent_hugepage/enabled"): break
        case let mode:
            advice.append(
                MachineAdvice(
                    .mend,
                    mode == nil
                        ? "this kernel has no transparent huge pages: reading weights misses the TLB more often"
                        : "transparent huge pages are off (\(mode ?? "")): reading weights misses the TLB more often",
                    remedy: mode == nil ? nil : "echo madvise > /sys/kernel/mm/transparent_hugepage/enabled"))
        }
        let idle = hugePages.pools.reduce(0) { $0 + $1.pageBytes * $1.free }
        if idle > 0 {
            advice.append(
                MachineAdvice(
                    .mend, "\(FigureText.bytes(idle)) are set aside in hugetlb pools, which weights cannot use",
                    remedy: "shrink the pools (vm.nr_hugepages) unless something else needs them"))
        }
        return advice
    }

    // MARK: Limits

    private var limits: [MachineAdvice] {
        var advice: [MachineAdvice] = []
        if let group = budget.groupAvailable, let system = budget.systemAvailable, group < system {
            advice.append(
                MachineAdvice(
                    .note,
                    "the control group leaves \(FigureText.bytes(group)) of the machine's "
                        + "\(FigureText.bytes(system)) available"))
        }
        if let addressSpaceLimit {
            advice.append(
                MachineAdvice(
                    .mend, "ulimit -v allows \(FigureText.bytes(addressSpaceLimit)) of address space",
                    remedy: "ulimit -v unlimited"))
        }
        if overcommit == 2 {
            advice.append(
                MachineAdvice(
                    .note, "vm.overcommit_memory is 2: every mapped byte counts against CommitLimit of /proc/meminfo"))
        }
        if let room = [budget.available, addressSpaceLimit].compactMap(\.self).min() {
            advice.append(
                MachineAdvice(.good, "weights, cache and scratch of up to \(FigureText.bytes(room)) fit now"))
        }
        return advice
    }
}

extension Topology {
    /// What the nodes mean for placing experts.
    public var advice: [MachineAdvice] {
        var advice = [placement]
        for index in nodes.indices where nodes[index].cpus.isEmpty {
            let node = nodes[index]
            advice.append(
                MachineAdvice(
                    .note,
                    "node \(node.id) has memory and no usable CPUs: "
                        + "rarely needed experts can be tiered onto its \(FigureText.bytes(node.memoryTotal))"))
        }
        for node in cpuOnlyNodes {
            let home =
                "the CPUs of node \(node.id) (\(NumberList.format(node.cpus))) read node \(nodes[node.nearest].id)"
            advice.append(
                node.isForbidden
                    ? MachineAdvice(
                        .mend, "the memory of node \(node.id) is forbidden to this process; \(home)",
                        remedy: "widen cpuset.mems, or take the CPUs away too")
                    : MachineAdvice(
                        .mend, "node \(node.id) has CPUs and no memory; \(home)", remedy: "fill its memory channels"))
        }
        return advice
    }

    private var placement: MachineAdvice {
        let reading = nodes.filter { !$0.cpus.isEmpty }
        guard nodes.count > 1 else {
            return MachineAdvice(
                .note, "one memory node: nothing to place; plans can be tried with --topology FILE")
        }
        let sockets = socketGroups
        let shared = sockets.count < reading.count ? " in \(sockets.count) groups of short distance" : ""
        return MachineAdvice(
            .good, "\(nodes.count) memory nodes, \(reading.count) with CPUs\(shared): experts can be placed")
    }

    /// Nodes with CPUs, as indices of `nodes`, grouped by distances of at most 15 from the group's first: what one socket
    /// with sub-NUMA clusters looks like.
    public var socketGroups: [[Int]] {
        nodes.indices.filter { !nodes[$0].cpus.isEmpty }.reduce(into: []) { groups, node in
            if let group = groups.firstIndex(where: { nodes[$0[0]].distances[node] <= 15 }) {
                groups[group].append(node)
            } else {
                groups.append([node])
            }
        }
    }
}
