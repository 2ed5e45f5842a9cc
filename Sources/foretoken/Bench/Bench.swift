import ArgumentParser
import ForetokenHardware
import ForetokenLaboratory
import ForetokenModel
import ForetokenPlacement
import ForetokenReport
import ForetokenText
import ForetokenTokenizer
import ForetokenWeights
import Glibc

/// Measures speed on this machine.
struct Bench: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Measures the speed of steps, rounds and prompts on this machine, beside its roofs.",
        discussion: """
            Steps are those of real text: the built-in suite's prompts, continued greedily. With --shape a part of a model \
            is made in memory at true dimensions, and the speed and memory of the whole are projected, also for steps of \
            several rows, whose time depends on how many experts they share: --overlap says what to measure with, and the \
            projection shows the others beside it. inspect --shapes lists what is known by name. With --contexts steps and \
            a prompt's next tokens are timed behind long texts, whose latents are made up with --shape and read otherwise. \
            All measurements take turns, so \
            that noise hits all alike; figures are medians. Interrupted, it reports what it has measured so far; \
            --perplexity comes first and is all or nothing.

            With --numa the machine's memory nodes are measured instead of a model: how fast the CPUs of each node read \
            the memory of each, by themselves and all nodes at once. The figures are kept for plans, in \
            $XDG_CACHE_HOME/foretoken or ~/.cache/foretoken, and shown again until --fresh. --json then prints \
            "fingerprint", "cpu_nodes", "threads", "memory", "read" and "latency" ([CPU node][memory node], each null or \
            {"best", "worst", "readings"} in bytes a second or nanoseconds), "together" (by memory node), "tiers" \
            (memory-only nodes and their readers), "remarks", "measured_at" (seconds since 1970), "cached" and "disturbed". \
            Readings during which other programs used the machine are made again; a figure that cannot be repeated is null \
            ("not known"), and nothing is kept then.

            With --serve a server is asked as its clients ask it: speed and latency at several numbers of requests at once, \
            whether each answer is that of the same request alone, the first token of a prompt whose beginning is cached, \
            others' long prompts beside a stream, clients that go, more requests than it takes. Tokens are counted by the \
            server. A key is taken from $FORETOKEN_API_KEY. --json then prints "address", "server", "levels" \
            (by "concurrency"), "prefix", "stall", "cancel", "overload", "soak", "left_out" (trials that could not be made, \
            and why); times are in milliseconds.
            """)

    @Option(
        help: ArgumentHelp(
            "Makes weights in memory instead of reading them: those of \(SyntheticShape.names.joined(separator: ", ")), "
                + "or of the path of a config.json.", valueName: "name|f"))
    var shape: String?

    @Option(
        parsing: .unconditional,
        help: ArgumentHelp("MoE layers to make with --shape, behind one dense layer (default: 1).", valueName: "n"))
    var layers: Int?

    @Flag(name: .customLong("no-mtp"), help: "Makes no MTP module with --shape.")
    var withoutMTP = false

    @Option(
        parsing: .unconditional,
        help: ArgumentHelp(
            "Measures steps and prompts behind so many tokens instead of short texts, prompts and several texts at once.",
            valueName: "8k,32k,128k"),
        transform: { try TokenCounts.parse($0, option: "--contexts") })
    var contexts: TokenCounts?

    @Option(
        help: ArgumentHelp(
            "With --shape: how much rows share experts: as in a published trace of DeepSeek-R1, not at all, or as in a "
                + "routing trace (default: r1 for 8 of 256 experts).",
            valueName: "r1|uniform|f"))
    var overlap: String?

    @Option(
        parsing: .unconditional,
        help: ArgumentHelp(
            "Seconds to measure for (default: 20); everything is measured once at least.", valueName: "s"))
    var seconds: Double?

    @Flag(help: "Also loads the model in every resident format (--weights) and scores the suite's text with it.")
    var perplexity = false

    @Flag(help: "Measures bandwidth and latency between the machine's memory nodes instead.")
    var numa = false

    @Flag(help: "With --numa: measures anew instead of showing the figures of an earlier run.")
    var fresh = false

    @Option(help: ArgumentHelp("With --numa: writes a description of this machine for --topology.", valueName: "file"))
    var topologyOut: String?

    @OptionGroup(title: "Server") var load: LoadFlags

    @OptionGroup(title: "Model") var model: ModelOptions

    @Flag(help: "Prints one JSON object.")
    var json = false

    private static let usualSeconds = 20.0

    func validate() throws {
        if load.serve != nil {
            guard shape == nil, layers == nil, overlap == nil, !withoutMTP, !perplexity, !model.isChosen, !numa,
                seconds == nil, contexts == nil
            else {
                throw ValidationError("--serve measures a server: it takes no model, --shape, --numa or --seconds")
            }
        }
        if numa {
            guard shape == nil, layers == nil, overlap == nil, !withoutMTP, !perplexity, !model.isChosen,
                contexts == nil
            else {
                throw ValidationError("--numa measures the machine: it takes no model, --shape or --perplexity")
            }
        } else if fresh || topologyOut != nil {
            throw ValidationError("--fresh and --topology-out need --numa")
        }
        if let seconds, !(seconds.isFinite && seconds > 0) {
            throw ValidationError("--seconds must be more than 0, not \(seconds)")
        }
        if shape != nil && model.model != nil { throw ValidationError("give --shape or --model, not both") }
        if shape == nil && (layers != nil || withoutMTP || overlap != nil) {
            throw ValidationError("--layers, --no-mtp and --overlap need --shape")
        }
        if perplexity && shape != nil { throw ValidationError("--perplexity needs trained weights, not --shape") }
        if let layers, !(1...1000).contains(layers) {
            throw ValidationError("--layers must be 1...1000, not \(layers)")
        }
    }

    func run() throws {
        if let url = load.serve { return try ServerBench(url: url, flags: load, json: json).run() }
        let seconds = seconds ?? Self.usualSeconds
        guard !numa else {
            return try NumaBench(seconds: seconds, isFresh: fresh, topologyOut: topologyOut, json: json).run()
        }
        let (open, shape) = try open()
        for remark in shape?.remarks ?? [] { Console.note("\(shape!.name): \(remark)") }
        var plan = BenchPlan()
        plan.seconds = seconds
        plan.shape = shape
        plan.overlaps = try shape.map { try OverlapChoice($0.whole).overlaps(overlap) } ?? []
        plan.cacheBytes = Topology.read().cacheBytes
        if let contexts { plan.look(at: try suitable(contexts.values, for: open)) }
        plan.fit(limit: open.contextLimit)
        guard !plan.contexts.isEmpty else {
            throw InputError("a context of \(open.contextLimit) tokens is too short to measure steps in")
        }
        let source = try BenchSource(open)
        let formats = perplexity ? try FormatTrial(open).run(source.tokens) : []
        let loaded = try load(open, plan)
        if let session = HostSession.current {
            return try time(loaded, open, source.tokens, seconds: seconds, on: session)
        }
        let benchmark = try Benchmark(model: loaded, plan: plan, cacheType: model.cacheType)
        let bar = ProgressBar("benchmark", delayNanoseconds: 300_000_000, terminal: Console.terminal)
        var report = try benchmark.run(source.tokens) { stage, fraction in
            bar.update(fraction) { _ in stage }
            return !Interrupts.requested
        }
        bar.clear()
        report.formats = formats
        report.subject.model = open.checkpoint.label
        report.subject.text = source.name + (plan.overlaps.first.map { ", routed like \($0.name)" } ?? "")
        report.subject.cacheType = model.cacheType.rawValue
        report.subject.processor = CPUInfo.read().model
        report.subject.cacheBytes = plan.cacheBytes
        try StandardOutput.write(
            json
                ? JSONOutput.line(report, snakeCase: true)
                : StandardOutput.page { BenchTables(report, $0).text })
        if report.isPartial { throw Interrupted() }
    }

    /// Times a model's steps on several hosts.
    private func time(
        _ loaded: Model, _ open: OpenModel, _ tokens: [Int32], seconds: Double, on session: HostSession
    ) throws {
        guard tokens.count >= HostTrial.positions, open.contextLimit >= HostTrial.positions else {
            throw InputError("bench on several hosts needs a context of \(HostTrial.positions) tokens")
        }
        let trial = try HostTrial(
            loaded, Array(tokens.prefix(HostTrial.positions)), cacheType: model.cacheType, seconds: seconds
        ) { !Interrupts.requested }
        let report = HostBench(open.checkpoint.label, trial, session)
        if trial.widths.isEmpty { throw Interrupted() }
        try StandardOutput.write(
            json
                ? JSONOutput.line(report, snakeCase: true)
                : StandardOutput.page(report.text))
        if Interrupts.requested { throw Interrupted() }
    }

    /// The model that is measured, and its shape where it is made.
    func open() throws -> (model: OpenModel, shape: SyntheticShape?) {
        let shape = try shape.map { try SyntheticShape(argument: $0) }
        var model = model
        if let shape { model.weights = model.weights ?? shape.publishedFormat }
        return (try OpenModel(model, checkpoint: shape.map(made)), shape)
    }

    private func made(_ shape: SyntheticShape) throws -> Checkpoint {
        let most = max(1, shape.moeLayerCount)
        if let layers, layers > most {
            throw UsageError("--layers \(layers) are more than the \(most) MoE layers of \(shape.name)")
        }
        return try shape.checkpoint(
            shape.part(moeLayers: min(layers ?? 1, shape.moeLayerCount), mtp: !withoutMTP),
            label: "\(shape.name) (synthetic)")
    }

    /// - Throws: `InputError` for contexts that the model was not made for.
    private func suitable(_ contexts: [Int], for open: OpenModel) throws -> [Int] {
        let limit = open.contextLimit
        let most = BenchPlan.deepest(limit: limit)
        guard let last = contexts.last, last > most else { return contexts }
        guard most > 0 else { throw InputError("a context of \(limit) tokens is too short for --contexts") }
        throw InputError(
            "--contexts has \(last) tokens, but the context of \(open.checkpoint.label) holds \(limit); with what is "
                + "measured behind them they can be \(most)")
    }

    private func load(_ open: OpenModel, _ plan: BenchPlan) throws -> Model {
        do {
            let crew = try Crew.make(threads: model.threads, sharers: HostSession.sharers)
            return try open.load(
                contexts: plan.texts, besides: plan.machineBytes(workers: crew.pool.workerCount), crew: crew)
        } catch let error as HardwareError where error.kind == .memory && plan.shape != nil {
            if (layers ?? 1) > 1 { Console.note("fewer --layers take less memory") }
            if !open.layout.mtp.isEmpty { Console.note("--no-mtp leaves out the module, a whole layer") }
            throw error
        }
    }
}

extension SyntheticShape {
    /// The shape that a command line names: by its name, or by the path of a config.json.
    init(argument: String) throws {
        if argument.contains("/") || argument.hasSuffix(".json") {
            try self.init(name: argument, json: InputFile.bytes(argument, for: .shape), file: argument)
        } else {
            try self.init(named: argument)
        }
    }
}

/// What the benchmark's prompts are made of.
struct BenchSource {
    /// What reports call it.
    let name: String
    let tokens: [Int32]

    /// The built-in suite's prompts without answers, one after another, or scattered ids for models without a tokenizer:
    /// frequent ones, as in texts, from which drafts are chosen faster.
    init(_ open: OpenModel) throws {
        if let tokenizer = open.tokenizer {
            name = "built-in suite, continued greedily"
            var tokens = tokenizer.bos.map { [$0] } ?? []
            for (_, bytes) in InputLines(Checkpoint.demoSuite) where !bytes.isEmpty {
                let line = try SuiteLine.parse(bytes).line
                guard let prompt = line.prompt, line.answer == nil else { continue }
                tokens += try tokenizer.encode(prompt)
            }
            try open.checkIDs(tokens)
            self.tokens = tokens
        } else {
            name = "scattered token ids"
            let frequent = CutCoarseLMHead.frequentRows(of: open.configuration.vocabularySize)
            tokens = (0..<8192).map { Int32(truncatingIfNeeded: ($0 &* 2_654_435_761) >> 7 % frequent) }
        }
    }
}
