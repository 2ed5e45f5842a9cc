import CForetokenKernels

/// One piece of packing work, small enough that all threads stay busy to the end.
enum PackTask: Sendable {
    /// Panels of some rows of a stored weight; their row 0 is the stored row `firstRow`.
    case panels(LinearSource, into: PackedMatrix, panels: Range<Int>, firstRow: Int)
    /// Stored rows turned into columns.
    case transposedRows(LinearSource, into: PackedMatrix, rows: Range<Int>)
    /// A norm or bias, widened to FP32.
    case vector(TensorInfo, into: FloatDestination)
}

/// Where a vector goes. The plan hands each destination to exactly one task.
struct FloatDestination: @unchecked Sendable {
    let floats: UnsafeMutablePointer<Float>
}

extension PackedMatrix: @retroactive @unchecked Sendable {}

/// A task and the team that has its memory nearest.
struct PlacedTask: Sendable {
    let task: PackTask
    let team: Int
}

/// Decides where every weight lies and what must be done to put it there. It is run twice over the same layout: first
/// without memory, to learn how much is needed; then with it.
struct PackingPlan {
    private(set) var tasks: [PlacedTask] = []
    /// Bytes of each region.
    private(set) var byteCounts: WeightRegions<Int>
    /// Bytes of the files that the tasks will read.
    private(set) var storedByteCount = 0
    /// Blocks of expert memory, in the order they were reserved.
    private(set) var blocks: [ExpertBlock] = []
    private let bases: WeightRegions<UnsafeMutableRawPointer>?
    /// Where matrices are being reserved.
    private var region: WeightRegion

    /// How layers' matrices are kept.
    let format: ResidentFormat
    /// Nodes and teams.
    let nodes: NodeLayout
    /// What this host has of the model.
    let host: HostShare
    /// Whether it has any of what is being packed; otherwise nothing is.
    var isHere = true

    init(
        format: ResidentFormat, nodes: NodeLayout, host: HostShare = .whole,
        bases: WeightRegions<UnsafeMutableRawPointer>? = nil
    ) {
        self.format = format
        self.nodes = nodes
        self.host = host
        self.bases = bases
        byteCounts = WeightRegions(repeating: 0, nodes: nodes.nodes.count)
        region = .fixed(nodes.teams[0])
    }

    /// Bytes of all regions.
    var byteCount: Int { byteCounts.fixed.reduce(0, +) + byteCounts.experts.reduce(0, +) }

    /// Bytes of weights a task should pack: large enough to amortise a read, small enough to balance threads.
    private static let taskBytes = 2 << 20

    private mutating func add(_ task: PackTask) {
        guard bases != nil else { return }
        // A memory-only node is filled by the first team.
        tasks.append(PlacedTask(task: task, team: nodes.teams.firstIndex(of: region.node) ?? 0))
    }

    private mutating func reserve(byteCount bytes: Int) -> UnsafeMutableRawPointer {
        let offset = byteCounts[region]
        byteCounts[region] += (bytes + 63) & ~63
        // While measuring, addresses only tell matrices apart: nothing reads or writes through them.
        return bases.map { $0[region] + offset }
            ?? UnsafeMutableRawPointer(bitPattern: 4096 + offset + region.tag << 48)!
    }

    /// Reserves whatever `body` does in another region.
    mutating func inRegion<Result>(_ other: WeightRegion, _ body: (inout PackingPlan) -> Result) -> Result {
        let before = region
        region = other
        defer { region = before }
        return body(&self)
    }

    /// The same for expert weights, as one block that can be given back.
    mutating func inBlock<Result>(node: Int, _ body: (inout PackingPlan) -> Result) -> Result {
        let offset = byteCounts[.experts(node)]
        let result = inRegion(.experts(node), body)
        let count = byteCounts[.experts(node)] - offset
        if let bases, count > 0 {
            blocks.append(ExpertBlock(node: node, base: bases[.experts(node)] + offset, byteCount: count))
        }
        return result
    }

    /// Forgets the blocks reserved so far and returns them.
    mutating func takeBlocks() -> [ExpertBlock] {
        defer { blocks = [] }
        return blocks
    }

    /// Packs panels `panels` of a matrix in the given format.
    mutating func matrix(_ source: LinearSource, panels: Range<Int>, as format: ResidentFormat) -> PackedMatrix {
        let lanes = Int(FORETOKEN_PANEL_ROWS)
        let rows = panels.lowerBound * lanes..<min(panels.upperBound * lanes, source.rows)
        return matrix(source, rows: rows, as: format.resident(source.storedFormat))
    }

    /// Packs stored rows `rows` as they are stored, or codes as FP32.
    mutating func matrix(_ source: LinearSource, rows: Range<Int>) -> PackedMatrix {
        matrix(source, rows: rows, as: source.dividedFormat)
    }

    private mutating func matrix(
        _ source: LinearSource, rows: Range<Int>, as format: PackedFormat
    ) -> PackedMatrix {
        let columns = source.columns
        storedByteCount += source.weight.range.count / source.rows * rows.count
        // A panel whose first row is no multiple of 32 can straddle two scale blocks: then each lane has its own.
        // So it has where the scales are made here.
        let sharesScales = rows.lowerBound % Int(FORETOKEN_PANEL_ROWS) == 0 && source.weight.type == .fp8
        let matrix = reserveMatrix(
            format, rows: rows.count, columns: columns, grid: ScaleGrid(start: 0, count: columns),
            scaleLanes: sharesScales ? 1 : Int(FORETOKEN_PANEL_ROWS))
        let panelsPerTask = max(1, Self.taskBytes / max(1, matrix.panelBytes) / 4 * 4)
        for first in stride(from: 0, to: matrix.panelCount, by: panelsPerTask) {
            let panels = first..<min(first + panelsPerTask, matrix.panelCount)
            add(.panels(source, into: matrix, panels: panels, firstRow: rows.lowerBound))
        }
        return matrix
    }

    /// The same for the transpose of stored rows `rows`: a matrix [stored columns, rows.count].
    mutating func transposed(_ source: LinearSource, rows: Range<Int>) -> PackedMatrix {
        let matrix = reserveMatrix(
            source.dividedFormat, rows: source.columns, columns: rows.count,
            grid: ScaleGrid(start: rows.lowerBound, count: rows.count), scaleLanes: 1)
        storedByteCount += source.weight.range.count / source.rows * rows.count
        add(.transposedRows(source, into: matrix, rows: rows))
        return matrix
    }

    mutating func vector(_ tensor: TensorInfo) -> UnsafePointer<Float> {
        guard isHere else { return UnsafePointer(table([Float]())) }
        storedByteCount += tensor.range.count
        let floats = reserve(byteCount: tensor.elementCount * 4).assumingMemoryBound(to: Float.self)
        add(.vector(tensor, into: FloatDestination(floats: floats)))
        return UnsafePointer(floats)
    }

    /// An INT8 copy of panels of an lm_head: the caller fills it once that is packed.
    mutating func coarseLMHeadPart(rows: Int, columns: Int) -> CoarseLMHead {
        var copy = CoarseLMHead()
        copy.rows = Int32(rows)
        copy.columns = Int32(columns)
        let padded = copy.panelCount * Int(FORETOKEN_PANEL_ROWS)
        copy.codes = UnsafePointer(
            reserve(byteCount: padded * copy.paddedColumns).assumingMemoryBound(to: Int8.self))
        copy.scales = UnsafePointer(reserve(byteCount: padded * 4).assumingMemoryBound(to: Float.self))
        return copy
    }

    /// A table in the model's memory, so that parallel phases can hold a plain pointer to it.
    mutating func table<Element: BitwiseCopyable>(_ elements: [Element]) -> UnsafeMutablePointer<Element> {
        let stride = MemoryLayout<Element>.stride
        let memory = reserve(byteCount: elements.count * stride).assumingMemoryBound(to: Element.self)
        if bases != nil { memory.initialize(from: elements, count: elements.count) }
        return memory
    }

    private mutating func reserveMatrix(
        _ format: PackedFormat, rows: Int, columns: Int, grid: ScaleGrid, scaleLanes: Int
    ) -> PackedMatrix {
        var matrix = PackedMatrix()
        matrix.rows = Int32(rows)
        matrix.columns = Int32(columns)
        matrix.format = format.raw
        matrix.panels = UnsafeRawPointer(reserve(byteCount: matrix.panelCount * matrix.panelBytes))
        if format == .fp8 {
            matrix.first_scale_block = Int32(grid.firstBlock)
            matrix.scale_blocks = Int32(grid.blockCount)
            matrix.scale_lanes = Int32(scaleLanes)
            let floats = matrix.panelCount * grid.blockCount * scaleLanes
            matrix.scales = UnsafePointer(reserve(byteCount: floats * 4).assumingMemoryBound(to: Float.self))
        }
        return matrix
    }
}
