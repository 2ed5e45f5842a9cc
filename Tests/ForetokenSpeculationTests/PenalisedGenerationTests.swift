import ForetokenModel
import ForetokenSpeculation
import ForetokenTestSupport
import Testing

/// Promise 1 under penalties and bias: drafts that are taken back leave no trace in what comes after.
@Suite(.serialized)
struct PenalisedGenerationTests {
    private let model: Model
    private let prompt: [Int32] = [0, 1043, 445, 1336, 517, 473, 386, 274, 3275, 15, 3878, 1035, 625, 477]
    static let modes: [DraftMode] = [.fixed(1), .fixed(2), .fixed(4), .fixed(8), .auto]

    init() throws { model = try Model.load(Fixtures.demoModel) }

    private func options(_ change: (inout SamplingOptions) -> Void) -> SamplingOptions {
        var options = SamplingOptions()
        change(&options)
        return options
    }

    private func request(
        _ sampling: SamplingOptions, _ draft: DraftMode = .off, prompt: [Int32]? = nil, tokens: Int = 64
    ) -> GenerationRequest {
        var request = GenerationRequest(prompt: prompt ?? self.prompt)
        request.draft = draft
        request.sampling = sampling
        request.maximumTokens = tokens
        return request
    }

    private func run(_ generator: Generator, _ request: GenerationRequest) throws -> GenerationResult {
        generator.clear()
        return try generator.generate(request)
    }

    private static let changes: [@Sendable (inout SamplingOptions) -> Void] = [
        { $0.repetitionPenalty = 1.3 }, { $0.repetitionPenalty = 0.8 }, { $0.presencePenalty = 1.2 },
        { $0.frequencyPenalty = 0.6 }, { $0.presencePenalty = -0.7 }, { $0.logitBias = [477: -100, 15: 2.5, 274: 6] },
        {
            $0.repetitionPenalty = 1.2
            $0.presencePenalty = 0.4
            $0.frequencyPenalty = 0.2
            $0.logitBias = [473: -3, 15: 1]
            $0.topK = 40
            $0.topP = 0.95
            $0.minP = 0.01
        },
    ]

    @Test(arguments: [Float(0), 0.8, 1.5])
    func sameTokensAtEveryDraftLength(temperature: Float) throws {
        let generator = try Generator(model: model, capacity: 256)
        var accepted = 0
        for (index, change) in Self.changes.enumerated() {
            var sampling = options(change)
            sampling.temperature = temperature
            sampling.seed = UInt64(index)
            let reference = try run(generator, request(sampling))
            #expect(reference.tokens.count == 64)
            for mode in Self.modes {
                let drafted = try run(generator, request(sampling, mode))
                #expect(drafted.tokens == reference.tokens, "setting \(index), \(mode)")
                accepted += drafted.telemetry.accepted.reduce(0, +)
            }
        }
        #expect(accepted > 200, "drafts must be accepted for this to mean anything")
    }

    @Test func penalisedTokensAreTheLargestByTheDefinition() throws {
        let generator = try Generator(model: model, capacity: 256)
        let sampling = options {
            $0.repetitionPenalty = 1.4
            $0.presencePenalty = 0.5
            $0.frequencyPenalty = 0.3
            $0.logitBias = [15: 1.5]
        }
        let output = try run(generator, request(sampling, .fixed(4), tokens: 32)).tokens
        let text = try SingleText(model, context: 256)
        text.run(prompt)
        for (index, token) in output.enumerated() {
            if index > 0 { text.run([output[index - 1]]) }
            text.computeLogits(first: index > 0 ? 0 : prompt.count - 1, count: 1)
            let seen = Set(prompt + output.prefix(index))
            let adjusted = text.logits(row: 0).enumerated().map { id, logit in
                var value = logit
                if seen.contains(Int32(id)) { value = value > 0 ? value / 1.4 : value * 1.4 }
                let count = output.prefix(index).count { $0 == id }
                if count > 0 { value -= 0.5 + 0.3 * Float(count) }
                return id == 15 ? value + 1.5 : value
            }
            #expect(adjusted[Int(token)] == adjusted.max(), "token \(index)")
        }
    }

    @Test(arguments: [DraftMode.off, .fixed(4)])
    func aStrongRepetitionPenaltyEndsLoops(draft: DraftMode) throws {
        let generator = try Generator(model: model, capacity: 512)
        let looping = try run(generator, request(SamplingOptions(), draft, tokens: 200)).tokens
        #expect(Set(looping).count < 200)
        let strong = try run(generator, request(options { $0.repetitionPenalty = 1e6 }, draft, tokens: 200)).tokens
        #expect(Set(strong + prompt).count == 200 + prompt.count, "no token comes twice, nor from the prompt")
    }

    @Test func presenceAndFrequencyCountOnlyTheRequestsOutput() throws {
        let generator = try Generator(model: model, capacity: 512)
        let turn: [Int32] = [300, 307, 314]
        func second(_ sampling: SamplingOptions) throws -> [Int32] {
            _ = try run(generator, request(SamplingOptions(), tokens: 40))
            return try generator.generate(request(sampling, prompt: turn, tokens: 12)).tokens
        }
        let plain = try second(SamplingOptions())
        let strong = try second(
            options {
                $0.presencePenalty = 100
                $0.frequencyPenalty = 100
            })
        let distinct = plain.indices.first { plain[..<$0].contains(plain[$0]) } ?? plain.count
        #expect(strong.prefix(distinct) == plain.prefix(distinct), "earlier turns and prompts do not count")
        #expect(Set(strong).count == 12)
        let repetition = try second(options { $0.repetitionPenalty = 1e6 })
        let first = try run(generator, request(SamplingOptions(), tokens: 40)).tokens
        #expect(Set(repetition).isDisjoint(with: prompt + first + turn), "for repetition they do")
    }

    @Test func conversationsGoOnTheSame() throws {
        let sampling = options {
            $0.temperature = 0.8
            $0.repetitionPenalty = 1.15
            $0.frequencyPenalty = 0.2
        }
        func conversation(_ modes: [DraftMode]) throws -> [[Int32]] {
            let generator = try Generator(model: model, capacity: 512)
            return try modes.enumerated().map { turn, mode in
                try generator.generate(
                    request(sampling, mode, prompt: (0..<7).map { 300 + 11 * $0 + Int32(turn) }, tokens: 40)
                ).tokens
            }
        }
        let reference = try conversation(.init(repeating: .off, count: 5))
        for mode in Self.modes { #expect(try conversation(.init(repeating: mode, count: 5)) == reference, "\(mode)") }
        #expect(try conversation([.fixed(8), .off, .auto, .fixed(2), .fixed(4)]) == reference)
    }

    @Test func stopsInsideAcceptedRuns() throws {
        let generator = try Generator(model: model, capacity: 256)
        let sampling = options { $0.frequencyPenalty = 0.4 }
        let reference = try run(generator, request(sampling))
        for index in 1..<30 {
            let token = reference.tokens[index]
            let first = reference.tokens.firstIndex(of: token)!
            var stopping = request(sampling, .fixed(4))
            stopping.stopTokens = [token]
            let cut = try run(generator, stopping)
            #expect(cut.tokens == Array(reference.tokens.prefix(first + 1)))
            #expect(cut.reason == .stop)
        }
    }

    @Test func biasesBanAndForce() throws {
        let generator = try Generator(model: model, capacity: 256)
        let plain = try run(generator, request(SamplingOptions(), tokens: 30)).tokens
        let bans = options { $0.logitBias = Dictionary(plain.map { (Int($0), -100) }) { first, _ in first } }
        let other = try run(generator, request(bans, .fixed(4), tokens: 30)).tokens
        #expect(other.count == 30 && Set(other).isDisjoint(with: plain))
        let forced = try run(generator, request(options { $0.logitBias = [99: 100] }, .fixed(4), tokens: 10)).tokens
        #expect(forced == .init(repeating: 99, count: 10))
    }

    /// Biases so large that they decide alone, and a penalty that takes each away after its first use: only drafts that
    /// count the drafts before them go down the list with the verifier.
    @Test func draftsArePenalisedForTheDraftsBeforeThem() throws {
        let generator = try Generator(model: model, capacity: 256)
        let sampling = options {
            $0.presencePenalty = 100
            $0.logitBias = [700: 100, 800: 80, 900: 60, 1000: 40]
        }
        let result = try run(generator, request(sampling, .fixed(3), tokens: 5))
        #expect(result.tokens.prefix(4) == [700, 800, 900, 1000])
        #expect(result.telemetry.rounds == 1)
        #expect(result.telemetry.accepted == [1, 1, 1])
    }

    /// A text that ends on an accepted draft: no verifier's token follows it, and the drafts behind it meet no verdict.
    @Test func draftsBehindTheEndAreNotCounted() throws {
        let generator = try Generator(model: model, capacity: 256)
        var ending = request(
            options {
                $0.presencePenalty = 100
                $0.logitBias = [700: 100, 800: 80, 900: 60, 1000: 40]
            }, .fixed(3), tokens: 5)
        ending.stopTokens = [900]
        let result = try run(generator, ending)
        #expect(result.tokens == [700, 800, 900] && result.reason == .stop)
        #expect(result.telemetry.rounds == 1)
        #expect(result.telemetry.drafted == [1, 1] && result.telemetry.accepted == [1, 1])
        #expect(result.telemetry.tokensPerRound == 2)
    }

    @Test func badSettingsAreRefused() throws {
        let generator = try Generator(model: model, capacity: 64, drawable: 10)
        let settings = [
            options { $0.repetitionPenalty = 0 }, options { $0.presencePenalty = .nan },
            options { $0.logitBias = [4096: 1] }, options { $0.logitBias = [-1: 1] },
            options { $0.logitBias = [3_000_000_000: 1] }, options { $0.logitBias = [5: 101] },
            options { $0.logitBias = Dictionary(uniqueKeysWithValues: (0..<10).map { ($0, -100) }) },
        ]
        for sampling in settings {
            #expect(throws: GenerationError.self) { try generator.generate(request(sampling)) }
        }
        for count in [-1, 21] {
            var request = request(SamplingOptions())
            request.logProbabilities = count
            #expect(throws: GenerationError.self) { try generator.generate(request) }
        }
        #expect(generator.contextCount == 0)
    }
}
