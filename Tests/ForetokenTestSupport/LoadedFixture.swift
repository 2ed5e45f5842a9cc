import ForetokenHardware
import ForetokenModel
import ForetokenWeights

extension Model {
    /// A model from a folder, on an unpinned pool.
    public static func load(
        _ directory: String, threads: Int = 2, instructionSet: String? = nil,
        format: ResidentFormat = .stored
    ) throws -> Model {
        let checkpoint = try Checkpoint(directory: directory)
        let pool = try WorkerPool(threads: threads)
        let weights = try ModelWeights(
            checkpoint: checkpoint, layout: try WeightLayout(checkpoint), pool: pool, format: format)
        return try Model(weights: weights, pool: pool, instructionSet: instructionSet)
    }
}
