/// Makes a checkpoint larger without changing what it computes: the same tokens, drafts and routing from more bytes.
///
/// The residual stream, the experts' neurons, the MoE layers, attention's heads and the query's down-projection are
/// repeated by powers of two, so that nothing but FP8 block scales and exponents changes; sums over repeated inputs may
/// round differently in their last bits. Every tensor is as large, and is read as often, as it would be in a trained model
/// of the new shape.
///
/// Drafts from an lm_head rounded to INT8 in column groups of 128 stay the same when the hidden size divides 128 or is a
/// multiple of it, as in every published model; others are divided into other groups, and now and then a close guess
/// differs.
public struct Growth {
    /// How much larger it becomes.
    public let factors: GrowthFactors
    /// Main layers of the result.
    public let layerCount: Int
    /// Bytes of all tensors of the result.
    public let byteCount: Int
    /// Bytes of stored weights that a step of the main model reads for one token.
    public let stepByteCount: Int
    /// Those of them that belong to routed experts: the part that grows with the rows of a step.
    public let routedByteCount: Int
    /// Bytes of stored weights that a step of the first MTP module reads for one token, its lm_head included; nil
    /// without MTP modules.
    public let mtpStepByteCount: Int?
    /// What is odd about the original, one sentence each.
    public let warnings: [String]

    private let checkpoint: Checkpoint
    private let configurationText: [UInt8]
    private let shards: [[GrownTensor]]

    /// Weights of one file; a single larger tensor gets a file of its own.
    private static let shardBytes = 4_000_000_000
    /// Keeps headers far below the longest that readers accept.
    private static let shardTensors = 100_000

    /// Plans the enlargement; nothing is written and no weight is read.
    /// - Throws: `CheckpointError` when the checkpoint lacks a tensor, a tensor cannot be enlarged, or the result would
    ///   exceed what a configuration allows.
    public init(_ checkpoint: Checkpoint, by factors: GrowthFactors) throws {
        let original = checkpoint.configuration
        guard original.sparseAttention == nil else {
            throw CheckpointError(
                "\(checkpoint.label) cannot be enlarged: it chooses what attention reads by an indexer",
                hint: "enlarge a model without sparse attention")
        }
        let layout = try WeightLayout(checkpoint)
        guard checkpoint.tensors.count * factors.layers <= SafetensorsHeader.maximumTensors else {
            throw CheckpointError(
                "the grown checkpoint would have too many tensors",
                expected: "at most \(SafetensorsHeader.maximumTensors)",
                found: "up to \(checkpoint.tensors.count * factors.layers)", hint: "use a smaller factor for layers")
        }
        let plan = GrowthPlan(layout, original, factors, files: checkpoint.fileNames)
        configurationText = try Growth.configuration(checkpoint, factors, layerCount: plan.layerCount)
        try plan.problems.throwFirst()
        for tensor in plan.tensors where tensor.rowBytes > GrownTensorWriter.maximumRowBytes {
            throw CheckpointError(
                "tensor \(shown(tensor.name)) would have too long rows",
                expected: "at most \(GrownTensorWriter.maximumRowBytes) bytes", found: "\(tensor.rowBytes)",
                hint: "use smaller factors")
        }
        self.checkpoint = checkpoint
        self.factors = factors
        warnings = layout.warnings
        layerCount = plan.layerCount
        byteCount = plan.tensors.reduce(0) { $0 + $1.byteCount }
        let step = Growth.stepBytes(plan.tensors, module: nil, original)
        stepByteCount = step.always + step.experts
        routedByteCount = step.experts
        let ownLMHead = plan.tensors.contains { $0.module == 0 && $0.role == .lmHead }
        let mainLMHead = plan.tensors.reduce(0) { $0 + ($1.module == nil && $1.role == .lmHead ? $1.byteCount : 0) }
        mtpStepByteCount =
            layout.mtp.isEmpty
            ? nil : Growth.mtpStepBytes(plan.tensors, original) + (ownLMHead ? 0 : mainLMHead)
        shards = Growth.shards(plan.tensors)
    }

    /// Writes the enlarged checkpoint as the new folder `destination`: weights in files of about 4 GB, config.json, and
    /// copies of the tokenizer and other small files. Uses a few megabytes of memory at any size.
    /// - Parameters:
    ///   - destination: must not exist. It appears when everything is on the disk; after an error nothing is left.
    ///   - progress: called after every few megabytes, with bytes written; may throw to stop.
    /// - Throws: `CheckpointError`; whatever `progress` throws.
    public func write(to destination: String, progress: (ConversionProgress) throws -> Void = { _ in }) throws {
        let folder = try OutputFolder(destination, outside: checkpoint.folder)
        try folder.requireSpace(byteCount, for: "grown")
        try writeWeights(folder, progress)
        try folder.write(CheckpointSurvey.configurationFile) { try $0.write(configurationText) }
        try folder.copySmallFiles(of: checkpoint)
        try folder.finish()
    }

    // MARK: Plan

    /// config.json with the new sizes; everything else stays as the author wrote it.
    private static func configuration(
        _ checkpoint: Checkpoint, _ factors: GrowthFactors, layerCount: Int
    ) throws -> [UInt8] {
        let original = checkpoint.configuration
        let name = CheckpointSurvey.configurationFile
        guard let total = original.growth.times(factors) else {
            throw CheckpointError(
                "\(name): the checkpoint has been grown by \(original.growth) already",
                expected: "at most \(GrowthFactors.maximum) times in all", found: "another \(factors)")
        }
        var members = [
            "hidden_size": "\(original.hiddenSize * factors.hidden)",
            "moe_intermediate_size": "\(original.expertIntermediateSize * factors.experts)",
            "num_hidden_layers": "\(layerCount)",
            "first_k_dense_replace": "\(original.denseLayerCount)",
            ModelConfiguration.growthKey: total.json,
        ]
        if factors.heads > 1 {
            let heads = "\(original.headCount * factors.heads)"
            members["num_attention_heads"] = heads
            members["num_key_value_heads"] = heads
        }
        if let rank = original.queryRank { members["q_lora_rank"] = "\(rank * factors.query)" }
        if original.tiesEmbeddings { members["tie_word_embeddings"] = "false" }
        let old = try checkpoint.folder.read(name) ?? []
        let text = try editingObject(under: original.family.nestedKey, of: old, file: name) { keys in
            // A list with an entry a layer would be too short; the number of dense layers says the same.
            let kept = try removingMember(ConfigurationReader.layerKinds, from: keys, file: name)
            return try replacingMembers(members, in: kept, file: name)
        }
        do {
            _ = try ModelConfiguration(json: text, file: name)
        } catch var error as CheckpointError {
            error.summary = "the grown checkpoint would be impossible: \(error.summary)"
            error.hint = "use smaller factors"
            throw error
        }
        return text
    }

    /// Bytes that one token makes a step read, of the main model or of one MTP module.
    private static func stepBytes(
        _ tensors: [GrownTensor], module: Int?, _ configuration: ModelConfiguration
    ) -> (always: Int, experts: Int) {
        var always = 0
        var experts = 0
        for tensor in tensors where tensor.module == module {
            switch tensor.role {
            case .embedding: break
            case .shared, .lmHead: always += tensor.byteCount
            case .expert: experts += tensor.byteCount
            }
        }
        return (always, experts / configuration.routedExpertCount * configuration.expertsPerToken)
    }

    private static func mtpStepBytes(_ tensors: [GrownTensor], _ configuration: ModelConfiguration) -> Int {
        let bytes = stepBytes(tensors, module: 0, configuration)
        return bytes.always + bytes.experts
    }

    private static func shards(_ tensors: [GrownTensor]) -> [[GrownTensor]] {
        var shards: [[GrownTensor]] = []
        var current: [GrownTensor] = []
        var bytes = 0
        for tensor in tensors {
            if !current.isEmpty, bytes + tensor.byteCount > shardBytes || current.count == shardTensors {
                shards.append(current)
                current = []
                bytes = 0
            }
            current.append(tensor)
            bytes += tensor.byteCount
        }
        shards.append(current)
        // Widest elements first keeps everything aligned, as other writers of the format do.
        return shards.map { $0.sorted { ($1.source.type.bits, $0.name) < ($0.source.type.bits, $1.name) } }
    }

    // MARK: Files

    private func writeWeights(_ folder: OutputFolder, _ progress: (ConversionProgress) throws -> Void) throws {
        let writer = GrownTensorWriter(checkpoint, shards.flatMap { $0 })
        var done = 0
        var files: [String: String] = [:]
        for (index, tensors) in shards.enumerated() {
            let name = "model-\(padded(index + 1))-of-\(padded(shards.count)).safetensors"
            try folder.write(name) { file in
                let header = tensors.map {
                    (name: $0.name, type: $0.source.type, shape: $0.shape, bytes: $0.byteCount)
                }
                try file.write(SafetensorsHeader.encode(header))
                for tensor in tensors {
                    files[tensor.name] = name
                    try writer.write(tensor, to: file) { bytes in
                        done += bytes
                        try progress(ConversionProgress(file: name, doneBytes: done, totalBytes: byteCount))
                    }
                }
            }
        }
        try folder.writeIndex(files, totalBytes: byteCount)
    }

    /// A shard's number as published checkpoints write it.
    private func padded(_ number: Int) -> String {
        let digits = "\(number)"
        return String(repeating: "0", count: max(0, 5 - digits.count)) + digits
    }
}
