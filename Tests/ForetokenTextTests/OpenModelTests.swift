import ForetokenHardware
import ForetokenPlacement
import ForetokenSpeculation
import ForetokenTestSupport
import ForetokenText
import ForetokenTokenizer
import ForetokenWeights
import Synchronization
import Testing

/// What was told, from whichever thread.
private final class Told: Sendable {
    private let list = Mutex<[Notice]>([])

    var notices: [Notice] { list.withLock { $0 } }

    func take(_ notice: Notice) { list.withLock { $0.append(notice) } }
}

@Suite struct OpenModelTests {
    private let told = Told()

    private func open(_ change: (inout ModelSettings) -> Void = { _ in }) throws -> OpenModel {
        var settings = ModelSettings()
        change(&settings)
        let told = told
        return try OpenModel(settings) { told.take($0) }
    }

    @Test func settingsThatDoNotFitAreRefused() throws {
        let open = try open()
        let good = AnswerSettings(endTokens: open.endTokens)
        try open.check(good)
        func refuses(_ error: any Error.Type, _ change: (inout AnswerSettings) -> Void) {
            var settings = good
            change(&settings)
            do {
                try open.check(settings)
                Issue.record("these settings are wrong: \(settings)")
            } catch let found {
                #expect(type(of: found) == error, "\(found)")
            }
        }
        refuses(InputError.self) { $0.maximumTokens = 0 }
        refuses(InputError.self) { $0.stopStrings = ["a", ""] }
        refuses(InputError.self) { $0.logProbabilities = 21 }
        refuses(InputError.self) { $0.sampling.logitBias = [1 << 30: 1] }
        refuses(SettingsError.self) { $0.sampling.temperature = -1 }
        refuses(SettingsError.self) { $0.sampling.topP = 0 }
        #expect(throws: InputError.self) { try open.stopTokens([1, 1 << 30]) }
        #expect(throws: InputError.self) { try open.encode(.text("")) }
        #expect(throws: InputError.self) { try open.encode(.tokens([1, -1])) }
    }

    @Test func theContextIsNeverLargerThanAllowed() throws {
        let whole = try open()
        let most = whole.configuration.maximumPositions
        #expect(try whole.context(for: 10, and: 5) == 15)
        #expect(try whole.context(for: 10, and: .max) == most)
        let cut = try open { $0.context = 40 }
        #expect(try cut.context(for: 10) == 40 && cut.contextLimit == 40)
        #expect(throws: InputError.self) { try cut.check([Int32](repeating: 5, count: 41)) }
        #expect(throws: InputError.self) { try open { $0.context = most + 1 }.context(for: 1) }
    }

    @Test func aFormatThatIsAskedForIsCheckedAtOnceAndUsed() throws {
        let prompt = Prompt.chat(ChatPrompt([ChatMessage(.user, "Hi")]))
        let own = try open().tokens(of: prompt)
        let template = "{{ bos_token }}{% for message in messages %}say {{ message['content'] }}{% endfor %}"
        let other = try open { $0.chat = .template(template) }
        #expect(try other.tokens(of: prompt) == (try other.tokens(of: .text("say Hi"))))
        #expect(try other.tokens(of: prompt) != own)
        #expect(throws: TokenizerError.self) { try open { $0.chat = .template("{% if %}") } }
    }

    @Test func aPlanThatIsNoneIsRefused() throws {
        let open = try open { $0.plan = .init(name: "plan.json", bytes: Array("{}".utf8)) }
        let crew = try Crew.make(threads: 1) { _ in }
        #expect { try open.load(contexts: [16], on: crew) } throws: { "\($0)".contains("plan.json") }
    }

    @Test func loadingTellsHowFarItIs() throws {
        let open = try open()
        let told = told
        let crew = try Crew.make(threads: 1) { _ in }
        _ = try open.load(contexts: [16], on: crew) { told.take(.note("\($0)")) }
        let fractions = told.notices.compactMap { Double($0.text) }
        #expect(fractions.last == 1 && fractions == fractions.sorted())
    }

    @Test func moreThreadsThanCPUsAreToldOf() throws {
        var notices: [Notice] = []
        let crew = try Crew.make(threads: 1000) { notices.append($0) }
        #expect(crew.pool.workerCount == 1000)
        #expect(notices.contains { $0.kind == .warning && $0.text.contains("1000 threads share") })
    }

    @Test func linesThatHoldNoPromptKeepTheirPlaces() throws {
        let open = try open()
        let lines = [
            #"{"id": 7, "prompt": "a", "mine": 1}"#, " \t", #"{"id": "x", "prompt": 5}"#, "nonsense",
            #"{"prompt": "b", "mine": 2, "temperature": 0.5, "logit_bias": {"3": 1}}"#,
        ].enumerated().map { (number: $0 + 1, bytes: Array($1.utf8)) }
        var base = AnswerSettings(endTokens: [1])
        base.sampling.seed = 9
        base.sampling.logitBias = [4: 2]
        let batch = try PromptBatch(lines, of: "f", open, style: PromptStyle(format: .raw), base: base)
        #expect(batch.jobs.map(\.line) == [1, 5])
        #expect(batch.failures.map { $0?.line } == [nil, 3, 4, nil])
        #expect(batch.jobs[0].settings.sampling == base.sampling)
        #expect(batch.jobs[1].settings.sampling.temperature == 0.5 && batch.jobs[1].settings.sampling.seed == 9)
        #expect(batch.jobs[1].settings.sampling.logitBias == [3: 1], "biases are replaced as a whole")
        #expect(told.notices == [.warning("f, line 1: the key \"mine\" is unknown and ignored")], "once")
        #expect(throws: InputError.self) {
            try PromptBatch([], of: "f", open, style: PromptStyle(format: .raw), base: base)
        }
    }
}
