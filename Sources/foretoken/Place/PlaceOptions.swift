import ArgumentParser
import ForetokenModel
import ForetokenPlacement
import ForetokenReport
import ForetokenWeights

/// Which model's experts are placed. No weight of it is loaded.
struct PlacedModelOptions: ParsableArguments {
    @Option(
        name: .customLong("model"),
        help: ArgumentHelp(
            "Folder of the checkpoint, or OWNER/NAME of one in Hugging Face's cache (default: $FORETOKEN_MODEL, or the "
                + "demonstration model).", valueName: "dir"))
    var givenModel: String?
    @OptionGroup var modelAlias: ModelAlias

    @Option(
        help: ArgumentHelp(
            "Takes a model that one does not have: one of \(SyntheticShape.names.joined(separator: ", ")), or the path "
                + "of a config.json.", valueName: "name|f"))
    var shape: String?

    @Option(
        help: ArgumentHelp(
            "How the large matrices will be kept in memory (default: stored, as the checkpoint has them).",
            valueName: "stored|fp8|bf16|int8|int4|experts-int4"))
    var weights: ResidentFormat?

    @Option(help: ArgumentHelp("Element type of the latent cache.", valueName: "f32|bf16"))
    var cacheType = CacheType.f32

    @Option(
        name: .customLong("context"), parsing: .unconditional,
        help: ArgumentHelp(
            "Context in tokens that memory is set aside for (default: 4096, or what the model can).", valueName: "n"))
    var givenContext: Int?
    @OptionGroup var contextAlias: ContextAlias

    static let usualContext = 4096

    var model: String? { Alias.value(givenModel, modelAlias.values) }
    var context: Int? { Alias.value(givenContext, contextAlias.values) }

    func validate() throws {
        try modelAlias.check(givenModel)
        try contextAlias.check(givenContext)
        if model != nil && shape != nil { throw ValidationError("give --shape or --model, not both") }
        if let context, context < 1 { throw ValidationError("--context must be at least 1, not \(context)") }
    }

    /// Whether any option was given.
    var isChosen: Bool {
        model != nil || shape != nil || context != nil || cacheType != .f32 || weights != nil
    }
}

/// What a plan is written as.
enum PlanFormat: String, ExpressibleByArgument, CaseIterable {
    /// For `--plan`.
    case plan
    /// The arrays of DeepSeek's EPLB interface.
    case eplb
}

/// Whose plan is taken.
enum PolicyChoice: Equatable {
    /// The planner's own choice.
    case auto
    /// This policy's, whatever it gives.
    case fixed(PlacementPolicy)

    /// Names that may be given.
    static let names =
        "auto, sliced, sliced=2, proportional, capacity-sliced, round-robin, contiguous, balanced, spread, hybrid=25, "
        + "tiered, search or replicas=12.5"

    static func parse(_ argument: String) throws -> PolicyChoice {
        if argument == "auto" { return .auto }
        guard let policy = PlacementPolicy(argument) else {
            throw ValidationError("--policy wants one of \(names); '\(argument)' is none")
        }
        return .fixed(policy)
    }
}
