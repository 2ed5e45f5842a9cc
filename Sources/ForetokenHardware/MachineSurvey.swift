import CForetokenSystem

/// Everything about the machine that decides how fast it generates, as this process sees it.
public struct MachineSurvey: Sendable, Equatable {
    /// Nodes, cores and caches the process may use.
    public var topology: Topology
    /// What limits it to them.
    public var restriction: Topology.Restriction
    /// CPUs that are online, whether the process may use them or not.
    public var onlineCPUs: [Int]
    /// Nodes that are online, whether the process may use them or not.
    public var onlineNodes: [Int]
    /// The processor; one of the usable CPUs stands for all.
    public var processor: CPUInfo
    /// Memory that can be had now, control groups included.
    public var budget: MemoryBudget
    /// Address space the process may have (ulimit -v), in bytes; nil without a limit.
    public var addressSpaceLimit: Int?
    /// vm.overcommit_memory: 0 and 1 let the arenas be mapped, 2 counts every mapped byte; nil where nobody says.
    public var overcommit: Int?
    /// Transparent huge pages and pools.
    public var hugePages: HugePages
    /// kernel.numa_balancing: 0 off, 1 on, 2 between memory tiers; nil in kernels without it.
    public var numaBalancing: Int?
    /// What the firmware says of the nodes' memory; empty without an HMAT.
    public var memoryAccess: [MemoryAccess]
    /// Which memory policy calls work.
    public var permissions: PolicyPermissions

    /// Asks the system. To be called before anything is pinned.
    ///
    /// - Parameters:
    ///   - root: where sysfs is mounted.
    ///   - proc: where procfs is mounted.
    ///   - restriction: what the process may use; nil asks the system.
    ///   - permissions: which calls work; nil tries them.
    /// - Throws: `HardwareError` for files that are malformed or contradict each other.
    public static func read(
        root: String = "/sys", proc: String = "/proc", restriction: Topology.Restriction? = nil,
        permissions: PolicyPermissions? = nil
    ) throws -> MachineSurvey {
        let restriction = try restriction ?? .thisProcess(proc: proc)
        let topology = try Topology.read(root: root, proc: proc, restriction: restriction)
        let system = "\(root)/devices/system"
        let online = try SystemFile.list("\(system)/node/online", below: Topology.nodeLimit) ?? topology.nodes.map(\.id)
        let limit = foretoken_address_space_limit()
        return MachineSurvey(
            topology: topology, restriction: restriction,
            onlineCPUs: try SystemFile.list("\(system)/cpu/online", below: Topology.cpuLimit) ?? topology.cpus,
            onlineNodes: online,
            processor: try CPUInfo.read(cpu: topology.cpus[0], root: root, proc: proc),
            budget: try MemoryBudget.read(proc: proc, groups: "\(root)/fs/cgroup"),
            addressSpaceLimit: limit > UInt64(Int.max) ? nil : Int(limit),
            overcommit: try SystemFile.integer("\(proc)/sys/vm/overcommit_memory"),
            hugePages: try HugePages.read(root: root, nodes: topology.nodes.map(\.id)),
            numaBalancing: try SystemFile.integer("\(proc)/sys/kernel/numa_balancing"),
            memoryAccess: try MemoryAccess.read(root: root, nodes: online),
            permissions: try permissions ?? .probe())
    }
}
