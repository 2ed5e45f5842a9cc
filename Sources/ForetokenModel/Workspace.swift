import CForetokenKernels
import ForetokenHardware
import ForetokenWeights

/// Activations of one step, allocated once. The verifier and the MTP modules take turns in it.
final class Workspace {
    /// Rows of one prompt chunk. Chunks begin at multiples of it, so that one prompt is always cut the same way.
    static let chunkRows = 256
    /// Rows of one narrow step.
    static let narrowRows = Int(FORETOKEN_MAX_ROWS)

    let residual, normed, query, queryRank, latent, attended: FloatBuffer
    let absorbed, mixedLatents: FloatBuffer
    let routerLogits, slots, shared, mixed: FloatBuffer
    let cosines, sines: FloatBuffer
    /// [row][2 · hidden], input of eh_proj.
    let joined: FloatBuffer
    let experts: ExpertAssignment
    let routerScratch: FloatBuffer
    let jobs: PlainBuffer<ProductJob>
    let scratch: WorkerScratch
    private let workerMemory: FloatBuffer

    init(_ c: ModelConfiguration, workers: Int) {
        let rows = Self.chunkRows
        let narrow = Self.narrowRows
        let latentWidth = c.latentRank + c.ropeDimension
        residual = FloatBuffer(rows: rows, columns: c.hiddenSize)
        normed = FloatBuffer(rows: rows, columns: c.hiddenSize)
        query = FloatBuffer(rows: rows, columns: c.headCount * (c.nopeDimension + c.ropeDimension))
        queryRank = FloatBuffer(rows: c.queryRank == nil ? 0 : rows, columns: c.queryRank ?? 0)
        latent = FloatBuffer(rows: rows, columns: latentWidth)
        attended = FloatBuffer(rows: rows, columns: c.headCount * c.valueDimension)
        absorbed = FloatBuffer(rows: narrow, columns: c.headCount * latentWidth)
        mixedLatents = FloatBuffer(rows: narrow, columns: c.headCount * c.latentRank)
        routerLogits = FloatBuffer(rows: rows, columns: c.routedExpertCount)
        slots = FloatBuffer(rows: rows * c.expertsPerToken, columns: c.expertIntermediateSize)
        shared = FloatBuffer(
            rows: rows, columns: max(c.intermediateSize, c.sharedExpertCount * c.expertIntermediateSize))
        mixed = FloatBuffer(rows: rows, columns: c.hiddenSize)
        cosines = FloatBuffer(rows: rows, columns: c.ropeDimension / 2)
        sines = FloatBuffer(rows: rows, columns: c.ropeDimension / 2)
        joined = FloatBuffer(rows: rows, columns: 2 * c.hiddenSize)
        experts = ExpertAssignment(rows: rows, experts: c.routedExpertCount, perRow: c.expertsPerToken)
        routerScratch = FloatBuffer(rows: 1, columns: 2 * c.routedExpertCount)
        let empty = foretoken_rows(base: residual.base, stride: 0, index: nil)
        let job = ProductJob(PackedMatrix(), input: empty, output: empty, rowCount: 0)
        jobs = PlainBuffer(count: c.routedExpertCount + 4, repeating: job)
        workerMemory = FloatBuffer(rows: workers, columns: WorkerScratch.floatCount(c, rows: rows))
        scratch = WorkerScratch(base: workerMemory.base, stride: workerMemory.stride, rows: rows)
    }

    /// Bytes a workspace will take, for the fit check before loading.
    static func byteCount(_ c: ModelConfiguration, workers: Int) -> Int {
        let perRow =
            5 * c.hiddenSize + c.headCount * (c.nopeDimension + c.ropeDimension + c.valueDimension)
            + c.expertsPerToken * c.expertIntermediateSize + (c.queryRank ?? 0)
            + max(c.intermediateSize, c.sharedExpertCount * c.expertIntermediateSize)
            + c.routedExpertCount + c.latentRank + 2 * c.ropeDimension
        let perNarrowRow = c.headCount * (2 * c.latentRank + c.ropeDimension) + c.vocabularySize
        return 4 * (chunkRows * perRow + narrowRows * perNarrowRow)
            + 4 * workers * WorkerScratch.floatCount(c, rows: chunkRows)
    }
}
