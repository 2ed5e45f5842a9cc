import ForetokenModel
import ForetokenSpeculation
import ForetokenTestSupport
import Testing

/// A made-up grammar: which tokens may come follows from the tokens before.
struct MadeUpMask: TokenMask {
    /// About one token in so many is allowed.
    var divisor: Int32 = 7
    /// Complete, and over, after so many tokens; nil never.
    var end: Int?
    /// Allows nothing after so many tokens, without being complete.
    var deadEnd: Int?
    /// Refuses every token that it allows.
    var isBroken = false
    var wordCount = 64
    private(set) var count = 0
    private var state: Int32 = 3

    init(_ change: (inout MadeUpMask) -> Void = { _ in }) { change(&self) }

    var isComplete: Bool { count == end }

    func allows(_ token: Int32) -> Bool {
        count != end && count != deadEnd && (token &* 31 &+ state) % divisor == 0 && Int(token) < wordCount * 64
    }

    func mask(into words: UnsafeMutablePointer<UInt64>) {
        for word in 0..<wordCount {
            var bits: UInt64 = 0
            for bit in 0..<64 where allows(Int32(word * 64 + bit)) { bits |= 1 << UInt64(bit) }
            words[word] = bits
        }
    }

    mutating func advance(_ token: Int32) -> Bool {
        guard !isBroken && allows(token) else { return false }
        count += 1
        state = (state &* 5 &+ token) % 1000
        return true
    }
}

/// Proposes what it is told, whatever a mask says.
private final class Told: DraftSource {
    let token: (_ position: Int) -> Int32
    private(set) var proposals = 0

    init(_ token: @escaping (Int) -> Int32) { self.token = token }

    func begin(_ sessions: [Session]) {}
    func propose(_ sessions: [Session], made: Int, into drafts: inout [Draft]) {
        for session in sessions { drafts.append(Draft(token: token(session.sequence.count + made), lead: 1)) }
        proposals += sessions.count
    }
    func extend(_ sessions: [Session]) {}
    func take(_ session: Session, row: Int, count: Int, firstPosition: Int) {}
}

/// A mask decides which tokens may come, and drafts nothing at all.
@Suite(.serialized)
struct MaskTests {
    private let model: Model
    private let prompt: [Int32] = [0, 1043, 445, 1336, 517, 473, 386, 274, 3275, 15, 3878, 1035, 625, 477]

    init() throws { model = try Model.load(Fixtures.demoModel) }

    private func request(_ mask: MadeUpMask?, tokens: Int = 60, draft: DraftMode = .off) -> GenerationRequest {
        var request = GenerationRequest(prompt: prompt)
        request.maximumTokens = tokens
        request.draft = draft
        request.mask = mask
        request.logProbabilities = 2
        return request
    }

    private func generate(_ request: GenerationRequest, source: (any DraftSource)? = nil) throws -> GenerationResult {
        let generator = try Generator(model: model, capacity: 256)
        if let source { generator.source = source }
        return try generator.generate(request)
    }

    private func same(_ a: GenerationResult, _ b: GenerationResult) -> Bool {
        a.tokens == b.tokens && a.reason == b.reason
            && a.logProbabilities.map(\.logProbability) == b.logProbabilities.map(\.logProbability)
    }

    private func isAllowed(_ tokens: [Int32], _ mask: MadeUpMask) -> Bool {
        var mask = mask
        return tokens.allSatisfy { mask.advance($0) }
    }

    /// How tokens are drawn.
    enum Way: CaseIterable {
        case greedy, plain, nucleus, likeliest, penalised

        func set(_ options: inout SamplingOptions) {
            options.seed = 5
            if self != .greedy { options.temperature = 0.9 }
            switch self {
            case .greedy, .plain: break
            case .nucleus: options.topP = 0.8
            case .likeliest: options.topK = 40
            case .penalised:
                options.repetitionPenalty = 1.2
                options.frequencyPenalty = 0.4
                options.logitBias = [15: 4, 274: -100]
            }
        }
    }

    @Test(arguments: Way.allCases, [Int32(1), 2, 7, 600]) func draftsChangeNothing(way: Way, divisor: Int32) throws {
        let mask = MadeUpMask { $0.divisor = divisor }
        var plain = request(mask)
        way.set(&plain.sampling)
        let expected = try generate(plain)
        #expect(expected.tokens.count == 60 && isAllowed(expected.tokens, mask))
        if divisor == 1 {
            var free = plain
            free.mask = nil
            #expect(same(try generate(free), expected), "a mask that allows everything changes nothing")
        }
        for sources in DraftSources.allCases {
            for draft in [DraftMode.fixed(1), .fixed(4), .fixed(15), .auto] {
                var drafting = plain
                (drafting.draft, drafting.sources) = (draft, sources)
                drafting.prediction = LookupBase([expected.tokens.map { $0 % 9 == 0 ? 15 : $0 }])
                let found = try generate(drafting)
                #expect(same(found, expected), "\(sources), \(draft)")
                guard case .fixed = draft else { continue }
                #expect(found.telemetry.drafted[0] > 0, "\(sources), \(draft)")
            }
        }
    }

    /// Right drafts are accepted, wrong ones taken back, forbidden ones never get a row.
    @Test(arguments: [Float(0), 0.9], [1, 3, 8]) func plantedDraftsAreHeldToIt(temperature: Float, length: Int) throws {
        let mask = MadeUpMask()
        var plain = request(mask)
        plain.sampling.temperature = temperature
        let expected = try generate(plain)
        var drafting = plain
        drafting.draft = .fixed(length)
        drafting.sources = .mtp
        let answer = expected.tokens
        func right(_ position: Int) -> Int32 { position - prompt.count < 60 ? answer[position - prompt.count] : 0 }
        let good = try generate(drafting, source: Told(right))
        #expect(same(good, expected) && good.telemetry.accepted.reduce(0, +) >= 60 * length / (length + 1) - length)
        let mixed = try generate(drafting, source: Told { $0 % 3 == 0 ? right($0) ^ 1 : right($0) })
        #expect(same(mixed, expected) && mixed.telemetry.accepted.reduce(0, +) > 10)
        // Seven apart: allowed in the same places, but not what comes.
        let allowed = try generate(drafting, source: Told { right($0) >= 7 ? right($0) - 7 : right($0) + 7 })
        #expect(same(allowed, expected) && allowed.telemetry.drafted[0] > 30)
        #expect(allowed.telemetry.accepted.reduce(0, +) == 0)
        let forbidden = Told { right($0) + 1 }
        let none = try generate(drafting, source: forbidden)
        #expect(same(none, expected) && none.telemetry.drafted.reduce(0, +) == 0 && forbidden.proposals > 30)
    }

    @Test func logProbabilitiesAreTheModels() throws {
        let free = try generate(request(nil, tokens: 1))
        let masked = try generate(request(MadeUpMask { $0.divisor = 600 }, tokens: 1))
        #expect(free.tokens != masked.tokens)
        let (a, b) = (free.logProbabilities[0], masked.logProbabilities[0])
        #expect(zip(a.top, b.top).allSatisfy { $0 == $1 } && b.logProbability < a.logProbability)
    }

    @Test(arguments: [DraftMode.off, .fixed(1), .fixed(8), .auto]) func aCompleteTextEnds(draft: DraftMode) throws {
        for end in [1, 2, 9, 30] {
            let result = try generate(request(MadeUpMask { $0.end = end }, draft: draft))
            #expect(result.tokens.count == end && result.reason == .stop, "after \(end)")
        }
    }

    /// A mask that leads nowhere, or contradicts itself, fails its own request and no other.
    @Test(arguments: [DraftMode.off, .fixed(4), .auto]) func aMaskThatAllowsNothingFailsItsRequestAlone(
        draft: DraftMode
    ) throws {
        let masks: [(MadeUpMask, tokens: Int)] = [
            (MadeUpMask { $0.deadEnd = 0 }, 0), (MadeUpMask { $0.deadEnd = 5 }, 5),
            (MadeUpMask { $0.isBroken = true }, 1), (MadeUpMask { $0.wordCount = 0 }, 0),
        ]
        let engine = try Engine(model, Engine.Settings(context: 100))
        let plain = request(nil, tokens: 40, draft: draft)
        var outcomes: [Int: Engine.Outcome] = [:]
        var tokens = [Int](repeating: 0, count: masks.count)
        try engine.submit(plain) { outcomes[-1] = $0 }
        for (index, (mask, _)) in masks.enumerated() {
            try engine.submit(
                request(mask, tokens: 40, draft: draft),
                observe: { event in
                    if case .token = event { tokens[index] += 1 }
                    return .proceed
                }, completion: { outcomes[index] = $0 })
        }
        engine.run()
        #expect(try outcomes[-1]?.get().tokens == generate(plain).tokens)
        for index in masks.indices {
            let error = #expect(throws: GenerationError.self) { try outcomes[index]?.get() }
            #expect(error?.description.hasPrefix("no token may stand at position \(14 + masks[index].tokens)") == true)
            #expect(tokens[index] == masks[index].tokens)
        }
        #expect(engine.freePages == engine.pages)
    }

    /// Bans may leave nothing of what a mask allows.
    @Test func bansCountAsWell() throws {
        var request = request(MadeUpMask { $0.divisor = 600 })
        let first = MadeUpMask { $0.divisor = 600 }
        for token in 0..<4096 where first.allows(Int32(token)) { request.sampling.logitBias[token] = -100 }
        #expect(throws: GenerationError.self) { try generate(request) }
        request.sampling.temperature = 1
        #expect(throws: GenerationError.self) { try generate(request) }
    }

    @Test func tokensWithoutABitAreNotAllowed() throws {
        let result = try generate(
            request(
                MadeUpMask {
                    $0.wordCount = 3
                    $0.divisor = 2
                }, draft: .fixed(4)))
        #expect(result.tokens.count == 60 && result.tokens.allSatisfy { $0 < 192 })
    }

    @Test func inCompanyMasksKeepToTheirTexts() throws {
        let requests = (0..<6).map { index in
            var request = request(
                index % 3 == 0 ? nil : MadeUpMask { $0.divisor = Int32(2 + index) }, tokens: 30 + index,
                draft: [.fixed(2), .auto, .off][index % 3])
            request.sampling.temperature = index % 2 == 0 ? 0 : 0.8
            return request
        }
        let engine = try Engine(model, Engine.Settings(context: 100))
        var results: [Int: GenerationResult] = [:]
        for (index, request) in requests.enumerated() {
            try engine.submit(request) { results[index] = try? $0.get() }
        }
        engine.run()
        for (index, request) in requests.enumerated() {
            #expect(same(try #require(results[index]), try generate(request)), "text \(index)")
        }
    }
}
