import ArgumentParser
import ForetokenHardware
import ForetokenModel
import ForetokenReport
import ForetokenSpeculation
import ForetokenTokenizer
import ForetokenWeights
import Glibc

/// Measures the acceptance of drafts, and what it is worth.
struct Measure: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Tells how often the MTP module's drafts hold on your text, and what that buys on this machine.",
        discussion: """
            Without --suite or --text the embedded model's own suite is used: prompts that it was not trained on. \
            Interrupted, it reports what it has measured so far.
            """)

    @Option(
        help: ArgumentHelp(
            "Prompts, as JSON lines with id, domain and one of prompt, prompt_tokens and messages.", valueName: "f"))
    var suite: String?

    @Option(
        parsing: .unconditionalSingleValue,
        help: ArgumentHelp(
            "Drafts at every position of this text instead of generating; may be repeated, each file is a domain.",
            valueName: "f"))
    var text: [String] = []

    @Flag var format = PromptFormat.raw

    @Flag(help: "Lets the model think first, with --chat.")
    var thinking = false

    @Option(help: ArgumentHelp("Draft modes to compare with off.", valueName: "1,2,auto"))
    var drafts = DraftList.default

    @Option(help: ArgumentHelp("Temperatures, the most important first.", valueName: "0,0.8"))
    var temperatures = NumberList.default

    @OptionGroup(title: "Sampling") var filters: FilterFlags

    @Option(help: ArgumentHelp("Most tokens to generate for a prompt.", valueName: "n"))
    var maxTokens = 96

    @Flag(help: "Goes on after an end-of-sequence token.")
    var ignoreEos = false

    @Option(help: ArgumentHelp("Takes at most this many prompts of each domain.", valueName: "n"))
    var prompts: Int?

    @Option(
        help: ArgumentHelp(
            "Seconds for timing steps and racing draft modes, at each temperature; 0 for neither.", valueName: "s"))
    var seconds = 20.0

    @OptionGroup(title: "Model") var model: ModelOptions

    @Option(help: ArgumentHelp("Also writes a page with charts, for a browser.", valueName: "f.html"))
    var report: String?

    @Flag(help: "Prints one JSON object.")
    var json = false

    func validate() throws {
        if suite != nil && !text.isEmpty { throw ValidationError("give --suite or --text, not both") }
        if maxTokens < 2 { throw ValidationError("--max-tokens must be at least 2, not \(maxTokens)") }
        if let prompts, prompts < 1 { throw ValidationError("--prompts must be at least 1, not \(prompts)") }
        guard seconds.isFinite, seconds >= 0 else {
            throw ValidationError("--seconds must be 0 or more, not \(seconds)")
        }
        if format == .raw && thinking { throw ValidationError("--thinking needs --chat") }
        if !text.isEmpty && format == .chat { throw ValidationError("--text is taken as it is; --chat needs prompts") }
    }

    func run() throws {
        if let report { try OutputFile.check(report) }
        let source = try MeasureSource(self)
        let open = try OpenModel(model)
        guard !open.layout.mtp.isEmpty else {
            throw InputError("\(open.checkpoint.label) has no MTP module, so there are no drafts to measure")
        }
        let texts = try source.texts(open)
        let longest = texts.map(\.tokens.count).max() ?? 0
        let context = try open.context(for: longest, and: text.isEmpty ? maxTokens : 0)
        let loaded = try open.load(context: context, copies: 2)
        let plan = plan(open)
        let measurer = try open.makeMeasurer(loaded, plan: plan, context: context)
        let bar = ProgressBar("measuring", delayNanoseconds: 300_000_000, terminal: Console.terminal)
        var measurement = try measurer.run(texts) { stage, fraction in
            bar.update(fraction) { _ in stage }
            return !Interrupts.requested
        }
        bar.clear()
        measurement.subject = subject(open, loaded, plan, source.name, texts)
        try show(measurement)
        if measurement.isPartial { throw Interrupted() }
    }

    private func plan(_ open: OpenModel) -> MeasuringPlan {
        var plan = MeasuringPlan()
        plan.lengths = drafts.lengths
        plan.includesAuto = drafts.includesAuto
        plan.temperatures = temperatures.values
        plan.sampling = filters.options
        plan.maximumTokens = maxTokens
        plan.stopTokens = ignoreEos ? [] : open.endTokens
        plan.timingSeconds = seconds
        return plan
    }

    private func subject(
        _ open: OpenModel, _ model: Model, _ plan: MeasuringPlan, _ source: String, _ texts: [MeasuredText]
    ) -> Measurement.Subject {
        var subject = Measurement.Subject()
        subject.model = open.checkpoint.label
        subject.source = source
        subject.format = text.isEmpty ? (format == .chat ? "chat" : "raw") : "text"
        subject.threads = model.pool.workerCount
        subject.instructionSet = model.instructionSet
        subject.cacheType = self.model.cacheType.rawValue
        subject.processor = (try? CPUInfo.read().model) ?? "unknown"
        subject.depth = plan.lengths.max() ?? 1
        subject.maximumTokens = text.isEmpty ? maxTokens : 0
        subject.prompts = texts.count
        subject.seed = filters.seed
        subject.filters = filters.spelling
        return subject
    }

    private func show(_ measurement: Measurement) throws {
        if let report {
            try OutputFile.write(Array(MeasurePage(measurement).html.utf8), to: report)
            Console.note("the report is in \(report)")
        }
        if json {
            try StandardOutput.write(JSONOutput.line(measurement, snakeCase: true))
        } else {
            try StandardOutput.write(MeasureTables(measurement, Terminal(descriptor: STDOUT_FILENO)).text)
        }
    }
}

/// Draft modes by name: lengths, and perhaps auto.
struct DraftList: ExpressibleByArgument {
    let lengths: [Int]
    let includesAuto: Bool

    static let `default` = DraftList(lengths: [1, 2, 3, 4], includesAuto: true)

    init(lengths: [Int], includesAuto: Bool) {
        self.lengths = lengths
        self.includesAuto = includesAuto
    }

    init?(argument: String) {
        var lengths: Set<Int> = []
        var includesAuto = false
        for item in argument.split(separator: ",", omittingEmptySubsequences: false) {
            switch DraftMode(argument: item.trimmed) {
            case .auto: includesAuto = true
            case .fixed(let length): lengths.insert(length)
            // What everything is compared with is always there.
            case .off: break
            case nil: return nil
            }
        }
        guard !lengths.isEmpty else { return nil }
        self.init(lengths: lengths.sorted(), includesAuto: includesAuto)
    }

    var defaultValueDescription: String {
        (lengths.map(String.init) + (includesAuto ? ["auto"] : [])).joined(separator: ",")
    }
}

/// Temperatures separated by commas.
struct NumberList: ExpressibleByArgument {
    let values: [Float]

    static let `default` = NumberList(values: [0, 0.8])

    init(values: [Float]) { self.values = values }

    init?(argument: String) {
        var values: [Float] = []
        for item in argument.split(separator: ",", omittingEmptySubsequences: false) {
            guard let value = Float(item.trimmed), value.isFinite, value >= 0 else { return nil }
            if !values.contains(value) { values.append(value) }
        }
        guard !values.isEmpty else { return nil }
        self.values = values
    }

    var defaultValueDescription: String { values.map { "\($0)" }.joined(separator: ",") }
}

extension Substring {
    /// Without spaces at either end.
    fileprivate var trimmed: String {
        String(drop { $0 == " " }.reversed().drop { $0 == " " }.reversed())
    }
}
