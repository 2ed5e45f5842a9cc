/// Seconds of the two phases of a layer's experts: gate and up in `x`, down in `y`.
public typealias PhaseSeconds = SIMD2<Double>

extension PhaseSeconds {
    /// Both phases together.
    @inline(always)
    public var total: Double { x + y }
}

/// What every copy of a layer's experts costs on every node, laid out flat for loops that must not allocate.
public final class CopyCosts: @unchecked Sendable {
    // Sendable: the memory is written in init alone and given back in deinit.

    /// A copy's part on one node.
    struct Part {
        var node: Int
        /// Reading it for one row.
        var reading: PhaseSeconds
        /// What it costs besides, whatever the rows.
        var fixed: PhaseSeconds
    }

    /// Nodes of the machine.
    public let nodeCount: Int
    /// Experts of the layer.
    public let expertCount: Int
    /// Whether some expert has more than one copy.
    public let hasChoices: Bool
    /// Whether all experts are placed alike, so that a window's times follow from its rows alone.
    let isUniform: Bool
    /// By expert, and an end: its first copy.
    let copyStarts: UnsafeMutableBufferPointer<Int32>
    /// By copy, and an end: its first part.
    let partStarts: UnsafeMutableBufferPointer<Int32>
    let parts: UnsafeMutableBufferPointer<Part>
    let rowCost: UnsafeMutableBufferPointer<Double>

    /// The costs of one layer of a plan: bytes over bandwidth by phase, and a piece's cost for every part that is not
    /// empty.
    public init(_ experts: [ExpertPlacement], model: PlacementModel, machine: PlacementMachine) {
        var (copyStarts, partStarts, parts): ([Int32], [Int32], [Part]) = ([0], [0], [])
        for placement in experts {
            for copy in placement.copies {
                parts += Self.parts(of: copy, model: model, machine: machine)
                partStarts.append(Int32(parts.count))
            }
            copyStarts.append(Int32(partStarts.count - 1))
        }
        nodeCount = machine.nodes.count
        expertCount = experts.count
        hasChoices = experts.contains { $0.copies.count > 1 }
        isUniform = !hasChoices && experts.allSatisfy { $0 == experts[0] }
        self.copyStarts = .copying(copyStarts)
        self.partStarts = .copying(partStarts)
        self.parts = .copying(parts)
        rowCost = .copying(machine.rowCost)
    }

    /// The costs of whole experts on some nodes each, where expert n of `wholes` lies whole on node n.
    init(holders: [[Int]], wholes: CopyCosts) {
        var (copyStarts, parts): ([Int32], [Part]) = ([0], [])
        for nodes in holders {
            for node in nodes { parts.append(wholes.parts[node]) }
            copyStarts.append(Int32(parts.count))
        }
        nodeCount = wholes.nodeCount
        expertCount = holders.count
        hasChoices = holders.contains { $0.count > 1 }
        isUniform = false
        partStarts = .copying((0...Int32(parts.count)).map { $0 })
        self.copyStarts = .copying(copyStarts)
        self.parts = .copying(parts)
        rowCost = .copying(Array(wholes.rowCost))
    }

    deinit {
        copyStarts.deallocate()
        partStarts.deallocate()
        parts.deallocate()
        rowCost.deallocate()
    }

    private static func parts(
        of copy: [ExpertPlacement.Part], model: PlacementModel, machine: PlacementMachine
    ) -> [Part] {
        let gateUp = ExpertPlacement.cut(copy, panels: model.gateUpPanels)
        let down = ExpertPlacement.cut(copy, panels: model.downPanels)
        return copy.indices.map { index in
            let node = copy[index].node
            let bytes = PhaseSeconds(
                Double(PlacementModel.bytes(of: gateUp[index], in: model.gateUpPanels, of: model.gateUpBytes)),
                Double(PlacementModel.bytes(of: down[index], in: model.downPanels, of: model.downBytes)))
            return Part(
                node: node, reading: bytes / machine.nodes[node].bandwidth,
                fixed: PhaseSeconds(
                    gateUp[index].isEmpty ? 0 : machine.pieceSeconds, down[index].isEmpty ? 0 : machine.pieceSeconds))
        }
    }

    /// Time of reading an expert for so many rows, over that of one row.
    @inline(always)
    func rowFactor(_ rows: UInt16) -> Double { rowCost[min(Int(rows), rowCost.count) - 1] }

    /// The copies of an expert.
    @inline(always)
    func copies(of expert: UInt16) -> Range<Int> {
        Int(copyStarts[Int(expert)])..<Int(copyStarts[Int(expert) + 1])
    }

    /// The parts of a copy.
    @inline(always)
    func parts(of copy: Int) -> Range<Int> { Int(partStarts[copy])..<Int(partStarts[copy + 1]) }

    /// Whether two copies have parts on one node.
    @inline(always)
    func meet(_ one: Int, _ other: Int) -> Bool {
        for first in parts(of: one) {
            for second in parts(of: other) where parts[first].node == parts[second].node { return true }
        }
        return false
    }

    /// Adds the work of experts that are all placed alike.
    @inline(always)
    func addUniform(
        _ active: UnsafeBufferPointer<ExpertUse>, to nodeSeconds: UnsafeMutableBufferPointer<PhaseSeconds>
    ) {
        let factor = active.reduce(0) { $0 + rowFactor($1.rows) }
        for part in parts(of: 0) {
            let part = parts[part]
            nodeSeconds[part.node] += factor * part.reading + Double(active.count) * part.fixed
        }
    }

    /// Adds a copy's work to its nodes, or takes it off again.
    @inline(always)
    func add(_ copy: Int, rowFactor: Double, sign: Double = 1, to nodeSeconds: UnsafeMutableBufferPointer<PhaseSeconds>)
    {
        for part in parts(of: copy) {
            let part = parts[part]
            nodeSeconds[part.node] += sign * (rowFactor * part.reading + part.fixed)
        }
    }
}

extension UnsafeMutableBufferPointer where Element: BitwiseCopyable {
    /// Own memory with an array's elements; the caller gives it back.
    static func copying(_ elements: [Element]) -> Self {
        let memory = Self.allocate(capacity: elements.count)
        _ = memory.initialize(fromContentsOf: elements)
        return memory
    }

    /// Own memory filled with one value; the caller gives it back.
    static func filled(_ value: Element, count: Int) -> Self {
        let memory = Self.allocate(capacity: count)
        memory.initialize(repeating: value)
        return memory
    }
}
