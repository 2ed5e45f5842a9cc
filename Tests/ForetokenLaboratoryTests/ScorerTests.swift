import ForetokenLaboratory
import ForetokenModel
import ForetokenSpeculation
import ForetokenTestSupport
import Testing

@Suite(.serialized)
struct ScorerTests {
    /// 900 tokens.
    private var text: [Int32] { GoldenScore.all.last?.ids ?? [] }

    @Test(arguments: [4096, 600, 256, 97])
    func anEndedScoreIsTheBeginningOfTheWholeOne(context: Int) throws {
        let scorer = Scorer(model: try Model.load(Fixtures.demoModel), context: context)
        let whole = try scorer.score(text, topCount: 1, mtp: true)
        #expect(whole.isComplete)
        let part = try scorer.score(text, topCount: 1, mtp: true) { done, total in
            #expect(total == 900)
            return done < 400
        }
        let count = part.logProbabilities.count
        #expect(!part.isComplete && (400...600).contains(count))
        #expect(part.logProbabilities == Array(whole.logProbabilities.prefix(count)))
        #expect(part.top.count == count && part.favourites.count == count)
        #expect(part.negativeLogLikelihood == part.totalNats / Double(count - 1))
        let module = try #require(part.mtp?.modules.first)
        #expect(module.argmax == Array(try #require(whole.mtp).modules[0].argmax.prefix(count - 1)))
        #expect(part.windows.count < whole.windows.count || context == 4096)
    }

    @Test func longListsBeginLikeShortOnes() throws {
        let scorer = Scorer(model: try Model.load(Fixtures.demoModel), context: 64)
        let start = Array(text.prefix(12))
        let short = try scorer.score(start, topCount: 20).top
        let long = try scorer.score(start, topCount: 5000).top
        for (short, long) in zip(short, long) {
            #expect(long.count == 4096)
            #expect(zip(short, long).allSatisfy { $0 == $1 })
        }
    }

    @Test func chainsEndToo() throws {
        let scorer = Scorer(model: try Model.load(Fixtures.demoModel), context: 4096)
        let start = Array(text.prefix(40))
        let whole = try scorer.score(start, mtp: true, mtpDepth: 2)
        let part = try scorer.score(start, mtp: true, mtpDepth: 2) { done, total in
            #expect(total == 80)
            return done < 50
        }
        #expect(!part.isComplete && part.logProbabilities == whole.logProbabilities)
        #expect(part.mtp?.recursive == whole.mtp?.recursive.map { Array($0.prefix(10)) })
    }

    @Test func favouritesAreTheLargestLogits() throws {
        let scorer = Scorer(model: try Model.load(Fixtures.demoModel), context: 256)
        let score = try scorer.score(text, topCount: 1)
        #expect(score.favourites.first! == nil)
        for (position, favourite) in score.favourites.enumerated().dropFirst() {
            let (token, logProbability) = try #require(favourite)
            #expect(token == score.top[position - 1][0].token)
            let actual = try #require(score.logProbabilities[position])
            #expect(token == text[position] ? logProbability == actual : logProbability >= actual)
        }
        #expect(score.windows.count == 7 && score.windows.length == 256 && score.windows.stride == 128)
    }

    /// Finite weights whose products overflow must end in an error, not in token 0.
    @Test func scoringStops() throws {
        let folder = try TemporaryFolder()
        try TinyModel.overflowing().write(to: folder)
        let model = try Model.load(folder.path)
        #expect(throws: GenerationError.self) { try Scorer(model: model, context: 64).score([1, 2, 3]) }
    }

    @Test func scoringOfAModuleStops() throws {
        let folder = try TemporaryFolder()
        try TinyModel.overflowing("shared_head.norm.weight").write(to: folder)
        let model = try Model.load(folder.path)
        let scorer = Scorer(model: model, context: 64)
        #expect(try scorer.score([1, 2, 3]).negativeLogLikelihood.isFinite)
        #expect(throws: GenerationError.self) { try scorer.score([1, 2, 3], mtp: true) }
    }
}
