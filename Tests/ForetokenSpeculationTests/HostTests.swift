import ForetokenModel
import ForetokenSpeculation
import ForetokenTestSupport
import ForetokenWeights
import Testing

/// Several hosts generate what one does.
@Suite(.serialized)
struct HostTests {
    private static let text: [Int32] = [0, 1043, 445, 1336, 517, 473, 386, 274, 3275, 15, 3878, 1035, 625, 477]
    static let divisions: [HostShare.Division] = [.rows([1, 1]), .rows([2, 1, 1]), .layers([0, 5, 12])]

    /// What can be seen of an answer.
    private struct Seen: Equatable {
        let tokens: [Int32]
        let logProbabilities: [Double]
        let drafted: [Int]
        let accepted: [Int]
        let reason: FinishReason

        init(_ result: GenerationResult) {
            tokens = result.tokens
            logProbabilities = result.logProbabilities.map(\.logProbability)
            (drafted, accepted) = (result.telemetry.drafted, result.telemetry.accepted)
            reason = result.reason
        }
    }

    private func request(_ index: Int, length: Int, draft: DraftMode = .fixed(3)) -> GenerationRequest {
        var request = GenerationRequest(
            prompt: (0..<length).map { Self.text[($0 * 5 + index) % Self.text.count] })
        request.maximumTokens = 12 + index % 5
        request.draft = draft
        request.logProbabilities = 2
        request.sampling.seed = UInt64(index)
        request.sampling.temperature = [0, 0.8, 1.5][index % 3]
        if index % 4 == 1 { request.sampling.topP = 0.9 }
        if index % 4 == 2 { request.sampling.repetitionPenalty = 1.3 }
        return request
    }

    @Test(arguments: divisions)
    func alone(division: HostShare.Division) throws {
        let requests = [
            request(0, length: 5), request(1, length: 40, draft: .fixed(8)), request(2, length: 530),
            request(3, length: 17, draft: .off), request(4, length: 1, draft: .fixed(1)),
        ]
        func answers(_ model: Model) throws -> [Seen] {
            let generator = try Generator(model: model, capacity: 600)
            return try requests.map { request in
                generator.clear()
                return Seen(try generator.generate(request))
            }
        }
        let expected = try answers(try Model.load(Fixtures.demoModel))
        #expect(try MadeUpHosts.run(Fixtures.demoModel, division) { try answers($0) } == expected)
    }

    @Test(arguments: [1, 2]) func modules(count: Int) throws {
        let folder = try TemporaryFolder()
        try TinyModel(TinyGeometry { $0.mtpModules = count }).write(to: folder)
        func answer(_ model: Model) throws -> [Seen] {
            let vocabulary = Int32(model.configuration.vocabularySize)
            var request = GenerationRequest(prompt: (0..<40).map { $0 * 7 % vocabulary })
            (request.maximumTokens, request.draft, request.logProbabilities) = (30, .fixed(4), 0)
            request.sources = .mtp
            return [Seen(try Generator(model: model, capacity: 100).generate(request))]
        }
        let expected = try answer(try Model.load(folder.path))
        for division in [HostShare.Division.rows([1, 1]), .layers([0, 1, 3])] {
            #expect(try MadeUpHosts.run(folder.path, division) { try answer($0) } == expected, "\(division)")
        }
    }

    /// Sixteen texts at once, long prompts among them, some of which are given up while they are read; then again, with
    /// prompts' beginnings found.
    @Test(arguments: divisions)
    func company(division: HostShare.Division) throws {
        let lengths = [1, 5, 17, 40, 700, 14, 600, 3, 1100, 90, 2, 33, 7, 21, 64, 16]
        let requests = lengths.enumerated().map { request($0, length: $1) }
        let given = Set([6])
        func serve(_ engine: Engine) throws -> [Seen?] {
            var outcomes = [Engine.Outcome?](repeating: nil, count: requests.count)
            for (index, request) in requests.enumerated() {
                try engine.submit(
                    request,
                    observe: { event in
                        if case .token = event { return .proceed }
                        return given.contains(index) ? .cancel : .proceed
                    }, completion: { outcomes[index] = $0 })
            }
            engine.run()
            return try outcomes.enumerated().map { index, outcome in
                let result = try #require(try outcome?.get())
                return given.contains(index) ? nil : Seen(result)
            }
        }
        func both(_ model: Model) throws -> [[Seen?]] {
            var settings = Engine.Settings(context: 1200)
            (settings.pages, settings.cachePages, settings.chunkShare) = (60, 20, 0.3)
            let engine = try Engine(model, settings)
            let answers = [try serve(engine), try serve(engine)]
            #expect(engine.cacheCounts.foundTokens >= 1024)
            #expect(engine.freePages + engine.cacheCounts.pages == engine.pages)
            return answers
        }
        let model = try Model.load(Fixtures.demoModel)
        let expected = try requests.enumerated().map { index, request in
            given.contains(index) ? nil : Seen(try Generator(model: model, capacity: 1200).generate(request))
        }
        let found = try MadeUpHosts.run(Fixtures.demoModel, division) { try both($0) }
        for answers in found {
            #expect(answers.map { $0?.tokens } == expected.map { $0?.tokens })
            #expect(answers.map { $0?.logProbabilities } == expected.map { $0?.logProbabilities })
        }
    }
}
