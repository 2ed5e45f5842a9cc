import ForetokenModel
import ForetokenSpeculation
import ForetokenTestSupport
import Testing

/// Texts get the same bits whether their prompts' beginnings are read or found.
@Suite(.serialized)
struct PrefixCacheTests {
    private let model: Model
    private static let text: [Int32] = [0, 1043, 445, 1336, 517, 473, 386, 274, 3275, 15, 3878, 1035, 625, 477]

    init() throws { model = try Model.load(Fixtures.demoModel) }

    /// What can be seen of an answer.
    private struct Seen: Equatable {
        var tokens: [Int32] = []
        var fates: [TokenFate] = []
        var logProbabilities: [Double] = []
        var drafted: [Int] = []
        var accepted: [Int] = []
        var reason = FinishReason.length
    }

    private func prompt(_ count: Int, family: Int = 0) -> [Int32] {
        (0..<count).map { Self.text[($0 * 5 + $0 / 14 * family) % Self.text.count] }
    }

    private func request(_ prompt: [Int32], tokens: Int = 24, draft: DraftMode = .fixed(3)) -> GenerationRequest {
        var request = GenerationRequest(prompt: prompt)
        request.maximumTokens = tokens
        request.draft = draft
        request.logProbabilities = 0
        return request
    }

    private func settings(context: Int = 1400, cachePages: Int = 64) -> Engine.Settings {
        var settings = Engine.Settings(context: context)
        settings.cachePages = cachePages
        settings.pages = 64
        return settings
    }

    /// Serves requests that come one after the other.
    private func serve(_ requests: [GenerationRequest], _ engine: Engine) throws -> [(seen: Seen, cached: Int)] {
        try requests.map { request in
            var (fates, outcome) = ([TokenFate](), Engine.Outcome?.none)
            try engine.submit(
                request,
                observe: { event in
                    if case .token(_, let fate, _) = event { fates.append(fate) }
                    return .proceed
                }, completion: { outcome = $0 })
            engine.run()
            let result = try #require(try outcome?.get())
            return (seen(result, fates), result.cachedCount)
        }
    }

    private func seen(_ result: GenerationResult, _ fates: [TokenFate]) -> Seen {
        Seen(
            tokens: result.tokens, fates: fates, logProbabilities: result.logProbabilities.map(\.logProbability),
            drafted: result.telemetry.drafted, accepted: result.telemetry.accepted, reason: result.reason)
    }

    private func alone(_ request: GenerationRequest, _ model: Model? = nil, capacity: Int = 1400) throws -> Seen {
        var fates: [TokenFate] = []
        let generator = try Generator(model: model ?? self.model, capacity: capacity)
        let result = try generator.generate(request) { event in
            if case .token(_, let fate, _) = event { fates.append(fate) }
            return .proceed
        }
        return seen(result, fates)
    }

    private func expectNothingLost(_ engine: Engine) {
        #expect(engine.freePages + engine.cacheCounts.pages == engine.pages)
    }

    @Test(arguments: [512, 513, 514, 528, 529, 1024, 1025, 1026, 1030, 1040, 1041, 1300], [Float(0), 0.8])
    func theSecondTimeIsLikeTheFirst(count: Int, temperature: Float) throws {
        var request = request(prompt(count))
        request.sampling.temperature = temperature
        let expected = try alone(request)
        let engine = try Engine(model, settings())
        let found = try serve([request, request, request], engine)
        #expect(found.map(\.seen) == [expected, expected, expected])
        let whole = (count - 1) / 512 * 512
        #expect(found.map(\.cached) == [0, whole, whole])
        #expect(engine.cacheCounts.soughtTokens == 3 * count && engine.cacheCounts.foundTokens == 2 * whole)
        #expect(engine.cacheCounts.pages == whole / 256)
        expectNothingLost(engine)
    }

    /// The modules' last rows of a chunk go by the tokens behind it: a text that goes on otherwise reads it again.
    @Test(arguments: [1023, 1024, 1025, 1026, 1100]) func textsThatPartShareWhatIsTheSame(common: Int) throws {
        let first = request(prompt(1250))
        var second = first
        for i in common..<1250 { second.prompt[i] = Self.text[(i * 3 + 1) % 14] }
        second.prompt[common] = first.prompt[common] == 15 ? 274 : 15
        let engine = try Engine(model, settings())
        let found = try serve([first, second, first], engine)
        #expect(try found.map(\.seen) == [alone(first), alone(second), alone(first)])
        #expect(found.map(\.cached) == [0, common > 1024 ? 1024 : 512, 1024])
        expectNothingLost(engine)
    }

    /// Whether a text drafts or not, what it leaves is good for one that does.
    @Test func whoeverReadFirstReadForTheModules() throws {
        let plain = request(prompt(1100), draft: .off)
        let drafting = request(prompt(1100), draft: .fixed(4))
        let engine = try Engine(model, settings())
        let found = try serve([plain, drafting, plain], engine)
        #expect(try found.map(\.seen) == [alone(plain), alone(drafting), alone(plain)])
        #expect(found.map(\.cached) == [0, 1024, 1024] && found[1].seen.drafted[0] > 0)
    }

    @Test(arguments: [0, 2, 3]) func otherNumbersOfModules(modules: Int) throws {
        let folder = try TemporaryFolder()
        try TinyModel(
            TinyGeometry {
                $0.mtpModules = modules
                $0.positions = 1400
            }
        ).write(to: folder)
        let model = try Model.load(folder.path)
        for count in [1024, 1025, 1026, 1027, 1028, 1200] {
            let request = request((0..<count).map { Int32($0 * 7 % 96) }, draft: .fixed(modules > 0 ? 5 : 0))
            let engine = try Engine(model, settings())
            let found = try serve([request, request], engine)
            let expected = try alone(request, model)
            #expect(found.map(\.seen) == [expected, expected], "\(count) tokens")
            #expect(found[1].cached == (count - max(1, modules)) / 512 * 512)
            expectNothingLost(engine)
        }
    }

    @Test func otherSaltsAreOtherTexts() throws {
        var requests = [request(prompt(700)), request(prompt(700)), request(prompt(700))]
        requests[1].cacheSalt = "b"
        requests[2].cacheSalt = "b"
        let engine = try Engine(model, settings())
        #expect(try serve(requests, engine).map(\.cached) == [0, 0, 512])
        #expect(engine.cacheCounts.keptChunks == 2)
    }

    /// The second waits until the first has been read, and finds everything.
    @Test func twoAtOnceAreReadOnce() throws {
        let engine = try Engine(model, settings())
        let request = request(prompt(1100))
        var results: [GenerationResult] = []
        for _ in 0..<2 { try engine.submit(request) { if let result = try? $0.get() { results.append(result) } } }
        engine.run()
        let expected = try alone(request)
        #expect(results.map(\.tokens) == [expected.tokens, expected.tokens])
        #expect(results.map(\.cachedCount).sorted() == [0, 1024])
    }

    /// Only chunks that verifier and modules have finished are kept.
    @Test(arguments: [2, 40, 90, 200]) func aPromptThatIsGivenUpLeavesWholeChunks(event: Int) throws {
        let engine = try Engine(model, settings())
        var given = request(prompt(1200))
        given.cancellation = Cancellation()
        var (events, reason, done) = (0, FinishReason?.none, 0)
        try engine.submit(
            given,
            observe: { seen in
                events += 1
                if case .prompt(let count, _) = seen { done = count }
                if events == event { given.cancellation?.request() }
                return .proceed
            }, completion: { reason = try? $0.get().reason })
        engine.run()
        #expect(reason == .cancelled && events >= event)
        // What the verifier has run, the modules may not have read yet.
        let kept = engine.cacheCounts.keptChunks * 512
        #expect(kept <= done && kept >= done - 512)
        expectNothingLost(engine)
        given.cancellation = nil
        let found = try serve([given], engine)
        #expect(try found[0].seen == alone(given) && found[0].cached == kept)
    }

    /// Texts get pages that nobody reads any more, those that were used last go last.
    @Test func textsGoBeforeWhatIsCached() throws {
        var tight = settings(cachePages: 100)
        tight.pages = 12
        let engine = try Engine(model, tight)
        let requests = (0..<4).map { request(prompt(1030, family: $0), tokens: 4) }
        // Each takes 5 pages and leaves 4: the third's last one is that of the second's second chunk, and so on.
        let found = try serve([requests[0], requests[1], requests[0], requests[2], requests[0], requests[1]], engine)
        #expect(found.map(\.cached) == [0, 0, 1024, 0, 1024, 512])
        #expect(engine.cacheCounts.droppedChunks >= 2)
        expectNothingLost(engine)
        // One that shares nothing.
        var long = request(prompt(100), tokens: 1300)
        long.stopTokens = []
        #expect(try serve([long], engine)[0].seen == alone(long))
        expectNothingLost(engine)
    }

    @Test func theCacheKeepsToItsPages() throws {
        let engine = try Engine(model, settings(cachePages: 3))
        let requests = [request(prompt(1300)), request(prompt(600, family: 1)), request(prompt(1300))]
        let found = try serve(requests, engine)
        #expect(found.map(\.cached) == [0, 0, 0] && engine.cacheCounts.pages == 2)
        #expect(try found.map(\.seen) == requests.map { try alone($0) })
        #expect(engine.cacheCounts.keptChunks == 3 && engine.cacheCounts.droppedChunks == 2)
    }

    /// Prompts that share beginnings, in company, with too few pages for everything, some of them given up.
    @Test func schedulesChangeNoBit() throws {
        var (found, dropped) = (0, 0)
        for seed in 0..<16 {
            var random = SeededGenerator(seed: UInt64(seed))
            var tight = settings(context: 1400, cachePages: Int.random(in: 2...10, using: &random))
            tight.pages = Int.random(in: 8...20, using: &random)
            tight.parallel = Int.random(in: 1...5, using: &random)
            tight.chunkShare = [0.05, 0.5, 1].randomElement(using: &random)!
            let engine = try Engine(model, tight)
            let requests = (0..<7).map { _ in
                var prompt = prompt(
                    [513, 600, 1024, 1025, 1030, 1041, 1100].randomElement(using: &random)!,
                    family: Int.random(in: 0..<2, using: &random))
                if Bool.random(using: &random) { prompt[Int.random(in: 500..<513, using: &random)] = 15 }
                var request = request(prompt, tokens: 10)
                request.draft = [.off, .fixed(2), .fixed(1), .fixed(5)].randomElement(using: &random)!
                request.sampling.temperature = [0, 0.9].randomElement(using: &random)!
                request.cacheSalt = ["", "", "b"].randomElement(using: &random)!
                request.cancellation = Int.random(in: 0..<5, using: &random) == 0 ? Cancellation() : nil
                return request
            }
            var results = [Int: GenerationResult]()
            for (index, request) in requests.enumerated() {
                let last = Int.random(in: 1..<120, using: &random)
                var events = 0
                try engine.submit(
                    request,
                    observe: { _ in
                        events += 1
                        if events == last { request.cancellation?.request() }
                        return .proceed
                    }, completion: { results[index] = try? $0.get() })
            }
            engine.run()
            for (index, request) in requests.enumerated() {
                let result = try #require(results[index])
                let expected = try alone(request)
                let count = result.tokens.count
                #expect(count == 10 || result.reason == .cancelled)
                #expect(result.tokens == Array(expected.tokens.prefix(count)), "schedule \(seed), text \(index)")
                #expect(
                    result.logProbabilities.map(\.logProbability) == Array(expected.logProbabilities.prefix(count)),
                    "schedule \(seed), text \(index)")
                found += result.cachedCount
            }
            dropped += engine.cacheCounts.droppedChunks
            expectNothingLost(engine)
        }
        #expect(found > 3000 && dropped > 20, "\(found) tokens found, \(dropped) chunks dropped")
    }
}
