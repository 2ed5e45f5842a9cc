import ForetokenHardware
import ForetokenPlacement
import ForetokenWeights

/// The workers on the machine as far as this process may use it, and the nodes that weights are cut for.
public struct Crew: Sendable {
    /// The workers.
    public let pool: WorkerPool
    /// The nodes they sit on.
    public let nodes: NodeLayout
    /// The machine as plans see it, with the workers that there are.
    public let machine: PlacementMachine

    /// Refuses work that needs every worker on its node where they are not.
    /// - Throws: `SettingsError`.
    package func checkPlaces() throws {
        guard nodes.nodes.count == machine.nodes.count else {
            throw SettingsError(
                "\(pool.workerCount) threads share fewer CPUs, so nothing can be placed on the \(machine.nodes.count) nodes; "
                    + "lower --threads")
        }
    }

    /// As many workers as asked for, or else as the machine is good for, spread over the nodes, each pinned to its own CPU.
    ///
    /// - Parameters:
    ///   - threads: at least 1; nil for as many as the machine is good for.
    ///   - sharers: processes that share the machine; beside others workers are not pinned, and by default fewer.
    ///   - bandwidth: what was measured of a machine's memory, if anything.
    ///   - tell: is given what is not as it should be: nodes or memory that are not known, fewer workers than cores, workers
    ///     that are not pinned.
    /// - Throws: `HardwareError`.
    public static func make(
        threads: Int?, sharers: Int = 1, bandwidth: (Topology) -> NumaBandwidth? = { _ in nil },
        tell: (Notice) -> Void
    ) throws -> Crew {
        var findings = Findings()
        let topology = Topology.read(findings: &findings)
        // Before anything is pinned.
        let policy = try MemoryPolicySupport.probe()
        var machine = MachineDescription.here(
            topology, policy, bandwidth: bandwidth(topology), findings: &findings
        ).machine
        let usual = topology.defaultWorkers(quota: CPUInfo.quota(findings: &findings))
        for warning in findings.warnings { tell(.warning(warning)) }
        if threads == nil, let reason = usual.reason { tell(.note(reason)) }
        let count = threads ?? max(1, usual.count / sharers)
        if sharers > 1 { return Crew(pool: try WorkerPool(threads: count), nodes: .single, machine: machine) }
        if count > topology.cpus.count {
            tell(
                .warning(
                    "\(count) threads share \(topology.cpus.count) CPUs and are not pinned"
                        + (topology.nodes.count > 1 ? ", and weights are not placed on nodes" : "")
                        + "; expect them to be slow"))
            return Crew(pool: try WorkerPool(threads: count), nodes: .single, machine: machine)
        }
        let workers = topology.spread(count)
        let cpus = zip(topology.nodes.indices, workers).flatMap { topology.cpus(node: $0, count: $1) }
        let pool = try WorkerPool(threads: count, cpus: cpus, teamSizes: workers.filter { $0 > 0 })
        if !pool.isPinned { tell(.warning("the system refused to pin threads to CPUs; expect uneven speed")) }
        guard topology.nodes.count > 1 else { return Crew(pool: pool, nodes: .single, machine: machine) }
        if !policy.canBind { tell(.warning("\(policy)")) }
        // Nodes that cannot be reached are no part of the machine.
        for index in machine.nodes.indices {
            let place = topology.nodes.firstIndex { $0.id == machine.nodes[index].id }
            machine.nodes[index].workers = place.map { workers[$0] } ?? 0
        }
        let nodes = machine.nodes.map { NodeLayout.Node(id: $0.id, workers: $0.workers, bandwidth: $0.bandwidth) }
        return Crew(
            pool: pool, nodes: NodeLayout(nodes: nodes, pieceSeconds: machine.pieceSeconds, policy: policy),
            machine: machine)
    }
}

extension MachineDescription {
    /// This machine, as its topology and its firmware tell.
    /// - Parameter bandwidth: what was measured on it, if anything.
    package static func here(
        _ topology: Topology, _ policy: MemoryPolicySupport, bandwidth: NumaBandwidth?, costs: Costs = .init(),
        findings: inout Findings
    ) -> MachineDescription {
        MachineDescription(
            topology, budget: MemoryBudget.read(findings: &findings),
            bandwidth: topology.nodes.count > 1 ? bandwidth : nil,
            firmware: MemoryAccess.read(nodes: topology.nodes.map(\.id), findings: &findings),
            canBind: policy.canBind, costs: costs)
    }
}

extension Topology {
    /// By node: its part of so many workers. Fast cores come first, in equal shares of each node's, then the other cores,
    /// and second hardware threads only after every core has work.
    package func spread(_ count: Int) -> [Int] {
        let fast = nodes.indices.map { node in cores.count { $0.node == node && $0.isFast } }
        let slow = nodes.indices.map { node in cores.count { $0.node == node && !$0.isFast } }
        let siblings = nodes.indices.map { nodes[$0].cpus.count - fast[$0] - slow[$0] }
        var parts = nodes.map { _ in 0 }
        var left = count
        for kind in [fast, slow, siblings] {
            let taken = Self.divide(min(left, kind.reduce(0, +)), among: kind)
            left -= taken.reduce(0, +)
            parts = zip(parts, taken).map { $0 + $1 }
        }
        return parts
    }

    /// Divides `count` in proportion to `sizes`, none getting more than its size; what rounding leaves over goes one by one
    /// to those that are shortest of their share.
    private static func divide(_ count: Int, among sizes: [Int]) -> [Int] {
        let total = sizes.reduce(0, +)
        guard total > 0 else { return sizes }
        var parts = sizes.map { $0 * count / total }
        let rest = sizes.map { $0 * count % total }
        // Of equal needs that of the node with fewer workers comes first.
        let byNeed = sizes.indices.sorted { (rest[$0], parts[$1], $1) > (rest[$1], parts[$0], $0) }
        for index in byNeed.prefix(count - parts.reduce(0, +)) { parts[index] += 1 }
        return parts
    }

    /// The first `count` CPUs of a node to be given work.
    package func cpus(node: Int, count: Int) -> [Int] {
        let own = cores.filter { $0.node == node }
        let first = (own.filter(\.isFast) + own.filter { !$0.isFast }).map { $0.cpus[0] }
        return Array((first + nodes[node].cpus.filter { !first.contains($0) }).prefix(count))
    }
}
