/// A model to be laid out on a machine: what every policy starts from.
public struct PlacementProblem: Sendable {
    /// What is placed.
    public let model: PlacementModel
    /// Where it is placed.
    public let machine: PlacementMachine
    /// Decoder layers whose experts are placed, ascending. The model's other layers are cut evenly.
    public let layers: [Int]
    /// How dense weights are cut, and experts that nothing else is said of: over all nodes with workers, by workers.
    public let evenCut: ExpertPlacement
    /// By node: bytes that dense weights and the layers that are not placed take.
    public let reservedBytes: [Int]

    /// The problem of placing some of a model's layers.
    /// - Throws: `PlacementError` where figures are impossible, a layer is unknown, or the rest of the model does not fit.
    public init(model: PlacementModel, machine: PlacementMachine, layers: [Int]) throws(PlacementError) {
        try model.check()
        try machine.check()
        guard Set(layers).count == layers.count, layers == layers.sorted() else {
            throw PlacementError("expected layers in ascending order, found \(layers)")
        }
        if let unknown = layers.first(where: { !model.layers.contains($0) }) {
            throw PlacementError(
                "layer \(unknown) has no routed experts in model \(model.fingerprint); record the trace with this model"
            )
        }
        self.model = model
        self.machine = machine
        self.layers = layers
        evenCut = machine.evenCut
        var reserved = machine.denseBytes(of: model)
        let even = model.bytes(of: evenCut, nodes: machine.nodes.count)
        let unplacedExperts = (model.layers.count - layers.count) * model.expertCount
        for node in reserved.indices { reserved[node] += even[node] * unplacedExperts }
        reservedBytes = reserved
        for (node, bytes) in zip(machine.nodes, reserved) where bytes > node.capacity {
            throw PlacementError(
                "node \(node.id) can take \(Self.gigabytes(node.capacity)), but its part of the dense weights and of layers "
                    + "that are not placed needs \(Self.gigabytes(bytes)): \(Self.gigabytes(bytes - node.capacity)) are "
                    + "missing; free memory there, use more nodes, keep weights in a smaller format, or name the machine to "
                    + "plan for with --topology")
        }
    }

    private static func gigabytes(_ bytes: Int) -> String {
        let tenths = (bytes + 50_000_000) / 100_000_000
        return tenths == 0 ? "\(bytes) bytes" : "\(tenths / 10).\(tenths % 10) GB"
    }

    /// Nodes of the machine.
    public var nodeCount: Int { machine.nodes.count }

    /// Experts to be placed in all layers.
    public var expertTotal: Int { layers.count * model.expertCount }

    /// By node: bytes that experts may take.
    public var freeBytes: [Int] { zip(machine.nodes, reservedBytes).map { $0.capacity - $1 } }

    /// By node: bytes per second.
    public var bandwidths: [Double] { machine.nodes.map(\.bandwidth) }

    /// Indices of the nodes with workers.
    public var workingNodes: [Int] { machine.nodes.indices.filter { machine.nodes[$0].workers > 0 } }

    /// Whether all nodes have workers and are about equally fast, so that only capacity tells them apart.
    public var hasEqualNodes: Bool {
        let speeds = bandwidths
        return workingNodes.count == nodeCount && speeds.min()! >= 0.95 * speeds.max()!
    }

    /// Whether an expert lies exactly as the dense weights do.
    public func isEven(_ placement: ExpertPlacement) -> Bool {
        guard placement.copies.count == 1 else { return false }
        let (found, even) = (placement.copies[0], evenCut.copies[0])
        return found.map(\.node) == even.map(\.node)
            && zip(found, even).allSatisfy { $0.share * even[0].share == $1.share * found[0].share }
    }
}

extension PlacementMachine {
    /// All nodes with workers, cut by workers: how dense weights lie, and the experts of layers that a plan leaves out.
    public var evenCut: ExpertPlacement {
        let common = nodes.reduce(0) { greatestCommonDivisor($0, $1.workers) }
        return .shares(nodes.map { $0.workers / max(common, 1) })
    }

    /// By node: bytes of everything but routed experts.
    public func denseBytes(of model: PlacementModel) -> [Int] {
        let workers = nodes.reduce(0) { $0 + $1.workers }
        var passed = 0
        return nodes.map { node in
            let first = model.denseBytes * passed / workers
            passed += node.workers
            return model.denseBytes * passed / workers - first
        }
    }
}

extension PlacementModel {
    /// By node: bytes that one expert takes, all copies together.
    public func bytes(of placement: ExpertPlacement, nodes: Int) -> [Int] {
        var bytes = [Int](repeating: 0, count: nodes)
        for copy in placement.copies {
            let gateUp = ExpertPlacement.cut(copy, panels: gateUpPanels)
            let down = ExpertPlacement.cut(copy, panels: downPanels)
            for (part, ranges) in zip(copy, zip(gateUp, down)) {
                bytes[part.node] += Self.bytes(of: ranges.0, in: gateUpPanels, of: gateUpBytes)
                bytes[part.node] += Self.bytes(of: ranges.1, in: downPanels, of: downBytes)
            }
        }
        return bytes
    }

    /// Bytes of a range of panels, so that ranges that cover a matrix add up to all of it.
    static func bytes(of range: Range<Int>, in panels: Int, of total: Int) -> Int {
        total * range.upperBound / panels - total * range.lowerBound / panels
    }
}

func greatestCommonDivisor(_ one: Int, _ other: Int) -> Int {
    var (one, other) = (one, other)
    while other != 0 { (one, other) = (other, one % other) }
    return one
}
