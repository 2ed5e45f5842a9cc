import CForetokenSystem

/// Everything about the machine that decides how fast it generates, as this process sees it.
public struct MachineSurvey: Sendable, Equatable {
    /// Nodes, cores and caches the process may use.
    public var topology: Topology
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
    /// What could not be read or understood.
    public var findings: Findings

    /// Workers unless the user says.
    public var defaultWorkers: DefaultWorkers { topology.defaultWorkers(quota: processor.quota) }

    /// Asks the system. To be called before anything is pinned.
    ///
    /// - Parameters:
    ///   - root: where sysfs is mounted.
    ///   - proc: where procfs is mounted.
    ///   - restriction: what the process may use; nil asks the system.
    ///   - permissions: which calls work; nil tries them.
    /// - Throws: `HardwareError` when there is no memory to try calls on.
    public static func read(
        root: String = "/sys", proc: String = "/proc", restriction: Topology.Restriction? = nil,
        permissions: PolicyPermissions? = nil
    ) throws -> MachineSurvey {
        var findings = Findings()
        let topology = Topology.read(root: root, proc: proc, restriction: restriction, findings: &findings)
        let system = "\(root)/devices/system"
        let nodes = topology.nodes.map(\.id)
        let online = findings.list("\(system)/node/online", below: Topology.nodeLimit) ?? nodes
        return MachineSurvey(
            topology: topology,
            onlineCPUs: findings.list("\(system)/cpu/online", below: Topology.cpuLimit) ?? topology.cpus,
            onlineNodes: online,
            processor: CPUInfo.read(cpu: topology.cpus[0], root: root, proc: proc, findings: &findings),
            budget: MemoryBudget.read(proc: proc, groups: "\(root)/fs/cgroup", findings: &findings),
            addressSpaceLimit: AddressSpace.limit,
            overcommit: findings.integer("\(proc)/sys/vm/overcommit_memory", in: 0...2),
            hugePages: HugePages.read(root: root, nodes: nodes, findings: &findings),
            numaBalancing: findings.integer("\(proc)/sys/kernel/numa_balancing", in: 0...Int(Int32.max)),
            memoryAccess: MemoryAccess.read(root: root, nodes: online, findings: &findings),
            permissions: try permissions ?? .probe(), findings: findings)
    }
}
