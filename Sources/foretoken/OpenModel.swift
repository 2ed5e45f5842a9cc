import ForetokenHardware
import ForetokenLaboratory
import ForetokenModel
import ForetokenReport
import ForetokenSpeculation
import ForetokenTokenizer
import ForetokenWeights
import Glibc

/// A checkpoint whose files are open and checked, before any weight is read.
struct OpenModel {
    let checkpoint: Checkpoint
    let layout: WeightLayout
    /// nil when the folder has no tokenizer.json; ids still work then.
    let tokenizer: Tokenizer?
    /// What generation_config.json says; nil without one.
    let defaults: GenerationDefaults?
    let options: ModelOptions
    let foundChatFormat = FoundChatFormat()
    private let instructionSet: String?

    /// - Parameter checkpoint: nil for the one that the options name.
    init(_ options: ModelOptions, checkpoint: Checkpoint? = nil) throws {
        self.options = options
        instructionSet = try options.instructionSet()
        self.checkpoint =
            try checkpoint ?? options.directory.map { try Checkpoint(directory: $0) } ?? .demo()
        layout = try WeightLayout(self.checkpoint)
        tokenizer = try Tokenizer(self.checkpoint)
        defaults = try self.checkpoint.generationDefaults()
        for warning in layout.warnings { Console.warning(warning) }
        // Before a line of a file can be blamed for it.
        if options.chatTemplate != nil { _ = try chatFormat() }
    }

    var configuration: ModelConfiguration { checkpoint.configuration }

    /// The tokenizer, for work that cannot do without.
    func requiredTokenizer() throws -> Tokenizer {
        guard let tokenizer else {
            throw InputError(
                "\(checkpoint.label) has no tokenizer.json, so text cannot be read; add the file or give token ids "
                    + "(--prompt-tokens, --tokens)")
        }
        return tokenizer
    }

    /// Tokens that end an answer: those of config.json and generation_config.json, or else the tokenizer's.
    var endTokens: [Int32] {
        let ids = configuration.endTokens(defaults)
        return ids.isEmpty ? tokenizer?.eos.map { [$0] } ?? [] : ids
    }

    /// Ids that the user names as ends of an answer.
    /// - Throws: `InputError` for ids that the model does not have.
    func stopTokens(_ ids: [Int]) throws -> [Int32] {
        guard let bad = ids.first(where: { !(0..<configuration.vocabularySize).contains($0) }) else {
            return ids.map { Int32($0) }
        }
        throw InputError(
            "a stop token is \(bad), but the ids of \(checkpoint.label) are 0...\(configuration.vocabularySize - 1)")
    }

    /// How tokens are drawn: as the flags say, and where they say nothing as the model's makers do, if that is wanted.
    /// - Throws: `InputError` where it is wanted and the checkpoint does not tell.
    func sampling(_ flags: SamplingFlags) throws -> SamplingOptions {
        var options = flags.options
        guard flags.samplingDefaults == .model else { return options }
        guard let defaults else {
            throw InputError(
                "\(checkpoint.label) has no generation_config.json, so --sampling-defaults model has nothing to take")
        }
        // As in transformers: without sampling the temperature means nothing, and with it the usual one is 1.
        let usual: Float? = defaults.doSample == true ? 1 : nil
        let temperature = defaults.doSample == false ? 0 : defaults.temperature ?? usual
        options.temperature = flags.temperature ?? temperature ?? options.temperature
        options.topP = flags.filters.topP ?? defaults.topP ?? options.topP
        options.topK = flags.filters.topK ?? defaults.topK ?? options.topK
        options.repetitionPenalty = flags.repetitionPenalty ?? defaults.repetitionPenalty ?? options.repetitionPenalty
        try options.check()
        return options
    }

    /// Refuses ids that the model does not have.
    func checkIDs(_ ids: [some BinaryInteger]) throws {
        guard let index = ids.firstIndex(where: { $0 < 0 || $0 >= configuration.vocabularySize }) else { return }
        throw InputError(
            "token \(index) is \(ids[index]), but the ids of \(checkpoint.label) are "
                + "0...\(configuration.vocabularySize - 1)")
    }

    /// Refuses a bias for ids that the model does not have.
    func check(_ sampling: SamplingOptions) throws {
        guard let id = sampling.logitBias.keys.filter({ !(0..<configuration.vocabularySize).contains($0) }).min() else {
            return
        }
        throw InputError(
            "a logit bias is for token \(id), but the ids of \(checkpoint.label) are "
                + "0...\(configuration.vocabularySize - 1)")
    }

    /// Refuses a prompt that the model cannot take, before its weights are loaded for nothing.
    func check(_ prompt: [Int32]) throws {
        if prompt.isEmpty { throw InputError("the prompt is empty: there is nothing to continue") }
        try checkIDs(prompt)
        let limit = contextLimit
        if prompt.count > limit {
            let advice = limit < configuration.maximumPositions ? "raise --context or shorten it" : "shorten it"
            throw InputError(
                "the prompt has \(prompt.count) tokens, but the context of \(checkpoint.label) holds \(limit); \(advice)"
            )
        }
    }

    /// Refuses a wish that the checkpoint cannot fulfil, and explains what `auto` will do without MTP.
    func check(_ draft: DraftMode) throws {
        guard layout.mtp.isEmpty else { return }
        switch draft {
        case .off: break
        case .auto: Console.note("drafting is off: \(checkpoint.label) has no MTP module")
        case .fixed(let count):
            throw InputError(
                "\(checkpoint.label) has no MTP module, so --draft \(count) is impossible; use --draft off or auto")
        }
    }

    /// Most tokens that a context may hold.
    var contextLimit: Int { min(options.context ?? .max, configuration.maximumPositions) }

    /// The context to make for `tokens` tokens and perhaps `more`: no larger than the model allows.
    /// - Throws: `InputError` when --context exceeds what the model was made for.
    func context(for tokens: Int, and more: Int = 0) throws -> Int {
        if let context = options.context, context > configuration.maximumPositions {
            throw InputError(
                "--context \(context) exceeds the \(configuration.maximumPositions) positions of \(checkpoint.label)")
        }
        let (sum, isBeyondAll) = tokens.addingReportingOverflow(more)
        return options.context
            ?? (isBeyondAll ? configuration.maximumPositions : min(sum, configuration.maximumPositions))
    }

    /// Reads all weights for one text, or for `copies` texts of one length.
    func load(
        context: Int, copies: Int = 1, besides: Int = 0, format: ResidentFormat? = nil, crew: Crew? = nil
    ) throws -> Model {
        try load(
            contexts: .init(repeating: context, count: copies), besides: besides, format: format, crew: crew)
    }

    /// Reads all weights.
    /// - Parameters:
    ///   - contexts: tokens of the texts that will be there at once; counted in the check that everything fits.
    ///   - besides: bytes that the caller will need for other things.
    ///   - format: how large matrices are kept; nil for what the options say.
    ///   - crew: workers made before; nil makes them.
    func load(
        contexts: [Int], besides: Int = 0, format: ResidentFormat? = nil, crew: Crew? = nil
    ) throws -> Model {
        let crew = try crew ?? Crew.make(threads: options.threads)
        let format = format ?? options.weights
        let working =
            try besides
            + Model.workingBytes(
                configuration, modules: layout.mtp.count, contexts: contexts,
                cacheType: options.cacheType, workers: crew.pool.workerCount)
        if options.plan != nil { try crew.checkPlaces() }
        let plan = try options.plan.map {
            try PlanInput.read($0, for: self, on: crew.machine, format: format, besides: working)
        }
        try Interrupts.install()
        let total = checkpoint.tensors.values.reduce(0) { $0 + $1.range.count }
        let bar = ProgressBar("loading", delayNanoseconds: 300_000_000, terminal: Console.terminal)
        let weights = try ModelWeights(
            checkpoint: checkpoint, layout: layout, pool: crew.pool, format: format, nodes: crew.nodes,
            placement: plan, reservedBytes: working
        ) { fraction in
            // There is nothing yet that would need to be saved or reported.
            if Interrupts.requested {
                bar.clear()
                _exit(Status.interrupted)
            }
            bar.update(fraction) { seconds in
                let done = fraction * Double(total)
                return
                    "\(Format.bytes(Int(done))) of \(Format.bytes(total))  \(Format.fixed(done / seconds / 1e9, 1)) GB/s"
            }
        }
        bar.clear()
        return try Model(weights: weights, pool: crew.pool, instructionSet: instructionSet)
    }

    /// A generator for contexts of that size.
    func makeGenerator(_ model: Model, context: Int, draft: DraftMode) throws -> Generator {
        try Generator(
            model: model, capacity: context, cacheType: options.cacheType, drafting: draft != .off,
            drawable: tokenizer?.vocabularyCount)
    }

    /// An engine for texts of these sizes.
    ///
    /// - Parameter parallel: most texts at once; nil for as many as rows and half of the memory that is left allow.
    /// - Throws: `HardwareError` when the pages' memory cannot be had.
    func makeEngine(_ model: Model, contexts: [Int], parallel: Int?, draft: DraftMode) throws -> Engine {
        let drafting = draft != .off
        let room = Engine.room(
            for: contexts, parallel: parallel ?? Step.windowRows, model, cacheType: options.cacheType,
            drafting: drafting, available: parallel == nil ? MemoryBudget.read().available.map { $0 / 2 } : nil)
        var settings = Engine.Settings(context: contexts.max() ?? 1)
        settings.parallel = room.parallel
        settings.pages = room.pages
        settings.cacheType = options.cacheType
        settings.drafting = drafting
        settings.drawable = tokenizer?.vocabularyCount
        // Nobody looks at these texts while they grow.
        settings.chunkShare = 1
        return try Engine(model, settings)
    }

    /// A measurer for texts of that size.
    func makeMeasurer(_ model: Model, plan: MeasuringPlan, context: Int) throws -> Measurer {
        try Measurer(
            model: model, plan: plan, context: context, cacheType: options.cacheType,
            drawable: tokenizer?.vocabularyCount)
    }

    /// A scorer with windows of that size.
    func makeScorer(_ model: Model, context: Int) -> Scorer {
        Scorer(model: model, context: context, cacheType: options.cacheType)
    }
}
