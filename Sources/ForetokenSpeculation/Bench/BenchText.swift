import ForetokenHardware
import ForetokenModel

/// One text with a stretch of the model's own greedy continuation behind every context that is measured, so that windows
/// there are those of real decoding. Verifier and MTP caches hold the whole of it.
final class BenchText {
    /// Tokens of a stretch.
    static let stretch = 40
    /// Places in a stretch where windows may start: room before them for catching up, and behind for 16 rows.
    static let starts = 8..<stretch - Verifier.windowRows

    private(set) var tokens: [Int32] = []
    private let source: [Int32]
    private let verifier: Verifier
    private let draftHead: MTPHead?
    /// Whether the weights are made up: then contexts need not be run.
    private let isSynthetic: Bool
    private var promptNanoseconds = 0.0
    private var promptTokens = 0

    /// - Parameter source: tokens of prompts; repeated when there are too few.
    init(_ source: [Int32], _ verifier: Verifier, _ draftHead: MTPHead?, isSynthetic: Bool) {
        self.source = source
        self.verifier = verifier
        self.draftHead = draftHead
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
            verifier.jump(to: context + Self.stretch)
            return true
        }
        let begun = MonotonicClock.now
        let first = verifier.position
        while verifier.position < context {
            guard proceed() else { return false }
            forward(verifier.position, verifier.nextChunk(to: context))
        }
        promptNanoseconds += Double(MonotonicClock.now - begun)
        promptTokens += context - first
        for _ in 0...Self.stretch {
            guard proceed() else { return false }
            if verifier.position < tokens.count { forward(verifier.position, 1) }
            verifier.computeLogits(first: verifier.rowCount - 1, count: 1)
            tokens.append(verifier.drawn(row: 0))
        }
        return true
    }

    private func forward(_ start: Int, _ rows: Int) {
        tokens.withUnsafeBufferPointer { buffer in
            let text = buffer.baseAddress!
            verifier.forward(text + start, count: rows)
            guard let draftHead else { return }
            draftHead.observe(verifier.hidden(row: 0), stride: verifier.hiddenStride, count: rows, firstRow: start)
            draftHead.catchUp(text, known: tokens.count)
        }
    }
}

/// Which experts the rows of one stretch chose.
final class RoutingRecord: StepObserver {
    let wantsValues = false
    private let first: Int
    private var perRow = 0
    /// By layer: experts [row][perRow].
    private var chosen: [[Int32]]

    /// - Parameter first: position of the stretch.
    init(layers: Int, first: Int) {
        self.first = first
        chosen = .init(repeating: [], count: layers)
    }

    func saw(_ site: StepSite, _ rows: StepRows) {}

    func routed(layer: Int, experts: UnsafePointer<Int32>, perRow: Int, count: Int, firstPosition: Int) {
        self.perRow = perRow
        let begin = (firstPosition - first) * perRow
        let end = begin + count * perRow
        if chosen[layer].count < end { chosen[layer] += .init(repeating: 0, count: end - chosen[layer].count) }
        for i in 0..<count * perRow { chosen[layer][begin + i] = experts[i] }
    }

    /// Distinct experts of a layer in the window of `rows` rows from position `start` on.
    func distinct(layer: Int, start: Int, rows: Int) -> Int {
        let begin = (start - first) * perRow
        guard chosen[layer].count >= begin + rows * perRow else { return 0 }
        return Set(chosen[layer][begin..<begin + rows * perRow]).count
    }
}
