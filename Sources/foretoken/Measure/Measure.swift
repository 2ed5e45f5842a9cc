import ArgumentParser
import ForetokenHardware
import ForetokenLaboratory
import ForetokenModel
import ForetokenReport
import ForetokenSpeculation
import ForetokenText
import ForetokenTokenizer
import ForetokenWeights
import Glibc

/// Measures the acceptance of drafts, and what it is worth.
struct Measure: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Tells how often drafts hold on your text, by source, and what that buys on this machine.",
        discussion: """
            Without --suite or --text the embedded model's own suite is used: prompts that it was not trained on. \
            A prompt with an answer makes the model say that, at temperature 0 alone: it tells what drafts are worth on \
            text that a better model would write. Interrupted, it reports what it has measured so far.

            With --needle it tells instead how well facts are found that are hidden in long texts: numbers, asked for at the \
            end. Each text is read once more without its fact, so that a model that cannot answer still shows whether it \
            saw it. --chat asks in the checkpoint's chat format; --max-tokens is then the most that an answer may have. \
            --json then prints "model", "form", "threads", "instruction_set", "cache_type", "is_partial" and "cells", each \
            with "length", "depth", "exact", "gain", "log_probability", "control" and "trials".
            """)

    @Option(
        help: ArgumentHelp(
            "Prompts, as JSON lines with id, domain, one of prompt, prompt_tokens and messages, and perhaps answer.",
            valueName: "f"))
    var suite: String?

    @Option(
        parsing: .unconditionalSingleValue,
        help: ArgumentHelp(
            "Drafts at every position of this text instead of generating; may be repeated, each file is a domain.",
            valueName: "f"))
    var text: [String] = []

    @Flag var format = PromptFormat.raw

    @OptionGroup var chat: ChatFlags

    @Option(
        parsing: .unconditional,
        help: ArgumentHelp(
            "Draft modes to compare with off: lengths 1...15, and auto. (default: 1,2,4,8,15,auto)",
            valueName: "1,2,auto"),
        transform: DraftModeList.parse)
    var drafts: DraftModeList?

    @Option(
        help: ArgumentHelp(
            "Where drafts come from, as of generate; with both, auto is also tried with either alone.",
            valueName: "mtp|lookup|both"))
    var draftSource = DraftSources.both

    @Option(
        parsing: .unconditionalSingleValue,
        help: ArgumentHelp("Takes only prompts of this domain; may be repeated.", valueName: "name"))
    var domain: [String] = []

    @Option(
        parsing: .unconditional,
        help: ArgumentHelp("Temperatures, the most important first.", valueName: "0,0.8"),
        transform: TemperatureList.parse)
    var temperatures = TemperatureList.default

    @OptionGroup(title: "Sampling") var filters: FilterFlags

    @Option(
        name: .customLong("max-tokens"), parsing: .unconditional,
        help: ArgumentHelp("Most tokens to generate for a prompt. (default: 96)", valueName: "n"))
    var givenMaxTokens: Int?
    @OptionGroup var maxTokensAlias: MaxTokensAlias

    var maxTokens: Int { Alias.value(givenMaxTokens, maxTokensAlias.values) ?? 96 }

    @Flag(help: "Goes on after an end-of-sequence token.")
    var ignoreEos = false

    @Option(
        parsing: .unconditional,
        help: ArgumentHelp("Takes at most this many prompts of each domain, or pieces of each text.", valueName: "n"))
    var prompts: Int?

    @Option(
        parsing: .unconditional,
        help: ArgumentHelp(
            "Seconds for timing steps and racing draft modes, at each temperature; 0 for neither.", valueName: "s"))
    var seconds = 30.0

    @OptionGroup(title: "Hidden facts") var needle: NeedleFlags
    @OptionGroup(title: "Routing") var routing: RoutingFlags
    @OptionGroup(title: "Model") var model: ModelOptions

    @Option(help: ArgumentHelp("Also writes a page with charts, for a browser.", valueName: "f.html"))
    var report: String?

    @Flag(help: "Prints one JSON object.")
    var json = false

    func validate() throws {
        try maxTokensAlias.check(givenMaxTokens)
        if suite != nil && !text.isEmpty { throw ValidationError("give --suite or --text, not both") }
        if maxTokens < 2 { throw ValidationError("--max-tokens must be at least 2, not \(maxTokens)") }
        if let prompts, prompts < 1 { throw ValidationError("--prompts must be at least 1, not \(prompts)") }
        guard seconds.isFinite, seconds >= 0 else {
            throw ValidationError("--seconds must be 0 or more, not \(seconds)")
        }
        if format == .raw && chat.thinking != nil {
            throw ValidationError("--thinking and --no-thinking need --chat")
        }
        if !text.isEmpty && !domain.isEmpty { throw ValidationError("--domain is for prompts, not for --text") }
        if draftSource == .mtp, let most = drafts?.lengths.last, most > MTPHead.maximumDrafts {
            throw ValidationError(
                "MTP modules make at most \(MTPHead.maximumDrafts) drafts a round, so --drafts \(most) with "
                    + "--draft-source mtp is impossible")
        }
        if needle.needle {
            guard suite == nil, drafts == nil, domain.isEmpty, prompts == nil, report == nil,
                routing.recordRouting == nil
            else {
                throw ValidationError(
                    "--needle measures no drafts: it takes no --suite, --drafts, --domain, --prompts, --report or "
                        + "--record-routing")
            }
            return
        }
        if !text.isEmpty && format == .chat { throw ValidationError("--text is taken as it is; --chat needs prompts") }
    }

    func run() throws {
        if needle.needle { return try searchForNeedles() }
        try routing.check()
        try OutputFile.check(
            [("--report", report)], appended: ("--record-routing", routing.recordRouting), inputs: text + [suite])
        let source = try MeasureSource(self)
        let open = try OpenModel(model)
        guard !open.layout.mtp.isEmpty || draftSource.looksUp else {
            throw InputError(
                "\(open.checkpoint.label) has no MTP module, so there are no drafts to measure with --draft-source mtp")
        }
        try open.check(.auto, draftSource)
        let texts = try measurable(source.texts(open))
        let longest = texts.map(\.tokens.count).max() ?? 0
        let context = try open.context(for: longest, and: text.isEmpty ? maxTokens : 0)
        try routing.record(open) { try measure(texts, source, open, context: context, $0) }
    }

    private func searchForNeedles() throws {
        let lines = try text.flatMap { path in
            try InputFile.text(path, for: .text).split(separator: "\n", omittingEmptySubsequences: false).map(
                String.init)
        }
        if !text.isEmpty, lines.allSatisfy(\.isEmpty) {
            throw InputError("\(text.joined(separator: ", ")): no text to hide facts in")
        }
        let style = PromptStyle(format: format, thinking: chat.thinking)
        let trials = try NeedleTrials(needle, style, OpenModel(model), lines: lines, answerTokens: maxTokens)
        try trials.run(json: json)
    }

    /// Without what has a given answer, where no temperature is 0.
    private func measurable(_ texts: [MeasuredText]) throws -> [MeasuredText] {
        if temperatures.values.contains(0) { return texts }
        let own = texts.filter { $0.answer == nil }
        guard !own.isEmpty else {
            throw UsageError("given answers are measured at temperature 0, which --temperatures does not name")
        }
        if own.count < texts.count {
            let left = count(texts.count - own.count, "prompt")
            Console.note("\(left) with given answers left out: they need temperature 0")
        }
        return own
    }

    private func measure(
        _ texts: [MeasuredText], _ source: MeasureSource, _ open: OpenModel, context: Int, _ recorder: RoutingRecorder?
    ) throws {
        let loaded = try open.load(context: context, copies: 2)
        let plan = try plan(open)
        let measurer = try open.makeMeasurer(loaded, plan: plan, context: context)
        measurer.recorder = recorder
        let bar = ProgressBar("measuring", delayNanoseconds: 300_000_000, terminal: Console.terminal)
        var measurement = try measurer.run(texts) { stage, fraction in
            bar.update(fraction) { _ in stage }
            return !Interrupts.requested
        }
        bar.clear()
        measurement.subject = subject(open, loaded, plan, source, texts)
        try show(measurement)
        if measurement.isPartial { throw Interrupted() }
    }

    private func plan(_ open: OpenModel) throws -> MeasuringPlan {
        var plan = MeasuringPlan()
        let drafts = drafts ?? .default
        plan.lengths = drafts.lengths.filter { $0 <= MTPHead.maximumDrafts || draftSource.looksUp }
        plan.includesAuto = drafts.includesAuto
        plan.sources = draftSource
        plan.temperatures = temperatures.values
        plan.sampling = filters.options
        plan.maximumTokens = maxTokens
        plan.stopTokens = ignoreEos ? [] : open.endTokens
        plan.timingSeconds = seconds
        plan.cacheBytes = Topology.read().cacheBytes
        return plan
    }

    private func subject(
        _ open: OpenModel, _ model: Model, _ plan: MeasuringPlan, _ source: MeasureSource, _ texts: [MeasuredText]
    ) -> Measurement.Subject {
        var subject = Measurement.Subject()
        subject.model = open.checkpoint.label
        subject.source = source.name
        subject.format = text.isEmpty ? source.format : "text"
        subject.threads = model.pool.workerCount
        subject.instructionSet = model.instructionSet
        subject.cacheType = self.model.cacheType.rawValue
        subject.processor = CPUInfo.read().model
        subject.cacheBytes = plan.cacheBytes
        subject.depth = plan.depth
        subject.sources = open.layout.mtp.isEmpty ? DraftSources.lookup.rawValue : draftSource.rawValue
        subject.maximumTokens = text.isEmpty ? maxTokens : 0
        subject.prompts = texts.count
        subject.seed = filters.seed
        subject.filters = filters.spelling
        return subject
    }

    private func show(_ measurement: Measurement) throws {
        if measurement.conditions.isEmpty { return Console.note("interrupted before anything was measured") }
        if measurement.isPartial { Console.note("interrupted: these are the figures of what was measured before") }
        // Before anything is shown, since whoever reads that may leave early.
        if let report {
            try OutputFile.write(Array(MeasurePage(measurement).html.utf8), to: report)
            Console.note("the report is in \(report)")
        }
        if json {
            try StandardOutput.write(JSONOutput.line(measurement, snakeCase: true))
        } else {
            try StandardOutput.write(StandardOutput.page { MeasureTables(measurement, $0).text })
        }
    }
}

/// Draft modes by name: lengths, and perhaps auto.
struct DraftModeList {
    let lengths: [Int]
    let includesAuto: Bool

    static let `default` = DraftModeList(lengths: MeasuringPlan().lengths, includesAuto: true)

    static func parse(_ argument: String) throws -> DraftModeList {
        var lengths: Set<Int> = []
        var includesAuto = false
        for item in argument.split(separator: ",", omittingEmptySubsequences: false) {
            switch DraftMode(argument: item.trimmed) {
            case .auto: includesAuto = true
            case .fixed(let length): lengths.insert(length)
            // What everything is compared with is always there.
            case .off: break
            case nil:
                throw ValidationError("--drafts wants lengths 1...15 and auto, such as 1,2,auto; '\(item)' is neither")
            }
        }
        guard !lengths.isEmpty else {
            throw ValidationError("--drafts wants at least one length 1...15, such as 1,2,auto")
        }
        return DraftModeList(lengths: lengths.sorted(), includesAuto: includesAuto)
    }
}

/// Temperatures separated by commas.
struct TemperatureList {
    let values: [Float]

    static let `default` = TemperatureList(values: [0, 0.8])

    static func parse(_ argument: String) throws -> TemperatureList {
        var values: [Float] = []
        for item in argument.split(separator: ",", omittingEmptySubsequences: false) {
            guard let value = Float(item.trimmed), value.isFinite, value >= 0 else {
                throw ValidationError("--temperatures wants numbers of 0 or more, such as 0,0.8; '\(item)' is none")
            }
            if !values.contains(value) { values.append(value) }
        }
        return TemperatureList(values: values)
    }
}
