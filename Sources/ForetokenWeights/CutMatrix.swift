import CForetokenKernels

/// Consecutive whole panels of a matrix, in the memory of one node.
public struct MatrixPart: BitwiseCopyable, Sendable {
    /// The part's panels; its rows are those of the part.
    public let matrix: PackedMatrix
    /// Panel of the whole matrix at which the part begins.
    public let firstPanel: Int32
    /// The team that reads it.
    public let team: Int16
    /// Index of the node that holds it.
    public let node: Int16
    /// How long its bytes take to read, in sixteenths of the fastest node's.
    public let slowness: Int32

    private init(matrix: PackedMatrix, firstPanel: Int32, team: Int16, node: Int16, slowness: Int32) {
        self.matrix = matrix
        self.firstPanel = firstPanel
        self.team = team
        self.node = node
        self.slowness = slowness
    }

    init(_ matrix: PackedMatrix, firstPanel: Int, team: Int, node: Int, in nodes: NodeLayout) {
        self.matrix = matrix
        self.firstPanel = Int32(firstPanel)
        self.team = Int16(team)
        self.node = Int16(node)
        slowness = Int32(nodes.slowness(node))
    }

    /// The first half of its panels, for measurements; all of a single one.
    package var firstHalf: MatrixPart {
        var half = matrix
        half.rows = min(matrix.rows, Int32(max(1, matrix.panelCount / 2)) * FORETOKEN_PANEL_ROWS)
        return MatrixPart(
            matrix: half, firstPanel: firstPanel, team: team, node: node, slowness: slowness)
    }

    /// Panel of the whole matrix at which the part ends.
    @inlinable
    public var endPanel: Int { Int(firstPanel) + matrix.panelCount }
}

/// A matrix W [rows, columns] of the model, y = W x, cut by output rows into parts. Parts follow each other in ascending
/// order, none is empty, and all have one format. Where several hosts share a model these are this host's parts alone, which
/// may be none. Plain data in the model's memory, as long as its weights.
public struct Linear: @unchecked Sendable, BitwiseCopyable {
    /// First part.
    public let parts: UnsafePointer<MatrixPart>
    /// Number of parts; one or more, but on a host that has no part of the matrix.
    public let partCount: Int

    /// The first part as a matrix: the whole one where it is not cut.
    @inlinable
    public var matrix: UnsafePointer<PackedMatrix> { matrix(0) }

    /// Part `i` as the kernels read it.
    @inlinable @inline(__always)
    public func matrix(_ i: Int) -> UnsafePointer<PackedMatrix> {
        // The matrix is the part's first field.
        UnsafeRawPointer(parts + i).assumingMemoryBound(to: PackedMatrix.self)
    }

    /// Parts in ascending order of panels.
    @inlinable
    public init(parts: UnsafePointer<MatrixPart>, partCount: Int) {
        self.parts = parts
        self.partCount = partCount
    }

    /// Outputs, up to the end of the last part.
    @inlinable
    public var rows: Int {
        guard partCount > 0 else { return 0 }
        let last = parts + (partCount - 1)
        return Int(last.pointee.firstPanel) * Int(FORETOKEN_PANEL_ROWS) + Int(last.pointee.matrix.rows)
    }

    /// Inputs; 0 without parts.
    @inlinable
    public var columns: Int { partCount > 0 ? Int(parts.pointee.matrix.columns) : 0 }

    /// Panels of 32 output rows, up to the end of the last part.
    @inlinable
    public var panelCount: Int { partCount > 0 ? parts[partCount - 1].endPanel : 0 }

    /// Those of the panels that the parts hold.
    var panels: Range<Int> { partCount > 0 ? Int(parts.pointee.firstPanel)..<panelCount : 0..<0 }

    /// Bytes that one pass over the matrix reads.
    public var byteCount: Int { (0..<partCount).reduce(0) { $0 + parts[$1].matrix.byteCount } }

    /// Calls `body` with every part that holds some of `panels`, and which of the whole matrix's panels these are.
    @inlinable @inline(__always)
    public func forEachPart(of panels: Range<Int>, _ body: (_ part: Int, _ panels: Range<Int>) -> Void) {
        for i in 0..<partCount {
            let first = max(panels.lowerBound, Int(parts[i].firstPanel))
            let end = min(panels.upperBound, parts[i].endPanel)
            if first < end { body(i, first..<end) }
        }
    }
}

/// Equally shaped matrices that are not cut, one an attention head.
public struct MatrixTable: @unchecked Sendable {
    /// First matrix.
    public let matrices: UnsafePointer<PackedMatrix>
    /// Number of matrices.
    public let count: Int
}
