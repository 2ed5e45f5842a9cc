import ArgumentParser
import ForetokenModel
import ForetokenSpeculation
import ForetokenText
import ForetokenTokenizer
import ForetokenWeights
import Glibc

/// Which model, and how it runs.
struct ModelOptions: ParsableArguments {
    @Option(
        name: .customLong("model"),
        help: ArgumentHelp(
            "Folder of the checkpoint, or OWNER/NAME of one in Hugging Face's cache (default: $FORETOKEN_MODEL, or the "
                + "demonstration model).", valueName: "dir"))
    var givenModel: String?
    @OptionGroup var modelAlias: ModelAlias

    @Option(
        name: .customLong("threads"), parsing: .unconditional,
        help: ArgumentHelp(
            "Worker threads (default: one for each fast physical core, within a control group's CPU quota).",
            valueName: "threads"))
    var givenThreads: Int?
    @OptionGroup var threadsAlias: ThreadsAlias

    @Option(help: ArgumentHelp("Instruction set (default: $FORETOKEN_ISA, or the best).", valueName: "name"))
    var isa: String?

    @Option(help: ArgumentHelp("Element type of the latent cache.", valueName: "f32|bf16"))
    var cacheType = CacheType.f32

    @Option(
        help: ArgumentHelp(
            "How the large matrices are kept in memory (default: stored, as the checkpoint has them).",
            valueName: "stored|fp8|bf16|int8|int4|experts-int4"))
    var weights: ResidentFormat?

    @Option(
        name: .customLong("context"), parsing: .unconditional,
        help: ArgumentHelp(
            "Most tokens of one text, its answer included (default: what the task needs; 8192 for serve). Longer texts are "
                + "refused, but for score, which slides over them.", valueName: "n"))
    var givenContext: Int?
    @OptionGroup var contextAlias: ContextAlias

    @Option(
        help: ArgumentHelp(
            "Placement of the experts on memory nodes, made by place or tune (default: cut over all nodes).",
            valueName: "f"))
    var plan: String?

    @Option(
        help: ArgumentHelp(
            "Chat template in place of the checkpoint's: a Jinja file, or one of DeepSeek's formats by name.",
            valueName: "f|v3|r1|v3.1"))
    var chatTemplate: String?

    @Option(
        help: ArgumentHelp(
            "How several hosts (mpirun, srun) share the model: by output rows of every matrix, by layers, or as is predicted "
                + "to be fastest.", valueName: "auto|rows|layers"))
    var division = DivisionWish.auto

    static let maximumThreads = 1024

    var model: String? { Alias.value(givenModel, modelAlias.values) }
    var threads: Int? { Alias.value(givenThreads, threadsAlias.values) }
    var context: Int? { Alias.value(givenContext, contextAlias.values) }

    func validate() throws {
        try modelAlias.check(givenModel)
        try threadsAlias.check(givenThreads)
        try contextAlias.check(givenContext)
        if let threads, !(1...Self.maximumThreads).contains(threads) {
            throw ValidationError("--threads must be 1...\(Self.maximumThreads), not \(threads)")
        }
        if let context, context < 1 { throw ValidationError("--context must be at least 1, not \(context)") }
    }

    /// Whether any option was given.
    var isChosen: Bool {
        model != nil || threads != nil || isa != nil || context != nil || cacheType != .f32 || weights != nil
            || plan != nil || chatTemplate != nil || division != .auto
    }

    /// The same as plain values; files that are named are read.
    /// - Throws: `UsageError` for what cannot be asked for here, and as `InputFile` and `ModelFolder` do.
    func settings() throws -> ModelSettings {
        var settings = ModelSettings()
        settings.directory = try (model ?? environment("FORETOKEN_MODEL")).map(ModelFolder.resolve)
        settings.threads = threads
        settings.instructionSet = try instructionSet()
        settings.cacheType = cacheType
        settings.weights = weights ?? .stored
        settings.context = context
        settings.division = division
        settings.plan = try plan.map { ModelSettings.Plan(name: $0, bytes: try InputFile.bytes($0, for: .plan)) }
        settings.chat = try chatTemplate.map { name in
            if let generation = DeepSeekChat.Generation(rawValue: name) { return .deepSeek(generation) }
            return .template(try InputFile.text(InputFile.bytes(name, for: .chatTemplate), source: name))
        }
        return settings
    }

    /// The instruction set asked for, known to work here; nil for the best.
    func instructionSet() throws -> String? {
        guard let name = isa ?? environment("FORETOKEN_ISA") else { return nil }
        let available = InstructionSet.available
        guard available.contains(name) else {
            let reason = InstructionSet.all.contains(name) ? "this processor cannot run" : "there is no"
            throw UsageError(
                "\(reason) instruction set '\(name)'; here --isa can be: \(available.joined(separator: ", "))")
        }
        return name
    }
}

/// An environment variable; an empty one counts as absent.
func environment(_ name: String) -> String? {
    getenv(name).map { String(cString: $0) }.flatMap { $0.isEmpty ? nil : $0 }
}

extension CacheType: ExpressibleByArgument {}
extension ResidentFormat: ExpressibleByArgument {}
extension DivisionWish: ExpressibleByArgument {}

/// How many tokens a round drafts.
struct DraftFlags: ParsableArguments {
    @Option(
        parsing: .unconditional,
        help: ArgumentHelp(
            "Tokens to draft in each round: auto, off, or 1...15, of which MTP modules make at most 8.",
            valueName: "auto|off|n"))
    var draft = DraftMode.auto

    @Option(
        help: ArgumentHelp(
            "Where drafts come from: the checkpoint's MTP modules, look-up of what followed where the text so far, or "
                + "another that is given, was as it is now, or both.", valueName: "mtp|lookup|both"))
    var draftSource = DraftSources.both

    /// Whether MTP modules may be used.
    var usesModules: Bool { draft != .off && draftSource.usesModules }
}

/// Whether drafting begins with what earlier runs learnt.
struct FreshOddsFlag: ParsableArguments {
    @Flag(
        help: ArgumentHelp(
            "Lets --draft auto begin with nothing and keep nothing. Otherwise what it learns of this model on this machine, "
                + "a few numbers and no text, is kept for later runs in $XDG_CACHE_HOME/foretoken or ~/.cache/foretoken."
        ))
    var freshOdds = false
}

/// What an answer is expected to be like.
struct PredictionFlags: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            "Text that the answer is expected to be like, such as a file before a change: drafts are looked up in it. It "
                + "changes speed alone. Lines of --input-file have `prediction`; - is standard input.", valueName: "f"))
    var predictionFile: String?

    /// The text, before a tokenizer has seen it; nil where none is given.
    func read() throws -> String? { try predictionFile.map { try InputFile.text($0, for: .prediction) } }
}

extension DraftSources: ExpressibleByArgument {}

extension DraftMode: ExpressibleByArgument {
    /// Reads `auto`, `off`, or a number of drafts; 0 is `off`.
    public init?(argument: String) {
        switch (argument, Int(argument)) {
        case ("auto", _): self = .auto
        case ("off", _), (_, 0): self = .off
        case (_, let count?) where (1...15).contains(count): self = .fixed(count)
        default: return nil
        }
    }

    /// The spelling that `init(argument:)` reads.
    public var defaultValueDescription: String {
        switch self {
        case .auto: "auto"
        case .off: "off"
        case .fixed(let count): "\(count)"
        }
    }
}

/// When an answer ends.
struct LengthFlags: ParsableArguments {
    @Option(
        name: .customLong("max-tokens"), parsing: .unconditional,
        help: ArgumentHelp("Most tokens to generate. (default: 256)", valueName: "n"))
    var givenMaxTokens: Int?
    @OptionGroup var maxTokensAlias: MaxTokensAlias

    var maxTokens: Int { Alias.value(givenMaxTokens, maxTokensAlias.values) ?? 256 }

    @Option(
        parsing: .unconditionalSingleValue,
        help: ArgumentHelp("Ends the answer before this text; may be repeated.", valueName: "str"))
    var stop: [String] = []

    @Option(
        parsing: .unconditionalSingleValue,
        help: ArgumentHelp(
            "Ends the answer behind this token, too, even with --ignore-eos; may be repeated.", valueName: "id"))
    var stopToken: [Int] = []

    @Flag(help: "Goes on after an end-of-sequence token.")
    var ignoreEos = false

    func validate() throws {
        try maxTokensAlias.check(givenMaxTokens)
        if maxTokens < 1 { throw ValidationError("--max-tokens must be at least 1, not \(maxTokens)") }
        if stop.contains("") { throw ValidationError("--stop must not be empty") }
    }
}
