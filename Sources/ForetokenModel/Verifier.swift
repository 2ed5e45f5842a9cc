import CForetokenKernels
import ForetokenHardware
import ForetokenWeights

/// The main model: turns tokens into hidden states and logits, and remembers the context as latents. It takes a prompt
/// in chunks or a verify window of up to 16 rows; each row's result has the same bits whatever else is in the window.
public final class Verifier {
    /// Positions the latent cache holds. Forwarding starts here; truncation lowers it.
    public private(set) var position = 0
    /// Most positions the latent cache can hold.
    public var capacity: Int { cache.capacity }
    /// Rows of the last step that `hidden(row:)` may be asked for.
    public private(set) var rowCount = 0
    /// Looks on at every step.
    public var observer: (any StepObserver)?

    /// Most rows of one verify window.
    public static let windowRows = Workspace.narrowRows
    /// Rows of a prompt chunk; prompts are cut at multiples of it.
    public static let chunkRows = Workspace.chunkRows

    private let weights: ModelWeights
    private let decoder: Decoder
    private let cache: LatentCache
    private let hiddenRows: FloatBuffer
    private let head: HeadRunner

    init(weights: ModelWeights, decoder: Decoder, capacity: Int, cacheType: CacheType) throws {
        let configuration = weights.configuration
        self.weights = weights
        self.decoder = decoder
        cache = try LatentCache(
            layers: configuration.layerCount, capacity: capacity, rank: configuration.latentRank,
            rope: configuration.ropeDimension, type: cacheType, home: weights.nodes.sharedHome)
        hiddenRows = try FloatBuffer(rows: Workspace.chunkRows, columns: configuration.hiddenSize)
        head = try HeadRunner(decoder: decoder)
    }

    /// Rows of the next step of a prompt of `end` tokens. Prompts are cut at absolute multiples of `chunkRows`, whoever runs
    /// them: another cut could give other bits.
    public func nextChunk(to end: Int) -> Int {
        min((position / Self.chunkRows + 1) * Self.chunkRows, end) - position
    }

    /// Runs `count` tokens (1...`chunkRows`) at the next positions. Afterwards `hidden(row:)` gives their final hidden states.
    /// The caller keeps `position + count` within `capacity` and token ids within the vocabulary.
    public func forward(_ tokens: UnsafePointer<Int32>, count: Int) {
        precondition(count > 0 && count <= Self.chunkRows && position + count <= capacity, "step outside the cache")
        let residual = decoder.space.residual
        for row in 0..<count {
            weights.embedding.decodeRow(tokens[row], into: residual[row: row], decoder.kernels)
        }
        decoder.begin(rows: count, position: position)
        if count <= Self.windowRows { decoder.traffic.beginStep() }
        defer { decoder.traffic.endStep() }
        decoder.observation = observer.map { Observation($0, position: position) }
        decoder.show(.embedding, residual, width: weights.configuration.hiddenSize, rows: count)
        for (index, layer) in weights.layers.enumerated() {
            decoder.observation?.layer = index
            decoder.run(layer, cache.layer(index), rows: count, position: position)
        }
        decoder.observation?.layer = nil
        decoder.normalise(residual, weights.finalNorm, into: hiddenRows, count)
        decoder.show(.finalNorm, hiddenRows, width: weights.configuration.hiddenSize, rows: count)
        decoder.observation = nil
        position += count
        rowCount = count
    }

    /// Computes logits for `count` (1...16) rows of the last step, starting at `first`; `logits(row:)` then gives them.
    ///
    /// - Parameter rule: how `drawn(row:)` is to choose; greedily by default.
    public func computeLogits(first: Int, count: Int, rule: DrawRule? = nil) {
        precondition(first >= 0 && count > 0 && count <= Self.windowRows && first + count <= rowCount)
        let input = foretoken_rows(base: hiddenRows[row: first], stride: hiddenRows.stride, index: nil)
        head.run(
            weights.head, input: input, count: count, rule: rule, position: position - rowCount + first + 1)
        if let observer, observer.wantsValues {
            observer.saw(
                StepSite(layer: nil, operation: .logits, expert: nil),
                StepRows(
                    base: head.logitRows.base, stride: head.logitRows.stride,
                    width: weights.configuration.vocabularySize, count: count,
                    firstPosition: position - rowCount + first))
        }
    }

    /// The token that the rule of the last `computeLogits` draws for its row `row`.
    public func drawn(row: Int) -> Int32 { head.drawn(row: row).token }

    /// Logits [vocabulary] of row `row` of the last `computeLogits`, valid until the next one.
    public func logits(row: Int) -> UnsafeMutableBufferPointer<Float> {
        UnsafeMutableBufferPointer(start: head.logitRows[row: row], count: weights.configuration.vocabularySize)
    }

    /// Final hidden state [hidden], after model.norm, of row `row` of the last step; valid until the next step.
    public func hidden(row: Int) -> UnsafePointer<Float> { UnsafePointer(hiddenRows[row: row]) }

    /// Floats from one hidden row to the next.
    public var hiddenStride: Int { hiddenRows.stride }

    /// Goes to any position of the cache, for measurements: what lies before it there was put there earlier, or is zero.
    package func jump(to position: Int) {
        precondition(position >= 0 && position <= capacity)
        self.position = position
    }

    /// Bytes of the latent cache.
    package var cacheByteCount: Int { cache.byteCount }

    /// Forgets all positions from `position` on: rejected drafts.
    public func truncate(to position: Int) {
        precondition(position >= 0 && position <= self.position)
        self.position = position
    }
}
