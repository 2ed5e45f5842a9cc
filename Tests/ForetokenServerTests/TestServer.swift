import ForetokenAPI
import ForetokenModel
import ForetokenServer
import ForetokenSpeculation
import ForetokenText
import ForetokenTokenizer
import ForetokenWeights
import Synchronization

/// A server with the embedded model in this process.
struct TestServer: Sendable {
    /// How it is made.
    struct Options: Sendable {
        var settings = ServerSettings()
        var parallel = 16
        var context = 1024
        var draft = DraftMode.auto
        /// The chat template; nil for the embedded model's own.
        var template: String?
        /// Called on the engine's thread before the model is loaded.
        var beforeLoading: (@Sendable (Desk) -> Void)?
        /// Whether to wait for the model.
        var waitsForModel = true
    }

    let port: Int
    let server: Server
    private let life: Task<Void, any Error>

    /// Runs a server while `body` runs, and ends it in order.
    static func run<Result>(
        _ change: (inout Options) -> Void = { _ in }, _ body: (TestServer) async throws -> Result
    ) async throws -> Result {
        var options = Options()
        options.settings.port = 0
        options.settings.drainSeconds = 20
        change(&options)
        let server = try await TestServer(options)
        do {
            let result = try await body(server)
            try await server.end()
            return result
        } catch {
            try? await server.end()
            throw error
        }
    }

    private init(_ options: Options) async throws {
        let server = Server(options.settings, version: "test")
        self.server = server
        let (ports, found) = AsyncStream<Int>.makeStream()
        let (readies, ready) = AsyncStream<Void>.makeStream()
        life = Task {
            defer {
                found.finish()
                ready.finish()
            }
            try await server.serve(listening: { found.yield($0) }) { thread, _ in
                options.beforeLoading?(server.desk)
                try Self.runModel(server.desk, thread, options) { ready.yield() }
            }
        }
        var port: Int?
        for await number in ports {
            port = number
            break
        }
        if options.waitsForModel { for await _ in readies { break } }
        guard let port else {
            try await life.value
            throw ClientError(what: "the server ended at once")
        }
        self.port = port
    }

    private static func runModel(_ desk: Desk, _ thread: EngineThread, _ options: Options, ready: () -> Void) throws {
        var settings = ModelSettings()
        settings.chat = options.template.map { .template($0) }
        let open = try OpenModel(settings) { _ in }
        let crew = try Crew.make(threads: 1) { _ in }
        let model = try open.load(contexts: [options.context], on: crew)
        let engine = try open.makeServingEngine(
            model, context: options.context, parallel: options.parallel, drafting: true, chunkShare: 0.5,
            cacheBytes: 64 << 20)
        var base = AnswerSettings(endTokens: open.endTokens)
        base.sampling.temperature = 1
        base.draft = options.draft
        let served = ServedModel(
            open, names: ["demo", "gpt-x"], context: options.context, base: base, created: 5, fingerprint: "print")
        desk.serve(served, on: engine, thread, ready: ready)
    }

    /// Ends it and waits.
    func end() async throws {
        server.stop()
        try await life.value
    }

    /// Waits for its end.
    func wait() async throws { try await life.value }

    // MARK: Requests

    func chat(_ members: String, _ headers: [String: String] = [:]) async throws -> Response {
        try await ask(
            port, "POST", "/v1/chat/completions", headers,
            "{\"messages\":[{\"role\":\"user\",\"content\":\"Write a func.\"}],\(members)}")
    }

    func complete(_ members: String) async throws -> Response {
        try await ask(port, "POST", "/v1/completions", [:], "{\(members)}")
    }
}

/// The embedded model answering one text after the other, as `foretoken generate` does.
struct Alone: Sendable {
    struct Wanted: Sendable {
        var prompt: Prompt
        var change: @Sendable (inout AnswerSettings) -> Void
    }

    /// The answers, in a context of 1024 tokens.
    static func answers(_ wanted: [Wanted]) async throws -> [Answer] {
        try await blocking {
            let open = try OpenModel(ModelSettings()) { _ in }
            let model = try open.load(contexts: [1024], on: Crew.make(threads: 1) { _ in })
            let generator = try open.makeGenerator(model, context: 1024, drafting: true)
            return try wanted.map { one in
                var settings = AnswerSettings(endTokens: open.endTokens)
                settings.maximumTokens = 1024
                settings.sampling.temperature = 1
                one.change(&settings)
                generator.clear()
                return try generator.answer(try open.encode(one.prompt), settings, tokenizer: open.tokenizer) { _ in
                    true
                }
            }
        }
    }

    static func chat(_ text: String = "Write a func.", _ change: @escaping @Sendable (inout AnswerSettings) -> Void)
        async throws -> Answer
    {
        try await answers([Wanted(prompt: .chat(ChatPrompt([ChatMessage(.user, text)])), change: change)])[0]
    }
}
