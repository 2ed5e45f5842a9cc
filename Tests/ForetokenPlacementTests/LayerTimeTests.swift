import ForetokenPlacement
import Testing

@Suite struct LayerTimeTests {
    /// Two windows: experts 0 and 1 for one row each; expert 2 for two rows.
    private let windows = VerifyWindows.Layer(
        starts: [0, 2, 3],
        uses: [.init(expert: 0, rows: 1), .init(expert: 1, rows: 1), .init(expert: 2, rows: 2)])
    private let model = PlacementModel(
        fingerprint: "m", layers: [0], expertCount: 3, expertsPerToken: 2, gateUpBytes: 2_000_000, downBytes: 1_000_000,
        gateUpPanels: 4, downPanels: 2, denseBytesPerStep: 30_000_000, denseBytes: 0)
    private let machine = PlacementMachine(
        fingerprint: "x",
        nodes: [
            .init(id: 0, workers: 2, capacity: 1 << 40, bandwidth: 1e9),
            .init(id: 1, workers: 1, capacity: 1 << 40, bandwidth: 0.5e9),
        ],
        pieceSeconds: 1e-4, barrierSeconds: 1e-5, rowCost: [1, 1.5])

    @Test("A phase takes its slowest node's bytes over bandwidth and pieces; rows make an expert dearer")
    func phases() {
        let placements: [ExpertPlacement] = [.whole(0), .whole(1), .shares([3, 1])]
        let time = LayerTime(windows, costs: CopyCosts(placements, model: model, machine: machine))
        // First window: node 1 reads a whole expert at half the speed. Second: shares 3:1 of 4 and of 2 panels are 3+1
        // and 2+0, so node 0 is last in both phases.
        let first = (4e-3 + 1e-4) + (2e-3 + 1e-4)
        let second = (1.5 * 1.5e-3 + 1e-4) + (1.5 * 1e-3 + 1e-4)
        #expect(abs(time.seconds - (first + second) / 2) < 1e-12)
        let busyNode1 = first + 1.5 * 1e-3 + 1e-4
        #expect(abs(time.busy[1] - busyNode1 / 2) < 1e-12)
    }

    @Test("Dense weights are cut by workers; only experts cut like them need two barriers; bytes add up")
    func problem() throws {
        let problem = try PlacementProblem(model: model, machine: machine, layers: [0])
        #expect(problem.evenCut == .shares([2, 1]))
        #expect(abs(problem.denseSeconds - 0.02) < 1e-12)
        var plan = PlacementPlan(policy: "p", model: "m", machine: "x", nodes: [0, 1], layers: [:])
        #expect(problem.barriers(plan, layer: 0) == 2)
        plan.layers[0] = [.shares([4, 2]), .shares([2, 1]), .shares([2, 1])]
        #expect(problem.barriers(plan, layer: 0) == 2)
        plan.layers[0]![2] = .whole(0)
        #expect(problem.barriers(plan, layer: 0) == 3)
        #expect(problem.bytes(of: plan).reduce(0, +) == 3 * 3_000_000)
        let halves = VerifyWindows(
            layerNumbers: [0], expertCount: 3, layers: [windows], count: 2, rows: 4, tokens: 3)
        #expect(abs(problem.bound(halves)[0] - 3.5 * 3e6 / 1.5e9 / 2) < 1e-12)
    }
}
