import CForetokenKernels
import ForetokenHardware
import ForetokenWeights

/// The checkpoint's multi-token-prediction modules as a draft head. It keeps up with the verifier's true hidden states
/// and, from the newest one, guesses several tokens ahead: draft j comes from module min(j, modules), fed with the
/// previous step's output after `shared_head.norm`. Which token a guess becomes is the caller's choice.
public final class MTPHead {
    /// Drafts of one round at most. `InlineArray<9, …>` and `SIMD8` in the speculation room are of this size.
    public static let maximumDrafts = 8

    private let decoder: Decoder
    private let modules: [MTPModule]
    private let output: FloatBuffer
    private let carry: FloatBuffer
    private let head: HeadRunner
    /// Newest output of the chain: input of the head, and of a recursive step.
    private let newest: FloatBuffer
    /// Tokens that draft rows are paired with.
    private let draftTokens: ScratchBuffer<Int32>
    private var draftCount = 0
    private var carryCount = 0
    private var draftRow = 0
    private var draftEntry = 0

    /// Number of modules in use.
    public var moduleCount: Int { modules.count }

    init(weights: ModelWeights, decoder: Decoder, capacity: Int, cacheType: CacheType) throws {
        self.decoder = decoder
        let configuration = weights.configuration
        modules = try weights.modules.prefix(Self.maximumDrafts).enumerated().map {
            try MTPModule(
                $0.element, index: $0.offset, decoder: decoder, capacity: capacity + Self.maximumDrafts,
                cacheType: cacheType, home: weights.nodes.sharedHome)
        }
        output = try FloatBuffer(rows: Workspace.chunkRows, columns: configuration.hiddenSize)
        carry = try FloatBuffer(rows: 2 * Self.maximumDrafts, columns: configuration.hiddenSize)
        newest = try FloatBuffer(rows: 1, columns: configuration.hiddenSize)
        head = try HeadRunner(decoder: decoder)
        draftTokens = try ScratchBuffer(count: 3 * Self.maximumDrafts)
    }

    /// Takes the verifier's final hidden states of `count` accepted positions, in order, the first being `firstRow`. Rows
    /// that were never shown leave a gap in the drafts' context, which costs acceptance and nothing else.
    public func observe(_ hidden: UnsafePointer<Float>, stride: Int, count: Int, firstRow: Int) {
        modules[0].append(hidden, stride: stride, count: count, firstRow: firstRow)
    }

    /// Bounds the work of a later `catchUp` while drafting is off: only the newest `count` waiting rows are kept.
    public func forgetAllButNewest(_ count: Int) {
        for module in modules { module.keepNewest(count) }
    }

    /// Rows that `catchUp` has still to run through the first module.
    public var waitingRowCount: Int { modules[0].waitingCount }

    /// Outputs of one block of committed rows, as `catchUp` shows them to its visitor.
    public struct CommittedRows {
        /// Module index.
        public let module: Int
        /// Row of the first output.
        public let firstRow: Int
        /// Number of outputs.
        public let count: Int
    }

    /// Runs every waiting row whose following tokens are known, with true hidden states.
    ///
    /// - Parameters:
    ///   - tokens: the whole sequence from position 0.
    ///   - known: number of tokens in it.
    ///   - visit: told each block of finished rows; `computeLogits` may be called inside.
    public func catchUp(
        _ tokens: UnsafePointer<Int32>, known: Int, visit: ((CommittedRows) -> Void)? = nil
    ) {
        for (index, module) in modules.enumerated() {
            let isLast = index + 1 == modules.count
            let wanted: MTPModule.Outputs = isLast && visit == nil ? .last : .all
            while true {
                let firstRow = module.nextRow
                let count = module.commit(tokens, known: known, wanted: wanted, output: output)
                guard count > 0 else { break }
                if !isLast {
                    modules[index + 1].append(output.base, stride: output.stride, count: count, firstRow: firstRow)
                }
                if index == 0 { remember(output[row: wanted == .all ? count - 1 : 0]) }
                visit?(CommittedRows(module: index, firstRow: firstRow, count: count))
            }
        }
        draftCount = 0
        carryCount = 0
        if modules.count == 1 {
            draftRow = modules[0].nextRow
            draftEntry = modules[0].entryCount
        }
    }

    /// Logits of the next draft from the module's own head. Valid until the next call.
    public func exactDraftLogits() -> UnsafeMutableBufferPointer<Float> {
        let head = modules[min(draftCount, modules.count - 1)].weights.head
        decoder.multiply(ProductJob(head, input: newest.rows, output: self.head.logitRows.rows, rowCount: 1))
        return logits(row: 0)
    }

    /// Draws the next draft from the INT8 draft head; `logits(row: 0)` then gives its logits.
    ///
    /// - Parameters:
    ///   - rule: how to choose; greedily by default.
    ///   - position: output position of the draft, which decides the noise.
    public func drawDraft(rule: DrawRule? = nil, position: Int) -> Choice {
        let weights = modules[min(draftCount, modules.count - 1)].weights
        head.run(weights.draftHead, input: newest.base, rule: rule, position: position)
        return head.drawn(row: 0)
    }

    /// Takes `token` as the current draft and runs the row that guesses the next one.
    public func advance(_ token: Int32) {
        draftTokens.pointer[draftCount] = token
        draftCount += 1
        if draftCount < modules.count {
            chain(modules[draftCount])
        } else {
            recurse(modules[modules.count - 1], token)
        }
    }

    /// The next module's row: everything that waits there, then the rows this round's drafts have made.
    private func chain(_ module: MTPModule) {
        let waiting = module.waitingCount
        let count = waiting + carryCount
        precondition(count > 0, "a draft needs a caught-up hidden state")
        precondition(count <= 2 * Self.maximumDrafts, "more waiting rows than there is room for")
        // Rows of module j pair with tokens j + 1 places on: the newest `count` of this round's draft tokens.
        for i in (0..<carryCount).reversed() {
            carry[row: waiting + i].update(from: carry[row: i], count: decoder.configuration.hiddenSize)
        }
        module.copyWaiting(to: carry)
        let tokens = draftTokens.pointer + draftCount - count
        module.run(
            carry.base, stride: carry.stride, tokens: tokens, count: count, row: module.nextRow,
            entry: module.entryCount, wanted: .all, output: output)
        for i in 0..<count {
            carry[row: i].update(from: output[row: i], count: decoder.configuration.hiddenSize)
        }
        carryCount = count
        remember(output[row: count - 1])
        draftRow = module.nextRow + count
        draftEntry = module.entryCount + count
    }

    private func recurse(_ module: MTPModule, _ token: Int32) {
        module.run(
            newest.base, stride: newest.stride, tokens: draftTokens.pointer + draftCount - 1, count: 1, row: draftRow,
            entry: draftEntry, wanted: .all, output: output)
        remember(output[row: 0])
        draftRow += 1
        draftEntry += 1
    }

    private func remember(_ row: UnsafeMutablePointer<Float>) {
        newest.base.update(from: row, count: decoder.configuration.hiddenSize)
    }

    /// Logits of outputs `first ..< first + count` (1...16) of the block being visited, from the module's own head.
    public func computeLogits(_ block: CommittedRows, first: Int, count: Int) {
        precondition(first >= 0 && count > 0 && count <= Workspace.narrowRows && first + count <= block.count)
        let input = foretoken_rows(base: output[row: first], stride: output.stride, index: nil)
        decoder.multiply(
            ProductJob(modules[block.module].weights.head, input: input, output: head.logitRows.rows, rowCount: count))
    }

    /// Logits [vocabulary] of row `row` of the last `computeLogits`, `exactDraftLogits` or `drawDraft`.
    public func logits(row: Int) -> UnsafeMutableBufferPointer<Float> {
        UnsafeMutableBufferPointer(start: head.logitRows[row: row], count: decoder.configuration.vocabularySize)
    }

    /// Goes to any row of the caches, for measurements: what lies before it there was put there earlier, or is zero.
    package func jump(to row: Int) {
        for module in modules { module.jump(to: row) }
    }

    /// Bytes of the modules' latent caches.
    package var cacheByteCount: Int { modules.reduce(0) { $0 + $1.cacheByteCount } }

    /// Forgets the whole text.
    public func clear() {
        for module in modules { module.clear() }
    }
}
