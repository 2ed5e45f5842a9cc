import CForetokenKernels
import ForetokenHardware
import ForetokenWeights

/// Activations of one step, allocated once. The verifier and the MTP modules take turns in it.
final class Workspace {
    /// Rows of one prompt chunk. Chunks begin at multiples of it, so that one prompt is always cut the same way.
    static let chunkRows = 512
    /// Rows of one narrow step.
    static let narrowRows = Int(FORETOKEN_MAX_ROWS)

    let residual, normed, query, queryRank, latent, attended: FloatBuffer
    let absorbed, mixedLatents: FloatBuffer
    let routerLogits, slots, shared, mixed: FloatBuffer
    let cosines, sines: FloatBuffer
    /// [row][2 · hidden], input of eh_proj.
    let joined: FloatBuffer
    let experts: ExpertAssignment
    let jobs: ScratchBuffer<ProductJob>
    let scratch: WorkerScratch
    /// [slot][hidden] and [row][hidden] of a window: down projections that are made before they are summed.
    let outputs, sharedOutput: FloatBuffer
    /// Heads, and panels of output columns, by group.
    let headCut, columnCut: CutTable
    private let workerMemory: WorkerMemory
    private let cuts: ScratchBuffer<Int32>

    init(_ c: ModelConfiguration, pool: WorkerPool, nodes: NodeLayout) throws {
        let rows = Self.chunkRows
        let narrow = Self.narrowRows
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
        let mayBeWhole = nodes.isCut
        outputs = try FloatBuffer(rows: mayBeWhole ? narrow * c.expertsPerToken : 0, columns: c.hiddenSize)
        sharedOutput = try FloatBuffer(rows: mayBeWhole ? narrow : 0, columns: c.hiddenSize)
        workerMemory = try WorkerMemory(
            floats: WorkerScratch.floatCount(c, rows: rows), pool: pool, nodes: nodes)
        scratch = WorkerScratch(
            seats: pool.seats, bases: workerMemory.bases, rows: rows, columns: WorkerScratch.columns(c))
        let panelRows = Int(FORETOKEN_PANEL_ROWS)
        let heads = nodes.headCut(c.headCount, width: c.queryDimension)
        let columns = nodes.denseCut((c.hiddenSize + panelRows - 1) / panelRows)
        let groups = nodes.groups.count
        cuts = try ScratchBuffer(count: 2 * (groups + 1))
        for (i, cut) in [heads, columns].enumerated() {
            for (group, range) in cut.enumerated() {
                cuts.pointer[i * (groups + 1) + group] = Int32(range.lowerBound)
                cuts.pointer[i * (groups + 1) + group + 1] = Int32(range.upperBound)
            }
        }
        headCut = CutTable(bounds: UnsafePointer(cuts.pointer), groups: groups)
        columnCut = CutTable(bounds: UnsafePointer(cuts.pointer + groups + 1), groups: groups)
    }

    /// Bytes that a workspace, a verifier and `modules` MTP modules will take besides caches, for the fit check before
    /// loading.
    static func byteCount(_ c: ModelConfiguration, modules: Int, workers: Int) -> Int {
        let perRow =
            5 * c.hiddenSize + c.headCount * (c.nopeDimension + c.ropeDimension + c.valueDimension)
            + c.expertsPerToken * c.expertIntermediateSize + (c.queryRank ?? 0)
            + max(c.intermediateSize, c.sharedExpertCount * c.expertIntermediateSize)
            + c.routedExpertCount + c.latentRank + 2 * c.ropeDimension
        let perNarrowRow =
            c.headCount * (2 * c.latentRank + c.ropeDimension) + (c.expertsPerToken + 1) * c.hiddenSize
        // Hidden rows of the verifier, outputs of the draft head, and what waits at each module.
        let hiddenRows = chunkRows * (2 + modules) + narrowRows * (1 + 2 * modules)
        // Logits, the softmax and the sampler's three tables, for verifier and draft head.
        let logits = 2 * (narrowRows + 1) * c.vocabularySize + 3 * c.vocabularySize
        return 4 * (chunkRows * perRow + narrowRows * perNarrowRow + hiddenRows * c.hiddenSize + logits)
            + 4 * workers * WorkerScratch.floatCount(c, rows: chunkRows)
    }
}
