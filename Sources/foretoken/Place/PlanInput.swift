import ForetokenHardware
import ForetokenPlacement
import ForetokenWeights

/// A placement plan that `--plan` names.
enum PlanInput {
    /// Reads a plan and refuses one for another model or machine, or one that does not fit.
    ///
    /// - Parameters:
    ///   - besides: bytes of caches and scratch.
    ///   - format: how the large matrices will be kept.
    /// - Throws: `PlacementError` for damaged or unfit plans.
    static func read(
        _ path: String, for open: OpenModel, on machine: PlacementMachine, format: ResidentFormat, besides: Int
    ) throws -> PlacementPlan {
        let bytes = try InputFile.bytes(path, for: .plan)
        let plan = try PlacementPlanFile.decode(bytes, name: path)
        guard let model = try open.layout.placementModel(open.checkpoint, format: format, besides: besides) else {
            throw InputError(
                "\(open.checkpoint.label) has no routed experts, so \(path) places nothing; leave --plan out")
        }
        try plan.validate(for: model, on: machine)
        return plan
    }
}
