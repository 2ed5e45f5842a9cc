import CForetokenKernels
import ForetokenHardware
import ForetokenModel
import ForetokenSpeculation
import ForetokenWeights

/// Scores given tokens instead of generating new ones.
public final class Scorer {
    private let model: Model
    private let context: Int
    private let kernels: UnsafePointer<foretoken_kernels>
    private let cacheType: CacheType

    /// Looks on at every step that scores, once for each row of a window.
    public var observer: (any StepObserver)?

    /// - Parameter context: longest window the model sees at once, 2 or more; longer texts slide by half of it.
    public init(model: Model, context: Int, cacheType: CacheType = .f32) {
        precondition(context >= 2, "a window has room for the first token and one that it predicts")
        self.model = model
        self.context = context
        self.cacheType = cacheType
        kernels = InstructionSet.known(model.instructionSet)
    }

    /// - Parameters:
    ///   - tokens: at least one id of the vocabulary, BOS included where the model wants one.
    ///   - topCount: raw logits to report per position.
    ///   - mtpDepth: drafts of a recursive chain from every row; 0 for none. Needs a single window.
    ///   - progress: is given rows done and rows to do, chains included; returns false to end the work here.
    /// - Returns: what was scored; about the text's beginning only, if `progress` ended the work.
    /// - Throws: `GenerationError` for an empty text, foreign ids, MTP scores of a model without MTP, or logits that
    ///   overflow; `HardwareError` when memory for the caches cannot be had.
    public func score(
        _ tokens: [Int32], topCount: Int = 0, mtp: Bool = false, mtpDepth: Int = 0,
        progress: (_ done: Int, _ total: Int) -> Bool = { _, _ in true }
    ) throws -> Score {
        try check(tokens, mtp: mtp, mtpDepth: mtpDepth)
        model.pool.startSpinning()
        defer { model.pool.stopSpinning() }
        var pass = Pass(score: Score(), counted: 0)
        pass.score.logProbabilities.reserveCapacity(tokens.count)
        let sequence = try model.makeSequence(
            context: min(context, tokens.count), cacheType: cacheType, drafting: mtp)
        let verifier = model.verifier
        let draftHead = mtp ? model.draftHead : nil
        if let draftHead {
            pass.score.mtp = MTPScore(modules: .init(repeating: .init(), count: draftHead.moduleCount))
            pass.mtpNats = .init(repeating: (0, 0), count: draftHead.moduleCount)
        }
        verifier.observer = observer
        pass.score.windows.length = min(context, tokens.count)
        pass.score.windows.stride = Window.stride(context: context)
        let total = tokens.count * (mtpDepth > 0 ? 2 : 1)
        for window in Window.cover(tokens.count, context: context) where pass.score.isComplete {
            pass.score.windows.count += 1
            run(tokens, window, sequence, draftHead, topCount: topCount, into: &pass) { progress($0, total) }
        }
        verifier.observer = nil
        if mtpDepth > 0, pass.score.isComplete, let draftHead {
            pass.score.mtp!.recursive = chains(tokens, sequence, draftHead, depth: mtpDepth) {
                progress(tokens.count + $0, total)
            }
            pass.score.isComplete = pass.score.mtp!.recursive[0].count == tokens.count - 1
        }
        if let position = pass.score.logProbabilities.firstIndex(where: { $0?.isFinite == false }) {
            throw GenerationError.overflow(position: position)
        }
        if let module = pass.mtpNats.firstIndex(where: { !$0.sum.isFinite }) {
            throw GenerationError.moduleOverflow(module)
        }
        finish(&pass)
        return pass.score
    }

    private func check(_ tokens: [Int32], mtp: Bool, mtpDepth: Int) throws {
        let vocabulary = Int32(model.configuration.vocabularySize)
        if tokens.isEmpty { throw GenerationError(description: "the text is empty: there is nothing to score") }
        if let index = tokens.firstIndex(where: { $0 < 0 || $0 >= vocabulary }) {
            throw GenerationError(
                description: "token \(index) is \(tokens[index]); ids of this model are 0...\(vocabulary - 1)")
        }
        if mtp && model.weights.modules.isEmpty {
            throw GenerationError(
                description: "the checkpoint has no MTP module, so there is nothing for --mtp to score")
        }
        if mtpDepth < 0 || mtpDepth > MTPHead.maximumDrafts || (mtpDepth > 0 && !mtp) {
            throw GenerationError(
                description:
                    "chains of \(mtpDepth) drafts were asked for; 1...\(MTPHead.maximumDrafts) are possible, and "
                    + "only together with MTP scores")
        }
        if mtpDepth > 0 && tokens.count > context {
            throw GenerationError(
                description: "chains of drafts from every row need the whole text in one window of \(context) tokens; "
                    + "this text has \(tokens.count)")
        }
    }

    private struct Pass {
        var score: Score
        /// Positions whose rows have been reported.
        var counted: Int
        var mtpNats: [(sum: Double, count: Int)] = []
    }

    // MARK: One window

    private func run(
        _ text: [Int32], _ window: Window, _ sequence: TokenSequence, _ draftHead: MTPHead?, topCount: Int,
        into pass: inout Pass, _ progress: (Int) -> Bool
    ) {
        let part = window.tokens(of: text)
        sequence.restart(part)
        var reader = PromptReader(model, drafting: draftHead != nil)
        withUnsafeMutablePointer(to: &pass) { pass in
            let visit = draftHead.map { draftHead in
                { (rows: MTPHead.CommittedRows) in self.report(rows, draftHead, text, window, &pass.pointee) }
            }
            let isRead = reader.read(
                sequence, to: part.count,
                seen: { start, count in
                    report(window, part, start, count, topCount, &pass.pointee)
                    return true
                }, visit: visit,
                proceed: {
                    progress(window.position(ofRow: sequence.position)) || pass.pointee.counted >= text.count
                })
            if !isRead { pass.pointee.score.isComplete = false }
        }
    }

    /// The new rows of one step.
    private func report(
        _ window: Window, _ part: [Int32], _ start: Int, _ count: Int, _ topCount: Int, _ pass: inout Pass
    ) {
        let verifier = model.verifier
        for first in stride(from: 0, to: count, by: Step.windowRows) {
            let rows = min(Step.windowRows, count - first)
            guard start + first + rows > window.firstNew else { continue }
            verifier.computeLogits(first: first, count: rows)
            for row in max(0, window.firstNew - start - first)..<rows {
                let position = start + first + row
                // The next window repeats the row that predicts its first new token.
                guard position + 1 < part.count || window.endsText else { continue }
                report(verifier.logits(row: row), at: position, part, topCount, &pass)
            }
        }
    }

    /// One verifier row: what it says of the next token.
    private func report(
        _ logits: UnsafeMutableBufferPointer<Float>, at position: Int, _ part: [Int32], _ topCount: Int,
        _ pass: inout Pass
    ) {
        if pass.counted == 0 {
            pass.score.logProbabilities.append(nil)
            pass.score.favourites.append(nil)
        }
        pass.counted += 1
        if topCount > 0 {
            var top: [RankedToken] = []
            top.appendLargest(topCount, of: logits)
            pass.score.top.append(top)
        }
        guard position + 1 < part.count else { return }
        let best = kernels.pointee.argmax(logits.baseAddress!, Int32(logits.count)).index
        let logs = LogSoftmax(logits)
        pass.score.favourites.append((best, logs(logits[Int(best)])))
        pass.score.logProbabilities.append(logs(logits[Int(part[position + 1])]))
    }

    /// One block of MTP rows: each module's best guess and the cost of the true token.
    private func report(
        _ block: MTPHead.CommittedRows, _ draftHead: MTPHead, _ text: [Int32], _ window: Window, _ pass: inout Pass
    ) {
        for first in stride(from: 0, to: block.count, by: Step.windowRows) {
            let rows = min(Step.windowRows, block.count - first)
            draftHead.computeLogits(block, first: first, count: rows)
            for row in 0..<rows where block.firstRow + first + row >= window.firstNew - block.module {
                let logits = draftHead.logits(row: row)
                let best = kernels.pointee.argmax(logits.baseAddress!, Int32(logits.count)).index
                pass.score.mtp!.modules[block.module].argmax.append(best)
                // A window's last rows aim past its end, but not always past the text's.
                let target = window.position(ofRow: block.firstRow + first + row) + 2 + block.module
                guard target < text.count else { continue }
                pass.mtpNats[block.module].sum -= LogSoftmax(logits)(logits[Int(text[target])])
                pass.mtpNats[block.module].count += 1
            }
        }
    }

    /// Drafts started at every row, each chain fed with its own outputs, as the draft head works while generating.
    private func chains(
        _ tokens: [Int32], _ sequence: TokenSequence, _ draftHead: MTPHead, depth: Int, _ progress: (Int) -> Bool
    ) -> [[Int32]] {
        var chains = [[Int32]](repeating: [], count: depth)
        let verifier = model.verifier
        let texts = [sequence]
        var step = Step()
        sequence.restart(tokens)
        for position in 0..<max(0, tokens.count - 1) {
            guard progress(position) else { return chains }
            step.clear()
            step.add(sequence, count: 1)
            verifier.run(step)
            draftHead.observe(
                sequence, verifier.hidden(row: 0), stride: verifier.hiddenStride, count: 1, firstRow: position)
            sequence.count = position + 2
            draftHead.catchUp(texts)
            for draft in 0..<depth {
                let logits = draftHead.exactDraftLogits(sequence)
                let guess = kernels.pointee.argmax(logits.baseAddress!, Int32(logits.count)).index
                chains[draft].append(guess)
                sequence.tokens[position + 2 + draft] = guess
                if draft + 1 < depth { draftHead.advance(texts) }
            }
            // The text's own tokens again, where drafts lay.
            for target in position + 2..<max(position + 2, min(position + 2 + depth, tokens.count)) {
                sequence.tokens[target] = tokens[target]
            }
        }
        return chains
    }

    // MARK: Numbers

    private func finish(_ pass: inout Pass) {
        // Work that ended early leaves a prediction whose own row, and so its entry of `top`, was never reached.
        let count = pass.counted
        pass.score.logProbabilities.removeLast(pass.score.logProbabilities.count - count)
        pass.score.favourites.removeLast(pass.score.favourites.count - count)
        for module in pass.mtpNats.indices {
            let excess = pass.score.mtp!.modules[module].argmax.count - max(0, count - 1 - module)
            pass.score.mtp!.modules[module].argmax.removeLast(max(0, excess))
        }
        if count > 1 { pass.score.negativeLogLikelihood = pass.score.totalNats / Double(count - 1) }
        for (module, nats) in pass.mtpNats.enumerated() where nats.count > 0 {
            pass.score.mtp!.modules[module].negativeLogLikelihood = nats.sum / Double(nats.count)
        }
    }
}

extension GenerationError {
    static func moduleOverflow(_ module: Int) -> GenerationError {
        GenerationError(
            description:
                "logits of MTP module \(module) are not finite: its weights or scales overflow FP32; it is damaged or was "
                + "exported wrongly. Without --mtp the text can be scored")
    }
}
