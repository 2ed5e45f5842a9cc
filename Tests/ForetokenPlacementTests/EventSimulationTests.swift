import ForetokenPlacement
import Testing

@Suite struct EventSimulationTests {
    struct Case: CustomTestStringConvertible {
        var name: String
        var machine: PlacementMachine
        var policies: [PlacementPolicy]
        var testDescription: String { name }
    }

    private static let model = PlacementFixtures.v3(layers: 3)

    static let cases: [Case] = {
        let alpha = 2.5e-6
        let whole: [PlacementPolicy] = [.sliced(pieces: nil), .roundRobin, .spread, .hybrid(percent: 25)]
        var uneven = PlacementFixtures.machine(nodes: 3, for: model, pieceSeconds: alpha)
        uneven.nodes[1].bandwidth = 90e9
        uneven.nodes[2].workers = 5
        uneven.rowCost = [1, 1.2]
        return [
            Case(
                name: "two equal nodes", machine: PlacementFixtures.machine(nodes: 2, for: model, pieceSeconds: alpha),
                policies: whole + [.replicas(percent: 25)]),
            Case(
                name: "four equal nodes", machine: PlacementFixtures.machine(nodes: 4, for: model, pieceSeconds: alpha),
                policies: whole + [.sliced(pieces: 2), .replicas(percent: 12.5)]),
            Case(
                name: "two nodes and slow memory",
                machine: PlacementFixtures.machine(nodes: 2, room: 96, slow: true, for: model, pieceSeconds: alpha),
                policies: [.capacitySliced, .tiered, .spread]),
            Case(
                name: "uneven nodes, dearer second rows", machine: uneven,
                policies: [.proportional, .sliced(pieces: nil), .tiered, .spread]),
        ]
    }()

    @Test("Predicted time per layer is within 10 % of simulated workers'", arguments: cases)
    func prediction(_ example: Case) throws {
        let (model, machine) = (Self.model, example.machine)
        let halves = try WindowHalves(of: PlacementFixtures.smallTrace)
        let planner = try Planner(model: model, machine: machine, halves: halves)
        let simulation = EventSimulation(model: model, machine: machine)
        let windows = halves.heldOut
        for result in planner.plan(example.policies).results {
            let plan = try #require(result.plan, "\(result.policy): \(result.reason ?? "")")
            for (index, layer) in model.layers.enumerated() {
                let even = [ExpertPlacement](repeating: planner.problem.evenCut, count: model.expertCount)
                let placements = plan.layers[layer] ?? even
                let costs = CopyCosts(placements, model: model, machine: machine)
                var thinned = VerifyWindows.Layer()
                var simulated = 0.0
                for window in stride(from: 0, to: windows.count, by: 40) {
                    let active = Array(windows.layers[index][window])
                    thinned.uses += active
                    thinned.starts.append(Int32(thinned.uses.count))
                    let copies = Self.copies(active, costs)
                    simulated += simulation.seconds(
                        zip(active, copies).map { (placements[Int($0.expert)], Int($1), $0.rows) })
                }
                simulated /= Double(thinned.starts.count - 1)
                let predicted = LayerTime(thinned, costs: costs).seconds
                #expect(
                    abs(predicted / simulated - 1) < 0.1,
                    "\(result.policy), layer \(layer): predicted \(predicted), simulated \(simulated)")
            }
        }
    }

    private static func copies(_ active: [ExpertUse], _ costs: CopyCosts) -> [Int32] {
        let seconds = UnsafeMutableBufferPointer<PhaseSeconds>.allocate(capacity: costs.nodeCount)
        seconds.initialize(repeating: .zero)
        defer { seconds.deallocate() }
        var (chosen, order) = (active.map { _ in Int32(0) }, active.map { _ in Int32(0) })
        active.withUnsafeBufferPointer { active in
            chosen.withUnsafeMutableBufferPointer { chosen in
                order.withUnsafeMutableBufferPointer { order in
                    ReplicaChoice.choose(active, costs: costs, nodeSeconds: seconds, chosen: chosen, order: order)
                }
            }
        }
        return chosen
    }
}
