import ForetokenHardware
import ForetokenModel
import ForetokenSpeculation

/// One text with a stretch of the model's own greedy continuation behind every context that is measured, so that windows
/// there are those of real decoding. Verifier and MTP caches hold the whole of it.
final class BenchText {
    /// Tokens of a stretch.
    static let stretch = 40
    /// Places in a stretch where windows may start: room before them for catching up, and behind for 16 rows.
    static let starts = 8..<stretch - Step.windowRows

    private(set) var tokens: [Int32] = []
    private let source: [Int32]
    private let sequence: TokenSequence
    private let verifier: Verifier
    private let draftHead: MTPHead?
    private var reader: PromptReader
    private var step = Step()
    /// Whether the weights are made up: then contexts need not be run.
    private let isSynthetic: Bool
    /// Positions whose latents are made up.
    private var madeCount = 0
    private var promptNanoseconds = 0.0
    private var promptTokens = 0

    /// - Parameter source: tokens of prompts; repeated when there are too few.
    init(_ source: [Int32], _ model: Model, _ sequence: TokenSequence, isSynthetic: Bool) {
        self.source = source
        self.sequence = sequence
        verifier = model.verifier
        draftHead = model.draftHead
        reader = PromptReader(model)
        self.isSynthetic = isSynthetic
    }

    /// The text's first `count` tokens, those of the prompts where it has ended.
    func prompt(_ count: Int) -> [Int32] {
        tokens.prefix(count) + (min(count, tokens.count)..<count).map { source[$0 % source.count] }
    }

    /// Nanoseconds that it would take to go on to a context, as far as that is known.
    func estimate(_ context: Int) -> Double {
        guard promptTokens > 0, !isSynthetic else { return 0 }
        return Double(context - tokens.count) * promptNanoseconds / Double(promptTokens)
    }

    /// Goes on to a context, and a stretch beyond.
    /// - Returns: false when `proceed` said no.
    func extend(to context: Int, proceed: () -> Bool) -> Bool {
        tokens = prompt(context)
        guard !isSynthetic else {
            tokens = prompt(context + Self.stretch + 1)
            sequence.restart(tokens)
            sequence.makeLatents(madeCount..<context + Self.stretch)
            madeCount = context + Self.stretch
            sequence.jump(to: madeCount)
            return true
        }
        let begun = MonotonicClock.now
        let first = sequence.position
        while sequence.count < context { sequence.append([tokens[sequence.count]]) }
        guard proceed(), reader.read(sequence, to: context, proceed: proceed) else { return false }
        promptNanoseconds += Double(MonotonicClock.now - begun)
        promptTokens += context - first
        for _ in 0...Self.stretch {
            guard proceed() else { return false }
            if sequence.position < sequence.count { runNewest() }
            verifier.computeLogits(first: verifier.rowCount - 1, count: 1)
            tokens.append(verifier.drawn(row: 0))
            sequence.append([tokens.last!])
        }
        return true
    }

    private func runNewest() {
        let newest = sequence.position
        step.clear()
        step.add(sequence, count: 1)
        verifier.run(step)
        guard let draftHead else { return }
        draftHead.observe(
            sequence, verifier.hidden(row: 0), stride: verifier.hiddenStride, count: 1, firstRow: newest)
        draftHead.catchUp([sequence])
    }
}
