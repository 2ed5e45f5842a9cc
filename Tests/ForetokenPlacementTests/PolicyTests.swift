import ForetokenPlacement
import ForetokenTestSupport
import Testing

@Suite struct PolicyTests {
    /// A small model, a machine that it may or may not fit, and windows.
    private func example(_ random: inout SeededGenerator) throws -> (PlacementModel, PlacementMachine, WindowHalves) {
        let experts = Int.random(in: 4...24, using: &random)
        let layers = Int.random(in: 1...3, using: &random)
        let perToken = Int.random(in: 1...min(4, experts), using: &random)
        let model = PlacementModel(
            fingerprint: "m", layers: Array(0..<layers), expertCount: experts, expertsPerToken: perToken,
            gateUpBytes: Int.random(in: 1000...9000, using: &random),
            downBytes: Int.random(in: 500...5000, using: &random),
            gateUpPanels: Int.random(in: 1...20, using: &random), downPanels: Int.random(in: 1...20, using: &random),
            denseBytesPerStep: 5000, denseBytes: 6000)
        let total = model.expertBytes * experts * layers
        let count = Int.random(in: 1...5, using: &random)
        let nodes = (0..<count).map { index in
            PlacementMachine.Node(
                id: 2 * index, workers: index == 0 ? 3 : Int.random(in: 0...3, using: &random),
                capacity: 6000 + Int.random(in: 0...2 * total / count, using: &random),
                bandwidth: [1e9, 1e9, 2e9, 4e9].randomElement(using: &random)!)
        }
        let machine = PlacementMachine(
            fingerprint: "x", nodes: nodes, pieceSeconds: 1e-7, barrierSeconds: 1e-7, rowCost: [1, 1.2, 1.3])
        let trace = PlacementFixtures.randomTrace(
            layers: layers, experts: experts, perToken: perToken, rows: 240, random: &random)
        return (model, machine, try WindowHalves(of: trace))
    }

    private let policies: [PlacementPolicy] = [
        .sliced(pieces: nil), .sliced(pieces: 2), .proportional, .capacitySliced, .roundRobin, .contiguous, .balanced,
        .spread, .hybrid(percent: 25), .hybrid(percent: 100), .tiered, .search, .replicas(percent: 25),
        .replicas(percent: 100),
    ]

    @Test(
        "Whatever the machine, a plan respects capacities and is valid, a refusal says what is missing, and none beats the bound"
    )
    func capacities() throws {
        var random = SeededGenerator(seed: 5)
        var (plans, refusals) = (0, 0)
        for _ in 0..<150 {
            let (model, machine, halves) = try example(&random)
            guard let planner = try? Planner(model: model, machine: machine, halves: halves) else { continue }
            let report = planner.plan(policies)
            for result in report.results {
                guard let plan = result.plan, let score = result.score else {
                    refusals += 1
                    let reason = try #require(result.reason)
                    #expect(!reason.isEmpty && result.shortfalls.allSatisfy { $0.missingBytes > 0 })
                    continue
                }
                plans += 1
                #expect(throws: Never.self) { try plan.validate(for: model, on: machine) }
                #expect(zip(score.bytes, machine.nodes).allSatisfy { $0 <= $1.capacity })
                let all = model.denseBytes + model.expertBytes * model.expertCount * model.layers.count
                #expect(score.bytes.reduce(0, +) == all + score.replicaBytes)
                #expect(score.ratioToBound > 1 - 1e-9)
                #expect(score.nodeBusy.joined().allSatisfy { $0 <= 1 + 1e-9 })
            }
        }
        #expect(plans > 300 && refusals > 100)
    }

    @Test("Equal input gives equal plans")
    func determinism() throws {
        var random = SeededGenerator(seed: 6)
        for _ in 0..<15 {
            let (model, machine, halves) = try example(&random)
            guard let planner = try? Planner(model: model, machine: machine, halves: halves) else { continue }
            let (once, again) = (planner.plan(policies), planner.plan(policies))
            #expect(once.results.map(\.plan) == again.results.map(\.plan))
            #expect(once.results.map(\.score) == again.results.map(\.score) && once.chosen == again.chosen)
        }
    }

    @Test("Swaps never make the surrogate worse, keep every node's number of experts, and end where no swap helps")
    func swaps() {
        var random = SeededGenerator(seed: 7)
        for _ in 0..<40 {
            let (experts, nodes) = (Int.random(in: 2...20, using: &random), Int.random(in: 2...4, using: &random))
            var matrix = [Float](repeating: 0, count: experts * experts)
            for _ in 0..<60 {
                let active = (0..<experts).shuffled(using: &random).prefix(4)
                for one in active { for other in active { matrix[one * experts + other] += 1 } }
            }
            let slowness: [Float] = (0..<nodes).map { _ in Float.random(in: 1...3, using: &random) }
            let start = (0..<experts).map { _ in Int32.random(in: 0..<Int32(nodes), using: &random) }
            var homes = start
            let swaps = CoactivationSwaps(coactivation: matrix, count: experts)
            swaps.improve(&homes, slowness: slowness)
            #expect(homes.sorted() == start.sorted())
            let reached = swaps.surrogate(homes, slowness: slowness)
            #expect(reached <= swaps.surrogate(start, slowness: slowness))
            for one in 0..<experts {
                for other in 0..<one {
                    var swapped = homes
                    swapped.swapAt(one, other)
                    #expect(swaps.surrogate(swapped, slowness: slowness) >= reached * 0.999)
                }
            }
        }
    }

    @Test("Policies are known by their names")
    func names() {
        for policy in policies + [.replicas(percent: 12.5)] {
            #expect(PlacementPolicy(policy.description) == policy)
        }
        for name in [
            "", "slice", "sliced=", "sliced=0", "sliced=x", "hybrid", "replicas=-1", "replicas=nan", "spread=2",
        ] {
            #expect(PlacementPolicy(name) == nil)
        }
    }

    @Test("Pieces go to nodes near each other where distances are known")
    func distances() throws {
        let model = PlacementFixtures.v3(layers: 3)
        var machine = PlacementFixtures.machine(nodes: 4, for: model)
        let halves = try WindowHalves(of: PlacementFixtures.smallTrace)
        func pairs() throws -> Set<[Int]> {
            let planner = try Planner(model: model, machine: machine, halves: halves)
            let plan = try #require(planner.plan([.sliced(pieces: 2)]).results[0].plan)
            return Set(plan.layers.values.joined().map { $0.copies[0].map(\.node) })
        }
        #expect(try pairs() == [[0, 1], [2, 3]])
        machine.distances = [[10, 21, 12, 21], [21, 10, 21, 12], [12, 21, 10, 21], [21, 12, 21, 10]]
        #expect(try pairs() == [[0, 2], [1, 3]])
    }

    @Test("The search of whole experts never makes the training windows slower, and stops when told")
    func search() throws {
        let model = PlacementFixtures.v3(layers: 3)
        let machine = PlacementFixtures.machine(nodes: 2, room: 96, slow: true, for: model)
        let planner = try Planner(
            model: model, machine: machine, halves: try WindowHalves(of: PlacementFixtures.smallTrace))
        let report = planner.plan([.spread, .search])
        let scores = report.results.compactMap(\.score)
        #expect(scores[1].trainingExpertSeconds < scores[0].trainingExpertSeconds)
        let stopped = planner.plan([.spread, .search], isTimeUp: { true })
        #expect(stopped.results[1].plan?.layers == stopped.results[0].plan?.layers)
    }
}
