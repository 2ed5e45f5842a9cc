import ForetokenJSON

/// What a folder holds and everything that is wrong with it: the answer of `foretoken inspect`.
///
/// Encodes as `{"model_type", "family", "runs", "config", "context", "end_tokens", "sampling_defaults", "mtp_modules",
/// "mtp_blocks", "tensors", "bytes_by_dtype", "weights_bytes", "remarks", "problems"}`.
public struct Inspection: Sendable, Encodable {
    /// `model_type` of config.json, if it could be read.
    public let modelType: String?
    /// What people call models of that kind; nil where they are not run.
    public var family: String? { configuration?.family.name }
    /// The configuration as this program understands it; nil when there is a problem with it.
    public let configuration: ModelConfiguration?
    /// What generation_config.json says; nil when there is none or it is damaged.
    public let generationDefaults: GenerationDefaults?
    /// MTP modules whose tensors are there.
    public let mtpModuleCount: Int
    /// What these modules' feed-forward parts are, in order.
    public let moduleBlocks: [ModuleBlock]
    /// Bytes of the weights in memory by the way they are kept; empty where there are problems.
    public let weightBytes: [(format: ResidentFormat, bytes: Int)]
    /// Tensors of the checkpoint.
    public let tensorCount: Int
    /// Bytes of weights by dtype, under the names of the safetensors format.
    public let bytesByType: [String: Int]
    /// Every problem found; empty for a usable checkpoint.
    public private(set) var problems: [CheckpointError]
    /// What is odd but does no harm, one sentence each. Not encoded.
    public private(set) var warnings: [String]

    /// What is left out on purpose, one sentence each.
    public let remarks: [String]

    /// The feed-forward part of an MTP module.
    public enum ModuleBlock: String, Sendable, Encodable {
        /// One MLP for every token.
        case dense
        /// Routed experts.
        case experts
    }

    private let configurationJSON: JSONValue?
    private let folder: CheckpointFolder

    /// Bytes read at a time by the scan of weights.
    private static let chunkBytes = 4 << 20

    /// Looks at a folder.
    /// - Parameters:
    ///   - directory: a folder, of whatever content.
    ///   - scanningWeights: also reads all weights, looking for NaN, infinities and scales that cannot be.
    ///   - progress: called during the scan with the bytes done and the bytes in all; may throw to stop.
    /// - Throws: `CheckpointError` of kind `.missingPath` when there is no such folder; whatever `progress` throws.
    ///   Problems *in* the folder are results, not errors.
    public init(
        directory: String, scanningWeights: Bool = false, progress: (Int, Int) throws -> Void = { _, _ in }
    ) throws {
        try CheckpointFolder.requireDirectory(directory)
        try self.init(
            CheckpointSurvey(.directory(directory), label: directory), scanningWeights: scanningWeights,
            progress: progress)
    }

    /// Looks at the folder of an open checkpoint again, the embedded one included.
    public init(
        _ checkpoint: Checkpoint, scanningWeights: Bool = false, progress: (Int, Int) throws -> Void = { _, _ in }
    ) throws {
        try self.init(
            CheckpointSurvey(checkpoint.folder, label: checkpoint.label), scanningWeights: scanningWeights,
            progress: progress)
    }

    private init(_ survey: CheckpointSurvey, scanningWeights: Bool, progress: (Int, Int) throws -> Void) throws {
        var problems = survey.problems
        var warnings = survey.warnings
        var moduleBlocks: [ModuleBlock] = []
        var remarks: [String] = []
        var weightBytes: [(ResidentFormat, Int)] = []
        var defaults: GenerationDefaults?
        // Weight files that could not be read at all explain why every tensor is missing.
        let isExplained = survey.tensors.isEmpty && !survey.problems.isEmpty
        if !isExplained, let checkpoint = Checkpoint(unchecked: survey) {
            let (layout, layoutProblems) = WeightLayout.resolve(checkpoint)
            moduleBlocks = layout.mtp.map(\.block.kind)
            warnings = layout.warnings
            remarks = layout.remarks
            problems += layoutProblems
            if problems.isEmpty {
                weightBytes = ResidentFormat.allCases.map { ($0, layout.packedBytes(checkpoint.configuration, $0)) }
            }
            do {
                defaults = try checkpoint.generationDefaults()
            } catch let error as CheckpointError {
                problems.append(error)
            }
            if scanningWeights { problems += try Inspection.scan(checkpoint, progress: progress) }
        }
        modelType = survey.configurationJSON?.object?["model_type"]?.string
        folder = survey.folder
        configuration = survey.configuration
        configurationJSON = survey.configurationJSON
        generationDefaults = defaults
        mtpModuleCount = moduleBlocks.count
        self.moduleBlocks = moduleBlocks
        self.remarks = remarks
        self.weightBytes = weightBytes
        tensorCount = survey.tensors.count
        bytesByType = survey.tensors.values.reduce(into: [:]) { $0[$1.type.rawValue, default: 0] += $1.range.count }
        self.problems = problems
        self.warnings = warnings
    }

    /// The whole of a small file of the folder, such as tokenizer.json; nil when there is none.
    /// - Throws: `CheckpointError` when it cannot be read or is larger than such files are.
    public func file(named name: String) throws -> [UInt8]? { try folder.read(name) }

    /// Adds what was found in files that this room does not understand.
    public mutating func add(problems more: [CheckpointError], warnings others: [String]) {
        problems += more
        warnings += others
    }

    private static func scan(
        _ checkpoint: Checkpoint, progress: (Int, Int) throws -> Void
    ) throws -> [CheckpointError] {
        let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: chunkBytes, alignment: 64)
        defer { buffer.deallocate() }
        // In the order of the bytes, so that disks are read forwards.
        let tensors = checkpoint.tensors.values.sorted {
            ($0.file, $0.range.lowerBound) < ($1.file, $1.range.lowerBound)
        }
        let total = tensors.reduce(0) { $0 + $1.range.count }
        var done = 0
        var problems: [CheckpointError] = []
        for tensor in tensors {
            do {
                let problem = try ValueCheck.problem(tensor, of: checkpoint, buffer: buffer) { bytes in
                    done += bytes
                    try progress(done, total)
                }
                if let problem { problems.append(problem) }
            } catch let error as CheckpointError {
                problems.append(error)
            }
        }
        return problems
    }

    private enum CodingKeys: String, CodingKey {
        case modelType = "model_type"
        case family
        case runs
        case config
        case context
        case endTokens = "end_tokens"
        case samplingDefaults = "sampling_defaults"
        case mtpModules = "mtp_modules"
        case mtpBlocks = "mtp_blocks"
        case tensors
        case bytesByType = "bytes_by_dtype"
        case weightsBytes = "weights_bytes"
        case remarks
        case problems
    }

    /// Encodes the documented keys; `config` is config.json as it stands, problems are sentences.
    public func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode(modelType, forKey: .modelType)
        try container.encode(family, forKey: .family)
        try container.encode(problems.isEmpty, forKey: .runs)
        try container.encode(configurationJSON ?? .null, forKey: .config)
        try container.encode(configuration?.maximumPositions, forKey: .context)
        try container.encode(configuration?.endTokens(generationDefaults), forKey: .endTokens)
        try container.encode(generationDefaults, forKey: .samplingDefaults)
        try container.encode(mtpModuleCount, forKey: .mtpModules)
        try container.encode(moduleBlocks, forKey: .mtpBlocks)
        try container.encode(tensorCount, forKey: .tensors)
        try container.encode(bytesByType, forKey: .bytesByType)
        let bytes = Dictionary(uniqueKeysWithValues: weightBytes.map { ($0.format.rawValue, $0.bytes) })
        try container.encode(bytes, forKey: .weightsBytes)
        try container.encode(remarks, forKey: .remarks)
        try container.encode(problems.map(\.description), forKey: .problems)
    }
}

extension LayerSource {
    fileprivate var kind: Inspection.ModuleBlock {
        switch feedForward {
        case .dense: .dense
        case .moe: .experts
        }
    }
}
