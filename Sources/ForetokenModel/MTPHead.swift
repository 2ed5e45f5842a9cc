import CForetokenKernels
import ForetokenHardware
import ForetokenWeights

/// The checkpoint's multi-token-prediction modules as a draft head. Row i of module j joins the embedding of token
/// i + 1 + j with the hidden state of row i — the verifier's for j = 0, module j − 1's output for the others — and guesses
/// token i + 2 + j. From a text's newest row it guesses several tokens ahead: draft j comes from module min(j, modules),
/// fed with the previous step's output after `shared_head.norm`. It holds no text, and serves several in one step. Which
/// token a guess becomes is the caller's choice.
public final class MTPHead {
    /// Drafts that the modules make in one round at most. `SIMD8` in the laboratory's chains is of this size.
    public static let maximumDrafts = 8

    /// Rows of one text that a module is to run.
    private struct Rows {
        let sequence: TokenSequence
        let hidden: UnsafePointer<Float>
        let stride: Int
        let count: Int
        /// Row of the first, and its cache entry.
        let row: Int
        let entry: Int
    }

    /// Which outputs of a run are wanted.
    private enum Outputs {
        /// Every row's, in order.
        case all
        /// Each text's last row's, one after the other.
        case last
    }

    private let machinery: Machinery
    private let weights: ModelWeights
    private let modules: [MTPWeights]
    private let width: Int
    private let buffers: Buffers
    private let lmHead: LMHeadRunner
    /// What makes the logits.
    var runner: LMHeadRunner { lmHead }
    /// What the next run is of; empty between runs, so that no text is kept.
    private var rows: [Rows] = []

    /// Rows on their way in and out.
    struct Buffers {
        /// Outputs of the last run, by kind of step: a chunk may rest while windows run.
        let windowOutput, chunkOutput: FloatBuffer
        /// A prompt's rows on their way into a module, and out of it into the next.
        let prompt: [FloatBuffer]
        /// Rows on their way into a module that goes on from drafts.
        let chained: FloatBuffer
        /// By text: what its next draft is drawn from.
        let newest: FloatBuffer

        init(width: Int, modules: Int, _ make: inout BufferMaker) throws {
            windowOutput = try make.floats(rows: Workspace.windowRows, columns: width)
            chunkOutput = try make.floats(rows: Workspace.chunkRows, columns: width)
            prompt = try (0..<2).map { _ in
                try make.floats(rows: Workspace.chunkRows + ModuleState.mostWaiting, columns: width)
            }
            newest = try make.floats(rows: Workspace.windowRows, columns: width)
            chained = try make.floats(rows: modules > 1 ? 2 * MTPHead.maximumDrafts : 0, columns: width)
        }
    }

    /// Number of modules in use.
    public var moduleCount: Int { modules.count }

    init(weights: ModelWeights, machinery: Machinery) throws {
        self.machinery = machinery
        self.weights = weights
        width = machinery.configuration.hiddenSize
        modules = Array(weights.modules.prefix(Self.maximumDrafts))
        var make = BufferMaker()
        buffers = try Buffers(width: width, modules: modules.count, &make)
        lmHead = try LMHeadRunner(machinery, .draftLogits, &make)
        rows.reserveCapacity(Workspace.windowRows)
    }

    // MARK: True rows

    /// Takes the verifier's final hidden states of `count` accepted positions of a text, in order, the first being
    /// `firstRow`. Rows that were never shown leave a gap in the drafts' context, which costs acceptance and nothing else.
    public func observe(
        _ sequence: TokenSequence, _ hidden: UnsafePointer<Float>, stride: Int, count: Int, firstRow: Int
    ) {
        sequence.modules[0].append(hidden, stride: stride, count: count, firstRow: firstRow)
    }

    /// Runs every waiting row of the texts whose following tokens are known, several texts in a step. Drafts may begin then.
    public func catchUp(_ sequences: [TokenSequence]) {
        for module in modules.indices {
            while gather(sequences, module) { runWaiting(module) }
        }
        rows.removeAll(keepingCapacity: true)
        for sequence in sequences { beginDrafts(sequence) }
    }

    /// Fills a window with waiting rows.
    /// - Returns: false when nothing waits.
    private func gather(_ sequences: [TokenSequence], _ module: Int) -> Bool {
        rows.removeAll(keepingCapacity: true)
        var room = Workspace.windowRows
        for sequence in sequences where room > 0 {
            let state = sequence.modules[module]
            let count = min(room, state.ready(of: state.waitingCount, module: module, known: sequence.count))
            guard count > 0 else { continue }
            rows.append(
                Rows(
                    sequence: sequence, hidden: state.waiting.base, stride: state.waiting.stride, count: count,
                    row: state.nextRow, entry: state.entryCount))
            room -= count
        }
        return !rows.isEmpty
    }

    private func runWaiting(_ module: Int) {
        let isLast = module + 1 == modules.count
        run(module, machinery.windows, isLast ? .last : .all, into: buffers.windowOutput)
        var output = 0
        for run in rows {
            let last = isLast ? output : output + run.count - 1
            if !isLast {
                run.sequence.modules[module + 1].append(
                    buffers.windowOutput[row: output], stride: buffers.windowOutput.stride, count: run.count,
                    firstRow: run.row)
            }
            if module == 0 { remember(buffers.windowOutput[row: last], run.sequence) }
            run.sequence.modules[module].commit(run.count)
            output += isLast ? 1 : run.count
        }
    }

    /// Outputs of one block of true rows, as `read` shows them to its visitor.
    public struct CommittedRows {
        /// Module index.
        public let module: Int
        /// Row of the first output.
        public let firstRow: Int
        /// Number of outputs.
        public let count: Int
        fileprivate let output: FloatBuffer
    }

    /// Takes hidden states of a prompt, as `observe` does, and runs all rows whose following tokens are known. Drafts may
    /// begin then.
    ///
    /// - Parameters:
    ///   - rest: as a verifier's; ends the reading by returning false, and leaves a gap then.
    ///   - visit: told each block of finished rows; `computeLogits` may be called inside.
    /// - Returns: whether it was finished.
    @discardableResult
    public func read(
        _ sequence: TokenSequence, _ hidden: UnsafePointer<Float>, stride: Int, count: Int, firstRow: Int,
        rest: (() -> Bool)? = nil, visit: ((CommittedRows) -> Void)? = nil
    ) -> Bool {
        precondition(count <= Workspace.chunkRows, "more rows than a chunk has")
        sequence.modules[0].follow(firstRow)
        var total = sequence.modules[0].moveWaiting(to: buffers.prompt[0])
        for i in 0..<count { buffers.prompt[0][row: total + i].update(from: hidden + i * stride, count: width) }
        total += count
        for module in modules.indices {
            let (input, output) = (buffers.prompt[module % 2], buffers.prompt[(module + 1) % 2])
            let isLast = module + 1 == modules.count
            let first = sequence.modules[module].nextRow
            let ready = sequence.modules[module].ready(of: total, module: module, known: sequence.count)
            var next = 0
            if !isLast {
                sequence.modules[module + 1].follow(first)
                next = sequence.modules[module + 1].moveWaiting(to: output)
            }
            let wanted: Outputs = isLast && visit == nil ? .last : .all
            let made = runPrompt(sequence, module, input, ready, wanted, rest, visit) { rows, count in
                guard !isLast else { return }
                for i in 0..<count { output[row: next + i].update(from: rows[row: i], count: self.width) }
                next += count
            }
            guard made else { return false }
            keep(input, ready, total, sequence.modules[module])
            total = next
        }
        beginDrafts(sequence)
        return true
    }

    /// Puts rows whose tokens are not known yet back to those that wait.
    private func keep(_ input: FloatBuffer, _ ready: Int, _ total: Int, _ state: ModuleState) {
        guard total > ready else { return }
        state.append(input[row: ready], stride: input.stride, count: total - ready, firstRow: state.nextRow)
    }

    /// Runs `ready` rows of a prompt through a module, a chunk at a time, and commits them.
    private func runPrompt(
        _ sequence: TokenSequence, _ module: Int, _ input: FloatBuffer, _ ready: Int, _ wanted: Outputs,
        _ rest: (() -> Bool)?, _ visit: ((CommittedRows) -> Void)?, take: (FloatBuffer, Int) -> Void
    ) -> Bool {
        let state = sequence.modules[module]
        for start in stride(from: 0, to: ready, by: Workspace.chunkRows) {
            let count = min(Workspace.chunkRows, ready - start)
            let kind = Step.kind(ofPromptRows: count)
            let output = kind == .chunk ? buffers.chunkOutput : buffers.windowOutput
            let first = state.nextRow
            rows.removeAll(keepingCapacity: true)
            rows.append(
                Rows(
                    sequence: sequence, hidden: input[row: start], stride: input.stride, count: count, row: first,
                    entry: state.entryCount))
            let isFinished = run(module, machinery.decoder(kind), wanted, into: output, rest: rest)
            rows.removeAll(keepingCapacity: true)
            guard isFinished else { return false }
            take(output, count)
            if module == 0 { remember(output[row: wanted == .all ? count - 1 : 0], sequence) }
            state.commit(count)
            visit?(CommittedRows(module: module, firstRow: first, count: count, output: output))
        }
        return true
    }

    /// Logits of outputs `first ..< first + count` (1...16) of the block being visited, from the module's own lm_head.
    public func computeLogits(_ block: CommittedRows, first: Int, count: Int) {
        precondition(first >= 0 && count > 0 && count <= Workspace.windowRows && first + count <= block.count)
        let input = foretoken_rows(base: block.output[row: first], stride: block.output.stride, index: nil)
        runExact(block.module, input, count)
    }

    private func runExact(_ module: Int, _ input: foretoken_rows, _ count: Int) {
        for row in 0..<count { lmHead.draws.pointer[row] = lmHead.nothing }
        lmHead.run(.module(module), modules[module].lmHead, input: input, count: count)
    }

    /// Logits [vocabulary] of row `row` of the last `computeLogits`, `exactDraftLogits` or `drawDrafts`.
    public func logits(row: Int) -> UnsafeMutableBufferPointer<Float> {
        UnsafeMutableBufferPointer(start: lmHead.logits(row: row), count: machinery.configuration.vocabularySize)
    }

    // MARK: Drafts

    private func beginDrafts(_ sequence: TokenSequence) {
        let drafts = sequence.drafts
        (drafts.count, drafts.carryCount) = (0, 0)
        if modules.count == 1 {
            drafts.row = sequence.modules[0].nextRow
            drafts.entry = sequence.modules[0].entryCount
        }
    }

    private func module(ofNextDraft drafts: DraftState) -> Int { min(drafts.count, modules.count - 1) }

    /// Logits of a text's next draft from the module's own lm_head. Valid until the next call.
    public func exactDraftLogits(_ sequence: TokenSequence) -> UnsafeMutableBufferPointer<Float> {
        runExact(module(ofNextDraft: sequence.drafts), sequence.drafts.newest.rows, 1)
        return logits(row: 0)
    }

    /// Draws the next draft of each text, all of which have made as many, from those rows of the coarse lm_head that the
    /// text's draft list names; `drawn(row:)` gives them, and `logits(row:)` their logits, -infinity for other tokens.
    ///
    /// - Parameter draw: how to choose for text `i`.
    public func drawDrafts(_ sequences: [TokenSequence], draw: (Int) -> Draw) {
        precondition(sequences.count <= Workspace.windowRows)
        for (row, sequence) in sequences.enumerated() {
            lmHead.draws.pointer[row] = draw(row)
            lmHead.listed.pointer[row] = sequence.draftRows()
            buffers.newest[row: row].update(from: sequence.drafts.newest.base, count: width)
        }
        let module = module(ofNextDraft: sequences[0].drafts)
        lmHead.run(
            .module(module), modules[module].coarseLMHead, input: buffers.newest.rows, count: sequences.count)
    }

    /// The same, greedily.
    public func drawDrafts(_ sequences: [TokenSequence]) { drawDrafts(sequences) { _ in lmHead.greedy } }

    /// What was drawn for the text of that row.
    public func drawn(row: Int) -> Choice { lmHead.drawn(row: row) }

    /// Takes the token behind each text's drafts so far as its next draft and runs the rows that guess the ones after. All
    /// texts have made as many drafts.
    public func advance(_ sequences: [TokenSequence]) {
        for sequence in sequences { sequence.drafts.count += 1 }
        if sequences[0].drafts.count < modules.count {
            for sequence in sequences { chain(sequence, sequence.drafts.count) }
        } else {
            recurse(sequences)
        }
    }

    /// The next module's row: everything that waits there, then the rows this round's drafts have made.
    private func chain(_ sequence: TokenSequence, _ module: Int) {
        let (state, drafts) = (sequence.modules[module], sequence.drafts)
        let waiting = state.waitingCount
        let count = waiting + drafts.carryCount
        precondition(count > 0, "a draft needs a caught-up hidden state")
        precondition(count <= 2 * Self.maximumDrafts, "more waiting rows than there is room for")
        state.copyWaiting(to: buffers.chained)
        for i in 0..<drafts.carryCount {
            buffers.chained[row: waiting + i].update(from: drafts.carry[row: i], count: width)
        }
        rows.removeAll(keepingCapacity: true)
        rows.append(
            Rows(
                sequence: sequence, hidden: buffers.chained.base, stride: buffers.chained.stride, count: count,
                row: state.nextRow,
                entry: state.entryCount))
        run(module, machinery.windows, .all, into: buffers.windowOutput)
        for i in 0..<count { drafts.carry[row: i].update(from: buffers.windowOutput[row: i], count: width) }
        drafts.carryCount = count
        rows.removeAll(keepingCapacity: true)
        remember(buffers.windowOutput[row: count - 1], sequence)
        drafts.row = state.nextRow + count
        drafts.entry = state.entryCount + count
    }

    private func recurse(_ sequences: [TokenSequence]) {
        rows.removeAll(keepingCapacity: true)
        for sequence in sequences {
            let drafts = sequence.drafts
            rows.append(
                Rows(
                    sequence: sequence, hidden: drafts.newest.base, stride: drafts.newest.stride, count: 1,
                    row: drafts.row, entry: drafts.entry))
        }
        run(modules.count - 1, machinery.windows, .all, into: buffers.windowOutput)
        for (i, sequence) in sequences.enumerated() {
            remember(buffers.windowOutput[row: i], sequence)
            sequence.drafts.row += 1
            sequence.drafts.entry += 1
        }
        rows.removeAll(keepingCapacity: true)
    }

    private func remember(_ row: UnsafeMutablePointer<Float>, _ sequence: TokenSequence) {
        sequence.drafts.newest.base.update(from: row, count: width)
    }

    // MARK: One module

    /// Runs `rows` through a module. Row i pairs with the text's token i + 1 + module, which may be a draft.
    /// - Returns: false when `rest` ended it.
    @discardableResult
    private func run(
        _ index: Int, _ decoder: Decoder, _ wanted: Outputs, into output: FloatBuffer, rest: (() -> Bool)? = nil
    ) -> Bool {
        let weights = modules[index]
        let space = decoder.space
        decoder.begin(beside: rows[0].sequence)
        for run in rows {
            let tokens = run.sequence.tokens + run.row + 1 + index
            for i in 0..<run.count {
                join(
                    weights, tokens[i], run.hidden + i * run.stride, into: space.joined[row: decoder.rows + i], decoder)
            }
            decoder.add(run.sequence, count: run.count, entry: run.entry, position: run.row)
        }
        guard machinery.run(.module(index), self.weights, on: decoder, lastOnly: wanted == .last, rest: rest) else {
            return false
        }
        decoder.normalise(space.residual, weights.finalNorm, into: output)
        return true
    }

    /// [norm embedding | norm hidden state]
    private func join(
        _ weights: MTPWeights, _ token: Int32, _ hidden: UnsafePointer<Float>,
        into joined: UnsafeMutablePointer<Float>, _ decoder: Decoder
    ) {
        let epsilon = machinery.configuration.normEpsilon
        weights.embedding.decodeRow(token, into: joined, decoder.kernels)
        decoder.kernels.pointee.rms_norm(joined, weights.embeddingNorm.values, joined, Int32(width), epsilon)
        decoder.kernels.pointee.rms_norm(hidden, weights.hiddenNorm.values, joined + width, Int32(width), epsilon)
    }
}
