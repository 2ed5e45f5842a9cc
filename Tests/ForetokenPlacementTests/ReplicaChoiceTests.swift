import ForetokenPlacement
import ForetokenTestSupport
import Testing

@Suite struct ReplicaChoiceTests {
    private let model = PlacementFixtures.smallExperts()

    /// The chosen copies and the busiest node's seconds.
    private func choose(_ active: [ExpertUse], _ costs: CopyCosts) -> (chosen: [Int32], slowest: Double) {
        var seconds = [PhaseSeconds](repeating: .zero, count: costs.nodeCount)
        var chosen = [Int32](repeating: -1, count: active.count)
        var order = chosen
        seconds.withUnsafeMutableBufferPointer { seconds in
            chosen.withUnsafeMutableBufferPointer { chosen in
                order.withUnsafeMutableBufferPointer { order in
                    active.withUnsafeBufferPointer { active in
                        ReplicaChoice.choose(active, costs: costs, nodeSeconds: seconds, chosen: chosen, order: order)
                    }
                }
            }
        }
        return (chosen, seconds.map(\.total).max()!)
    }

    /// Every combination of copies.
    private func best(_ active: [ExpertUse], _ placements: [ExpertPlacement], _ seconds: [[Double]]) -> Double {
        var best = Double.infinity
        func place(_ index: Int, _ load: [Double]) {
            guard index < active.count else {
                best = min(best, load.max()!)
                return
            }
            for copy in placements[Int(active[index].expert)].copies {
                var load = load
                load[copy[0].node] += seconds[copy[0].node][Int(active[index].rows)]
                if load.max()! < best { place(index + 1, load) }
            }
        }
        place(0, [Double](repeating: 0, count: seconds.count))
        return best
    }

    @Test(
        "On average the choice comes within 0.5 % of the best combination, and within 1.5 % where rows differ",
        arguments: [2, 3, 4], [(rows: UInt16(1), excess: 0.005), (rows: 3, excess: 0.015)])
    func againstBruteForce(nodes: Int, example: (rows: UInt16, excess: Double)) {
        var random = SeededGenerator(seed: UInt64(nodes))
        var machine = PlacementFixtures.machine(nodes: nodes, for: model, pieceSeconds: 1e-6)
        machine.rowCost = [1, 1.1, 1.3]
        let (expert, bandwidth) = (Double(model.expertBytes), machine.nodes[0].bandwidth)
        let seconds = (0..<nodes).map { _ in ([0] + machine.rowCost).map { $0 * expert / bandwidth + 2e-6 } }
        var (chosen, optimal) = (0.0, 0.0)
        for _ in 0..<400 {
            let placements = (0..<256).map { _ in
                let holders = (0..<nodes).shuffled(using: &random).prefix(Int.random(in: 1...2, using: &random))
                return ExpertPlacement.mirrored(holders.sorted())
            }
            let ids = (0..<256).shuffled(using: &random).prefix(Int.random(in: 6...12, using: &random)).sorted()
            let active = ids.map {
                ExpertUse(expert: UInt16($0), rows: UInt16.random(in: 1...example.rows, using: &random))
            }
            chosen += choose(active, CopyCosts(placements, model: model, machine: machine)).slowest
            optimal += best(active, placements, seconds)
        }
        #expect(chosen >= optimal * (1 - 1e-9))
        #expect(chosen <= optimal * (1 + example.excess))
    }

    @Test("Equal nodes share equal experts, ties go to the lower index, and single copies have no choice")
    func simpleCases() {
        let machine = PlacementFixtures.machine(nodes: 2, for: model)
        let mirrored = [ExpertPlacement](repeating: .mirrored([0, 1]), count: 256)
        let active = (0..<4).map { ExpertUse(expert: UInt16($0), rows: 1) }
        let costs = CopyCosts(mirrored, model: model, machine: machine)
        #expect(choose(active, costs).chosen == [0, 1, 0, 1])
        var pinned = mirrored
        for expert in 0..<2 { pinned[expert] = .whole(0) }
        #expect(choose(active, CopyCosts(pinned, model: model, machine: machine)).chosen == [0, 0, 1, 1])
    }

    @Test("A mirrored expert may have sliced copies too")
    func slicedCopies() {
        let machine = PlacementFixtures.machine(nodes: 3, for: model)
        let half: [ExpertPlacement.Part] = [.init(node: 1, share: 1), .init(node: 2, share: 1)]
        var placements = [ExpertPlacement](repeating: .whole(0), count: 256)
        placements[7] = ExpertPlacement(copies: [[.init(node: 0, share: 1)], half])
        let costs = CopyCosts(placements, model: model, machine: machine)
        #expect(choose([ExpertUse(expert: 7, rows: 1)], costs).chosen == [1])
        let expert = Double(model.expertBytes) / 200e9
        #expect(abs(choose([ExpertUse(expert: 7, rows: 1)], costs).slowest - expert / 2) < expert * 1e-9)
    }
}
