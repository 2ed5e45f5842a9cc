import CForetokenKernels
import ForetokenHardware
import ForetokenWeights
import Glibc

/// What both attention routes read: one layer's MLA over the rows of one step. Heads are divided over the teams as their
/// weights are, and over each team's workers.
struct AttentionStep {
    let kernels: KernelTable
    let keyUp: MatrixTable
    let valueUp: MatrixTable
    /// The first text's latents; those of the others differ in their pages.
    let cache: foretoken_latents
    /// The texts whose rows these are; a chunk has one.
    let spans: UnsafePointer<RowSpan>
    let spanCount: Int
    /// Query rows [row][head][nope | rope]; the rope part is rotated here.
    let query: foretoken_rows
    /// [row][rope / 2] each.
    let cosines: foretoken_rows
    let sines: foretoken_rows
    /// Outputs [row][head][value].
    let output: foretoken_rows
    let rowCount: Int
    let nope: Int
    let value: Int
    let sigma: Float
    /// By team of the layout: its first head; one entry more is the end.
    let headCut: CutTable
    let scratch: WorkerScratch

    /// Cache entry of a chunk's row 0. Row i sees entries 0...firstEntry + i.
    var firstEntry: Int { spans[0].entry }

    var rank: Int { Int(cache.rank) }
    var rope: Int { Int(cache.rope) }
    var queryWidth: Int { nope + rope }

    /// Calls `body` with the worker's heads of every team it serves, in whole units of heads.
    @inline(__always)
    func forEachHeads(of worker: Int, unit: Int = 1, _ slice: Slice = .whole, _ body: (Range<Int>) -> Void) {
        headCut.forEachShare(of: scratch.seats[worker], unit: unit, slice, body)
    }

    @inline(__always)
    func queryHead(_ head: Int, row: Int) -> UnsafeMutablePointer<Float> {
        query.base! + row * query.stride + head * queryWidth
    }

    @inline(__always)
    func rotateQueries(_ head: Int, _ rows: Range<Int>) {
        for row in rows {
            kernels.pointee.rotate(
                queryHead(head, row: row) + nope, cosines.base! + row * cosines.stride,
                sines.base! + row * sines.stride, Int32(rope))
        }
    }
}

/// What rows of a chunk chose.
struct ChosenEntries: BitwiseCopyable {
    /// Entries of a list; rows that see no more have none.
    let count: Int
    /// [row of the step][count], ascending.
    let lists: UnsafePointer<Int32>

    /// Makes the scores of neighbouring entries that a row did not choose -infinity, so that they weigh nothing. Where it
    /// chose none of a block, the block's sum is 0 and its maximum below every other.
    func mask(_ scores: UnsafeMutablePointer<Float>, row: Int, entries: Range<Int>) {
        let list = lists + row * count
        var (next, end) = (0, count)
        while next < end {
            let middle = (next + end) / 2
            if Int(list[middle]) < entries.lowerBound { next = middle + 1 } else { end = middle }
        }
        var from = 0
        while next < count, Int(list[next]) < entries.upperBound {
            let kept = Int(list[next]) - entries.lowerBound
            (scores + from).update(repeating: -.infinity, count: kept - from)
            from = kept + 1
            next += 1
        }
        (scores + from).update(repeating: -.infinity, count: entries.count - from)
    }
}

/// Copies of latents that rows chose, by row of a batch.
struct ChosenLatents: BitwiseCopyable {
    /// Entries that a row attends to at most; rows that see no more attend to the texts' own.
    let count: Int
    /// [row of the batch][pages]
    let pages: UnsafePointer<UnsafeMutableRawPointer?>
    let pagesPerRow: Int
}

/// Absorbed attention: queries go into latent space, so the cache is read as it lies. Rows go in batches of a window's
/// size; a window's queries are made by the worker whose heads they belong to, which saves a meeting of all workers.
struct AbsorbedAttentionPhase: Phase {
    let step: AttentionStep
    /// Makes the query rows; nil when they are there already.
    let query: ProductJob?
    /// Which of each worker's heads; a chunk's may be divided over several phases.
    let slice: Slice
    /// Rows of the step; at most a batch where entries were chosen.
    let rows: Range<Int>
    /// nil where every row attends to all entries that it sees.
    let chosen: ChosenLatents?
    /// One batch's queries in latent space [row][head][rank | rope].
    let absorbed: foretoken_rows
    /// One batch's weighted latents [row][head][rank].
    let mixed: foretoken_rows

    /// Whether absorption is the shorter way for so many rows: each costs 2 rank + rope multiplications a head and
    /// context entry, instead of nope + rope + value and the rows' share of making the entry's key and value explicit,
    /// rank · (nope + value). Measured times cross where these counts do.
    static func isShorter(_ c: ModelConfiguration, rows: Int) -> Bool {
        let explicit = c.nopeDimension + c.valueDimension
        return rows * (2 * c.latentRank - explicit) <= c.latentRank * explicit
    }

    /// The same where a chunk's rows attend to chosen entries, of the `entries` that the last one sees, while naive attention
    /// computes all scores and masks them: chosen latents are copied first, which takes about as long as attending to them.
    static func isShorter(_ c: ModelConfiguration, rows: Int, entries: Int, chosen: Int) -> Bool {
        let naive = PromptAttentionPhase.work(c, rows: rows) / LatentPool.pagePositions * entries
        return isShorter(c, rows: rows) || 2 * work(c, rows: rows, entries: chosen) <= naive
    }

    /// Multiply-adds of `rows` rows that see `entries` entries: scores and weighted latents.
    static func work(_ c: ModelConfiguration, rows: Int, entries: Int) -> Int {
        rows * entries * c.headCount * (2 * c.latentRank + c.ropeDimension)
    }

    static var entry: WorkerPool.Entry {
        { context, worker, _ in context.phase(AbsorbedAttentionPhase.self).work(worker: Int(worker)) }
    }

    private func work(worker: Int) {
        step.forEachHeads(of: worker, unit: NodeLayout.headUnit(step.queryWidth), slice) { run($0, worker: worker) }
    }

    private func run(_ heads: Range<Int>, worker: Int) {
        let panelRows = Int(FORETOKEN_PANEL_ROWS)
        if let query {
            let firstPanel = heads.lowerBound * step.queryWidth / panelRows
            let endPanel = (heads.upperBound * step.queryWidth + panelRows - 1) / panelRows
            PanelProduct(kernels: step.kernels, scratch: step.scratch.wide(worker))
                .run(query, panels: firstPanel..<endPanel)
        }
        for head in heads { step.rotateQueries(head, rows) }
        for first in stride(from: rows.lowerBound, to: rows.upperBound, by: Workspace.windowRows) {
            let rows = first..<min(first + Workspace.windowRows, rows.upperBound)
            for head in heads { absorb(head, rows) }
            for i in 0..<step.spanCount {
                let mine = step.spans[i].rows.clamped(to: rows)
                if !mine.isEmpty { attend(heads, mine, of: step.spans[i], batch: first, worker) }
            }
            for head in heads { project(head, rows) }
        }
    }

    /// q̃[h] = W_UK[h]ᵀ q_nope[h], with the rotated part beside it.
    private func absorb(_ head: Int, _ rows: Range<Int>) {
        let width = step.rank + step.rope
        let matrix = step.keyUp.matrices + head
        let input = foretoken_rows(
            base: step.queryHead(head, row: rows.lowerBound), stride: step.query.stride, index: nil)
        let output = foretoken_rows(base: absorbed.base! + head * width, stride: absorbed.stride, index: nil)
        step.kernels.pointee.product(
            matrix, 0, Int32(matrix.pointee.panelCount), input, Int32(rows.count), output, false)
        for (i, row) in rows.enumerated() {
            (output.base! + i * output.stride + step.rank)
                .update(from: step.queryHead(head, row: row) + step.nope, count: step.rope)
        }
    }

    /// Some rows of one text. Row `batch` of the step is row 0 of `absorbed` and `mixed`.
    private func attend(_ heads: Range<Int>, _ rows: Range<Int>, of span: RowSpan, batch: Int, _ worker: Int) {
        var cache = step.cache
        cache.pages = span.pages
        let choosing = chosen.map { span.rows(behind: $0.count).clamped(to: rows) }
        let seeAll = rows.lowerBound..<(choosing?.lowerBound ?? rows.upperBound)
        if !seeAll.isEmpty { attend(heads, seeAll, to: cache, span.length(ofRow: rows.lowerBound), batch, worker) }
        guard let chosen, let choosing else { return }
        cache.offset = 0
        for row in choosing {
            cache.pages = chosen.pages + (row - batch) * chosen.pagesPerRow
            attend(heads, row..<row + 1, to: cache, chosen.count, batch, worker)
        }
    }

    /// Rows of which the first attends to `length` entries of a cache, and each later one to one more.
    private func attend(
        _ heads: Range<Int>, _ rows: Range<Int>, to cache: foretoken_latents, _ length: Int, _ batch: Int, _ worker: Int
    ) {
        let width = step.rank + step.rope
        let row = rows.lowerBound - batch
        var cache = cache
        let queries = foretoken_rows(
            base: absorbed.base! + row * absorbed.stride + heads.lowerBound * width, stride: absorbed.stride, index: nil
        )
        let output = foretoken_rows(
            base: mixed.base! + row * mixed.stride + heads.lowerBound * step.rank, stride: mixed.stride, index: nil)
        step.kernels.pointee.attend(
            &cache, Int32(length), queries, Int32(rows.count), Int32(heads.count), step.sigma, output,
            step.scratch.attention(worker))
    }

    /// o[h] = W_UV[h] z[h]
    private func project(_ head: Int, _ rows: Range<Int>) {
        let matrix = step.valueUp.matrices + head
        let input = foretoken_rows(base: mixed.base! + head * step.rank, stride: mixed.stride, index: nil)
        let output = foretoken_rows(
            base: step.output.base! + rows.lowerBound * step.output.stride + head * step.value,
            stride: step.output.stride, index: nil)
        step.kernels.pointee.product(
            matrix, 0, Int32(matrix.pointee.panelCount), input, Int32(rows.count), output, false)
    }
}

/// Naive blockwise attention for prompt chunks: keys and values of one head and one context block are made explicit and
/// shared by all rows. A chunk's attention may be divided over several phases, by blocks in ascending order and by heads.
struct PromptAttentionPhase: Phase {
    let step: AttentionStep
    /// Context blocks to fold.
    let blocks: Range<Int>
    /// Which of each worker's heads.
    let slice: Slice
    /// By head: each row's maximum and sum over the blocks so far [2][rows].
    let softmax: foretoken_rows
    /// nil where every row attends to all entries that it sees.
    let chosen: ChosenEntries?

    /// Context blocks that `rows` rows see whose first has cache entry `firstEntry`.
    static func blockCount(firstEntry: Int, rows: Int) -> Int { (firstEntry + rows + block - 1) / block }

    /// Multiply-adds of one block: keys and values made explicit, scores, and weighted values.
    static func work(_ c: ModelConfiguration, rows: Int) -> Int {
        let explicit = c.latentRank * (c.nopeDimension + c.valueDimension)
        return c.headCount * block * (explicit + rows * (c.queryDimension + c.valueDimension))
    }

    static var entry: WorkerPool.Entry {
        { context, worker, _ in context.phase(PromptAttentionPhase.self).work(worker: Int(worker)) }
    }

    private static var block: Int { Int(FORETOKEN_CONTEXT_BLOCK) }

    private func work(worker: Int) {
        let scratch = PromptAttentionScratch(step.scratch.attention(worker), step)
        step.forEachHeads(of: worker, slice) { run($0, scratch) }
    }

    private func run(_ heads: Range<Int>, _ scratch: PromptAttentionScratch) {
        let end = step.firstEntry + step.rowCount
        for head in heads {
            if blocks.lowerBound == 0 { step.rotateQueries(head, 0..<step.rowCount) }
            let keyUp = step.keyUp.matrices + head
            let valueUp = step.valueUp.matrices + head
            step.kernels.pointee.decode_panels(
                keyUp, 0, Int32(keyUp.pointee.panelCount), 0, keyUp.pointee.columns, scratch.keyUp,
                scratch.keyUpStride)
            step.kernels.pointee.decode_panels(
                valueUp, 0, Int32(valueUp.pointee.panelCount), 0, valueUp.pointee.columns, scratch.valueUp,
                scratch.valueUpStride)
            for block in blocks {
                let start = block * Self.block
                let count = min(Self.block, end - start)
                expand(scratch, start: start, count: count)
                fold(scratch, head: head, start: start, count: count)
            }
            if blocks.upperBound * Self.block >= end { normalise(head) }
        }
    }

    /// K = [C W_UKᵀ | k_rope] and V = C W_UVᵀ of one block.
    private func expand(_ s: PromptAttentionScratch, start: Int, count: Int) {
        let width = step.rank + step.rope
        var cache = step.cache
        step.kernels.pointee.load_latents(&cache, Int32(start), Int32(count), s.latents)
        for i in 0..<count {
            (s.keys + i * step.queryWidth + step.nope)
                .update(from: s.latents + i * width + step.rank, count: step.rope)
        }
        foretoken_blas_product_transposed(
            s.latents, width, s.keyUp, s.keyUpStride, s.keys, step.queryWidth, Int32(count), Int32(step.nope),
            Int32(step.rank), false)
        foretoken_blas_product(
            s.latents, width, s.valueUp, s.valueUpStride, s.values, step.value, Int32(count), Int32(step.value),
            Int32(step.rank), false)
    }

    /// Folds one block into the head's running results of all rows that see some of it, strip by strip.
    private func fold(_ s: PromptAttentionScratch, head: Int, start: Int, count: Int) {
        let firstRow = max(0, start - step.firstEntry)
        let strip = PromptAttentionScratch.strip
        for begin in stride(from: firstRow / strip * strip, to: step.rowCount, by: strip) {
            let rows = max(begin, firstRow)..<min(begin + strip, step.rowCount)
            fold(s, rows, head: head, start: start, count: min(count, step.firstEntry + rows.upperBound - start))
        }
    }

    /// Scores, softmax and weighted values of one strip of rows, of which the last sees `count` entries of the block.
    private func fold(_ s: PromptAttentionScratch, _ rows: Range<Int>, head: Int, start: Int, count: Int) {
        foretoken_blas_product_transposed(
            step.queryHead(head, row: rows.lowerBound), step.query.stride, s.keys, step.queryWidth, s.scores,
            Self.block, Int32(rows.count), Int32(count), Int32(step.queryWidth), false)
        for (i, row) in rows.enumerated() {
            let scores = s.scores + i * Self.block
            let visible = min(count, step.firstEntry + row - start + 1)
            if let chosen, step.firstEntry + row >= chosen.count {
                chosen.mask(scores, row: row, entries: start..<start + visible)
            }
            s.blockSum[i] = step.kernels.pointee.exp_block(scores, Int32(visible), step.sigma, s.blockMaximum + i)
            (scores + visible).update(repeating: 0, count: count - visible)
        }
        foretoken_blas_product(
            s.scores, Self.block, s.values, step.value, s.weighted, step.value, Int32(rows.count), Int32(step.value),
            Int32(count), false)
        for (i, row) in rows.enumerated() {
            foldRow(row, head: head, from: s, i, isFirst: start == 0)
        }
    }

    private func output(_ head: Int, row: Int) -> UnsafeMutablePointer<Float> {
        step.output.base! + row * step.output.stride + head * step.value
    }

    private func maximum(_ head: Int) -> UnsafeMutablePointer<Float> { softmax.base! + head * softmax.stride }

    private func sum(_ head: Int) -> UnsafeMutablePointer<Float> { maximum(head) + step.rowCount }

    /// Folds row `i` of a strip's results into row `row`: both sides are rescaled to the larger of the two maxima.
    @inline(__always)
    private func foldRow(_ row: Int, head: Int, from s: PromptAttentionScratch, _ i: Int, isFirst: Bool) {
        let addition = s.weighted + i * step.value
        let (output, maximum, sum) = (output(head, row: row), maximum(head) + row, sum(head) + row)
        guard !isFirst else {
            maximum.pointee = s.blockMaximum[i]
            sum.pointee = s.blockSum[i]
            output.update(from: addition, count: step.value)
            return
        }
        let larger = max(maximum.pointee, s.blockMaximum[i])
        let keep = exp(maximum.pointee - larger)
        let take = exp(s.blockMaximum[i] - larger)
        for i in 0..<step.value { output[i] = output[i] * keep + addition[i] * take }
        sum.pointee = sum.pointee * keep + s.blockSum[i] * take
        maximum.pointee = larger
    }

    private func normalise(_ head: Int) {
        for row in 0..<step.rowCount {
            let output = output(head, row: row)
            let inverse = 1 / sum(head)[row]
            for i in 0..<step.value { output[i] *= inverse }
        }
    }
}
