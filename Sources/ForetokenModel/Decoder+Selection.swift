import CForetokenKernels
import ForetokenHardware
import ForetokenWeights

/// Sparse attention: an indexer chooses, for rows behind more entries than may be chosen, which entries they attend to.
extension Decoder {
    /// Whether some row of the step sees more entries than may be chosen. It follows from the rows' own texts.
    var mustChoose: Bool {
        guard let selection else { return false }
        return (0..<spanCount).contains {
            let span = space.spans.pointer[$0]
            return span.entry + span.count > selection.chosenCount
        }
    }

    /// The products that make index keys of all rows, and heads' weights of the rows that go on.
    func indexerJobs(_ weights: IndexerWeights, wanted: foretoken_rows, count: Int) -> (ProductJob, ProductJob) {
        (
            ProductJob(weights.key, kind, input: space.normed.rows, output: space.indexKey.rows, rowCount: rows),
            ProductJob(weights.weights, kind, input: wanted, output: space.indexWeights.rows, rowCount: count)
        )
    }

    private var indexRotation: IndexRotation {
        IndexRotation(
            cosines: space.cosines.rows, sines: space.sines.rows, rope: Int32(configuration.ropeDimension),
            isInterleaved: configuration.sparseAttention!.hasInterleavedRotation)
    }

    /// Finishes the index keys and appends them to the texts' pages.
    func storeIndexKeys(_ weights: IndexerWeights, _ layer: Int) {
        pool.runRows(
            IndexKeyPhase(
                kernels: kernels, key: space.indexKey.rows, norm: weights.keyNorm.values, bias: weights.keyBias.values,
                rotation: indexRotation, keys: indexKeys(layer), spans: UnsafePointer(space.spans.pointer),
                spanCount: spanCount, rowCount: rows))
    }

    /// Chooses the entries that rows attend to, where the layer has an indexer; otherwise they are those that the layer before
    /// chose. Reads the normalised low-rank queries.
    ///
    /// - Returns: whether attention reads chosen entries.
    func choose(_ weights: IndexerWeights?, _ layer: Int) -> Bool {
        guard mustChoose, let selection, let sparse = configuration.sparseAttention else { return false }
        // An MTP module without an indexer attends to everything: what it drafts is checked.
        guard let weights else { return layer < configuration.layerCount }
        multiply(
            ProductJob(
                weights.query, kind, input: space.queryRank.rows, output: space.indexQuery.rows, rowCount: rows))
        run(
            IndexQueryPhase(
                kernels: kernels, query: space.indexQuery.rows, weights: space.indexWeights.rows,
                rotation: indexRotation, heads: sparse.headCount, width: sparse.headDimension,
                scale: sparse.weightScale, rowCount: rows))
        let keys = indexKeys(layer)
        for first in stride(from: 0, to: rows, by: SelectionSpace.batchRows) {
            let batch = choosingRows(first, selection)
            run(
                IndexScorePhase(
                    kernels: kernels, rows: batch, keys: keys, query: space.indexQuery.rows,
                    weights: space.indexWeights.rows, scores: selection.scores.rows, heads: sparse.headCount))
            run(
                IndexChoicePhase(
                    rows: batch, scores: selection.scores.rows, lists: selection.lists.pointer,
                    scratch: workers.scratch))
        }
        showChoice(selection)
        return true
    }

    private func choosingRows(_ first: Int, _ selection: SelectionSpace) -> ChoosingRows {
        ChoosingRows(
            spans: UnsafePointer(space.spans.pointer), spanCount: spanCount,
            batch: first..<min(first + SelectionSpace.batchRows, rows), chosenCount: selection.chosenCount)
    }

    /// Attention to chosen entries: absorbed, a batch of rows at a time, or naive over all entries, of which those that were
    /// not chosen weigh nothing. Which one a chunk takes follows from where it lies in its text.
    func attendToChosen(_ step: AttentionStep, _ query: ProductJob?) {
        guard let selection else { return }
        let isAbsorbed =
            kind == .window
            || AbsorbedAttentionPhase.isShorter(
                configuration, rows: rows, entries: step.firstEntry + rows, chosen: selection.chosenCount)
        guard isAbsorbed else {
            let chosen = ChosenEntries(
                count: selection.chosenCount, lists: UnsafePointer(selection.lists.pointer))
            return attendPrompt(step, chosen: chosen)
        }
        for first in stride(from: 0, to: rows, by: SelectionSpace.batchRows) {
            let batch = choosingRows(first, selection)
            run(
                GatherPhase(
                    kernels: kernels, rows: batch, latents: step.cache,
                    lists: UnsafePointer(selection.lists.pointer), pages: UnsafePointer(selection.pages.pointer),
                    pagesPerRow: selection.pagesPerRow))
            attendAbsorbed(
                step, query, batch.batch, entries: selection.chosenCount,
                chosen: ChosenLatents(
                    count: selection.chosenCount, pages: UnsafePointer(selection.pages.pointer),
                    pagesPerRow: selection.pagesPerRow))
        }
    }
}
