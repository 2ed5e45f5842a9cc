import ForetokenHardware
import ForetokenPlacement

/// A machine as placements see it, and where its figures come from.
package struct MachineDescription {
    /// Where the bandwidths come from; they are never mixed.
    package enum Source: String {
        /// Measured on this machine.
        case measured
        /// A topology file.
        case file
        /// The firmware's table (HMAT).
        case firmware
        /// Nobody has said: stated defaults.
        case assumed
    }

    /// What a piece of work costs besides reading, in seconds; nil takes the default.
    package struct Costs {
        /// One expert's part on one node, in one phase. Default: 2.5 µs, a large expert's part at 200 GB/s being 100 µs.
        package var piece: Double?
        /// One meeting of all workers. Default: 2 µs on one node, and half a microsecond for each more with workers.
        package var barrier: Double?

        /// Costs that were measured, if any.
        package init(piece: Double? = nil, barrier: Double? = nil) {
            self.piece = piece
            self.barrier = barrier
        }
    }

    /// What placements are made for.
    package let machine: PlacementMachine
    /// Where its bandwidths come from.
    package let source: Source
    /// What a reader of a plan must know about them; nil for figures measured here.
    package let remark: String?

    /// Bytes a second that are assumed of a node with CPUs: eight channels of DDR4-2400, of which two thirds arrive.
    package static let assumedBandwidth = 100e9
    /// Bytes a second that are assumed of a memory-only node: one CXL link of eight PCIe 5.0 lanes.
    package static let assumedTierBandwidth = 25e9

    /// This machine: nodes hold what is free and reclaimable less a margin, and all of them together what the process's
    /// control groups leave.
    ///
    /// - Parameters:
    ///   - topology: the machine.
    ///   - budget: memory that can be had now.
    ///   - bandwidth: what was measured on it, if anything.
    ///   - firmware: what its firmware says, if anything.
    ///   - canBind: whether memory can be bound to nodes (`PolicyPermissions.bind`). Otherwise memory-only nodes cannot
    ///     be reached and are left out.
    ///   - costs: measured costs, if any.
    package init(
        _ topology: Topology, budget: MemoryBudget, bandwidth: NumaBandwidth?, firmware: [MemoryAccess] = [],
        canBind: Bool = true, costs: Costs = .init()
    ) {
        let reachable = topology.nodes.indices.filter { canBind || !topology.nodes[$0].cpus.isEmpty }
        let room = reachable.map { index in
            max(
                0,
                topology.nodes[index].memoryAvailable - NodeMemoryBudget.margin(of: topology.nodes[index].memoryTotal))
        }
        let total = room.reduce(0, +)
        let scale = budget.available.map { total > $0 ? Double($0) / Double(total) : 1 } ?? 1
        let capacities = room.map { scale < 1 ? Int(Double($0) * scale) : $0 }
        func description(_ speeds: [Double], _ source: Source, _ remark: String?) -> MachineDescription {
            MachineDescription(topology, reachable, capacities, speeds, source, costs, remark)
        }
        if let speeds = bandwidth.flatMap({ Self.measured($0, topology, reachable) }) {
            self = description(speeds, .measured, nil)
        } else if let speeds = Self.promised(firmware, topology, reachable) {
            self = description(
                speeds, .firmware,
                "bandwidths are the firmware's promises (HMAT), not measurements; bench --numa measures")
        } else {
            self = description(
                reachable.map { topology.nodes[$0].cpus.isEmpty ? Self.assumedTierBandwidth : Self.assumedBandwidth },
                .assumed, "bandwidths are assumed: \(Self.assumptions); bench --numa measures")
        }
    }

    /// A described machine, with all its memory free but for the margin.
    package init(_ file: TopologyFile, costs: Costs = .init()) {
        let topology = file.topology
        let speeds = topology.nodes.enumerated().map { column, node in
            // A node's own CPUs read it; others' do where it has none.
            let own = file.cpuNodes.firstIndex(of: node.id)
            return 1e9 * (own.map { file.readGBps[$0][column] } ?? file.readGBps.map { $0[column] }.max() ?? 0)
        }
        let capacities = topology.nodes.map { $0.memoryTotal - NodeMemoryBudget.margin(of: $0.memoryTotal) }
        self.init(
            topology, Array(topology.nodes.indices), capacities, speeds, .file, costs,
            "bandwidths are a file's, each node read alone; all nodes at once may read less")
    }

    /// - Parameters:
    ///   - indices: of the nodes that count.
    ///   - capacities: bytes of each of these.
    ///   - bandwidths: bytes a second of each of these.
    private init(
        _ topology: Topology, _ indices: [Int], _ capacities: [Int], _ bandwidths: [Double], _ source: Source,
        _ costs: Costs, _ remark: String?
    ) {
        let nodes = indices.enumerated().map { place, index in
            PlacementMachine.Node(
                id: topology.nodes[index].id, workers: topology.workerCPUs(node: index).count,
                capacity: capacities[place], bandwidth: bandwidths[place])
        }
        let teams = nodes.filter { $0.workers > 0 }.count
        machine = PlacementMachine(
            fingerprint: topology.fingerprint, nodes: nodes, pieceSeconds: costs.piece ?? 2.5e-6,
            barrierSeconds: costs.barrier ?? 2e-6 + 0.5e-6 * Double(teams - 1), isMeasured: source == .measured,
            distances: indices.map { from in indices.map { topology.nodes[from].distances[$0] } })
        self.source = source
        self.remark = remark
    }

    // MARK: Bandwidths of some nodes; nil where one is missing

    /// All nodes at once; memory-only ones while their readers also read their own memory.
    private static func measured(_ bandwidth: NumaBandwidth, _ topology: Topology, _ indices: [Int]) -> [Double]? {
        guard bandwidth.fingerprint == topology.fingerprint, bandwidth.fault == nil,
            bandwidth.memory.map(\.id) == topology.nodes.map(\.id)
        else { return nil }
        return whole(
            indices.map { index in
                let tier = bandwidth.tiers.first { $0.memory == topology.nodes[index].id }
                return bandwidth.together[index]?.best ?? tier?.read.best
            })
    }

    private static func promised(_ firmware: [MemoryAccess], _ topology: Topology, _ indices: [Int]) -> [Double]? {
        whole(
            indices.map { index in
                firmware.filter { $0.node == topology.nodes[index].id }.sorted { $0.accessClass > $1.accessClass }
                    .compactMap(\.readBandwidth).first.map { Double($0) * 1e6 }
            })
    }

    private static func whole(_ speeds: [Double?]) -> [Double]? {
        let known = speeds.compactMap { $0 }
        return known.count == speeds.count ? known : nil
    }

    private static var assumptions: String {
        "\(Int(assumedBandwidth / 1e9)) GB/s for a node with CPUs, "
            + "\(Int(assumedTierBandwidth / 1e9)) GB/s for memory alone"
    }
}
