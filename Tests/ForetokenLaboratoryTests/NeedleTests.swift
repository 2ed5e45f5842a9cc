import ForetokenLaboratory
import ForetokenModel
import ForetokenSpeculation
import ForetokenTestSupport
import Testing

/// What a model makes of the end of a text.
@Suite(.serialized)
struct NeedleTests {
    private func text(_ count: Int) -> [Int32] { (0..<count).map { Int32($0 * 37 % 1500 + 3) } }

    @Test func valuesAreAsLikelyAsScoringSays() throws {
        let model = try Model.load(Fixtures.demoModel)
        let reader = try NeedleReader(model, capacity: 700)
        for length in [1, 17, 40, 600] {
            let (text, value) = (text(length), [Int32](text(length + 5).suffix(5)))
            let outcome = try #require(try reader.read(text, value: value, saying: 0, ends: []) { true })
            let score = try Scorer(model: model, context: 700).score(text + value)
            let wanted = score.logProbabilities.suffix(5).reduce(0) { $0 + ($1 ?? 0) }
            #expect(abs(outcome.logProbability - wanted) < 1e-3 && outcome.answer.isEmpty, "\(length)")
        }
    }

    @Test func answersAreTheGreedyOnes() throws {
        let model = try Model.load(Fixtures.demoModel)
        let reader = try NeedleReader(model, capacity: 200)
        let text = text(130)
        var request = GenerationRequest(prompt: text)
        request.maximumTokens = 12
        request.draft = .off
        let wanted = try Generator(model: model, capacity: 200).generate(request).tokens
        let found = try reader.read(text, value: [7, 8, 9], saying: 12, ends: []) { true }
        #expect(found?.answer == wanted)
        // The value leaves nothing behind.
        #expect(try reader.read(text, value: [9], saying: 12, ends: []) { true }?.answer == wanted)
        let ended = try reader.read(text, value: [9], saying: 12, ends: [wanted[3]]) { true }
        #expect(ended?.answer == Array(wanted.prefix { $0 != wanted[3] }))
        #expect(try reader.read(text, value: [9], saying: 12, ends: []) { false } == nil)
    }

    @Test func cellsAddUp() {
        let trials = [(true, -1.0, -9.0), (false, -6.0, -8.0)].map { exact, with, without in
            NeedleReport.Trial(
                value: "1", answer: "1", isExact: exact, logProbability: with, control: without, tokens: 100)
        }
        let cell = NeedleReport.Cell(length: 128, depth: 50, trials: trials)
        #expect(cell.exact == 1 && cell.gain == 5 && cell.logProbability == -3.5 && cell.control == -8.5)
        var report = NeedleReport()
        report.cells = [cell, cell]
        #expect(report.trialCount == 4 && report.exactCount == 2)
    }
}
