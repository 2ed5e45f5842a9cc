import CForetokenKernels
import ForetokenHardware
import ForetokenWeights

/// One text's rows in a step, as the decoder sees them.
struct RowSpan: BitwiseCopyable {
    /// The text's pages.
    let pages: UnsafePointer<UnsafeMutableRawPointer?>
    /// Which text it is.
    let text: Int
    let firstRow: Int
    let count: Int
    /// Cache entry of its first row; every row sees the entries up to its own.
    let entry: Int
    /// Position of its first row in the text.
    let position: Int

    var rows: Range<Int> { firstRow..<firstRow + count }
}

/// Activations of one step, allocated once: one workspace for windows, one for chunks, since a chunk may rest while windows
/// run. The verifier and the MTP modules take turns in them.
final class Workspace {
    /// Rows of one prompt chunk. Chunks begin at multiples of it, so that one prompt is always divided the same way.
    static let chunkRows = 512
    /// Most rows of one window, which are those of a narrow kernel's call.
    static let windowRows = Int(FORETOKEN_WINDOW_ROWS)

    let residual, normed, query, queryRank, latent, attended: FloatBuffer
    let absorbed, mixedLatents: FloatBuffer
    /// [head][2][row] of a chunk: maxima and sums of the context blocks so far.
    let softmax: FloatBuffer
    /// An indexer's queries [row][head · key width], keys [row][key width] and heads' weights [row][head].
    let indexQuery, indexKey, indexWeights: FloatBuffer
    let routerLogits, slots, shared, mixed: FloatBuffer
    let cosines, sines: FloatBuffer
    /// [row][2 · hidden], input of eh_proj.
    let joined: FloatBuffer
    let assignment: ExpertAssignment
    let jobs: ScratchBuffer<ProductJob>
    /// The step's texts.
    let spans: ScratchBuffer<RowSpan>
    /// By text: its last row.
    let lastRows: ScratchBuffer<Int32>
    /// [slot][hidden] and [row][hidden] of a window: down projections that are made before they are summed.
    let outputs, sharedOutput: FloatBuffer

    /// - Parameters:
    ///   - rows: most rows of a step.
    ///   - nodes: memory nodes that weights lie on.
    ///   - isCut: whether experts may lie whole on nodes, so that their outputs are made before they are summed.
    init(_ c: ModelConfiguration, rows: Int, nodes: Int, isCut: Bool, _ make: inout BufferMaker) throws {
        let windowRows = Self.windowRows
        let latentWidth = c.latentRank + c.ropeDimension
        residual = try make.floats(rows: rows, columns: c.hiddenSize)
        normed = try make.floats(rows: rows, columns: c.hiddenSize)
        query = try make.floats(rows: rows, columns: c.headCount * (c.nopeDimension + c.ropeDimension))
        queryRank = try make.floats(rows: c.queryRank == nil ? 0 : rows, columns: c.queryRank ?? 0)
        latent = try make.floats(rows: rows, columns: latentWidth)
        attended = try make.floats(rows: rows, columns: c.headCount * c.valueDimension)
        absorbed = try make.floats(rows: windowRows, columns: c.headCount * latentWidth)
        mixedLatents = try make.floats(rows: windowRows, columns: c.headCount * c.latentRank)
        softmax = try make.floats(rows: rows == windowRows ? 0 : c.headCount, columns: 2 * rows)
        let sparse = c.sparseAttention
        let indexRows = sparse == nil ? 0 : rows
        indexQuery = try make.floats(rows: indexRows, columns: sparse.map { $0.headCount * $0.headDimension } ?? 0)
        indexKey = try make.floats(rows: indexRows, columns: sparse?.headDimension ?? 0)
        indexWeights = try make.floats(rows: indexRows, columns: sparse?.headCount ?? 0)
        routerLogits = try make.floats(rows: rows, columns: c.routedExpertCount)
        slots = try make.floats(rows: rows * c.expertsPerToken, columns: c.expertIntermediateSize)
        shared = try make.floats(
            rows: rows, columns: max(c.intermediateSize, c.sharedExpertCount * c.expertIntermediateSize))
        mixed = try make.floats(rows: rows, columns: c.hiddenSize)
        cosines = try make.floats(rows: rows, columns: c.ropeDimension / 2)
        sines = try make.floats(rows: rows, columns: c.ropeDimension / 2)
        joined = try make.floats(rows: rows, columns: 2 * c.hiddenSize)
        assignment = try ExpertAssignment(
            rows: rows, expertCount: c.routedExpertCount, perRow: c.expertsPerToken, nodes: nodes, &make)
        jobs = try make.elements(c.routedExpertCount + 4)
        spans = try make.elements(windowRows)
        lastRows = try make.elements(windowRows)
        let made = isCut && rows == windowRows ? windowRows : 0
        outputs = try make.floats(rows: made * c.expertsPerToken, columns: c.hiddenSize)
        sharedOutput = try make.floats(rows: made, columns: c.hiddenSize)
    }
}
