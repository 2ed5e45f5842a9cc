import ForetokenModel
import ForetokenSpeculation
import ForetokenTestSupport
import ForetokenWeights
import Testing

/// Promise 1: the output is the same at every draft length, temperature and filter, and wherever it is cut.
@Suite(.serialized)
struct SameTokensTests {
    private let model: Model
    private let prompt: [Int32] = [0, 1043, 445, 1336, 517, 473, 386, 274, 3275, 15, 3878, 1035, 625, 477]
    static let modes: [DraftMode] = (1...8).map(DraftMode.fixed) + [.auto]

    init() throws { model = try Model.load(Fixtures.demoModel) }

    private func sampling(
        _ temperature: Float, topK: Int = 0, topP: Float = 1, minP: Float = 0, seed: UInt64 = 0
    ) -> SamplingOptions {
        var options = SamplingOptions()
        options.temperature = temperature
        options.topK = topK
        options.topP = topP
        options.minP = minP
        options.seed = seed
        return options
    }

    private func run(
        _ generator: Generator, _ draft: DraftMode, _ sampling: SamplingOptions, tokens: Int = 64,
        stopTokens: [Int32] = [], stopAfter: Int = .max, sources: DraftSources = .both, repeats: Int = 1
    ) throws -> GenerationResult {
        generator.clear()
        var request = GenerationRequest(prompt: (0..<repeats).flatMap { _ in prompt })
        request.sources = sources
        request.draft = draft
        request.sampling = sampling
        request.maximumTokens = tokens
        request.stopTokens = stopTokens
        var seen = 0
        return try generator.generate(request) { event in
            guard case .token = event else { return .proceed }
            seen += 1
            return seen >= stopAfter ? .stop : .proceed
        }
    }

    @Test func greedyAndSampledAtEveryDraftLength() throws {
        let generator = try Generator(model: model, capacity: 256)
        let settings = [
            sampling(0), sampling(0.7, seed: 1), sampling(1.3, seed: 2), sampling(0.8, topK: 20, seed: 3),
            sampling(1, topP: 0.9, seed: 4), sampling(1.1, minP: 0.05, seed: 5),
            sampling(0.9, topK: 50, topP: 0.95, minP: 0.02, seed: 6),
        ]
        for setting in settings {
            let reference = try run(generator, .off, setting)
            #expect(reference.tokens.count == 64)
            #expect(reference.telemetry.drafted.isEmpty)
            for mode in Self.modes { #expect(try run(generator, mode, setting).tokens == reference.tokens, "\(mode)") }
        }
    }

    /// A prompt that repeats itself, so that there is much to look up.
    @Test(arguments: DraftSources.allCases) func fromEverySource(sources: DraftSources) throws {
        let generator = try Generator(model: model, capacity: 256)
        var (modules, lookup) = (0, 0)
        for setting in [sampling(0), sampling(0.6, seed: 3), sampling(0.9, topP: 0.9, seed: 4)] {
            let reference = try run(generator, .off, setting, tokens: 100, repeats: 4)
            for mode in (1...15).map(DraftMode.fixed) + [.auto] {
                let result = try run(generator, mode, setting, tokens: 100, sources: sources, repeats: 4)
                #expect(result.tokens == reference.tokens, "\(mode)")
                let telemetry = result.telemetry
                #expect(
                    telemetry.modules.drafted + telemetry.lookup.drafted == telemetry.drafted.reduce(0, +), "\(mode)")
                modules += telemetry.modules.accepted
                lookup += telemetry.lookup.accepted
                if mode == .fixed(15) && sources.looksUp && setting.temperature == 0 {
                    #expect(telemetry.drafted.count > 8, "\(telemetry)")
                }
            }
        }
        #expect(sources.usesModules == (modules > 0) && sources.looksUp == (lookup > 0), "\(modules), \(lookup)")
    }

    /// Predictions that are right, nearly right, wrong, or of another text; the fates tell what the counts tell.
    @Test(arguments: DraftSources.allCases) func withPredictionsAndOtherTexts(sources: DraftSources) throws {
        let generator = try Generator(model: model, capacity: 256)
        for setting in [sampling(0), sampling(0.9, topP: 0.9, seed: 4)] {
            let reference = try run(generator, .off, setting, tokens: 100)
            let changed = reference.tokens.enumerated().map { $0 % 12 == 10 ? Int32($0) : $1 }
            let cases: [(String, [Int32], [[Int32]])] = [
                ("right", reference.tokens, []), ("nearly right", changed, [prompt]),
                ("wrong", reference.tokens.reversed(), [changed, prompt, reference.tokens]), ("empty", [], [[]]),
            ]
            for (name, prediction, bases) in cases {
                for mode in [DraftMode.off, .fixed(1), .fixed(4), .fixed(15), .auto] {
                    generator.clear()
                    var request = GenerationRequest(prompt: prompt)
                    request.sources = sources
                    request.draft = mode
                    request.sampling = setting
                    request.maximumTokens = 100
                    request.prediction = LookupBase([prediction])
                    request.bases = [LookupBase(bases)]
                    var fates: [TokenFate] = []
                    let result = try generator.generate(request) { event in
                        if case .token(let token, let fate, _) = event {
                            fates.append(fate)
                            #expect(fate.rejected?.token != token)
                        }
                        return .proceed
                    }
                    #expect(result.tokens == reference.tokens, "\(name), \(mode)")
                    expect(fates, result.telemetry, "\(name), \(mode)")
                    guard sources == .lookup, mode == .fixed(15) else { continue }
                    switch name {
                    // A round of 16 tokens each, behind the prompt's own.
                    case "right": #expect(result.telemetry.rounds <= 7 && result.telemetry.prediction.accepted > 90)
                    case "nearly right": #expect(result.telemetry.rounds < 40)
                    default: break
                    }
                }
            }
        }
    }

    private func expect(_ fates: [TokenFate], _ telemetry: Telemetry, _ name: String) {
        func count(_ source: TokenSource) -> Int { fates.count { $0.source == source } }
        #expect(fates.first == .own, "\(name): the prompt's step drafts nothing")
        #expect(count(.mtp) == telemetry.modules.accepted, "\(name)")
        #expect(count(.prediction) == telemetry.prediction.accepted, "\(name)")
        #expect(count(.lookup) + count(.prediction) == telemetry.lookup.accepted, "\(name)")
        for (draft, accepted) in telemetry.accepted.enumerated() {
            #expect(fates.count { $0.draft == draft + 1 } == accepted, "\(name), draft \(draft + 1)")
        }
        #expect(fates.allSatisfy { ($0.source == .own) == ($0.draft == 0) }, "\(name)")
        let rejected = fates.compactMap(\.rejected)
        #expect(fates.allSatisfy { $0.rejected == nil || $0.source == .own }, "\(name)")
        for (draft, drafted) in telemetry.drafted.enumerated() {
            // Of a round's drafts the first that is wrong is rejected; those behind it fell with it.
            let before = draft == 0 ? drafted : telemetry.accepted[draft - 1]
            let count = rejected.count { $0.draft == draft + 1 }
            #expect(telemetry.accepted[draft] + count <= before, "\(name), draft \(draft + 1)")
            if draft == 0 { #expect(telemetry.accepted[0] + count == drafted, "\(name)") }
        }
        for (source, counts) in [
            (TokenSource.mtp, telemetry.modules), (.prediction, telemetry.prediction),
        ] {
            #expect(rejected.count { $0.source == source } <= counts.drafted - counts.accepted, "\(name), \(source)")
        }
    }

    @Test func tokensToLookUpHaveToExist() throws {
        let generator = try Generator(model: model, capacity: 64)
        for bad: Int32 in [-1, Int32(model.configuration.vocabularySize)] {
            var request = GenerationRequest(prompt: prompt)
            request.prediction = LookupBase([[5, bad]])
            #expect(throws: GenerationError.self) { try generator.generate(request) }
            request.prediction = nil
            request.bases = [LookupBase([[1]]), LookupBase([[2], [bad, 3]])]
            #expect(throws: GenerationError.self) { try generator.generate(request) }
        }
    }

    /// Nothing but the text is needed.
    @Test func lookedUpWithoutModules() throws {
        let generator = try Generator(model: model, capacity: 256, drafting: false)
        let reference = try run(generator, .off, sampling(0), tokens: 100, repeats: 4)
        for mode in [DraftMode.fixed(1), .fixed(15), .auto] {
            let result = try run(generator, mode, sampling(0), tokens: 100, repeats: 4)
            #expect(result.tokens == reference.tokens, "\(mode)")
            #expect(result.telemetry.lookup.accepted > 0 && result.telemetry.modules.drafted == 0, "\(mode)")
        }
        generator.clear()
        var request = GenerationRequest(prompt: prompt)
        request.sources = .mtp
        request.draft = .fixed(3)
        #expect(try generator.generate(request).telemetry.drafted.isEmpty)
    }

    @Test(arguments: [ResidentFormat.bf16, .int8, .int4, .expertsInt4])
    func everyResidentFormatAtEveryDraftLength(format: ResidentFormat) throws {
        let generator = try Generator(model: try Model.load(Fixtures.demoModel, format: format), capacity: 256)
        for setting in [sampling(0), sampling(0.8, seed: 3)] {
            let reference = try run(generator, .off, setting)
            for mode in Self.modes { #expect(try run(generator, mode, setting).tokens == reference.tokens, "\(mode)") }
        }
    }

    @Test func manySeedsAndAllAcceptanceCounts() throws {
        let generator = try Generator(model: model, capacity: 256)
        var acceptedAt = Set<Int>()
        for seed in 0..<40 as Range<UInt64> {
            let setting = sampling(0.9, seed: seed)
            let reference = try run(generator, .off, setting, tokens: 24)
            let drafted = try run(generator, .fixed(4), setting, tokens: 24)
            #expect(drafted.tokens == reference.tokens, "seed \(seed)")
            acceptedAt.formUnion(drafted.telemetry.accepted.indices.filter { drafted.telemetry.accepted[$0] > 0 })
        }
        #expect(acceptedAt == [0, 1, 2, 3], "some acceptance count never came up: \(acceptedAt)")
    }

    @Test func endsExactlyWhereAsked() throws {
        let generator = try Generator(model: model, capacity: 256)
        let reference = try run(generator, .off, sampling(0))
        for length in 1...12 {
            let limited = try run(generator, .fixed(4), sampling(0), tokens: length)
            #expect(limited.tokens == Array(reference.tokens.prefix(length)))
            #expect(limited.reason == .length)
            let stopped = try run(generator, .fixed(4), sampling(0), stopAfter: length)
            #expect(stopped.tokens == Array(reference.tokens.prefix(length)))
            #expect(stopped.reason == .stop)
        }
        // Stop tokens inside accepted runs.
        for index in 1..<24 {
            let token = reference.tokens[index]
            let first = reference.tokens.firstIndex(of: token)!
            let cut = try run(generator, .fixed(4), sampling(0), stopTokens: [token])
            #expect(cut.tokens == Array(reference.tokens.prefix(first + 1)))
        }
    }

    /// A turn that ends inside an accepted run must leave the same state as one without drafts: the next prompt is then
    /// cut the same way and gives the same bits.
    @Test(arguments: [3, 16, 17, 40])
    func aConversationGoesOnFromTheSameState(turn: Int) throws {
        let next = (0..<Int32(turn)).map { 300 + $0 * 7 }
        for stopAfter in 6...12 {
            var reference: [Int32] = []
            for mode in [DraftMode.off, .fixed(1), .fixed(4), .auto] {
                let generator = try Generator(model: model, capacity: 256)
                _ = try run(generator, mode, sampling(0), tokens: 40, stopAfter: stopAfter)
                var request = GenerationRequest(prompt: next)
                request.maximumTokens = 24
                request.draft = mode
                let result = try generator.generate(request)
                #expect(result.timings.promptCount == turn + 1, "the last answer's token and the turn")
                if mode == .off { reference = result.tokens }
                #expect(result.tokens == reference, "\(mode), stopped after \(stopAfter)")
            }
        }
    }

    @Test func draftingMayBeginInTheMiddle() throws {
        // Two modules: gaps in what the first has seen must not shift the second.
        let model = try Model.load(Fixtures.golden("bf16-plain"))
        let turns: [DraftMode] = [.off, .fixed(4), .auto, .fixed(8), .off, .fixed(2)]
        func conversation(_ modes: [DraftMode]) throws -> [[Int32]] {
            let generator = try Generator(model: model, capacity: 512)
            return try modes.enumerated().map { turn, mode in
                var request = GenerationRequest(prompt: [5, 17, 9, 200, 31])
                request.sources = DraftSources.allCases[turn % 3]
                request.maximumTokens = 48
                request.draft = mode
                return try generator.generate(request).tokens
            }
        }
        #expect(try conversation(turns) == conversation(.init(repeating: .off, count: turns.count)))
    }

    @Test func draftsNeverPassTheEndOfTheContext() throws {
        let generator = try Generator(model: model, capacity: prompt.count + 10)
        let reference = try run(generator, .off, sampling(0), tokens: 100)
        #expect(reference.tokens.count == 11)
        #expect(reference.reason == .length)
        #expect(try run(generator, .fixed(8), sampling(0), tokens: 100).tokens == reference.tokens)
    }

    @Test func badRequestsAreRefused() throws {
        let generator = try Generator(model: model, capacity: 20)
        #expect(throws: GenerationError.self) { try generator.generate(GenerationRequest(prompt: [])) }
        #expect(throws: GenerationError.self) { try generator.generate(GenerationRequest(prompt: [4096])) }
        #expect(throws: GenerationError.self) { try generator.generate(GenerationRequest(prompt: [-1])) }
        #expect(throws: GenerationError.self) {
            try generator.generate(GenerationRequest(prompt: .init(repeating: 5, count: 21)))
        }
        #expect(generator.contextCount == 0)
    }
}
