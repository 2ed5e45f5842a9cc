import ForetokenLaboratory
import ForetokenModel
import ForetokenSpeculation
import ForetokenTestSupport
import Testing

/// A row of a text in company has exactly the values that it has alone.
@Suite(.serialized)
struct CompanyRowTests {
    private let model: Model
    private static let text: [Int32] = [0, 1043, 445, 1336, 517, 473, 386, 274, 3275, 15, 3878, 1035, 625, 477]

    init() throws { model = try Model.load(Fixtures.demoModel) }

    /// Every layer's values of every row, for windows of 1...16 texts and rows beside each other.
    @Test(arguments: [CacheType.f32, .bf16]) func rowsOfSeveralTextsDoNotSeeEachOther(cacheType: CacheType) throws {
        let lengths = [3, 20, 255, 256, 300]
        func text(_ number: Int) -> [Int32] {
            (0..<lengths[number % lengths.count] + 24).map { Self.text[($0 * (number + 3) + number) % Self.text.count] }
        }
        func make(_ number: Int) throws -> TokenSequence {
            let sequence = try model.makeSequence(context: 340, cacheType: cacheType, drafting: false)
            sequence.number = number
            sequence.append(text(number))
            var reader = PromptReader(model, drafting: false)
            reader.read(sequence, to: lengths[number % lengths.count])
            return sequence
        }
        defer { model.verifier.observer = nil }
        let references = try (0..<16).map { number in
            let sequence = try make(number)
            let trace = StepTrace()
            model.verifier.observer = trace
            var step = Step()
            while sequence.position < sequence.count {
                step.clear()
                step.add(sequence, count: 1)
                model.verifier.run(step)
                model.verifier.computeLogits(first: 0, count: 1)
            }
            model.verifier.observer = nil
            return trace
        }
        for rows in [
            [1, 1], [5, 4, 3, 4], [15, 1], [2, 6, 8], [Int](repeating: 1, count: 16), [3, 1, 2, 1, 4, 1, 3],
        ] {
            let sequences = try rows.indices.map(make)
            let traces = StepTraces(count: rows.count)
            model.verifier.observer = traces
            var step = Step()
            while sequences.contains(where: { $0.position < $0.count }) {
                step.clear()
                for (sequence, count) in zip(sequences, rows) where sequence.position < sequence.count {
                    step.add(sequence, count: min(count, sequence.count - sequence.position))
                }
                model.verifier.run(step)
                model.verifier.computeLogits(first: 0, count: step.rowCount)
            }
            model.verifier.observer = nil
            for number in rows.indices {
                let first = lengths[number % lengths.count]
                let difference = references[number].firstDifference(
                    to: traces.traces[number], positions: first..<sequences[number].count)
                #expect(difference == nil, "rows \(rows), text \(number): \(String(describing: difference))")
            }
        }
    }
}

/// A trace for each of several texts.
private final class StepTraces: StepObserver {
    let traces: [StepTrace]
    let wantsValues = true

    init(count: Int) { traces = (0..<count).map { _ in StepTrace() } }

    func saw(_ site: StepSite, _ rows: StepRows) { traces[rows.text].saw(site, rows) }

    func routed(layer: Int, chosen: UnsafePointer<Int32>, perRow: Int, rows: TextRows) {}
}
