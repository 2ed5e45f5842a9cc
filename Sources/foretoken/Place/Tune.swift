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

/// Finds and writes the placement that is fastest on this machine.
struct Tune: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Finds the fastest placement of the experts on this machine's memory nodes.",
        discussion: """
            Records what the router does while texts are generated, measures what reading experts costs here, plans, and \
            runs the recorded rounds again under the most promising plans. With --no-probe the costs are those that place \
            assumes. Measurements that something else disturbs are made again, and said to be disturbed where that does not \
            help. Moving experts never changes a token. On a \
            machine with one node there is nothing to place; --topology FILE also predicts for a machine that is described, \
            with this machine's measured costs, and writes no plan: place does, from what --trace-out wrote.
            """)

    @Option(
        help: ArgumentHelp(
            "JSON lines with \"prompt\" and \"domain\" to generate from (default: the built-in suite).", valueName: "f")
    )
    var suite: String?

    @Option(help: ArgumentHelp("Where the fastest plan for this machine is to be written.", valueName: "f"))
    var out: String?

    @Option(help: ArgumentHelp("Writes the recorded routing as a new trace file.", valueName: "f"))
    var traceOut: String?

    @Option(
        help: ArgumentHelp(
            "Also shows what plans would give on the machine that this file describes; writes none.", valueName: "f"))
    var topology: String?

    @Option(
        name: .customLong("max-tokens"), parsing: .unconditional,
        help: ArgumentHelp("Tokens to generate for each text. (default: 96)", valueName: "n"))
    var givenMaxTokens: Int?
    @OptionGroup var maxTokensAlias: MaxTokensAlias

    var maxTokens: Int { Alias.value(givenMaxTokens, maxTokensAlias.values) ?? 96 }

    @Option(
        parsing: .unconditional,
        help: ArgumentHelp("Texts to plan for, and to run, at once: 1...16.", valueName: "n"))
    var parallel = 1

    @Option(
        parsing: .unconditional, help: ArgumentHelp("Passes over the recorded rounds for each plan.", valueName: "n"))
    var passes = 3

    @Option(parsing: .unconditional, help: ArgumentHelp("Plans to try for real.", valueName: "n"))
    var candidates = 4

    @Option(
        parsing: .unconditional,
        help: ArgumentHelp("Seconds to measure what experts cost (default: 2).", valueName: "s"))
    var probeSeconds: Double?

    @Flag(
        help: ArgumentHelp(
            "Does not measure what experts cost, for a machine busy with other work."))
    var noProbe = false

    @OptionGroup(title: "Speculation") var draft: DraftFlags
    @OptionGroup(title: "Model") var model: ModelOptions

    @Flag(help: "Prints one JSON object.")
    var json = false

    func validate() throws {
        try maxTokensAlias.check(givenMaxTokens)
        if let probeSeconds {
            if !(probeSeconds > 0 && probeSeconds <= 3600) {
                throw ValidationError("--probe-seconds must be above 0 and at most 3600, not \(probeSeconds)")
            }
            if noProbe { throw ValidationError("--probe-seconds says how long to measure, --no-probe not to") }
        }
        if maxTokens < 2 { throw ValidationError("--max-tokens must be at least 2, not \(maxTokens)") }
        if !(1...16).contains(parallel) { throw ValidationError("--parallel must be 1...16, not \(parallel)") }
        if !(1...100).contains(passes) { throw ValidationError("--passes must be 1...100, not \(passes)") }
        if !(1...16).contains(candidates) { throw ValidationError("--candidates must be 1...16, not \(candidates)") }
        if topology != nil && out != nil {
            throw ValidationError(
                "--out writes the plan for this machine, --topology is of another: leave one out; for a plan for the other "
                    + "machine use --trace-out here, and then place --trace … --topology … --out …")
        }
        if model.plan != nil { throw ValidationError("tune tries plans itself; leave --plan out") }
    }

    func run() throws {
        try OutputFile.check([("--out", out), ("--trace-out", traceOut)], inputs: [suite, topology])
        // Before anything is pinned: a pinned thread sees one CPU only.
        var findings = Findings()
        let topology = Topology.read(findings: &findings)
        let here = MachineDescription.here(
            topology, try .probe(), bandwidth: BandwidthCache.measured(topology), findings: &findings)
        let crew = try Crew.make(threads: model.threads)
        try crew.checkPlaces()
        let other = try self.topology.map {
            MachineDescription(try TopologyFile(json: InputFile.bytes($0, for: .topology), source: $0))
        }
        if let path = self.topology, let other, other.machine.fingerprint != topology.fingerprint {
            Console.note(
                "\(path) describes another machine: plans are tried on this one, and for that one only predicted, with the "
                    + "costs measured here; no plan is written")
        }
        let open = try OpenModel(model)
        try open.check(draft.draft, draft.draftSource)
        let header = try open.routingHeader()
        let texts = try texts(open)
        guard texts.count >= parallel else {
            throw UsageError("--parallel \(parallel) wants as many texts, but the suite has \(texts.count)")
        }
        let context = try open.context(for: texts.map(\.prompt.count).max() ?? 1, and: maxTokens)
        let loaded = try open.load(context: context, copies: 1 + parallel, crew: crew)
        guard
            let description = try open.layout.placementModel(
                open.checkpoint, format: loaded.weights.format, besides: 0)
        else { throw InputError("\(open.checkpoint.label) has no routed experts: there is nothing to place") }
        let settings = settings(watching: topology, open)
        let bar = ProgressBar("tuning", delayNanoseconds: 300_000_000, terminal: Console.terminal)
        let tuner = Tuner(model: loaded, context: context, settings: settings)
        let outcome = try tuner.tune(texts, description: description, machine: crew.machine, header: header) {
            stage, fraction in
            bar.update(fraction) { _ in stage.rawValue }
            return !Interrupts.requested
        }
        bar.clear()
        guard let outcome else { throw Interrupted() }
        try write(outcome)
        let elsewhere = try other.map { try plan(for: $0, description, outcome) }
        let report = TuneReport(
            outcome, machine: here, elsewhere: elsewhere, model: open.checkpoint.label, out: out,
            costsMeasured: !noProbe)
        try StandardOutput.write(
            json
                ? JSONOutput.line(report, snakeCase: true)
                : StandardOutput.page { TuneTables(report, $0).text })
        if outcome.isPartial { throw Interrupted() }
        if outcome.fastest == nil {
            throw InputError("no plan could be run here\(out.map { ", so \($0) was not written" } ?? "")")
        }
    }

    /// - Parameter topology: of this machine, whose CPUs nobody else should use meanwhile.
    private func settings(watching topology: Topology, _ open: OpenModel) -> Tuner.Settings {
        var settings = Tuner.Settings()
        (settings.tokensPerText, settings.cacheType) = (maxTokens, model.cacheType)
        (settings.draft, settings.sources) = (draft.draft, draft.draftSource)
        (settings.passes, settings.candidates, settings.probeSeconds) = (
            passes, candidates, probeSeconds ?? settings.probeSeconds
        )
        settings.parallel = parallel
        settings.measuresCosts = !noProbe
        settings.watchedCPUs = topology.cpus
        settings.drawable = open.tokenizer?.vocabularyCount
        return settings
    }

    private func texts(_ open: OpenModel) throws -> [TuneText] {
        // Of its own suite those that the model answers itself.
        try SuiteLine.read(suite).filter { suite != nil || $0.line.answer == nil }.map { line, number in
            do {
                let prompt = try line.wanted(PromptStyle(format: .raw))
                let ids = try open.encode(prompt)
                try open.check(ids)
                return TuneText(domain: line.domain ?? "prompts", prompt: ids)
            } catch {
                throw LineError(number: number, file: suite ?? "built-in suite", cause: error)
            }
        }
    }

    private func write(_ outcome: Tuner.Outcome) throws {
        if let traceOut { try OutputFile.write(outcome.traceFile, to: traceOut) }
        guard let out, let fastest = outcome.fastest,
            let plan = outcome.report.results[outcome.candidates[fastest].result].plan
        else { return }
        try OutputFile.write(PlacementPlanFile.encode(plan), to: out)
    }

    /// The planning table for a described machine, with the costs that were measured here.
    private func plan(
        for other: MachineDescription, _ description: PlacementModel, _ outcome: Tuner.Outcome
    ) throws -> PlanReport {
        var machine = other.machine
        machine.pieceSeconds = outcome.machine.pieceSeconds
        machine.rowCost = outcome.machine.rowCost
        let planner = try Planner(model: description, machine: machine, halves: try WindowHalves(of: outcome.shared))
        let end = MonotonicClock.now + 20_000_000_000
        return planner.plan(isTimeUp: { MonotonicClock.now > end || Interrupts.requested })
    }
}
