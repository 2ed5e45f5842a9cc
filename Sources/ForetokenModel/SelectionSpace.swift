import CForetokenKernels
import ForetokenHardware
import ForetokenWeights

/// What the steps of one kind need to choose entries and to attend to the chosen ones. Lists outlive a layer, since layers
/// without an indexer use those of the layer before.
final class SelectionSpace {
    /// Index scores of a batch of rows by entry.
    let scores: FloatBuffer
    /// [row][chosen]: the entries that each row attends to, ascending. Rows that see no more entries than may be chosen have
    /// none: they attend to all they see.
    let lists: ScratchBuffer<Int32>
    /// Entries of a list.
    let chosenCount: Int
    /// Most entries that a row can see.
    let longest: Int
    /// Pages of one row's chosen latents.
    let pagesPerRow: Int
    /// By row of a batch: pages of one layer with copies of the chosen latents, as attention reads them.
    let pages: ScratchBuffer<UnsafeMutableRawPointer?>
    private let latents: FloatBuffer

    /// Rows whose scores, and whose chosen latents, are there at once.
    static let batchRows = Workspace.windowRows

    /// nil for models none of whose texts can have more entries than may be chosen.
    /// - Parameter rows: most rows of a step.
    static func make(_ c: ModelConfiguration, rows: Int, _ make: inout BufferMaker) throws -> SelectionSpace? {
        let longest = c.maximumPositions + MTPHead.maximumDrafts
        guard let sparse = c.sparseAttention, longest > sparse.chosenCount else { return nil }
        return try SelectionSpace(c, sparse, rows: rows, longest: longest, &make)
    }

    private init(
        _ c: ModelConfiguration, _ sparse: SparseAttention, rows: Int, longest: Int, _ make: inout BufferMaker
    ) throws {
        chosenCount = sparse.chosenCount
        self.longest = longest
        pagesPerRow = (chosenCount + LatentPool.pagePositions - 1) / LatentPool.pagePositions
        // Scores are written by whole groups of entries, which rows are padded to.
        scores = try make.floats(rows: Self.batchRows, columns: longest)
        lists = try make.elements(rows * chosenCount)
        let count = Self.batchRows * pagesPerRow
        latents = try make.floats(rows: count, columns: LatentPool.pagePositions * (c.latentRank + c.ropeDimension))
        pages = try make.elements(count)
        for page in 0..<pages.count { pages.pointer[page] = .init(latents[row: page]) }
    }
}
