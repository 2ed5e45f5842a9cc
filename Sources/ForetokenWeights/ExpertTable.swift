import ForetokenPlacement

/// One copy of a routed expert: down( silu(gate x) ⊙ up x ). Gate and up are cut alike.
public struct ExpertCopy: BitwiseCopyable, @unchecked Sendable {
    /// [intermediate, hidden]
    public let gate: Linear
    /// [intermediate, hidden]
    public let up: Linear
    /// [hidden, intermediate]
    public let down: Linear
    /// Whether it is cut like the weights that every step reads, so that each team of workers needs only its own part of
    /// the outputs.
    public let isCutEvenly: Bool
}

/// The copies of one routed expert.
public struct ExpertEntry: BitwiseCopyable, @unchecked Sendable {
    /// First copy.
    public let copies: UnsafePointer<ExpertCopy>
    /// Number of copies, one or more.
    public let copyCount: Int
}

/// What the copies of a layer's experts cost on each node. It changes only while no step runs.
public final class ReplicaCosts: @unchecked Sendable {
    /// nil where every expert has one copy, and there is nothing to choose.
    public internal(set) var costs: CopyCosts?

    init(_ placements: [ExpertPlacement], _ shape: ExpertShape, _ nodes: NodeLayout) {
        update(placements, shape, nodes)
    }

    func update(_ placements: [ExpertPlacement], _ shape: ExpertShape, _ nodes: NodeLayout) {
        let hasChoices = placements.contains { $0.copies.count > 1 }
        costs = hasChoices ? CopyCosts(placements, model: shape.model, machine: nodes.machine) : nil
    }
}

/// Panels and bytes of one expert's matrices.
struct ExpertShape {
    let gateUpPanels, downPanels, gateUpBytes, downBytes: Int

    /// As much of a model as the costs of copies depend on.
    fileprivate var model: PlacementModel {
        PlacementModel(
            fingerprint: "", layers: [], expertCount: 0, expertsPerToken: 0, gateUpBytes: gateUpBytes,
            downBytes: downBytes, gateUpPanels: gateUpPanels, downPanels: downPanels, denseBytesPerStep: 0,
            denseBytes: 0)
    }
}

extension NodeLayout {
    /// As much of the machine as the costs of copies depend on.
    fileprivate var machine: PlacementMachine {
        PlacementMachine(
            fingerprint: "",
            nodes: nodes.enumerated().map { index, node in
                .init(id: node.id ?? index, workers: node.workers, capacity: .max, bandwidth: node.bandwidth)
            }, pieceSeconds: pieceSeconds, barrierSeconds: 0)
    }
}

/// The routed experts of one layer, in ascending id. Entries change only while no step runs.
public struct ExpertTable: @unchecked Sendable {
    /// First entry.
    public let entries: UnsafeMutablePointer<ExpertEntry>
    /// Number of experts.
    public let count: Int
    /// What choosing among copies goes by.
    public let replicas: ReplicaCosts

    /// The copies of expert `i`, unchecked.
    @inline(__always)
    public subscript(i: Int) -> ExpertEntry { entries[i] }
}
