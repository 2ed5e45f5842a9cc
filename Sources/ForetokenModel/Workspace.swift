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
    /// Rows of one prompt chunk. Chunks begin at multiples of it, so that one prompt is always cut the same way.
    static let chunkRows = 512
    /// Most rows of one window, which are those of a narrow kernel's call.
    static let windowRows = Int(FORETOKEN_MAX_ROWS)

    let residual, normed, query, queryRank, latent, attended: FloatBuffer
    let absorbed, mixedLatents: FloatBuffer
    let routerLogits, slots, shared, mixed: FloatBuffer
    let cosines, sines: FloatBuffer
    /// [row][2 · hidden], input of eh_proj.
    let joined: FloatBuffer
    let experts: ExpertAssignment
    let jobs: ScratchBuffer<ProductJob>
    /// The step's texts.
    let spans: ScratchBuffer<RowSpan>
    /// By text: its last row.
    let lastRows: ScratchBuffer<Int32>
    /// [slot][hidden] and [row][hidden] of a window: down projections that are made before they are summed.
    let outputs, sharedOutput: FloatBuffer

    /// - Parameter rows: most rows of a step.
    init(_ c: ModelConfiguration, rows: Int, nodes: NodeLayout) throws {
        let narrow = Self.windowRows
        let latentWidth = c.latentRank + c.ropeDimension
        residual = try FloatBuffer(rows: rows, columns: c.hiddenSize)
        normed = try FloatBuffer(rows: rows, columns: c.hiddenSize)
        query = try FloatBuffer(rows: rows, columns: c.headCount * (c.nopeDimension + c.ropeDimension))
        queryRank = try FloatBuffer(rows: c.queryRank == nil ? 0 : rows, columns: c.queryRank ?? 0)
        latent = try FloatBuffer(rows: rows, columns: latentWidth)
        attended = try FloatBuffer(rows: rows, columns: c.headCount * c.valueDimension)
        absorbed = try FloatBuffer(rows: narrow, columns: c.headCount * latentWidth)
        mixedLatents = try FloatBuffer(rows: narrow, columns: c.headCount * c.latentRank)
        routerLogits = try FloatBuffer(rows: rows, columns: c.routedExpertCount)
        slots = try FloatBuffer(rows: rows * c.expertsPerToken, columns: c.expertIntermediateSize)
        shared = try FloatBuffer(
            rows: rows, columns: max(c.intermediateSize, c.sharedExpertCount * c.expertIntermediateSize))
        mixed = try FloatBuffer(rows: rows, columns: c.hiddenSize)
        cosines = try FloatBuffer(rows: rows, columns: c.ropeDimension / 2)
        sines = try FloatBuffer(rows: rows, columns: c.ropeDimension / 2)
        joined = try FloatBuffer(rows: rows, columns: 2 * c.hiddenSize)
        experts = try ExpertAssignment(
            rows: rows, experts: c.routedExpertCount, perRow: c.expertsPerToken, nodes: nodes.nodes.count)
        jobs = try ScratchBuffer(count: c.routedExpertCount + 4)
        spans = try ScratchBuffer(count: narrow)
        lastRows = try ScratchBuffer(count: narrow)
        let made = nodes.isCut && rows == narrow ? narrow : 0
        outputs = try FloatBuffer(rows: made * c.expertsPerToken, columns: c.hiddenSize)
        sharedOutput = try FloatBuffer(rows: made, columns: c.hiddenSize)
    }

    /// Bytes that the workspaces, a verifier and a draft head will take besides pages, for the fit check before loading.
    static func byteCount(_ c: ModelConfiguration, modules: Int, workers: Int) -> Int {
        let perRow =
            5 * c.hiddenSize + c.headCount * (c.nopeDimension + c.ropeDimension + c.valueDimension)
            + c.expertsPerToken * c.expertIntermediateSize + (c.queryRank ?? 0)
            + max(c.intermediateSize, c.sharedExpertCount * c.expertIntermediateSize)
            + c.routedExpertCount + c.latentRank + 2 * c.ropeDimension
        let perNarrowRow =
            2 * c.headCount * (2 * c.latentRank + c.ropeDimension) + (c.expertsPerToken + 1) * c.hiddenSize
        // Hidden rows of the verifier; outputs of the draft head and what goes through its modules.
        let hiddenRows = chunkRows + (modules == 0 ? 0 : 3 * chunkRows + 2 * windowRows + 2 * ModuleState.mostWaiting)
        // Logits of verifier and draft head.
        let logits = 2 * windowRows * c.vocabularySize
        return 4
            * ((chunkRows + windowRows) * perRow + windowRows * perNarrowRow + hiddenRows * c.hiddenSize + logits)
            + 4 * workers * WorkerScratch.floatCount(c, rows: chunkRows)
    }
}
