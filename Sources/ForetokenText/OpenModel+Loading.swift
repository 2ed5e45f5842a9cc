import ForetokenHardware
import ForetokenModel
import ForetokenPlacement
import ForetokenSpeculation
import ForetokenTokenizer
import ForetokenWeights

extension OpenModel {
    /// Bytes of all tensors in the files.
    public var byteCount: Int { checkpoint.tensors.values.reduce(0) { $0 + $1.range.count } }

    /// Reads all weights.
    ///
    /// - Parameters:
    ///   - contexts: tokens of the texts that will be there at once; counted in the check that everything fits.
    ///   - besides: bytes that the caller will need for other things.
    ///   - format: how large matrices are kept; nil for what the settings say.
    ///   - crew: runs the model.
    ///   - progress: told the fraction done, on the calling thread.
    /// - Throws: `CheckpointError` for weights that cannot be used, `HardwareError` when there is not enough memory,
    ///   `PlacementError`, `InputError` and `SettingsError` for a plan that does not fit, `InstructionSetError`.
    public func load(
        contexts: [Int], besides: Int = 0, format: ResidentFormat? = nil, on crew: Crew,
        progress: @escaping @Sendable (Double) -> Void = { _ in }
    ) throws -> Model {
        try load(contexts: contexts, besides: besides, format: format, on: crew, hosts: nil, progress: progress)
    }

    /// The same where hosts may share the model: this one leads them.
    /// - Parameter hosts: nil for one host.
    package func load(
        contexts: [Int], besides: Int = 0, format: ResidentFormat? = nil, on crew: Crew, hosts: (any ModelHosts)?,
        progress: @escaping @Sendable (Double) -> Void = { _ in }
    ) throws -> Model {
        let format = format ?? settings.weights
        let working =
            try besides + contexts.reduce(0) { $0 + TextLookup.byteCount(capacity: $1) }
            + Model.workingBytes(
                configuration, modules: layout.mtp.count, contexts: contexts,
                cacheType: settings.cacheType, workers: crew.pool.workerCount)
        let reserved = reservation(contexts: contexts, working: working)
        // A small model is there before anybody has read about it.
        let bytes = layout.packedBytes(configuration, format)
        if bytes + working >= 1 << 30 {
            let among = hosts.map { " shared by \($0.channel.count) hosts" } ?? ""
            tell(.note("memory: \(FigureText.binaryBytes(bytes)) of weights\(among), \(reserved)"))
        }
        if let hosts {
            guard settings.plan == nil else {
                throw InputError(
                    "a plan places the experts of one host, not of \(hosts.channel.count); leave --plan out")
            }
            let wanted = SharedLoading(format: format, workingBytes: working, reserved: reserved)
            hosts.beginLoading(wanted)
            return try loadPart(wanted, on: crew, hosts, progress: progress)
        }
        let weights = try ModelWeights(
            checkpoint: checkpoint, layout: layout, pool: crew.pool, format: format, nodes: crew.nodes,
            placement: try placement(on: crew, format: format, besides: working), reservedBytes: working,
            reservedFor: reserved, progress: progress)
        return try Model(weights: weights, pool: crew.pool, instructionSet: settings.instructionSet)
    }

    /// Reads this host's part of the weights, while the others read theirs.
    ///
    /// - Parameters:
    ///   - wanted: the same on all hosts.
    ///   - hosts: those that share the model.
    /// - Throws: as `load` does, and what `hosts` throws when another host cannot go on.
    package func loadPart(
        _ wanted: SharedLoading, on crew: Crew, _ hosts: any ModelHosts,
        progress: @escaping @Sendable (Double) -> Void = { _ in }
    ) throws -> Model {
        let share = try hosts.divide(self, wanted, crew)
        let model = try hosts.loadTogether { ready in
            let weights = try ModelWeights(
                checkpoint: checkpoint, layout: layout, pool: crew.pool, format: wanted.format, nodes: crew.nodes,
                host: share, reservedBytes: wanted.workingBytes, reservedFor: wanted.reserved,
                progress: { fraction in
                    try hosts.report(fraction: fraction)
                    progress(fraction)
                }, ready: ready)
            return try Model(
                weights: weights, pool: crew.pool, instructionSet: settings.instructionSet,
                others: try OtherHosts(hosts.channel, share, configuration))
        }
        model.others?.begin()
        return model
    }

    /// "0.4 GiB of caches (54,144 bytes a token for 8192 tokens), 0.1 GiB of scratch".
    private func reservation(contexts: [Int], working: Int) -> String {
        let (modules, type) = (layout.mtp.count, settings.cacheType)
        let each = Model.cacheBytesPerPosition(configuration, modules: modules, cacheType: type)
        let caches = Model.cacheBytes(configuration, modules: modules, contexts: contexts, cacheType: type)
        let tokens = contexts.reduce(0, +)
        return "\(FigureText.binaryBytes(caches)) of caches (\(each) bytes a token for \(tokens) tokens in "
            + "\(type.rawValue)), \(FigureText.binaryBytes(working - caches)) of scratch"
    }

    /// The settings' plan. One for another model or machine, or one that does not fit, is refused.
    private func placement(on crew: Crew, format: ResidentFormat, besides: Int) throws -> PlacementPlan? {
        guard let given = settings.plan else { return nil }
        try crew.checkPlaces()
        let plan = try PlacementPlanFile.decode(given.bytes, name: given.name)
        guard let model = try layout.placementModel(checkpoint, format: format, besides: besides) else {
            throw InputError(
                "\(checkpoint.label) has no routed experts, so \(given.name) places nothing; leave --plan out")
        }
        try plan.validate(for: model, on: crew.machine)
        return plan
    }

    /// A generator for contexts of that size.
    /// - Parameter drafting: whether MTP modules may be used.
    /// - Throws: `HardwareError` when its memory cannot be had.
    public func makeGenerator(_ model: Model, context: Int, drafting: Bool) throws -> Generator {
        try Generator(
            model: model, capacity: context, cacheType: settings.cacheType, drafting: drafting,
            drawable: tokenizer?.vocabularyCount)
    }

    /// An engine for texts of these sizes.
    ///
    /// - Parameters:
    ///   - parallel: most texts at once; nil for as many as rows and half of the memory that is left allow.
    ///   - drafting: whether MTP modules may be used.
    ///   - chunkShare: `Engine.Settings.chunkShare`; 1 where nobody looks at the texts while they grow.
    /// - Throws: `HardwareError` when the pages' memory cannot be had.
    public func makeEngine(
        _ model: Model, contexts: [Int], parallel: Int?, drafting: Bool, chunkShare: Double
    ) throws -> Engine {
        let room = Engine.room(
            for: contexts, parallel: parallel ?? Step.windowRows, model, cacheType: settings.cacheType,
            drafting: drafting, available: parallel == nil ? Engine.spareBytes(model) : nil)
        var wanted = engineSettings(context: contexts.max() ?? 1, drafting: drafting, chunkShare: chunkShare)
        wanted.parallel = room.parallel
        wanted.pages = room.pages
        return try Engine(model, wanted)
    }

    /// An engine for requests that are not known yet: for `parallel` texts at once, and as many pages as they may need, or as
    /// half of the memory that is left has room for, but at least those of one text.
    ///
    /// - Parameter cacheBytes: memory for beginnings of prompts beside that, of which there is a quarter of what is left at
    ///   most; 0 for none.
    /// - Throws: `HardwareError` when the pages' memory cannot be had.
    public func makeServingEngine(
        _ model: Model, context: Int, parallel: Int, drafting: Bool, chunkShare: Double, cacheBytes: Int = 0
    ) throws -> Engine {
        let most = Engine.spareBytes(model).map { $0 / 2 } ?? .max
        let cachePages = min(cacheBytes, most) / model.pageBytes(cacheType: settings.cacheType, drafting: drafting)
        let room = Engine.room(
            for: .init(repeating: context, count: parallel), parallel: parallel, model, cacheType: settings.cacheType,
            drafting: drafting, available: Engine.spareBytes(model))
        var wanted = engineSettings(context: context, drafting: drafting, chunkShare: chunkShare)
        wanted.parallel = parallel
        wanted.pages = room.pages + cachePages
        wanted.cachePages = cachePages
        return try Engine(model, wanted)
    }

    private func engineSettings(context: Int, drafting: Bool, chunkShare: Double) -> Engine.Settings {
        var wanted = Engine.Settings(context: context)
        wanted.cacheType = settings.cacheType
        wanted.drafting = drafting
        wanted.drawable = tokenizer?.vocabularyCount
        wanted.chunkShare = chunkShare
        return wanted
    }
}
