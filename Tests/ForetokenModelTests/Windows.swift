import ForetokenModel
import ForetokenTestSupport
import ForetokenWeights
import Testing

/// What a row came to, bit for bit.
struct RowBits: Hashable, CustomTestStringConvertible {
    let hidden: [UInt32]
    let logits: [UInt32]

    /// Short where thousands differ.
    var testDescription: String { "row \(hashValue)" }
}

extension Model {
    /// A random model of that geometry.
    static func tiny(seed: UInt64 = 1, _ change: (inout TinyGeometry) -> Void = { _ in }) throws -> Model {
        let folder = try TemporaryFolder()
        try TinyModel(TinyGeometry(change), seed: seed).write(to: folder)
        return try Model.load(folder.path)
    }

    /// Repeatable token ids, others for each `text`.
    func tokens(_ count: Int, text: Int) -> [Int32] {
        var random = SeededGenerator(seed: UInt64(text) &+ 99)
        return (0..<count).map { _ in Int32.random(in: 0..<Int32(configuration.vocabularySize), using: &random) }
    }

    /// A text of `total` tokens, the first `read` of which have been run.
    func text(
        _ number: Int, total: Int, read: Int, in pool: LatentPool? = nil, cacheType: CacheType = .f32
    ) throws -> TokenSequence {
        let sequence =
            try pool.map { try makeSequence(context: total, in: $0) }
            ?? makeSequence(context: total, cacheType: cacheType)
        sequence.number = number
        sequence.append(tokens(total, text: number))
        readPrompt(sequence, to: read)
        return sequence
    }

    /// Runs a text up to `end` as prompts are read.
    func readPrompt(_ sequence: TokenSequence, to end: Int) {
        var step = Step()
        while sequence.position < end {
            step.readPrompt(sequence, to: end)
            verifier.run(step)
        }
    }

    /// Runs a window of so many rows of each text: by text, its rows.
    @discardableResult
    func window(_ texts: [(sequence: TokenSequence, count: Int)]) -> [[RowBits]] {
        var step = Step()
        for text in texts { step.add(text.sequence, count: text.count) }
        verifier.run(step)
        verifier.computeLogits(first: 0, count: step.rowCount)
        return step.spans.map { span in (span.firstRow..<span.firstRow + span.count).map { bits(row: $0, logits: $0) } }
    }

    /// Row `row` of the last step, and row `logits` of the last logits.
    func bits(row: Int, logits: Int) -> RowBits {
        let hidden = UnsafeBufferPointer(start: verifier.hidden(row: row), count: configuration.hiddenSize)
        return RowBits(hidden: hidden.map(\.bitPattern), logits: verifier.logits(row: logits).map(\.bitPattern))
    }

    /// Runs a text up to `end`, `width` rows at a time: its rows.
    func rows(_ sequence: TokenSequence, to end: Int, width: Int = 1) -> [RowBits] {
        var rows: [RowBits] = []
        while sequence.position < end {
            rows += window([(sequence, min(width, end - sequence.position))])[0]
        }
        return rows
    }

    /// Runs other tokens where a text's next `count` rows belong, and forgets them: nothing may be left of what they were
    /// before.
    func spoil(_ sequence: TokenSequence, count: Int) {
        let position = sequence.position
        let kept = (position..<position + count).map { sequence.tokens[$0] }
        for i in 0..<count { sequence.tokens[position + i] = (kept[i] + 1) % Int32(configuration.vocabularySize) }
        window([(sequence, count)])
        sequence.truncate(to: position)
        for i in 0..<count { sequence.tokens[position + i] = kept[i] }
    }
}
