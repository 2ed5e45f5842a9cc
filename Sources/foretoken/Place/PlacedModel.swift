import ForetokenModel
import ForetokenPlacement
import ForetokenText
import ForetokenWeights

/// A model whose experts are to be placed: its sizes, but no weights.
struct PlacedModel {
    /// What messages and reports call it.
    let label: String
    /// Whether only its dimensions are known.
    let isShape: Bool
    /// What plans are made for; of a shape its fingerprint stands for no checkpoint.
    let placement: PlacementModel
    /// Its dimensions.
    let configuration: ModelConfiguration
    /// How its large matrices are kept.
    let format: ResidentFormat
    /// Tokens that memory is set aside for.
    let context: Int

    /// Opens the checkpoint's headers, or takes a shape.
    /// - Parameter machine: whose workers need scratch.
    /// - Throws: as `Checkpoint` does, and `InputError` for a model without routed experts.
    init(_ options: PlacedModelOptions, on machine: PlacementMachine) throws {
        let opened = try PlacedCheckpoint(options)
        (format, context, isShape) = (opened.format, opened.context, opened.isShape)
        let (checkpoint, layout) = (opened.checkpoint, opened.layout)
        configuration = checkpoint.configuration
        let besides = try Model.workingBytes(
            configuration, modules: layout.mtp.count, contexts: [context], cacheType: options.cacheType,
            workers: machine.nodes.reduce(0) { $0 + $1.workers })
        guard let placement = try layout.placementModel(checkpoint, format: format, besides: besides) else {
            throw InputError("\(checkpoint.label) has no routed experts, so there is nothing to place")
        }
        self.placement = placement
        label = checkpoint.label
    }

    /// The same with the fingerprint of the model that a trace was recorded from, where only dimensions are known: a plan
    /// made from both is for that model.
    func bound(to trace: RoutingTrace) -> PlacementModel {
        var bound = placement
        if isShape && !trace.model.isEmpty { bound.fingerprint = trace.model }
        return bound
    }
}

/// A model's headers or dimensions, and how it is to be kept.
struct PlacedCheckpoint {
    let checkpoint: Checkpoint
    let layout: WeightLayout
    /// How its large matrices are kept.
    let format: ResidentFormat
    /// Tokens that memory is set aside for.
    let context: Int
    /// Whether only its dimensions are known.
    let isShape: Bool

    /// Opens the checkpoint's headers, or takes a shape.
    /// - Throws: as `Checkpoint` does, and `InputError` for a context beyond the model's.
    init(_ options: PlacedModelOptions) throws {
        if let shape = try options.shape.map({ try SyntheticShape(argument: $0) }) {
            checkpoint = try shape.checkpoint(shape.whole, label: "\(shape.name) (dimensions only)")
            format = shape.counted(options.weights ?? .stored)
            for remark in shape.remarks { Console.note("\(shape.name): \(remark)") }
            isShape = true
        } else {
            let directory = try (options.model ?? environment("FORETOKEN_MODEL")).map(ModelFolder.resolve)
            checkpoint = try directory.map { try Checkpoint(directory: $0) } ?? .demo()
            format = options.weights ?? .stored
            isShape = false
        }
        layout = try WeightLayout(checkpoint)
        for warning in layout.warnings { Console.warning(warning) }
        let configuration = checkpoint.configuration
        context = options.context ?? min(PlacedModelOptions.usualContext, configuration.maximumPositions)
        guard context <= configuration.maximumPositions else {
            throw InputError(
                "--context \(context) exceeds the \(configuration.maximumPositions) positions of \(checkpoint.label)")
        }
    }

    /// What planning over hosts must know of it.
    /// - Parameter workers: of the host that has most.
    /// - Throws: as `Model.workingBytes` and `WeightLayout.hostedModel` do.
    func hosted(_ cacheType: CacheType, workers: Int) throws -> HostedModel {
        let (configuration, modules) = (checkpoint.configuration, layout.mtp.count)
        let working = try Model.workingBytes(
            configuration, modules: modules, contexts: [context], cacheType: cacheType, workers: workers)
        let cache = Model.cacheBytes(configuration, modules: modules, contexts: [context], cacheType: cacheType)
        return try layout.hostedModel(
            checkpoint, format: format, cacheElementBytes: cacheType.elementBytes,
            positions: LatentPool.pages(forPositions: context) * LatentPool.pagePositions, scratchBytes: working - cache
        )
    }
}
