import ForetokenHardware
import ForetokenPlacement
import ForetokenText
import Testing

@Suite struct MachineDescriptionTests {
    /// Two sockets, CPUs without memory beside the second, and a memory-only node.
    private let file = Result {
        try TopologyFile(
            json: Array(
                """
                {"nodes": [{"id": 0, "cpus": [0, 1, 8, 9], "memory_bytes": 128000000000},
                           {"id": 1, "cpus": [2, 3], "memory_bytes": 40000000000},
                           {"id": 2, "cpus": [4], "memory_bytes": 0}, {"id": 3, "cpus": [], "memory_bytes": 512000000000}],
                 "distance": [[10, 20, 30, 40], [20, 10, 15, 50], [30, 15, 10, 50], [40, 50, 50, 10]],
                 "read_gbps": [[200, 60, 30], [61, 180, 20], [40, 90, 10]],
                 "cores": [[0, 8], [1, 9], [2], [3], [4]]}
                """.utf8), source: "machine.json")
    }

    private let budget = MemoryBudget(systemAvailable: 1 << 50, groupAvailable: nil)

    private func measured(_ topology: Topology) -> NumaBandwidth {
        func figure(_ value: Double) -> NumaBandwidth.Figure { .init(best: value, worst: value / 2, readings: 5) }
        var bandwidth = NumaBandwidth(
            fingerprint: topology.fingerprint, cpuNodes: [0, 1, 2], threads: [2, 2, 1],
            memory: [0, 1, 3].map { .init(id: $0, bufferBytes: 1 << 28, placement: .bound, share: 1) })
        bandwidth.read = .init(repeating: [figure(9e9), figure(9e9), figure(9e9)], count: 3)
        bandwidth.together = [figure(170e9), figure(150e9), nil]
        bandwidth.tiers = [.init(memory: 3, reader: 0, read: figure(25e9), own: figure(160e9))]
        return bandwidth
    }

    @Test func aFileGivesAMachine() throws {
        let description = try MachineDescription(file.get())
        let machine = description.machine
        #expect(machine.nodes.map(\.id) == [0, 1, 3])
        #expect(machine.nodes.map(\.workers) == [2, 3, 0], "cores, and those of CPU-only nodes where they read")
        #expect(machine.nodes.map(\.bandwidth) == [200e9, 180e9, 30e9], "the best reader's where there are no CPUs")
        // 1 GiB, 2 % and 1 GiB less.
        #expect(
            machine.nodes.map(\.capacity) == [128_000_000_000 - 1 << 30, 39_200_000_000, 512_000_000_000 - 1 << 30])
        #expect(try machine.fingerprint == file.get().topology.fingerprint)
        #expect(description.source == .file && !machine.isMeasured && description.remark != nil)
        #expect(machine.distances == [[10, 20, 40], [20, 10, 50], [40, 50, 10]])
        #expect(machine.pieceSeconds == 2.5e-6 && machine.rowCost == [1])
        #expect(abs(machine.barrierSeconds - 2.5e-6) < 1e-12, "2 µs, and half a one for the second node with workers")
    }

    @Test func measurementsComeFirst() throws {
        let topology = try file.get().topology
        let description = MachineDescription(
            topology, budget: budget, bandwidth: measured(topology), costs: .init(piece: 1e-6, barrier: 3e-6))
        #expect(description.source == .measured && description.machine.isMeasured && description.remark == nil)
        #expect(description.machine.nodes.map(\.bandwidth) == [170e9, 150e9, 25e9])
        #expect(description.machine.pieceSeconds == 1e-6 && description.machine.barrierSeconds == 3e-6)
    }

    @Test func whatIsNotOfThisMachineDoesNotCount() throws {
        let topology = try file.get().topology
        var foreign = measured(topology)
        foreign.fingerprint = "0123456789abcdef"
        var partial = measured(topology)
        partial.tiers = []
        for bandwidth in [foreign, partial, nil] {
            let description = MachineDescription(topology, budget: budget, bandwidth: bandwidth)
            #expect(description.source == .assumed && !description.machine.isMeasured)
            #expect(description.machine.nodes.map(\.bandwidth) == [100e9, 100e9, 25e9])
            #expect(description.remark?.contains("100 GB/s") == true)
        }
    }

    @Test func theFirmwareIsBelievedBeforeAssumptions() throws {
        let topology = try file.get().topology
        let firmware = [0, 1, 3].flatMap { node in
            [0, 1].map { kind in
                MemoryAccess(node: node, accessClass: kind, initiators: [0], readBandwidth: 10_000 * (node + 1) + kind)
            }
        }
        let description = MachineDescription(topology, budget: budget, bandwidth: nil, firmware: firmware)
        #expect(description.source == .firmware && !description.machine.isMeasured)
        #expect(description.machine.nodes.map(\.bandwidth) == [10.001e9, 20.001e9, 40.001e9])
        let some = MachineDescription(topology, budget: budget, bandwidth: nil, firmware: firmware.dropLast(2))
        #expect(some.source == .assumed, "figures of different kinds are not mixed")
    }

    @Test func memoryThatCannotBeReachedIsLeftOut() throws {
        let topology = try file.get().topology
        var bandwidth = measured(topology)
        bandwidth.tiers = []
        let machine = MachineDescription(topology, budget: budget, bandwidth: bandwidth, canBind: false).machine
        #expect(machine.nodes.map(\.id) == [0, 1] && machine.nodes.map(\.bandwidth) == [170e9, 150e9])
        #expect(machine.fingerprint == topology.fingerprint && machine.isMeasured)
    }

    @Test func controlGroupsLimitTheSum() throws {
        let topology = try file.get().topology
        let limit = 100_000_000_000
        let machine = MachineDescription(
            topology, budget: .init(systemAvailable: 1 << 50, groupAvailable: limit), bandwidth: nil
        ).machine
        let sum = machine.nodes.reduce(0) { $0 + $1.capacity }
        #expect(sum <= limit && sum > limit - 10)
        #expect(machine.nodes[2].capacity > 3 * machine.nodes[0].capacity)
    }

    @Test func marginsAreSmallOnSmallNodes() {
        #expect(NodeMemoryBudget.margin(of: 160 << 20) == 160 << 20 / 50)
        #expect(NodeMemoryBudget.margin(of: 1 << 40) == 1 << 30)
    }
}
