import ForetokenPlacement
import FoundationEssentials
import Testing

/// What the planner says of the machines of the project's reference tables, mean of five routers.
@Suite struct PlannerTests {
    private func reports(
        _ model: PlacementModel, _ machine: PlacementMachine, skew: Double, policies: [PlacementPolicy]? = nil
    ) throws -> [PlanReport] {
        try PlacementFixtures.fiveTexts(skew: skew).map { halves in
            try Planner(model: model, machine: machine, halves: halves).plan(policies, isTimeUp: { true })
        }
    }

    @Test("Between two equal nodes, experts of V3's size are sliced", arguments: [0.5, 1])
    func equalNodes(skew: Double) throws {
        let model = PlacementFixtures.v3()
        for expertBytes in [25_000_000, 44_000_000] {
            var sized = model
            (sized.gateUpBytes, sized.downBytes) = (expertBytes / 3 * 2, expertBytes / 3)
            let machine = PlacementFixtures.machine(
                nodes: 2, for: sized, pieceSeconds: 2.5e-6 / 2, barrierSeconds: 3e-6)
            for report in try reports(sized, machine, skew: skew) {
                #expect(report.choice?.policy == .sliced(pieces: nil))
                #expect(!report.needsStatistics && report.choice?.plan?.layers.isEmpty == true)
            }
        }
    }

    struct SlowNode: Sendable {
        var nodes: Int, room: Int
        var skew: Double
        /// Of an independent simulation: equal slices as capacity allows, and shares by statistics, over the bound.
        var capacitySliced: Double, tiered: Double
    }

    @Test(
        "With a slow node, the chosen plan beats equal slices as far as an independent simulation says, within 10 %",
        arguments: [
            SlowNode(nodes: 1, room: 160, skew: 0.5, capacitySliced: 1.5, tiered: 1.13),
            SlowNode(nodes: 1, room: 160, skew: 1, capacitySliced: 1.5, tiered: 1.05),
            SlowNode(nodes: 2, room: 80, skew: 0.5, capacitySliced: 2.62, tiered: 1.46),
            SlowNode(nodes: 2, room: 80, skew: 1, capacitySliced: 2.62, tiered: 1.12),
            SlowNode(nodes: 2, room: 96, skew: 1, capacitySliced: 1.75, tiered: 1.05),
            SlowNode(nodes: 4, room: 48, skew: 1, capacitySliced: 3.25, tiered: 1.14),
        ])
    func slowNode(_ row: SlowNode) throws {
        let model = PlacementFixtures.v3()
        let machine = PlacementFixtures.machine(nodes: row.nodes, room: row.room, slow: true, for: model)
        let all = try reports(model, machine, skew: row.skew)
        let count = Double(all.count)
        let baseline = all.reduce(0) { $0 + $1.baseline!.score!.ratioToBound } / count
        let chosen = all.reduce(0) { $0 + $1.choice!.score!.ratioToBound } / count
        #expect(abs(baseline / row.capacitySliced - 1) < 0.02)
        #expect(baseline / chosen > 0.9 * row.capacitySliced / row.tiered, "\(baseline) over \(chosen)")
        #expect(all.allSatisfy { $0.needsStatistics && $0.statisticsGain! > 1 })
    }

    @Test("Small experts and dear pieces: fewer pieces than nodes", arguments: [4, 8])
    func smallExperts(nodes: Int) throws {
        let model = PlacementFixtures.smallExperts()
        let machine = PlacementFixtures.machine(nodes: nodes, for: model, pieceSeconds: 2.5e-6)
        for report in try reports(model, machine, skew: 0.5) {
            let plan = try #require(report.choice?.plan)
            let pieces = plan.layers.values.joined().map { Double($0.copies[0].count) }
            #expect(!pieces.isEmpty && pieces.reduce(0, +) / Double(pieces.count) <= Double(nodes) / 2)
        }
    }

    @Test("Two nodes with memory to spare mirror experts where slicing is dear")
    func mirrors() throws {
        let model = PlacementFixtures.smallExperts()
        let machine = PlacementFixtures.machine(nodes: 2, for: model, pieceSeconds: 2.5e-6)
        for report in try reports(model, machine, skew: 0.5) {
            let choice = try #require(report.choice)
            guard case .replicas = choice.policy else {
                Issue.record("chose \(choice.policy)")
                continue
            }
            #expect(choice.score!.replicaBytes > 0)
        }
    }

    @Test("One node has nothing to place")
    func oneNode() throws {
        let model = PlacementFixtures.v3()
        let machine = PlacementFixtures.machine(nodes: 1, for: model)
        let report = try Planner(
            model: model, machine: machine, halves: try PlacementFixtures.fiveTexts(skew: 0.5)[0]
        ).plan()
        #expect(report.results.map(\.policy) == [.sliced(pieces: nil)] && report.chosen == 0)
        #expect(abs(report.results[0].score!.ratioToBound - 1) < 1e-9)
    }

    @Test("A step is dense weights, experts, barriers and the rest; its report is JSON without plans")
    func step() throws {
        let model = PlacementFixtures.v3(layers: 3, denseBytes: 4_000_000_000)
        let machine = PlacementFixtures.machine(nodes: 2, for: model, barrierSeconds: 1e-5)
        let halves = try WindowHalves(of: PlacementFixtures.smallTrace)
        let report = try Planner(model: model, machine: machine, halves: halves, otherSeconds: 1e-3)
            .plan([.sliced(pieces: nil), .roundRobin])
        let scores = report.results.compactMap(\.score)
        #expect(abs(scores[0].barrierSeconds - 6e-5) < 1e-12 && abs(scores[1].barrierSeconds - 9e-5) < 1e-12)
        let rest = 0.01 + 1e-3
        for score in scores {
            #expect(abs(score.stepSeconds - score.expertSeconds - score.barrierSeconds - rest) < 1e-9)
            #expect(abs(score.tokensPerSecond * score.stepSeconds - 2) < 1e-9)
        }
        let data = try JSONEncoder().encode(report)
        let object = try #require(try JSONDecoder().decode(Sketch.self, from: data) as Sketch?)
        #expect(object.results.map(\.policy) == ["sliced", "round-robin"])
        #expect(object.nodes.map(\.reservedBytes) == [2_000_000_000, 2_000_000_000])
        #expect(!String(decoding: data, as: UTF8.self).contains("\"plan\""))
    }

    private struct Sketch: Decodable {
        struct Result: Decodable { var policy: String }
        struct Node: Decodable { var reservedBytes: Int }
        var results: [Result]
        var nodes: [Node]
    }

    @Test("Impossible machines, foreign traces and dense weights without room are refused by name")
    func refusals() throws {
        let model = PlacementFixtures.v3()
        let good = PlacementFixtures.machine(nodes: 2, for: model)
        let halves = try PlacementFixtures.fiveTexts(skew: 0.5)[0]
        func refuses(_ model: PlacementModel, _ machine: PlacementMachine, _ text: String) {
            #expect {
                try Planner(model: model, machine: machine, halves: halves)
            } throws: { error in
                "\(error)".contains(text)
            }
        }
        for (text, change) in [
            ("nodes", { $0.nodes = [] }), ("workers", { for node in 0..<2 { $0.nodes[node].workers = 0 } }),
            ("workers of node 1", { $0.nodes[1].workers = -1 }),
            ("bandwidth of node 0", { $0.nodes[0].bandwidth = .nan }),
            ("bandwidth of node 1", { $0.nodes[1].bandwidth = 0 }),
            ("capacity of node 0", { $0.nodes[0].capacity = .max }),
            ("piece", { $0.pieceSeconds = -1 }), ("barrier", { $0.barrierSeconds = .infinity }),
            ("row", { $0.rowCost = [] }), ("row", { $0.rowCost = [1, .nan] }),
            ("ascending", { $0.nodes[1].id = 0 }), ("distances", { $0.distances = [[10]] }),
        ] as [(String, (inout PlacementMachine) -> Void)] {
            var machine = good
            change(&machine)
            refuses(model, machine, text)
        }
        var foreign = model
        foreign.expertCount = 128
        refuses(foreign, good, "256 experts")
        var other = model
        other.layers = [4]
        refuses(other, good, "layer 3")
        var heavy = model
        heavy.denseBytes = 1 << 40
        refuses(heavy, good, "node 0")
    }
}
