import CForetokenKernels
import ForetokenHardware
import ForetokenWeights

/// One MTP module with what it remembers. Row i of module j joins the embedding of token i + 1 + j with the hidden
/// state of row i — the verifier's for j = 0, module j−1's output for the others — and guesses token i + 2 + j.
final class MTPModule {
    let weights: MTPWeights
    let index: Int
    /// Cache entries made from true hidden states and known tokens. Entries past them are drafts and get overwritten.
    private(set) var entryCount = 0
    /// Row of the first waiting hidden state.
    private(set) var nextRow = 0
    /// Hidden states whose next token, or turn, has not come yet.
    private(set) var waitingCount = 0
    private let waiting: FloatBuffer
    private let waitingCapacity: Int
    private let cache: LatentCache
    private let decoder: Decoder

    init(
        _ weights: MTPWeights, index: Int, decoder: Decoder, capacity: Int, cacheType: CacheType, home: MemoryHome
    ) throws {
        let configuration = decoder.configuration
        self.weights = weights
        self.index = index
        self.decoder = decoder
        cache = try LatentCache(
            layers: 1, capacity: capacity, rank: configuration.latentRank, rope: configuration.ropeDimension,
            type: cacheType, home: home)
        waitingCapacity = Workspace.chunkRows + 2 * Workspace.narrowRows
        waiting = try FloatBuffer(rows: waitingCapacity, columns: configuration.hiddenSize)
    }

    /// Which outputs of a run are wanted.
    enum Outputs {
        /// Every row's, in order.
        case all
        /// The last row's alone, as output row 0.
        case last
    }

    /// Appends hidden rows, the first of which is row `firstRow`. Rows that do not follow what waits replace it. When more
    /// wait than there is room for, the oldest are forgotten: drafts then see a context with a gap, which costs acceptance
    /// and never correctness.
    func append(_ rows: UnsafePointer<Float>, stride: Int, count: Int, firstRow: Int) {
        if firstRow != nextRow + waitingCount {
            waitingCount = 0
            nextRow = firstRow
        }
        let excess = waitingCount + count - waitingCapacity
        if excess > 0 { drop(excess) }
        for i in 0..<count {
            waiting[row: waitingCount + i].update(from: rows + i * stride, count: decoder.configuration.hiddenSize)
        }
        waitingCount += count
    }

    /// Forgets all but the newest `count` waiting rows.
    func keepNewest(_ count: Int) {
        if waitingCount > count { drop(waitingCount - count) }
    }

    private func drop(_ count: Int) {
        let kept = waitingCount - count
        if kept > 0 { waiting.base.update(from: waiting[row: count], count: kept * waiting.stride) }
        waitingCount = kept
        nextRow += count
    }

    /// Runs waiting rows whose tokens are known, at most one chunk, and commits them. Outputs go to `output`.
    /// - Parameters:
    ///   - known: tokens known so far.
    ///   - wanted: which rows' outputs the caller will read.
    /// - Returns: rows run.
    func commit(_ tokens: UnsafePointer<Int32>, known: Int, wanted: Outputs, output: FloatBuffer) -> Int {
        let ready = min(waitingCount, known - 1 - index - nextRow, Workspace.chunkRows)
        guard ready > 0 else { return 0 }
        run(
            waiting.base, stride: waiting.stride, tokens: tokens + nextRow + 1 + index, count: ready, row: nextRow,
            entry: entryCount, wanted: wanted, output: output)
        entryCount += ready
        drop(ready)
        return ready
    }

    /// Copies the waiting rows to the front of `target`.
    func copyWaiting(to target: FloatBuffer) {
        for i in 0..<waitingCount {
            target[row: i].update(from: waiting[row: i], count: decoder.configuration.hiddenSize)
        }
    }

    /// Goes to any row of the cache; nothing waits there.
    func jump(to row: Int) {
        precondition(row >= 0 && row <= cache.capacity)
        entryCount = row
        nextRow = row
        waitingCount = 0
    }

    /// Bytes of the cache.
    var cacheByteCount: Int { cache.byteCount }

    /// Forgets everything.
    func clear() {
        entryCount = 0
        nextRow = 0
        waitingCount = 0
    }

    /// Runs rows without committing them: their cache entries start at `entry`.
    func run(
        _ hidden: UnsafePointer<Float>, stride: Int, tokens: UnsafePointer<Int32>, count: Int, row: Int, entry: Int,
        wanted: Outputs, output: FloatBuffer
    ) {
        precondition(entry + count <= cache.capacity, "rows outside the module's cache")
        let space = decoder.space
        let configuration = decoder.configuration
        let width = configuration.hiddenSize
        let kernels = decoder.kernels
        for i in 0..<count {
            let joined = space.joined[row: i]
            weights.embedding.decodeRow(tokens[i], into: joined, kernels)
            kernels.pointee.rms_norm(
                joined, weights.embeddingNorm.values, joined, Int32(width), configuration.normEpsilon)
            kernels.pointee.rms_norm(
                hidden + i * stride, weights.hiddenNorm.values, joined + width, Int32(width),
                configuration.normEpsilon)
        }
        decoder.begin(rows: count, position: row)
        decoder.multiply(
            ProductJob(weights.projection, input: space.joined.rows, output: space.residual.rows, rowCount: count))
        switch wanted {
        case .all:
            decoder.run(weights.block, cache.layer(0), rows: count, position: entry)
            decoder.normalise(space.residual, weights.headNorm, into: output, count)
        case .last:
            decoder.runLast(weights.block, cache.layer(0), rows: count, position: entry)
            decoder.normalise(space.residual, weights.headNorm, into: output, 1)
        }
    }
}
