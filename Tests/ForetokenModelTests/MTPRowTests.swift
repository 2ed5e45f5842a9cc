import ForetokenModel
import ForetokenTestSupport
import Testing

/// A text that is drafted for and then goes on as it is given.
private final class DraftedText {
    let sequence: TokenSequence
    private let all: [Int32]
    private let model: Model

    /// - Parameter read: tokens that verifier and modules have read.
    init(_ model: Model, _ number: Int, total: Int, read: Int, in pool: LatentPool? = nil) throws {
        self.model = model
        all = model.tokens(total, text: number)
        sequence =
            try pool.map { try model.makeSequence(context: total, in: $0) } ?? model.makeSequence(context: total)
        sequence.number = number
        sequence.append(Array(all.prefix(read)))
        var step = Step()
        while sequence.position < read {
            let first = sequence.position
            step.readPrompt(sequence, to: read)
            model.verifier.run(step)
            model.draftHead!.read(
                sequence, model.verifier.hidden(row: 0), stride: model.verifier.hiddenStride, count: step.rowCount,
                firstRow: first)
        }
        // The newest token is the one that the verifier has not seen.
        append(1)
    }

    /// A text that has been read elsewhere.
    init(_ sequence: TokenSequence, _ model: Model) {
        self.sequence = sequence
        self.model = model
        all = []
    }

    private func append(_ count: Int) { sequence.append(Array(all[sequence.count..<sequence.count + count])) }

    /// Runs the newest token and the `count` - 1 that follow in the text, as drafts that hold; another is the newest then.
    /// - Returns: the verifier's rows.
    @discardableResult
    func verify(_ count: Int, shows: Bool = true) -> [RowBits] {
        append(count - 1)
        let first = sequence.position
        let rows = model.window([(sequence, count)])[0]
        if shows { observe(row: 0, count: count, firstRow: first) }
        append(1)
        return rows
    }

    /// Shows the modules rows of the verifier's last step.
    func observe(row: Int, count: Int, firstRow: Int) {
        model.draftHead!.observe(
            sequence, model.verifier.hidden(row: row), stride: model.verifier.hiddenStride, count: count,
            firstRow: firstRow)
    }
}

/// A draft with the scores that chose it, and the exact logits in its place.
private struct DraftBits: Equatable {
    let token: Int32
    let score: UInt32
    let runnerUp: UInt32
    /// Hash of the logits' bits.
    let exact: Int
}

/// Rows of the MTP modules: drafts and their scores depend on a text's own tokens and hidden states alone.
@Suite(.serialized)
struct MTPRowTests {
    private static let lengths = [3, 20, 41, 250, 255, 300, 7, 252]

    private func model(_ modules: Int) throws -> Model {
        try Model.tiny(seed: 2) {
            $0.mtpModules = modules
            // Modules that are alike would hide which of them has drafted.
            $0.mtpCopies = modules != 2
        }
    }

    private func texts(_ model: Model, count: Int = lengths.count, in pool: LatentPool? = nil) throws -> [DraftedText] {
        try (0..<count).map { number in
            let read = Self.lengths[number % Self.lengths.count]
            return try DraftedText(model, number, total: read + 120, read: read, in: pool)
        }
    }

    /// Catches up and makes `count` drafts for each of the texts together: by text, its drafts.
    private func draft(_ model: Model, _ texts: [DraftedText], _ count: Int) -> [[DraftBits]] {
        let draftHead = model.draftHead!
        let sequences = texts.map(\.sequence)
        var drafts = [[DraftBits]](repeating: [], count: texts.count)
        draftHead.catchUp(sequences)
        for made in 0..<count {
            draftHead.drawDrafts(sequences)
            let drawn = sequences.indices.map { draftHead.drawn(row: $0) }
            for (i, sequence) in sequences.enumerated() {
                sequence.tokens[sequence.count + made] = drawn[i].token
                drafts[i].append(
                    DraftBits(
                        token: drawn[i].token, score: drawn[i].score.bitPattern,
                        runnerUp: drawn[i].runnerUp.bitPattern,
                        exact: draftHead.exactDraftLogits(sequence).map(\.bitPattern).hashValue))
            }
            if made + 1 < count { draftHead.advance(sequences) }
        }
        return drafts
    }

    /// Rounds of 1...8 drafts: by round, by text.
    private func rounds(
        _ model: Model, _ texts: [DraftedText], _ rounds: Int, together: Bool
    ) -> [[[DraftBits]]] {
        (0..<rounds).map { round in
            let count = 1 + (round * 3 + 2) % MTPHead.maximumDrafts
            let drafts = together ? draft(model, texts, count) : texts.map { draft(model, [$0], count)[0] }
            for (number, text) in texts.enumerated() { text.verify(1 + (round + number) % 5) }
            return drafts
        }
    }

    @Test(arguments: 1...3) func severalTextsDraftAsEachAlone(modules: Int) throws {
        let model = try model(modules)
        let alone = rounds(model, try texts(model), 12, together: false)
        let pool = try model.makePool(pages: 24)
        #expect(rounds(model, try texts(model, in: pool), 12, together: true) == alone)
        #expect(Set(alone.joined().joined().map(\.token)).count > 10, "drafts of every kind")
    }

    @Test(arguments: 1...3) func theOrderOfTextsDoesNotMatter(modules: Int) throws {
        let model = try model(modules)
        let forward = rounds(model, try texts(model), 4, together: true)
        let texts = try self.texts(model)
        for (round, expected) in forward.enumerated() {
            let count = expected[0].count
            let order = texts.indices.map { ($0 * 3 + round) % texts.count }
            let found = draft(model, order.map { texts[$0] }, count)
            for (place, number) in order.enumerated() { #expect(found[place] == expected[number], "text \(number)") }
            for (number, text) in texts.enumerated() { text.verify(1 + (round + number) % 5) }
        }
    }

    /// Sixteen texts with three rows each are three windows of a module, cut inside texts.
    @Test(arguments: [1, 2]) func rowsOfManyTextsAreCaughtUpInSeveralWindows(modules: Int) throws {
        let model = try model(modules)
        func made(together: Bool) throws -> [[DraftBits]] {
            let texts = try self.texts(model, count: Step.windowRows)
            for (number, text) in texts.enumerated() { text.verify([3, 5, 1, 16][number % 4]) }
            return together ? draft(model, texts, 3) : texts.map { draft(model, [$0], 3)[0] }
        }
        #expect(try made(together: true) == made(together: false))
    }

    /// Rows wait for many rounds; whoever drafted in each of them has the same drafts in the end, and whatever he drafted
    /// before has left no trace.
    @Test(arguments: 1...3) func lateCatchUpGivesTheSameDrafts(modules: Int) throws {
        let model = try model(modules)
        let (eager, late) = (try texts(model), try texts(model))
        let counts = [1, 4, 2, 9, 1, 16, 3, 8]
        for (round, count) in counts.enumerated() {
            _ = draft(model, eager, 1 + round)
            for text in eager + late { text.verify(count) }
            // Some are caught up on the way, at other times than their rounds of drafts.
            model.draftHead!.catchUp(late.enumerated().filter { ($0.offset + round) % 11 == 0 }.map(\.element.sequence))
        }
        #expect(late.contains { $0.sequence.waitingRowCount > 2 * Step.windowRows })
        #expect(draft(model, late, 8) == draft(model, eager, 8))
    }

    @Test(arguments: [1, 2]) func readingAPromptEqualsCatchingUp(modules: Int) throws {
        // So few rows that both take the narrow kernels.
        let model = try model(modules)
        let read = try DraftedText(model, 4, total: 60, read: 15)
        let shown = try DraftedText(model, 4, total: 60, read: 1)
        shown.verify(14)
        #expect(shown.sequence.count == read.sequence.count)
        #expect(draft(model, [shown], 8) == draft(model, [read], 8))
    }

    // MARK: Gaps

    @Test func forgottenRowsAreAsIfNeverShown() throws {
        let model = try model(1)
        let (forgetful, blind) = (try texts(model), try texts(model))
        for text in forgetful {
            for count in [7, 9, 8] { text.verify(count) }
            // The last row of the prompt waited already.
            #expect(text.sequence.waitingRowCount == 25)
            text.sequence.forgetAllButNewest(8)
            #expect(text.sequence.waitingRowCount == 8)
        }
        for text in blind {
            for count in [7, 9] { text.verify(count, shows: false) }
            text.verify(8)
        }
        let gap = draft(model, forgetful, 8)
        #expect(gap == draft(model, blind, 8))
        // It is a gap: the rows before it are in no draft's context.
        let whole = try texts(model)
        for text in whole { for count in [7, 9, 8] { text.verify(count) } }
        #expect(gap != draft(model, whole, 8))
    }

    /// More rows than there is room for: the oldest are forgotten, whether they come at once or one after the other.
    @Test func theOldestRowsGiveWay() throws {
        let model = try model(1)
        let most = 3 * Step.windowRows
        func made(_ counts: [Int]) throws -> [[DraftBits]] {
            let texts = try self.texts(model)
            for text in texts {
                for count in counts { text.verify(count) }
                #expect(text.sequence.waitingRowCount == most)
            }
            return draft(model, texts, 4)
        }
        let reference = try made(.init(repeating: 1, count: 64))
        #expect(try made([16, 16, 16, 16]) == reference)
        #expect(try made([5, 16, 11, 9, 16, 7]) == reference)
        let texts = try self.texts(model)
        for text in texts {
            text.verify(16, shows: false)
            for count in [16, 16, 16] { text.verify(count) }
        }
        #expect(draft(model, texts, 4) == reference)
    }

    @Test func aGapCostsTheTextNothing() throws {
        let model = try model(1)
        func rows(forgetting: Bool) throws -> [RowBits] {
            let text = try DraftedText(model, 3, total: 400, read: 240)
            return (0..<10).flatMap { round in
                if forgetting && round % 3 == 1 { text.sequence.forgetAllButNewest(2) }
                _ = draft(model, [text], 1 + round % 8)
                return text.verify(1 + round % 4, shows: !forgetting || round % 3 > 0)
            }
        }
        #expect(try rows(forgetting: true) == rows(forgetting: false))
    }

    // MARK: Chunks

    /// While a module reads a prompt's chunk, windows of verifier and modules run for other texts.
    @Test(arguments: [1, 2]) func modulesRestAsWell(modules: Int) throws {
        let model = try model(modules)
        let expected = rounds(model, try texts(model), 24, together: true)
        let others = try texts(model)
        func prompt(rest: (() -> Bool)?) throws -> [[DraftBits]] {
            let text = try model.makeSequence(context: 200)
            text.append(model.tokens(101, text: 70))
            var step = Step()
            step.readPrompt(text, to: 100)
            model.verifier.run(step)
            let isRead = model.draftHead!.read(
                text, model.verifier.hidden(row: 0), stride: model.verifier.hiddenStride, count: 100, firstRow: 0,
                rest: rest)
            #expect(isRead)
            return draft(model, [DraftedText(text, model)], 8)
        }
        let reference = try prompt(rest: nil)
        var (places, round) = (0, 0)
        let found = try prompt {
            defer { places += 1 }
            // A round at some places, spread over all modules.
            guard places % 4 == 0, round < expected.count else { return true }
            let count = expected[round][0].count
            #expect(draft(model, others, count) == expected[round], "place \(places)")
            for (number, text) in others.enumerated() { text.verify(1 + (round + number) % 5) }
            round += 1
            return true
        }
        #expect(found == reference)
        #expect(places >= 6 * modules && round > modules)
    }
}
