import ForetokenModel
import ForetokenSpeculation
import ForetokenTestSupport
import ForetokenWeights
import Testing

/// Texts in company get exactly what they get alone.
@Suite(.serialized)
struct CompanyTests {
    private let model: Model
    private static let text: [Int32] = [0, 1043, 445, 1336, 517, 473, 386, 274, 3275, 15, 3878, 1035, 625, 477]

    init() throws { model = try Model.load(Fixtures.demoModel) }

    /// Texts that are like prompts and answers of the schedules here and there.
    private static let predictions = [
        LookupBase([text, (0..<600).map { text[$0 * 5 % text.count] }]), LookupBase([(0..<90).map { text[$0 % 3] }]),
        LookupBase([[15] + text]), LookupBase([]),
    ]

    /// One request of a schedule, and when it is given up.
    private struct Visit {
        var request: GenerationRequest
        /// Ends it after so many tokens; nil lets it be.
        var cancelAfter: Int?
        /// Request whose first token brings this one; nil is there from the beginning.
        var after: Int?
    }

    private func visit(_ index: Int, _ random: inout SeededGenerator) -> Visit {
        let lengths = [1, 2, 5, 14, 15, 17, 18, 40, 90, 300, 540]
        let length = lengths[Int.random(in: 0..<lengths.count - (index > 1 ? 2 : 0), using: &random)]
        let shift = Int.random(in: 0..<Self.text.count, using: &random)
        var request = GenerationRequest(prompt: (0..<length).map { Self.text[($0 * 5 + shift) % Self.text.count] })
        request.maximumTokens = Int.random(in: 1...16, using: &random)
        request.draft = [.off, .auto, .fixed(1), .fixed(3), .fixed(8), .fixed(15)].randomElement(using: &random)!
        request.sources = DraftSources.allCases.randomElement(using: &random)!
        if Bool.random(using: &random) { request.prediction = Self.predictions.randomElement(using: &random)! }
        request.bases = Array(Self.predictions.prefix(Int.random(in: 0...2, using: &random)))
        request.sampling.seed = UInt64.random(in: 0..<4, using: &random)
        request.sampling.temperature = [0, 0, 0.8, 1.5].randomElement(using: &random)!
        switch Int.random(in: 0..<6, using: &random) {
        case 0: request.sampling.topK = 5
        case 1: request.sampling.topP = 0.8
        case 2: request.sampling.presencePenalty = 1.5
        case 3: request.sampling.repetitionPenalty = 1.3
        default: break
        }
        if Bool.random(using: &random) { request.logProbabilities = 2 }
        if Int.random(in: 0..<5, using: &random) == 0 { request.stopTokens = [Self.text[3], 15, 274] }
        return Visit(
            request: request, cancelAfter: Int.random(in: 0..<6, using: &random) == 0 ? 3 : nil,
            after: index > 0 && Bool.random(using: &random) ? Int.random(in: 0..<index, using: &random) : nil)
    }

    private func alone(_ visit: Visit) throws -> GenerationResult {
        var request = visit.request
        request.draft = .off
        var tokens = 0
        return try Generator(model: model, capacity: 600).generate(request) { event in
            guard case .token = event else { return .proceed }
            tokens += 1
            return tokens == visit.cancelAfter ? .cancel : .proceed
        }
    }

    private func together(_ visits: [Visit], _ settings: Engine.Settings) throws -> [GenerationResult] {
        let engine = try Engine(model, settings)
        var results = [GenerationResult?](repeating: nil, count: visits.count)
        func submit(_ index: Int) throws {
            var tokens = 0
            try engine.submit(
                visits[index].request,
                observe: { event in
                    guard case .token = event else { return .proceed }
                    tokens += 1
                    if tokens == 1 {
                        for later in visits.indices where visits[later].after == index {
                            #expect(throws: Never.self) { try submit(later) }
                        }
                    }
                    return tokens == visits[index].cancelAfter ? .cancel : .proceed
                }, completion: { results[index] = try? $0.get() })
        }
        for index in visits.indices where visits[index].after == nil { try submit(index) }
        engine.run()
        return try results.map { try #require($0) }
    }

    @Test func twoHundredSchedulesChangeNoToken() throws {
        var shared = 0
        for seed in 0..<200 {
            var random = SeededGenerator(seed: UInt64(seed))
            let visits = (0..<Int.random(in: 2...9, using: &random)).map { visit($0, &random) }
            var settings = Engine.Settings(context: 600)
            settings.parallel = Int.random(in: 1...20, using: &random)
            // From room for one long text to room for all.
            settings.pages = Int.random(in: 3...20, using: &random)
            settings.chunkShare = [0.05, 0.5, 1].randomElement(using: &random)!
            let found = try together(visits, settings)
            for (index, visit) in visits.enumerated() {
                let expected = try alone(visit)
                #expect(found[index].tokens == expected.tokens, "schedule \(seed), text \(index)")
                #expect(
                    found[index].logProbabilities.map(\.logProbability)
                        == expected.logProbabilities.map(\.logProbability), "schedule \(seed), text \(index)")
                #expect(found[index].reason == expected.reason, "schedule \(seed), text \(index)")
                shared += found[index].company.shared
            }
        }
        #expect(shared > 1000, "texts were in company")
    }

    /// Drafts depend on a text's own tokens alone, as long as there are rows for them; with two modules, too.
    @Test(arguments: [1, 2]) func draftsAreThoseMadeAlone(modules: Int) throws {
        let folder = try TemporaryFolder()
        try TinyModel(TinyGeometry { $0.mtpModules = modules }).write(to: folder)
        let model = try Model.load(folder.path)
        let vocabulary = Int32(model.configuration.vocabularySize)
        let requests = try (0..<4).map { text in
            var request = GenerationRequest(
                prompt: (0..<[3, 20, 40, 7][text]).map { (Int32($0) * 7 + Int32(text) * 5) % vocabulary })
            request.maximumTokens = 20 + text
            request.draft = .fixed(3)
            request.sampling.temperature = text % 2 == 0 ? 0 : 0.8
            guard text > 1 else { return request }
            request.sources = .lookup
            var answer = try Generator(model: model, capacity: 80).generate(request).tokens
            answer[9] = 1
            request.prediction = LookupBase([answer])
            request.bases = [LookupBase([request.prompt, answer.reversed(), request.prompt])]
            return request
        }
        let engine = try Engine(model, Engine.Settings(context: 80))
        var found = [GenerationResult?](repeating: nil, count: requests.count)
        for (text, request) in requests.enumerated() {
            try engine.submit(request) { found[text] = try? $0.get() }
        }
        engine.run()
        for (text, request) in requests.enumerated() {
            let alone = try Generator(model: model, capacity: 80).generate(request)
            #expect(found[text]?.tokens == alone.tokens, "text \(text)")
            #expect(found[text]?.telemetry == alone.telemetry, "text \(text)")
        }
        #expect(found.allSatisfy { ($0?.telemetry.drafted.first ?? 0) > 0 })
        #expect(found[2...].allSatisfy { ($0?.telemetry.prediction.accepted ?? 0) > 10 })
    }

    /// While a long prompt is read, others get windows between its phases, unless all time is the prompt's.
    @Test(arguments: [0.05, 1]) func aPromptLetsOthersGoOn(chunkShare: Double) throws {
        var settings = Engine.Settings(context: 600)
        settings.chunkShare = chunkShare
        let engine = try Engine(model, settings)
        var short = GenerationRequest(prompt: Self.text)
        short.maximumTokens = 200
        short.draft = .off
        var long = GenerationRequest(prompt: (0..<540).map { Self.text[$0 * 5 % Self.text.count] })
        long.maximumTokens = 1
        var (isReading, beside, tokens) = (false, 0, 0)
        try engine.submit(
            short,
            observe: { event in
                guard case .token = event else { return .proceed }
                tokens += 1
                if isReading { beside += 1 }
                if tokens == 2 {
                    isReading = true
                    #expect(throws: Never.self) {
                        try engine.submit(
                            long,
                            observe: { event in
                                if case .token = event { isReading = false }
                                return .proceed
                            }, completion: { _ in })
                    }
                }
                return .proceed
            }, completion: { _ in })
        engine.run()
        #expect(tokens == 200 && !isReading)
        // Each layer of the first chunk has several places to rest in.
        if chunkShare < 1 {
            #expect(beside > 2 * model.configuration.layerCount, "\(beside) tokens")
        } else {
            #expect(beside == 0)
        }
    }

    /// Where there are not rows for the drafts of all texts, they take turns.
    @Test(arguments: [9, 12, 15]) func textsTakeTurnsInDrafting(texts: Int) throws {
        let engine = try Engine(model, Engine.Settings(context: 80))
        var drafted: [Int] = []
        for text in 0..<texts {
            var request = GenerationRequest(prompt: [0] + Self.text.dropFirst(text % 10).prefix(4))
            request.maximumTokens = 60
            request.draft = .fixed(1)
            try engine.submit(request) { outcome in
                // The first to end has had company all the time.
                if drafted.isEmpty, let telemetry = try? outcome.get().telemetry { drafted = telemetry.drafted }
            }
        }
        engine.run()
        let fair = 60 * (16 - texts) / texts
        #expect((drafted.first ?? 0) > fair / 2, "\(drafted) of 60, \(fair) would be fair")
    }

    @Test func aPromptThatIsGivenUpLeavesNoTrace() throws {
        let long = (0..<600).map { Self.text[$0 * 5 % Self.text.count] }
        var settings = Engine.Settings(context: 700)
        settings.chunkShare = 0.05
        // Room for the short text and one long one: the second waits until the first has given its pages back.
        settings.pages = LatentPool.pages(forPositions: 210) + LatentPool.pages(forPositions: 640)
        let engine = try Engine(model, settings)
        var short = GenerationRequest(prompt: Self.text)
        short.maximumTokens = 200
        var request = GenerationRequest(prompt: long)
        request.maximumTokens = 20
        var (asked, found) = (0, [Int: GenerationResult]())
        try engine.submit(short) { found[0] = try? $0.get() }
        try engine.submit(
            request,
            observe: { _ in
                asked += 1
                return asked == 9 ? .cancel : .proceed
            }, completion: { found[1] = try? $0.get() })
        try engine.submit(request) { found[2] = try? $0.get() }
        engine.run()
        #expect(asked == 9 && found[1]?.reason == .cancelled && found[1]?.tokens.isEmpty == true)
        #expect(found[0]?.tokens == (try Generator(model: model, capacity: 700).generate(short).tokens))
        #expect(found[2]?.tokens == (try Generator(model: model, capacity: 700).generate(request).tokens))
    }

    @Test func whatCanNeverBeServedIsRefused() throws {
        var settings = Engine.Settings(context: 600)
        settings.pages = 2
        let engine = try Engine(model, settings)
        var request = GenerationRequest(prompt: .init(repeating: 5, count: 590))
        #expect(throws: GenerationError.self) { try engine.submit(request) { _ in } }
        request.prompt = .init(repeating: 5, count: 601)
        #expect(throws: GenerationError.self) { try engine.submit(request) { _ in } }
        request.prompt = [5]
        request.maximumTokens = 4
        var outcome: Engine.Outcome?
        try engine.submit(request) { outcome = $0 }
        engine.run()
        #expect(try outcome?.get().tokens.count == 4)
    }
}
