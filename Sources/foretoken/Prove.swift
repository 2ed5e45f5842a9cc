import ArgumentParser
import ForetokenHardware
import ForetokenLaboratory
import ForetokenModel
import ForetokenReport
import ForetokenText
import ForetokenTokenizer
import ForetokenWeights
import Glibc

/// Shows on the user's own machine and model that speculation changes nothing.
struct Prove: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Proves that speculation, threads and step widths change no token and no bit.",
        discussion: """
            Generates the same texts with speculation off and then in every way that must not matter, and compares the \
            tokens and the bits of everything computed. Exits with 1 at a difference and shows where it began.
            """)

    @Flag(help: "Tries the most telling ways only, with fewer tokens.")
    var quick = false

    @Option(
        name: .customLong("prompt"),
        help: ArgumentHelp("A text to prove it on, instead of the built-in ones.", valueName: "prompt"))
    var promptOption: String?
    @OptionGroup var promptAlias: ShortPromptAlias

    @Option(help: ArgumentHelp("Reads that text from a file; - is standard input.", valueName: "f"))
    var promptFile: String?

    @Option(help: ArgumentHelp("Token ids to prove it on, as they are.", valueName: "1,2,3"))
    var promptTokens: String?

    @Option(
        name: .customLong("max-tokens"),
        help: ArgumentHelp("Tokens to generate in each run (default: 64, or 24 with --quick).", valueName: "n"))
    var givenMaxTokens: Int?
    @OptionGroup var maxTokensAlias: MaxTokensAlias

    @Option(help: "Decides the noise, and which planted drafts are wrong.")
    var seed: UInt64 = 0

    @OptionGroup(title: "Model") var model: ModelOptions

    @Flag(help: "Prints one JSON object.")
    var json = false

    var prompt: String? { Alias.value(promptOption, promptAlias.values) }
    var maxTokens: Int? { Alias.value(givenMaxTokens, maxTokensAlias.values) }

    func validate() throws {
        try promptAlias.check(promptOption)
        try maxTokensAlias.check(givenMaxTokens)
        let count = [prompt, promptFile, promptTokens].count { $0 != nil }
        guard count <= 1 else {
            throw ValidationError(
                "give at most one of --prompt, --prompt-file and --prompt-tokens (found \(count))")
        }
        if let maxTokens, maxTokens < 1 { throw ValidationError("--max-tokens must be at least 1, not \(maxTokens)") }
    }

    func run() throws {
        let given = try givenPrompt()
        let open = try OpenModel(model)
        var settings = try settings(open, given)
        let (weights, others) = try load(open, &settings)
        let report = try prove(open, weights, others, settings)
        if json {
            try StandardOutput.write(JSONOutput.line(report))
        } else {
            try StandardOutput.write(StandardOutput.page(report.text))
        }
        if report.proof.isPartial { throw Interrupted() }
        if report.proof.divergence != nil { throw ExitCode(Status.other) }
    }

    private func givenPrompt() throws -> Prompt? {
        if let promptTokens { return .tokens(try TokenList.parse(promptTokens, option: "--prompt-tokens")) }
        if let promptFile { return .text(try InputFile.text(promptFile, for: .prompt)) }
        return prompt.map(Prompt.text)
    }

    private static let leastContext = 64

    private func settings(_ open: OpenModel, _ given: Prompt?) throws -> ProofSettings {
        let limit = open.contextLimit
        guard limit >= Self.leastContext else {
            throw InputError(
                "prove needs a context of \(Self.leastContext) tokens or more, but that of \(open.checkpoint.label) holds "
                    + "\(limit)")
        }
        let tokens = maxTokens ?? min(quick ? 24 : 64, limit / 4)
        let room = limit - min(tokens, limit) - ProofSettings.reserve
        let ids = try given.map { try open.encode($0) }
        if room < max(1, ids?.count ?? 0) {
            throw InputError(
                "a prompt of \(ids?.count ?? 1) tokens, \(tokens) generated ones and \(ProofSettings.reserve) of a second "
                    + "turn exceed the context of \(open.checkpoint.label), which holds \(limit); shorten the prompt or "
                    + "lower --max-tokens")
        }
        let prompts = try ids.map(ProvePrompts.given) ?? ProvePrompts.builtIn(open, seed: seed)
        var settings = ProofSettings(
            prompts: prompts.map { ProofPrompt(name: $0.name, tokens: Array($0.tokens.prefix(room))) })
        settings.maximumTokens = tokens
        // Says whether --context exceeds what the model allows.
        _ = try open.context(for: settings.positions)
        settings.seed = seed
        settings.isQuick = quick
        settings.cacheType = model.cacheType
        settings.drawable = open.tokenizer?.vocabularyCount
        return settings
    }

    /// The weights alone: the prover makes its own workers, one pool after the other.
    private func load(
        _ open: OpenModel, _ settings: inout ProofSettings
    ) throws -> (ModelWeights, OtherHosts?) {
        let model = try open.load(contexts: settings.texts)
        settings.instructionSet = model.instructionSet
        settings.threads = model.pool.workerCount
        return (model.weights, model.others)
    }

    private func prove(
        _ open: OpenModel, _ weights: ModelWeights, _ others: OtherHosts?, _ settings: ProofSettings
    ) throws -> ProveReport {
        let label = open.checkpoint.label
        let prover = Prover(
            weights: weights, settings: settings, loadPlaced: try placedLoader(open, weights, settings)
        ) { try Crew.make(threads: $0, sharers: HostSession.sharers, warns: false).pool }
        prover.others = others
        Console.note(
            "\(Format.grouped(prover.plannedRuns)) runs, those that others are compared with among them, of at most "
                + "\(Format.grouped(prover.plannedSteps)) steps in all on \(label); \(count(settings.threads, "thread")), "
                + settings.instructionSet)
        let bar = ProgressBar("proving", delayNanoseconds: 300_000_000, terminal: Console.terminal)
        let started = MonotonicClock.now
        let proof = try prover.prove { progress in
            bar.update(progress.fraction) { seconds in
                let left = seconds * (1 - progress.fraction) / max(progress.fraction, 1e-6)
                return "\(Format.duration(nanoseconds: Int64(min(left, 1e9) * 1e9))) left  \(progress.title)"
            }
            return !Interrupts.requested
        }
        bar.clear()
        return ProveReport(
            proof: proof, settings: settings, model: label, nanoseconds: MonotonicClock.now - started)
    }

    /// Weights that a quick proof still loads a second time.
    private static let quickCopyBytes = 1 << 30

    /// Loads the weights again, cut for made-up nodes; nil where that would take too much memory or time.
    private func placedLoader(
        _ open: OpenModel, _ weights: ModelWeights, _ settings: ProofSettings
    ) throws -> ((NodeLayout) throws -> ModelWeights)? {
        let room = MemoryBudget.read().available ?? .max
        guard !weights.host.isPart, weights.byteCount < room / 2, !quick || weights.byteCount <= Self.quickCopyBytes
        else { return nil }
        return { nodes in
            let pool = try WorkerPool(threads: settings.threads)
            return try ModelWeights(
                checkpoint: open.checkpoint, layout: open.layout, pool: pool, format: weights.format, nodes: nodes)
        }
    }
}
