import ForetokenModel
import ForetokenTestSupport
import ForetokenWeights
import Testing

/// Rows of several texts in a step: each text gets the hidden states and logits that it gets alone, bit for bit.
@Suite(.serialized)
struct SpanTests {
    private let model: Model
    private let texts: [TokenSequence]
    /// By text: its next 16 rows, run alone, one at a time.
    private let alone: [[RowBits]]

    init() throws {
        let model = try Model.tiny()
        // Behind few positions, and on both sides of the ends of pages.
        let lengths = [1, 3, 20, 240, 248, 255, 256, 257, 300]
        texts = try (0..<Step.windowRows).map { number in
            let length = lengths[number % lengths.count] + number / lengths.count
            return try model.text(number, total: length + Step.windowRows, read: length)
        }
        alone = texts.map { text in
            let position = text.position
            defer { text.truncate(to: position) }
            return model.rows(text, to: position + Step.windowRows)
        }
        self.model = model
    }

    /// Runs a window behind where the texts stand, and goes back.
    private func window(_ spans: [(text: Int, count: Int)]) -> [[RowBits]] {
        for span in spans { model.spoil(texts[span.text], count: span.count) }
        defer { for span in spans { texts[span.text].truncate(to: texts[span.text].position - span.count) } }
        return model.window(spans.map { (texts[$0.text], $0.count) })
    }

    private func check(_ spans: [(text: Int, count: Int)]) {
        let found = window(spans)
        for (span, rows) in zip(spans, found) {
            #expect(rows == Array(alone[span.text].prefix(span.count)), "text \(span.text) of \(spans)")
        }
    }

    @Test(arguments: 1...Step.windowRows) func textsOfEqualRows(count: Int) {
        for rows in 1...Step.windowRows / count { check((0..<count).map { ($0, rows) }) }
    }

    @Test func anyTextsInAnyOrderWithAnyRows() {
        var random = SeededGenerator(seed: 3)
        for _ in 0..<60 {
            var spans: [(text: Int, count: Int)] = []
            var room = Step.windowRows
            for text in texts.indices.shuffled(using: &random) where room > 0 {
                let count = Int.random(in: 1...(Bool.random(using: &random) ? room : min(3, room)), using: &random)
                spans.append((text, count))
                room -= count
            }
            check(spans)
        }
    }

    @Test func everyTextMovesByItsOwnRows() {
        let before = texts.map(\.position)
        let step = [(4, 3), (0, 1), (9, 7)]
        model.window(step.map { (texts[$0], $1) })
        for (text, count) in step { #expect(texts[text].position == before[text] + count) }
        for text in texts.indices where !step.contains(where: { $0.0 == text }) {
            #expect(texts[text].position == before[text])
        }
    }

    @Test func whoLooksOnIsToldWhoseRowsTheseAre() {
        let watcher = SpanWatcher()
        model.verifier.observer = watcher
        defer { model.verifier.observer = nil }
        let spans = [(7, 2), (1, 5), (12, 1)]
        let positions = spans.map { texts[$0.0].position }
        model.window(spans.map { (texts[$0], $1) })
        var row = 0
        var expected: [[Int]] = []
        for ((text, count), position) in zip(spans, positions) {
            expected.append([text, row, count, position])
            row += count
        }
        #expect(watcher.routed.count == 2 && watcher.routed.values.allSatisfy { $0 == expected })
        let values = expected.map { [$0[0], $0[2], $0[3]] }
        for operation in StepOperator.allCases where operation != .expert {
            #expect(watcher.seen[operation]?.prefix(3) == values[...], "\(operation.rawValue)")
        }
        // Every row chose as many experts in both MoE layers.
        let experts = watcher.seen[.expert] ?? []
        #expect(experts.count == 8 * 2 * model.configuration.expertsPerToken && experts.allSatisfy { $0[1] == 1 })
        for ((text, count), position) in zip(spans, positions) {
            let own = experts.filter { $0[0] == text }.map { $0[2] }
            #expect(Set(own) == Set(position..<position + count))
        }
    }

    // MARK: Chunks that rest

    /// 40 rows attend through latents, 60 through keys and values.
    @Test(arguments: [40, 60]) func windowsRunBetweenThePhasesOfAChunk(rows: Int) throws {
        let (reference, places) = try chunk(rows) { _ in true }
        #expect(places > 4 * model.configuration.layerCount)
        // At every place, and at each place alone.
        for place in [nil] + (0..<places).map(Optional.some) {
            var turn = 0
            let (found, _) = try chunk(rows) { index in
                if place == nil || place == index {
                    turn += 1
                    check([(turn % 16, 1 + turn % 7), ((turn + 3) % 16, 1 + turn % 9)])
                }
                return true
            }
            #expect(found == reference, "rests at \(place.map(String.init) ?? "every place")")
        }
    }

    @Test func aChunkThatIsGivenUpMovesNothing() throws {
        let (reference, places) = try chunk(60) { _ in true }
        for last in stride(from: 0, to: places, by: 3) {
            let text = try model.text(77, total: 60, read: 0)
            var index = -1
            var step = Step()
            step.readPrompt(text, to: 60)
            let isFinished = model.verifier.run(step) {
                index += 1
                return index < last
            }
            #expect(!isFinished && index == last && text.position == 0, "nothing is asked after it has ended")
            check([(3, 4), (5, 2)])
            #expect(try lastRows(text, 60, rest: nil) == reference)
        }
    }

    /// Reads a prompt of `rows` rows: its last 16, and at how many places it could rest.
    private func chunk(_ rows: Int, rest: @escaping (Int) -> Bool) throws -> (rows: [RowBits], places: Int) {
        let text = try model.text(77, total: rows, read: 0)
        var places = 0
        let found = try lastRows(text, rows) {
            places += 1
            return rest(places - 1)
        }
        return (found, places)
    }

    private func lastRows(_ text: TokenSequence, _ rows: Int, rest: (() -> Bool)?) throws -> [RowBits] {
        var step = Step()
        step.readPrompt(text, to: rows)
        try #require(step.kind == .chunk && model.verifier.run(step, rest: rest))
        let first = rows - Step.windowRows
        model.verifier.computeLogits(first: first, count: Step.windowRows)
        return (0..<Step.windowRows).map { model.bits(row: first + $0, logits: $0) }
    }
}

/// Notes whose rows it was shown.
private final class SpanWatcher: StepObserver {
    let wantsValues = true
    /// By layer: text, first row, rows, position.
    var routed: [Int: [[Int]]] = [:]
    /// By operator: text, rows, position; of all layers one after the other.
    var seen: [StepOperator: [[Int]]] = [:]

    func saw(_ site: StepSite, _ rows: StepRows) {
        seen[site.operation, default: []].append([rows.text, rows.count, rows.firstPosition])
    }

    func routed(layer: Int, chosen: UnsafePointer<Int32>, perRow: Int, rows: TextRows) {
        routed[layer, default: []].append([rows.text, rows.firstRow, rows.count, rows.firstPosition])
    }
}
