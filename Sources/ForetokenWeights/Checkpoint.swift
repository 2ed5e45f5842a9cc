/// A Hugging Face checkpoint: its configuration and where every tensor's bytes lie. Weights are read on demand.
///
/// Opening reads config.json, the index and every file's header, and checks them against the files' sizes.
/// What the architecture needs of the tensors is `WeightLayout`'s business.
public final class Checkpoint: Sendable {
    /// What the checkpoint is called in messages: its folder, or the label it was given.
    public let label: String
    /// The model's shape.
    public let configuration: ModelConfiguration
    /// Every tensor by name.
    public let tensors: [String: TensorInfo]
    /// Names of the safetensors files; `TensorInfo.file` counts in this list.
    public let fileNames: [String]
    /// What is odd but does no harm, one sentence each.
    public let warnings: [String]

    let folder: CheckpointFolder
    /// Tensors whose absence is explained by a problem of their file.
    let knownMissing: Set<String>
    /// Tensors that the index does not name, with the file that holds them.
    let unlisted: [String: String]
    private let sources: [ByteSource]

    /// Opens a Hugging Face folder.
    /// - Throws: `CheckpointError`: `.missingPath` when there is no such folder, `.unusable` when it is no checkpoint of
    ///   this family or is damaged.
    public convenience init(directory: String) throws {
        try CheckpointFolder.requireDirectory(directory)
        try self.init(CheckpointSurvey(.directory(directory), label: directory))
    }

    /// Opens the same folder laid out in memory.
    /// - Parameters:
    ///   - files: the folder's files; their bytes must stay valid and unchanged until the process ends.
    ///   - label: what to call the checkpoint in messages.
    public convenience init(embedded files: [(name: String, bytes: UnsafeRawBufferPointer)], label: String) throws {
        let named = files.map { ($0.name, EmbeddedBytes(buffer: $0.bytes)) }
        let folder = CheckpointFolder.memory(Dictionary(named) { first, _ in first })
        try self.init(CheckpointSurvey(folder, label: label))
    }

    private convenience init(_ survey: CheckpointSurvey) throws {
        try survey.problems.throwFirst()
        self.init(unchecked: survey)!
    }

    /// A checkpoint for inspection: there may be problems, as long as the configuration could be read.
    init?(unchecked survey: CheckpointSurvey) {
        guard let configuration = survey.configuration else { return nil }
        label = survey.label
        self.configuration = configuration
        tensors = survey.tensors
        fileNames = survey.fileNames
        warnings = survey.warnings
        folder = survey.folder
        sources = survey.sources
        knownMissing = survey.knownMissing
        unlisted = survey.unlisted
    }

    /// A checkpoint whose tensors all lie in one source.
    init(label: String, configuration: ModelConfiguration, tensors: [String: TensorInfo], source: ByteSource) {
        self.label = label
        self.configuration = configuration
        self.tensors = tensors
        fileNames = [label]
        warnings = []
        folder = .memory([:])
        sources = [source]
        knownMissing = []
        unlisted = [:]
    }

    /// The tensor of that name, if there is one.
    public func tensor(_ name: String) -> TensorInfo? { tensors[name] }

    /// Reads bytes of a tensor, from any thread.
    /// - Parameters:
    ///   - tensor: a tensor of this checkpoint.
    ///   - offset: first byte to read, counted from the tensor's first byte.
    ///   - destination: filled to the end; `offset + destination.count` must not exceed the tensor's size.
    /// - Throws: `CheckpointError` naming the file and the tensor.
    public func read(
        _ tensor: TensorInfo, fromByte offset: Int, into destination: UnsafeMutableRawBufferPointer
    ) throws {
        precondition(
            offset >= 0 && destination.count <= tensor.range.count - offset, "read past the end of \(tensor.name)")
        do {
            try sources[tensor.file].read(at: tensor.range.lowerBound + offset, into: destination)
        } catch var error as CheckpointError {
            error.summary += " (tensor \(tensor.name))"
            throw error
        }
    }

    /// Tells the kernel that a tensor's pages in the page cache are no longer needed.
    public func dropPageCache(_ tensor: TensorInfo) { sources[tensor.file].dropPageCache(tensor.range) }

    /// The same for bytes of a tensor, counted from its first one. Only whole pages inside are dropped.
    func dropPageCache(_ tensor: TensorInfo, _ bytes: Range<Int>) {
        let start = tensor.range.lowerBound
        sources[tensor.file].dropPageCache(start + bytes.lowerBound..<start + bytes.upperBound)
    }

    /// The same for all files.
    func dropPageCache() { for source in sources { source.dropPageCache(0..<source.count) } }

    /// The whole of a small file such as tokenizer.json; nil when there is none.
    /// - Throws: `CheckpointError` when it cannot be read or is larger than such files are (256 MiB).
    public func file(named name: String) throws -> [UInt8]? { try folder.read(name) }
}
