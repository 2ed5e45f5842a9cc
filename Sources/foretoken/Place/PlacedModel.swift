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
    /// How its large matrices are kept.
    let format: ResidentFormat
    /// Tokens that memory is set aside for.
    let context: Int

    /// Opens the checkpoint's headers, or takes a shape.
    /// - Parameter machine: whose workers need scratch.
    /// - Throws: as `Checkpoint` does, and `InputError` for a model without routed experts.
    init(_ options: PlacedModelOptions, on machine: PlacementMachine) throws {
        let checkpoint: Checkpoint
        if let shape = try options.shape.map({ try SyntheticShape(argument: $0) }) {
            checkpoint = try shape.checkpoint(shape.whole, label: "\(shape.name) (dimensions only)")
            format = options.weights ?? shape.publishedFormat
            for remark in shape.remarks { Console.note("\(shape.name): \(remark)") }
            isShape = true
        } else {
            let directory = options.model ?? environment("FORETOKEN_MODEL")
            checkpoint = try directory.map { try Checkpoint(directory: $0) } ?? .demo()
            format = options.weights ?? .stored
            isShape = false
        }
        let layout = try WeightLayout(checkpoint)
        for warning in layout.warnings { Console.warning(warning) }
        let configuration = checkpoint.configuration
        context = options.context ?? min(PlacedModelOptions.usualContext, configuration.maximumPositions)
        guard context <= configuration.maximumPositions else {
            throw InputError(
                "--context \(context) exceeds the \(configuration.maximumPositions) positions of \(checkpoint.label)")
        }
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
