import CForetokenKernels
import ForetokenHardware
import ForetokenPlacement

/// All routed experts of a model in the memory of its nodes. Between steps an expert can be moved: the new copy is made
/// first, then the table is switched, then the old memory is given back, so that there is always a valid one.
public final class ExpertStore {
    private struct Layer {
        let table: ExpertTable
        var placements: [ExpertPlacement]
        var blocks: [[ExpertBlock]]
        /// Tables of moved experts.
        var tables: [MovedTables?]
    }

    private let nodes: NodeLayout
    private let heaps: [ExpertHeap]
    private var layers: [Int: Layer] = [:]

    init(_ nodes: NodeLayout, byteCounts: [Int]) throws {
        self.nodes = nodes
        heaps = try byteCounts.enumerated().map { try ExpertHeap(nodes, node: $0, byteCount: $1) }
    }

    var bases: [UnsafeMutableRawPointer] { heaps.map(\.base) }

    var arenas: [MemoryArena] { heaps.flatMap(\.arenas) }

    /// The memory of all experts, neighbouring blocks together.
    var regions: [PageCensus.Region] {
        let blocks = layers.values.flatMap { $0.blocks.flatMap { $0 } }.sorted { $0.base < $1.base }
        var regions: [PageCensus.Region] = []
        for block in blocks {
            var (base, byteCount) = (UnsafeRawPointer(block.base), block.byteCount)
            let home = nodes.home(block.node)
            if let last = regions.last, last.base + last.byteCount == base, last.home == home {
                (base, byteCount) = (last.base, last.byteCount + byteCount)
                regions.removeLast()
            }
            regions.append(PageCensus.Region(base: base, byteCount: byteCount, home: home))
        }
        return regions
    }

    func adopt(_ packed: [PackedExperts]) {
        for experts in packed {
            layers[experts.layer] = Layer(
                table: experts.table, placements: experts.placements, blocks: experts.blocks,
                tables: .init(repeating: nil, count: experts.placements.count))
        }
    }

    /// Bytes of experts on each node, by index of the layout's nodes.
    public var byteCounts: [Int] { heaps.map(\.usedByteCount) }

    /// Where every expert lies now, by decoder layer; nodes by index of the layout's.
    public var placements: [Int: [ExpertPlacement]] { layers.mapValues(\.placements) }

    /// Moves the experts that a plan wants elsewhere. No step may run meanwhile.
    ///
    /// - Parameters:
    ///   - plan: validated for this model and these nodes. Layers it leaves out go where dense weights are.
    ///   - limit: bytes after which no further expert is moved.
    /// - Returns: bytes copied, and whether every expert lies where the plan wants it.
    /// - Throws: `HardwareError` when a node has no room; what was moved before stays moved, and every expert is valid.
    @discardableResult
    public func move(to plan: PlacementPlan, atMost limit: Int = .max) throws -> (copied: Int, isComplete: Bool) {
        let places = ExpertPlaces(plan, nodes)
        var copied = 0
        for index in layers.keys.sorted() {
            guard let count = layers[index]?.placements.count else { continue }
            defer { updateCosts(of: index) }
            for expert in 0..<count {
                let placement = places.placement(layer: index, expert: expert)
                guard let bytes = try move(expert, of: index, to: placement, limit - copied) else {
                    return (copied, false)
                }
                copied += bytes
            }
        }
        return (copied, true)
    }

    private func updateCosts(of index: Int) {
        guard let layer = layers[index] else { return }
        let copy = layer.table[0].copies[0]
        let shape = ExpertShape(
            gateUpPanels: copy.gate.panels.count, downPanels: copy.down.panels.count,
            gateUpBytes: copy.gate.byteCount + copy.up.byteCount, downBytes: copy.down.byteCount)
        layer.table.replicas.update(layer.placements, shape, nodes)
    }

    /// Moves one expert.
    /// - Returns: the bytes copied; nil where it would have to move but no bytes are left.
    private func move(_ expert: Int, of index: Int, to placement: ExpertPlacement, _ left: Int) throws -> Int? {
        guard let layer = layers[index], layer.placements[expert] != placement else { return 0 }
        guard left > 0 else { return nil }
        let source = layer.table[expert].copies[0]
        var made: [ExpertBlock] = []
        let tables: MovedTables
        do {
            tables = try MovedTables(
                placement.copies.map { parts in
                    let cut = ExpertCut(
                        parts, gateUpPanels: source.gate.panels, downPanels: source.down.panels, nodes)
                    return try copy(source, cut, &made)
                })
        } catch {
            for block in made { heaps[block.node].release(block) }
            throw error
        }
        layer.table.entries[expert] = tables.entry
        for block in layer.blocks[expert] { heaps[block.node].release(block) }
        layers[index]?.placements[expert] = placement
        layers[index]?.blocks[expert] = made
        layers[index]?.tables[expert] = tables
        return made.reduce(0) { $0 + $1.byteCount }
    }

    /// Parts of a new copy, by matrix.
    struct CopyParts {
        var gate: [MatrixPart] = []
        var up: [MatrixPart] = []
        var down: [MatrixPart] = []
        let isCutEvenly: Bool
    }

    private func copy(_ source: ExpertCopy, _ cut: ExpertCut, _ made: inout [ExpertBlock]) throws -> CopyParts {
        var parts = CopyParts(isCutEvenly: cut.isEven)
        for part in cut.parts {
            let bytes =
                part.gateUp.reduce(0) {
                    $0 + PanelCopy.byteCount(source.gate, $1.panels) + PanelCopy.byteCount(source.up, $1.panels)
                } + part.down.reduce(0) { $0 + PanelCopy.byteCount(source.down, $1.panels) }
            guard bytes > 0 else { continue }
            let block = try heaps[part.node].allocate(byteCount: bytes)
            made.append(block)
            var cursor = block.base
            func copied(_ matrix: Linear, _ readers: [ExpertCut.Reader]) -> [MatrixPart] {
                readers.map {
                    MatrixPart(
                        PanelCopy.copy(matrix, $0.panels, to: &cursor), firstPanel: $0.panels.lowerBound,
                        team: $0.team, node: part.node, in: nodes)
                }
            }
            parts.gate += copied(source.gate, part.gateUp)
            parts.up += copied(source.up, part.gateUp)
            parts.down += copied(source.down, part.down)
        }
        return parts
    }
}

/// Copies whole panels with their scales into a matrix of their own.
enum PanelCopy {
    /// Bytes that the copy of some panels takes.
    static func byteCount(_ matrix: Linear, _ panels: Range<Int>) -> Int {
        let part = matrix.parts.pointee.matrix
        let scales = panels.count * Int(part.scale_blocks) * Int(part.scale_lanes) * 4
        return MemoryArena.footprint(byteCount: panels.count * part.panelBytes)
            + MemoryArena.footprint(byteCount: scales)
    }

    /// - Parameter cursor: where the copy goes; moved behind it.
    static func copy(_ matrix: Linear, _ panels: Range<Int>, to cursor: inout UnsafeMutableRawPointer) -> PackedMatrix {
        var copy = matrix.parts.pointee.matrix
        let lanes = Int(FORETOKEN_PANEL_ROWS)
        let scaleBytes = Int(copy.scale_blocks) * Int(copy.scale_lanes) * 4
        copy.rows = Int32(min(panels.upperBound * lanes, matrix.rows) - panels.lowerBound * lanes)
        let weights = cursor
        let scales = weights + MemoryArena.footprint(byteCount: panels.count * copy.panelBytes)
        matrix.forEachPart(of: panels) { i, range in
            let part = matrix.parts[i]
            let (from, to) = (range.lowerBound - Int(part.firstPanel), range.lowerBound - panels.lowerBound)
            (weights + to * copy.panelBytes).copyMemory(
                from: part.matrix.panels + from * copy.panelBytes, byteCount: range.count * copy.panelBytes)
            if let source = part.matrix.scales, scaleBytes > 0 {
                (scales + to * scaleBytes).copyMemory(
                    from: UnsafeRawPointer(source) + from * scaleBytes, byteCount: range.count * scaleBytes)
            }
        }
        copy.panels = UnsafeRawPointer(weights)
        if copy.scales != nil { copy.scales = UnsafePointer(scales.assumingMemoryBound(to: Float.self)) }
        cursor += byteCount(matrix, panels)
        return copy
    }
}

/// The tables of a moved expert, which live outside the model's arenas.
private final class MovedTables {
    let entry: ExpertEntry
    private var parts: [ScratchBuffer<MatrixPart>] = []
    private let copies: ScratchBuffer<ExpertCopy>

    init(_ made: [ExpertStore.CopyParts]) throws {
        var tables: [ScratchBuffer<MatrixPart>] = []
        func linear(_ parts: [MatrixPart]) throws -> Linear {
            let table = try ScratchBuffer<MatrixPart>(count: parts.count)
            table.pointer.initialize(from: parts, count: parts.count)
            tables.append(table)
            return Linear(parts: UnsafePointer(table.pointer), partCount: parts.count)
        }
        let list = try made.map {
            ExpertCopy(
                gate: try linear($0.gate), up: try linear($0.up), down: try linear($0.down),
                isCutEvenly: $0.isCutEvenly)
        }
        copies = try ScratchBuffer(count: list.count)
        copies.pointer.initialize(from: list, count: list.count)
        entry = ExpertEntry(copies: UnsafePointer(copies.pointer), copyCount: list.count)
        parts = tables
    }
}
