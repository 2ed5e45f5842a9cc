import ForetokenHardware
import Testing

@Suite struct NodeBudgetTests {
    private func budget(replacing files: [String: String?] = [:]) throws -> NodeMemoryBudget {
        let machine: [String: String?] = ["proc/meminfo": "MemTotal: 99 kB\nMemFree: 9 kB\nMemAvailable: 50 kB\n"]
        let tree = try FixtureTree("two-nodes-smt", replacing: machine.merging(files) { $1 })
        return NodeMemoryBudget.read(
            nodes: [1, 0], root: tree.sys, proc: tree.proc, groups: "\(tree.sys)/fs/cgroup")
    }

    private func node(_ figures: [String: Int]) -> String {
        figures.sorted { $0.key < $1.key }.map { "Node 1 \($0.key): \($0.value) kB\n" }.joined()
    }

    private static let wide = MemoryBudget(systemAvailable: 1 << 50, groupAvailable: nil)

    @Test func reclaimableMemoryCounts() throws {
        let meminfo = node([
            "MemTotal": 1 << 20, "MemFree": 1000, "Active(file)": 200, "Inactive(file)": 30, "SReclaimable": 4,
            "Active(anon)": 7777,
        ])
        let budget = try self.budget(replacing: ["sys/devices/system/node/node1/meminfo": meminfo])
        #expect(budget.nodes.map(\.id) == [0, 1])
        #expect(budget.nodes[1].available == 1234 << 10)
        #expect(budget.nodes[1].margin == (1 << 30) / 50)
        #expect(budget.nodes[1].usable == 0, "the margin is larger than what is left")
    }

    @Test func theMarginIsAtMostAGibibyte() {
        #expect(NodeMemoryBudget.Node(id: 0, total: 100 << 30, available: 90 << 30).usable == 89 << 30)
        #expect(NodeMemoryBudget.Node(id: 0, total: 1000, available: 900).usable == 880)
    }

    @Test func everyNodeThatIsShortIsNamed() throws {
        let nodes = [0, 1, 2].map { NodeMemoryBudget.Node(id: $0, total: 100 << 30, available: (10 + $0) << 30) }
        let budget = NodeMemoryBudget(nodes: nodes, whole: Self.wide)
        try budget.check(wanted: [0: 9 << 30, 1: 10 << 30, 2: 11 << 30, 7: 0], for: "weights")
        let error = #expect(throws: HardwareError.self) {
            try budget.check(wanted: [0: (9 << 30) + 1, 1: 10 << 30, 2: 20 << 30, 5: 1 << 20], for: "weights")
        }
        #expect(error?.kind == .memory)
        let text = try #require(error?.description)
        #expect(text.contains("node 0 is to hold 9.0 GiB (9663676417 bytes), but has room for 9.0 GiB"))
        #expect(!text.contains("node 1 "))
        #expect(text.contains("node 2 is to hold 20.0 GiB") && text.contains("12.0 GiB (12884901888 bytes) free or"))
        #expect(text.contains("node 5 is to hold 1.0 MiB (1048576 bytes), but has no memory that may be used"))
    }

    @Test func theGroupLimitCountsInTotal() throws {
        let nodes = [0, 1].map { NodeMemoryBudget.Node(id: $0, total: 100 << 30, available: 90 << 30) }
        let whole = MemoryBudget(systemAvailable: 1 << 40, groupAvailable: 30 << 30)
        let budget = NodeMemoryBudget(nodes: nodes, whole: whole)
        try budget.check(wanted: [0: 10 << 30, 1: 10 << 30], elsewhere: 10 << 30, for: "weights")
        let error = #expect(throws: HardwareError.self) {
            try budget.check(wanted: [0: 10 << 30, 1: 10 << 30], elsewhere: (10 << 30) + 1, for: "weights")
        }
        #expect(error?.description.contains("control group leaves 30.0 GiB") == true)
    }

    @Test func nothingIsRefusedOnANodeThatIsNotKnown() throws {
        for content: String? in [nil, "lots\n", ""] {
            let silent = try self.budget(replacing: ["sys/devices/system/node/node1/meminfo": content])
            #expect(silent.nodes.map(\.id) == [0] && silent.unknown == [1])
            let budget = NodeMemoryBudget(nodes: silent.nodes, unknown: silent.unknown, whole: Self.wide)
            try budget.check(wanted: [1: 1 << 49], for: "weights")
            #expect(throws: HardwareError.self) { try budget.check(wanted: [1: 1 << 51], for: "weights") }
            #expect(throws: HardwareError.self) { try budget.check(wanted: [0: 1 << 49], for: "weights") }
        }
        let withoutNodes = try FixtureTree("one-node", replacing: ["sys/devices/system/node/online": nil])
        let budget = NodeMemoryBudget.read(
            nodes: [0], root: withoutNodes.sys, proc: withoutNodes.proc, groups: "\(withoutNodes.sys)/fs/cgroup")
        #expect(budget.nodes[0].available == budget.whole.systemAvailable)
    }

    @Test func theRealMachineAnswers() throws {
        let nodes = Topology.read().nodes.map(\.id)
        let budget = NodeMemoryBudget.read(nodes: nodes)
        #expect(budget.nodes.allSatisfy { $0.usable < $0.available && $0.available <= $0.total })
    }
}
