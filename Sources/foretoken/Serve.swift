import ArgumentParser
import ForetokenAPI
import ForetokenHardware
import ForetokenLaboratory
import ForetokenModel
import ForetokenPlacement
import ForetokenReport
import ForetokenServer
import ForetokenSpeculation
import ForetokenText
import ForetokenWeights
import Glibc

/// Answers OpenAI's and Anthropic's clients.
struct Serve: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Answers OpenAI's and Anthropic's clients over HTTP, many at once; has a chat page.",
        discussion: """
            The server listens at once and answers when the model is loaded. One line on standard output tells the address \
            then. SIGTERM or Ctrl-C lets requests under way end (--drain); a second ends the program at once. Keys may also \
            be given in $FORETOKEN_API_KEY. Requests that say nothing else are sampled at temperature 1.
            """)

    @OptionGroup(title: "Network") var network: NetworkFlags

    @Option(
        parsing: .unconditionalSingleValue,
        help: ArgumentHelp(
            "Name that requests may call the model by; the first is the one in answers (default: that of its folder). May be "
                + "repeated.", valueName: "name"))
    var servedModelName: [String] = []

    @Option(
        parsing: .unconditional,
        help: ArgumentHelp("Most texts at once; each gets the tokens it would get alone.", valueName: "n"))
    var parallel = Step.windowRows

    @Option(parsing: .unconditional, help: ArgumentHelp("Most texts that wait for room.", valueName: "n"))
    var maxQueue = 64

    @Option(
        parsing: .unconditional,
        help: ArgumentHelp(
            "Memory for beginnings of prompts, in chunks of 512 tokens, which later prompts of the same key need not read "
                + "again if they have all of a chunk and the token behind it; as 500M or 4G, 0 for none. A quarter of what "
                + "is left at most.", valueName: "size"))
    var cacheMemory = ByteCount(1 << 30)

    @Option(
        parsing: .unconditional,
        help: ArgumentHelp(
            "Share of time (above 0, up to 1) in which a prompt is read while other texts wait for their next token.",
            valueName: "s"))
    var chunkShare = 0.5

    @Option(
        parsing: .unconditional,
        help: ArgumentHelp(
            "Minutes after which the experts' placement on memory nodes is planned again from what the router did with the "
                + "clients' texts; experts are then moved between steps (default: never).", valueName: "minutes"))
    var tuneEvery: Double?

    @Option(
        parsing: .unconditional,
        help: ArgumentHelp("Seconds that requests under way may go on when the server is to end.", valueName: "s"))
    var drain = 30

    @OptionGroup(title: "Speculation") var draft: DraftFlags
    @OptionGroup(title: "Speculation") var fresh: FreshOddsFlag
    @OptionGroup(title: "Model") var model: ModelOptions

    /// Context when the user names none: caches for a large model's whole context would take tens of gigabytes.
    private static let defaultContext = 8192

    func validate() throws {
        if parallel < 1 { throw ValidationError("--parallel must be at least 1, not \(parallel)") }
        if maxQueue < 0 { throw ValidationError("--max-queue must be 0 or more, not \(maxQueue)") }
        if !(chunkShare > 0 && chunkShare <= 1) {
            throw ValidationError("--chunk-share must be above 0 and at most 1, not \(chunkShare)")
        }
        if let tuneEvery, !(tuneEvery > 0 && tuneEvery <= 1e6) {
            throw ValidationError("--tune-every must be above 0 minutes, not \(tuneEvery)")
        }
        if !(0...86400).contains(drain) { throw ValidationError("--drain must be 0...86400, not \(drain)") }
        if servedModelName.contains("") { throw ValidationError("--served-model-name must not be empty") }
    }

    func run() throws {
        // Requests' templates are rendered on other threads than the main one.
        try ThreadStacks.set(bytes: 2 * ProcessLimits.stackBytes)
        var settings = try network.settings()
        settings.mostWaiting = maxQueue
        settings.drainSeconds = Double(drain)
        let open = try OpenModel(model)
        try open.check(draft.draft, draft.draftSource)
        let context = min(try open.context(for: Self.defaultContext), open.configuration.maximumPositions)
        let isOpen = !settings.isLocal && settings.keys.isEmpty
        let server = Server(settings, version: Foretoken.configuration.version)
        let hasEnded = try server.run(
            listening: { port in
                if isOpen {
                    Console.warning("others than this machine may reach \(network.host), and no API key is set")
                }
                Console.note("listening on \(address(port)); loading the model")
            },
            ending: { count in
                if count > 0 {
                    Console.note(
                        "ending when the \(count) texts under way are answered, in \(drain) s at most; again: at once")
                }
            },
            exitAtOnce: { _exit(Status.interrupted) },
            runModel: { thread, port in
                try runModel(server.desk, thread, open, context: context) { try? announce(port) }
            })
        // Its thread is loading; nothing it has needs to be saved.
        if !hasEnded {
            HostSession.abandon(saying: "the server ends at once")
            _exit(Status.done)
        }
    }

    private func address(_ port: Int) -> String {
        let host = network.host.contains(":") ? "[\(network.host)]" : network.host
        return "http://\(host):\(port)"
    }

    private func announce(_ port: Int) throws {
        try StandardOutput.write("foretoken serves on \(address(port))\n")
    }

    /// Loads the model and answers; runs on the engine's thread.
    private func runModel(
        _ desk: Desk, _ thread: EngineThread, _ open: OpenModel, context: Int, ready: () -> Void
    ) throws {
        let session = HostSession.current
        let crew = try Crew.make(threads: open.settings.threads, sharers: HostSession.sharers)
        if tuneEvery != nil { try checkNodes(of: crew) }
        let hosts = session.map { SharedModel($0) }
        // Who asks in the seconds until the process ends is told.
        session?.beforeLoss {
            desk.drain()
            sleep(2)
        }
        if session != nil && tuneEvery != nil {
            throw InputError("--tune-every moves the experts of one host, not of several; leave it out")
        }
        let model = try open.load(contexts: [context], on: crew, hosts: hosts) { desk.setLoaded($0) }
        let engine = try open.makeServingEngine(
            model, context: context, parallel: parallel, drafting: draft.usesModules, chunkShare: chunkShare,
            cacheBytes: cacheMemory.bytes)
        describe(engine, model, drafting: draft.usesModules)
        let placement = try tuneEvery.map { try livePlacement(open, model, on: crew.machine, minutes: $0) }
        placement?.attach(to: engine)
        let memory = try DraftMemory.standard(open, model, engine.experience, draft, fresh)
        let served = ServedModel(
            open, names: names(open), context: context, base: base(open), created: time(nil),
            fingerprint: "foretoken-\(Foretoken.configuration.version)-\(model.instructionSet)-\(open.settings.weights)"
        )
        withExtendedLifetime(placement) {
            memory.during { desk.serve(served, on: engine, thread, ready: ready) }
        }
    }

    /// Refuses to move experts where there is nowhere to move them.
    private func checkNodes(of crew: Crew) throws {
        try crew.checkPlaces()
        guard crew.nodes.nodes.count > 1 else {
            throw InputError(
                "--tune-every moves experts between memory nodes, and this machine has one; leave it out")
        }
    }

    private func livePlacement(
        _ open: OpenModel, _ model: Model, on machine: PlacementMachine, minutes: Double
    ) throws -> LivePlacement {
        let header = try open.routingHeader()
        guard
            let description = try open.layout.placementModel(
                open.checkpoint, format: model.weights.format, besides: 0)
        else { throw InputError("\(open.checkpoint.label) has no routed experts: there is nothing to move") }
        return LivePlacement(
            model, description: description, machine: machine, header: header, .init(period: minutes * 60)
        ) { news in
            switch news {
            case .kept(let gain):
                Console.note(
                    "experts stay where they are: the best plan for the latest texts would make a step "
                        + "\(Format.percent(max(0, gain))) faster")
            case .moving(let policy, let gain):
                Console.note(
                    "moving experts by the plan \(policy): by the latest texts, a step becomes "
                        + "\(Format.percent(gain)) faster")
            case .moved(let bytes): Console.note("moved \(Format.bytes(bytes)) of experts")
            case .failed(let reason): Console.warning("experts stay where they are: \(reason)")
            }
        }
    }

    /// Says how much is kept of prompts where that is not what was asked for.
    private func describe(_ engine: Engine, _ model: Model, drafting: Bool) {
        let kept = engine.cachePages * model.pageBytes(cacheType: self.model.cacheType, drafting: drafting)
        let tokens = engine.cachePages * LatentPool.pagePositions / Step.chunkRows * Step.chunkRows
        guard tokens == 0 || kept < cacheMemory.bytes / 2, cacheMemory.bytes > 0 else { return }
        Console.warning(
            "--cache-memory \(cacheMemory.defaultValueDescription) "
                + (tokens == 0
                    ? "has no room for the 512 tokens of one beginning: none is kept"
                    : "is more than a quarter of what is left: \(kept >> 20) MiB, \(tokens) tokens, are kept"))
    }

    /// What answers call the model, and what requests may call it.
    private func names(_ open: OpenModel) -> [String] {
        let label = open.checkpoint.label
        return servedModelName.isEmpty ? [ModelFolder.name(of: label)] : servedModelName
    }

    private func base(_ open: OpenModel) -> AnswerSettings {
        var base = AnswerSettings(endTokens: open.endTokens)
        base.sampling.temperature = 1
        base.draft = draft.draft
        base.sources = draft.draftSource
        return base
    }
}
