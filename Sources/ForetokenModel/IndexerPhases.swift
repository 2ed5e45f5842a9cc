import CForetokenKernels
import ForetokenHardware
import ForetokenWeights

/// How an indexer rotates its queries and keys.
struct IndexRotation {
    /// [row][rope / 2] each.
    let cosines: foretoken_rows
    let sines: foretoken_rows
    let rope: Int32
    let isInterleaved: Bool

    /// Rotates the first elements of a head, or of a key.
    @inline(__always)
    func rotate(_ values: UnsafeMutablePointer<Float>, row: Int, _ kernels: KernelTable) {
        let (cosine, sine) = (cosines.base! + row * cosines.stride, sines.base! + row * sines.stride)
        if isInterleaved {
            kernels.pointee.rotate(values, cosine, sine, rope)
        } else {
            kernels.pointee.rotate_halves(values, cosine, sine, rope)
        }
    }
}

/// Normalises and rotates index keys, and writes them to the pages.
struct IndexKeyPhase: RowPhase {
    let kernels: KernelTable
    /// [row][width]
    let key: foretoken_rows
    let norm: UnsafePointer<Float>
    let bias: UnsafePointer<Float>
    let rotation: IndexRotation
    /// The first text's index keys; those of the others differ in their pages.
    let keys: foretoken_latents
    let spans: UnsafePointer<RowSpan>
    let spanCount: Int
    let rowCount: Int

    static var entry: WorkerPool.Entry {
        { $0.phase(IndexKeyPhase.self).work(worker: Int($1), workers: Int($2)) }
    }

    func run(_ rows: Range<Int>, worker: Int) {
        for i in 0..<spanCount {
            let span = spans[i]
            var keys = keys
            keys.pages = span.pages
            for row in span.rows.clamped(to: rows) {
                let values = key.base! + row * key.stride
                kernels.pointee.layer_norm(
                    values, norm, bias, values, keys.rank, SparseAttention.keyNormEpsilon)
                rotation.rotate(values, row: row, kernels)
                kernels.pointee.store_latent(&keys, Int32(span.entry + row - span.firstRow), values)
            }
        }
    }
}

/// Rotates index queries and scales the heads' weights. Heads of rows are divided over the workers.
struct IndexQueryPhase: Phase {
    let kernels: KernelTable
    /// [row][head][width]
    let query: foretoken_rows
    /// [row][head]
    let weights: foretoken_rows
    let rotation: IndexRotation
    let heads: Int
    let width: Int
    let scale: Float
    let rowCount: Int

    static var entry: WorkerPool.Entry {
        { $0.phase(IndexQueryPhase.self).work(worker: Int($1), workers: Int($2)) }
    }

    private func work(worker: Int, workers: Int) {
        let count = rowCount * heads
        for i in count * worker / workers..<count * (worker + 1) / workers {
            let (row, head) = (i / heads, i % heads)
            rotation.rotate(query.base! + row * query.stride + head * width, row: row, kernels)
            (weights.base! + row * weights.stride)[head] *= scale
        }
    }
}

/// The rows of a batch that choose, as the phases below see them: those that see more entries than may be chosen.
struct ChoosingRows {
    let spans: UnsafePointer<RowSpan>
    let spanCount: Int
    /// Of the step.
    let batch: Range<Int>
    let chosenCount: Int

    /// Calls `body` with each text that has such rows.
    @inline(__always)
    func forEachText(_ body: (_ span: RowSpan, _ rows: Range<Int>) -> Void) {
        for i in 0..<spanCount {
            let mine = spans[i].rows(behind: chosenCount).clamped(to: batch)
            if !mine.isEmpty { body(spans[i], mine) }
        }
    }
}

extension RowSpan {
    /// Entries that a row sees.
    @inline(__always)
    func length(ofRow row: Int) -> Int { entry + row - firstRow + 1 }

    /// The rows that see more than `count` entries, which are the last ones.
    @inline(__always)
    func rows(behind count: Int) -> Range<Int> {
        min(max(firstRow, firstRow + count - entry), rows.upperBound)..<rows.upperBound
    }
}

/// Index scores of a batch of rows. Blocks of the context are divided over the workers; each is scored for all rows of its
/// text together, since its keys are read once then.
struct IndexScorePhase: Phase {
    let kernels: KernelTable
    let rows: ChoosingRows
    /// The first text's index keys.
    let keys: foretoken_latents
    /// [row][head][width] and [row][head] of the step.
    let query: foretoken_rows
    let weights: foretoken_rows
    /// [row of the batch][entry]
    let scores: foretoken_rows
    let heads: Int

    private static var block: Int { LatentPool.pagePositions }

    /// Multiply-adds of a batch that sees `entries` entries.
    static func work(_ sparse: SparseAttention, rows: Int, entries: Int) -> Int {
        rows * entries * sparse.headCount * sparse.headDimension
    }

    static var entry: WorkerPool.Entry {
        { $0.phase(IndexScorePhase.self).work(worker: Int($1), workers: Int($2)) }
    }

    private static func blockCount(_ span: RowSpan, _ rows: Range<Int>) -> Int {
        (span.length(ofRow: rows.upperBound - 1) + block - 1) / block
    }

    private func work(worker: Int, workers: Int) {
        var total = 0
        rows.forEachText { total += Self.blockCount($0, $1) }
        let share = total * worker / workers..<total * (worker + 1) / workers
        var passed = 0
        rows.forEachText { span, rows in
            let count = Self.blockCount(span, rows)
            for block in share.clamped(to: passed..<passed + count) { score(block - passed, span, rows) }
            passed += count
        }
    }

    private func score(_ block: Int, _ span: RowSpan, _ mine: Range<Int>) {
        var keys = keys
        keys.pages = span.pages
        let first = block * Self.block
        let count = min(Self.block, span.length(ofRow: mine.upperBound - 1) - first)
        func from(_ buffer: foretoken_rows, _ row: Int) -> foretoken_rows {
            foretoken_rows(base: buffer.base! + row * buffer.stride, stride: buffer.stride, index: nil)
        }
        kernels.pointee.score_entries(
            &keys, Int32(first), Int32(count), from(query, mine.lowerBound), from(weights, mine.lowerBound),
            Int32(mine.count), Int32(heads), from(scores, mine.lowerBound - rows.batch.lowerBound))
    }
}

/// Each row's choice among its scores.
struct IndexChoicePhase: Phase {
    let rows: ChoosingRows
    /// [row of the batch][entry]
    let scores: foretoken_rows
    /// [row of the step][chosen]
    let lists: UnsafeMutablePointer<Int32>
    let scratch: WorkerScratch

    static var entry: WorkerPool.Entry {
        { $0.phase(IndexChoicePhase.self).work(worker: Int($1), workers: Int($2)) }
    }

    private func work(worker: Int, workers: Int) {
        let first = rows.batch.lowerBound
        rows.forEachText { span, mine in
            for row in mine where (row - first) % workers == worker {
                foretoken_select_largest(
                    scores.base! + (row - first) * scores.stride, Int32(span.length(ofRow: row)),
                    Int32(rows.chosenCount), lists + row * rows.chosenCount, scratch.selection(worker))
            }
        }
    }
}

/// Copies each row's chosen latents together, so that attention reads them as it reads a context of their number.
struct GatherPhase: Phase {
    let kernels: KernelTable
    let rows: ChoosingRows
    /// The first text's latents.
    let latents: foretoken_latents
    /// [row of the step][chosen]
    let lists: UnsafePointer<Int32>
    /// [row of the batch][pages]
    let pages: UnsafePointer<UnsafeMutableRawPointer?>
    let pagesPerRow: Int

    /// Entries that one worker copies at a time.
    private static let pieceEntries = 4 * Int(FORETOKEN_ENTRY_GROUP)

    static var entry: WorkerPool.Entry {
        { $0.phase(GatherPhase.self).work(worker: Int($1), workers: Int($2)) }
    }

    private func work(worker: Int, workers: Int) {
        let pieces = (rows.chosenCount + Self.pieceEntries - 1) / Self.pieceEntries
        var total = 0
        rows.forEachText { total += $1.count * pieces }
        let share = total * worker / workers..<total * (worker + 1) / workers
        var passed = 0
        rows.forEachText { span, mine in
            for row in mine {
                for piece in share.clamped(to: passed..<passed + pieces) { copy(piece - passed, row, span) }
                passed += pieces
            }
        }
    }

    private func copy(_ piece: Int, _ row: Int, _ span: RowSpan) {
        var from = latents
        from.pages = span.pages
        var to = latents
        to.pages = pages + (row - rows.batch.lowerBound) * pagesPerRow
        to.offset = 0
        let first = piece * Self.pieceEntries
        let count = min(Self.pieceEntries, rows.chosenCount - first)
        kernels.pointee.gather_latents(&from, lists + row * rows.chosenCount, Int32(first), Int32(count), &to)
    }
}
