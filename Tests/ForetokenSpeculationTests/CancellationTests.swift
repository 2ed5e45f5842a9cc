import Dispatch
import ForetokenModel
import ForetokenSpeculation
import ForetokenTestSupport
import Glibc
import Testing

/// What is given up from outside ends within a slice of a prompt's chunk or a window, and gives its pages back.
@Suite(.serialized)
struct CancellationTests {
    private let model: Model
    private static let text: [Int32] = [0, 1043, 445, 1336, 517, 473, 386, 274, 3275, 15, 3878, 1035, 625, 477]

    init() throws { model = try Model.load(Fixtures.demoModel) }

    private func request(_ length: Int, tokens: Int) -> GenerationRequest {
        var request = GenerationRequest(prompt: (0..<length).map { Self.text[$0 * 5 % Self.text.count] })
        request.maximumTokens = tokens
        request.cancellation = Cancellation()
        return request
    }

    /// Alone, too, and asked from another thread.
    @Test(arguments: [2, 7, 30]) func aChunkEndsInItsMidst(event: Int) throws {
        let engine = try Engine(model, Engine.Settings(context: 1100))
        let request = request(1024, tokens: 20)
        let cancellation = try #require(request.cancellation)
        var (events, outcome): (Int, Engine.Outcome?) = (0, nil)
        try engine.submit(
            request,
            observe: { _ in
                events += 1
                if events == event {
                    // A thread of its own: those of tasks may all be busy with tests that wait, as this one does.
                    DispatchQueue(label: "another thread").async { cancellation.request() }
                    while !cancellation.isRequested { usleep(100) }
                }
                return .proceed
            }, completion: { outcome = $0 })
        engine.run()
        #expect(events == event, "the slice after it is the last")
        let result = try #require(try outcome?.get())
        #expect(result.reason == .cancelled && result.tokens.isEmpty && result.timings.promptCount < 1024)
        #expect(engine.freePages == engine.pages)
    }

    /// Where nobody can give it up, a chunk is not divided.
    @Test func whatCannotBeGivenUpIsReadWhole() throws {
        let engine = try Engine(model, Engine.Settings(context: 1100))
        var request = request(1024, tokens: 1)
        request.cancellation = nil
        var events = 0
        try engine.submit(
            request,
            observe: { event in
                if case .prompt = event { events += 1 }
                return .proceed
            }, completion: { _ in })
        engine.run()
        #expect(events == 2)
    }

    /// Whoever is given up while another's chunk is read: pages come back, and requests that wait are told, before its end.
    @Test(arguments: [0.05, 1]) func othersNeedNotWaitForAPrompt(chunkShare: Double) throws {
        var settings = Engine.Settings(context: 1100)
        settings.parallel = 2
        settings.chunkShare = chunkShare
        let engine = try Engine(model, settings)
        let long = request(1024, tokens: 4)
        let (beside, waiting) = (request(14, tokens: 1000), request(14, tokens: 4))
        var outcomes: [Int: Engine.Outcome] = [:]
        var (events, free, tokens) = (0, 0, [Int32]())
        try engine.submit(beside, completion: { outcomes[0] = $0 })
        try engine.submit(
            long,
            observe: { event in
                if case .token(let token, _, _) = event {
                    tokens.append(token)
                    return .proceed
                }
                events += 1
                if events == 3 {
                    free = engine.freePages
                    beside.cancellation?.request()
                    waiting.cancellation?.request()
                }
                if events == 5 {
                    #expect(outcomes.count == 2 && engine.freePages > free)
                    #expect(throws: CancellationError.self) { try outcomes[2]?.get() }
                }
                return .proceed
            }, completion: { outcomes[1] = $0 })
        try engine.submit(waiting, completion: { outcomes[2] = $0 })
        engine.run()
        #expect(events > 20 && outcomes.count == 3)
        #expect(try outcomes[0]?.get().reason == .cancelled)
        #expect(try tokens == Generator(model: model, capacity: 1100).generate(long).tokens)
        #expect(engine.freePages == engine.pages)
    }

    /// One of several texts goes before the next window; the others' tokens are what they would have been.
    @Test func aTextEndsBetweenWindows() throws {
        let engine = try Engine(model, Engine.Settings(context: 100))
        let requests = (0..<3).map { request(5 + $0, tokens: 40) }
        var outcomes: [Int: Engine.Outcome] = [:]
        var seen = 0
        for (index, request) in requests.enumerated() {
            try engine.submit(
                request,
                observe: { event in
                    guard index == 2, case .token = event else { return .proceed }
                    seen += 1
                    if seen == 10 { requests[1].cancellation?.request() }
                    return .proceed
                }, completion: { outcomes[index] = $0 })
        }
        engine.run()
        let given = try #require(try outcomes[1]?.get())
        #expect(given.reason == .cancelled && 5..<40 ~= given.tokens.count)
        for index in 0..<3 {
            var request = requests[index]
            request.cancellation = nil
            let alone = try Generator(model: model, capacity: 100).generate(request)
            let count = index == 1 ? given.tokens.count : 40
            #expect(try outcomes[index]?.get().tokens == Array(alone.tokens.prefix(count)))
        }
    }

    @Test func aGeneratorHeedsItToo() throws {
        let generator = try Generator(model: model, capacity: 1100)
        for event in [1, 9, 70] {
            var events = 0
            let request = request(600, tokens: 100)
            let result = try generator.generate(request) { _ in
                events += 1
                if events == event { request.cancellation?.request() }
                return .proceed
            }
            #expect(result.reason == .cancelled && events < event + 17)
            generator.clear()
        }
    }
}
