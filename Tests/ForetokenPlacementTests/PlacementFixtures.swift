import ForetokenPlacement
import ForetokenTestSupport

/// Models, machines and traces that tests plan with.
enum PlacementFixtures {
    /// A model with experts of DeepSeek-V3's size, 44 MB in FP8, and no dense weights.
    static func v3(layers: Int = 1, denseBytes: Int = 0) -> PlacementModel {
        PlacementModel(
            fingerprint: "v3", layers: Array(3..<3 + layers), expertCount: 256, expertsPerToken: 8,
            gateUpBytes: 2 * 2048 * 7168, downBytes: 2048 * 7168, gateUpPanels: 64, downPanels: 224,
            denseBytesPerStep: denseBytes, denseBytes: denseBytes)
    }

    /// The same with experts of 2.65 MB.
    static func smallExperts(layers: Int = 1) -> PlacementModel {
        var model = v3(layers: layers)
        (model.gateUpBytes, model.downBytes) = (2 * 768 * 1152, 768 * 1152)
        (model.gateUpPanels, model.downPanels) = (24, 36)
        return model
    }

    /// Nodes of 200 GB/s with room for `room` experts of each layer and beside the dense weights; `slow` adds a
    /// memory-only one of a third of that speed with room for all.
    static func machine(
        nodes: Int, room: Int = 256, slow: Bool = false, for model: PlacementModel, pieceSeconds: Double = 0,
        barrierSeconds: Double = 0
    ) -> PlacementMachine {
        let capacity = room * model.expertBytes * model.layers.count + model.denseBytes
        var all = (0..<nodes).map {
            PlacementMachine.Node(id: $0, workers: 16, capacity: capacity, bandwidth: 200e9)
        }
        if slow {
            let bytes = 256 * model.expertBytes * model.layers.count
            all.append(.init(id: nodes, workers: 0, capacity: bytes, bandwidth: 200e9 / 3))
        }
        return PlacementMachine(
            fingerprint: "machine", nodes: all, pieceSeconds: pieceSeconds, barrierSeconds: barrierSeconds)
    }

    private static let fiveTraces: [Double: [RoutingTrace]] = {
        var traces: [Double: [RoutingTrace]] = [:]
        for skew in [0.5, 1.0] {
            traces[skew] = (0..<5).map { (seed: UInt64) in
                SyntheticRouter.trace(layers: 1, rows: 8000, windowRows: 1, skew: skew, seed: seed)
            }
        }
        return traces
    }()

    /// Halves of 8000 windows of one layer, of five routers.
    static func fiveTexts(skew: Double) throws -> [WindowHalves] {
        try fiveTraces[skew, default: []].map { try WindowHalves(of: $0) }
    }

    /// A small trace of several layers with windows of two rows.
    static let smallTrace = SyntheticRouter.trace(layers: 3, rows: 1200, windowRows: 2, skew: 0.5, seed: 9)

    /// A trace with a few experts, uniformly at random.
    static func randomTrace(
        layers: Int, experts: Int, perToken: Int, rows: Int, random: inout SeededGenerator
    ) -> RoutingTrace {
        var trace = RoutingTrace(
            model: "random", layers: Array(0..<layers), expertCount: experts, expertsPerToken: perToken)
        trace.domains = ["a", "b", "c"]
        for row in 0..<rows {
            for _ in 0..<layers {
                trace.experts += (0..<experts).shuffled(using: &random).prefix(perToken).sorted().map { UInt16($0) }
            }
            trace.kinds.append(row % 3 == 0 ? .newest : row % 3 == 1 ? .accepted : .rejected)
            if row % 3 == 2 {
                trace.windows.append(.init(rows: row - 2..<row + 1, domain: row / 3 * 3 / rows, position: row - 2))
            }
        }
        return trace
    }
}
