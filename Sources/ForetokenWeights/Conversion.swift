import CForetokenKernels
import ForetokenHardware

/// A checkpoint in another format. File names stay, tensors that are not converted are copied bit by bit, and config.json,
/// index, tokenizer and other small files come along.
///
/// - `bf16`: FP8 weights and INT4 codes become W[r,c] = bf16( float(q[r,c]) · scale ), product in FP32, round to nearest
///   even; of FP8 these are the values of DeepSeek's `fp8_cast_bf16.py`. A code times a scale of few significant bits stays
///   exact, others lose what eight bits do not hold.
/// - `fp8`: the matrices that DeepSeek publishes so, the projections of attention and of its indexer and all feed-forward
///   parts, with a scale amax / 448 for each block of 128×128. How much each head of an indexer counts stays as it is.
/// - `int4`: the routed experts, those of MTP modules included, as compressed-tensors packs them (`PackedCodes`), with the
///   codes and scales that `ResidentFormat.expertsInt4` makes; FP8 weights beside them become BF16.
public struct Conversion {
    /// What the weights become.
    public enum Target: String, CaseIterable, Sendable {
        /// BF16.
        case bf16
        /// FP8 in blocks of 128×128.
        case fp8
        /// INT4 experts.
        case int4
    }

    /// Bytes read at a time.
    private static let chunkBytes = 4 << 20

    /// What the weights become.
    public let target: Target
    /// Bytes of all new tensors.
    public let byteCount: Int
    private let checkpoint: Checkpoint
    /// Per file, its tensors in the order of their bytes.
    private let files: [(name: String, items: [Item])]

    /// Plans the conversion; nothing is written and no weight is read.
    /// - Throws: `CheckpointError` for a tensor that cannot be converted.
    public init(_ checkpoint: Checkpoint, to target: Target) throws {
        self.checkpoint = checkpoint
        self.target = target
        let matrices = try Conversion.matrices(checkpoint, target)
        var items = [[Item]](repeating: [], count: checkpoint.fileNames.count)
        var problems: [CheckpointError] = []
        for tensor in checkpoint.tensors.values where !Conversion.isPartOfWeight(tensor, checkpoint) {
            do {
                items[tensor.file].append(try Item(tensor, checkpoint, target, matrices[tensor.name]))
            } catch let error as CheckpointError {
                problems.append(error)
            }
        }
        try problems.sorted { $0.summary < $1.summary }.throwFirst()
        files = zip(checkpoint.fileNames, items).map { name, items in
            (name, items.sorted { $0.source.range.lowerBound < $1.source.range.lowerBound })
        }
        byteCount = files.flatMap(\.items).flatMap(\.outputs).reduce(0) { $0 + $1.byteCount }
    }

    /// Writes the new folder `destination`.
    /// - Parameters:
    ///   - destination: must not exist. It appears when everything is on the disk; after an error nothing is left.
    ///   - threads: how many quantise.
    ///   - progress: called after every few megabytes, with source bytes read; may throw to stop.
    /// - Throws: `CheckpointError`; `HardwareError` when threads cannot be started; whatever `progress` throws.
    public func write(
        to destination: String, threads: Int = 1, progress: (ConversionProgress) throws -> Void = { _ in }
    ) throws {
        let folder = try OutputFolder(destination, outside: checkpoint.folder)
        try folder.requireSpace(byteCount, for: "converted")
        try writeWeights(folder, try WorkerPool(threads: threads), progress)
        try writeIndex(folder)
        try writeConfiguration(folder)
        try folder.copySmallFiles(of: checkpoint)
        try folder.finish()
    }

    // MARK: Plan

    /// By the names of their weights: the matrices that the target quantises.
    private static func matrices(_ checkpoint: Checkpoint, _ target: Target) throws -> [String: LinearSource] {
        if target == .bf16 { return [:] }
        let layout = try WeightLayout(checkpoint)
        let layers = layout.layers + layout.mtp.map(\.block)
        let sources = layers.flatMap { target == .int4 ? $0.routedExperts : $0.matrices }
        for source in layers.flatMap(\.matrices) {
            let isRefused = source.isPacked || target == .fp8 && source.weight.type == .fp8
            guard isRefused else { continue }
            throw CheckpointError(
                "\(checkpoint.fileNames[source.weight.file]): tensor \(shown(source.weight.name)) is quantised already",
                expected: target == .fp8 ? "BF16 weights" : "BF16 or FP8 weights",
                found: source.isPacked ? "INT4 codes" : source.weight.type.rawValue,
                hint: "what was rounded once cannot be rounded better")
        }
        if sources.isEmpty {
            throw CheckpointError("\(checkpoint.label) has no routed experts, which alone become INT4")
        }
        if target == .int4, let odd = sources.first(where: { !$0.columns.isMultiple(of: PackedCodes.blockColumns) }) {
            throw CheckpointError(
                "\(checkpoint.fileNames[odd.weight.file]): tensor \(shown(odd.weight.name)) cannot be packed",
                expected: "a multiple of \(PackedCodes.blockColumns) columns", found: "\(odd.columns)")
        }
        return Dictionary(sources.map { ($0.weight.name, $0) }) { first, _ in first }
    }

    /// Whether the tensor only says how a weight or activations are rounded, or how large a packed weight is: then it goes
    /// with that weight, or has no place in the result.
    private static func isPartOfWeight(_ tensor: TensorInfo, _ checkpoint: Checkpoint) -> Bool {
        if tensor.name.hasSuffix("_scale_inv") || BlockScales.isForActivations(tensor.name) { return true }
        let parts = [PackedCodes.scaleSuffix, PackedCodes.shapeSuffix]
        if parts.contains(where: { checkpoint.codes(beside: tensor, $0) != nil }) { return true }
        return BlockScales.suffixes.contains { suffix in
            tensor.name.hasSuffix(suffix)
                && checkpoint.tensor(String(tensor.name.dropLast(suffix.count)))?.type == .fp8
        }
    }

    // MARK: Weights

    private func writeWeights(
        _ folder: OutputFolder, _ pool: WorkerPool, _ progress: (ConversionProgress) throws -> Void
    ) throws {
        let scratch = Scratch()
        let total = files.flatMap(\.items).reduce(0) { $0 + $1.source.range.count }
        var done = 0
        for (name, items) in files {
            try folder.write(name) { file in
                // Widest elements first keeps everything aligned, as other writers of the format do.
                let outputs = items.flatMap(\.outputs).sorted {
                    ($1.type.bits, $0.name) < ($0.type.bits, $1.name)
                }
                let header = SafetensorsHeader.encode(
                    outputs.map { (name: $0.name, type: $0.type, shape: $0.shape, bytes: $0.byteCount) })
                try file.write(header, at: 0)
                var offsets: [String: Int] = [:]
                var offset = header.count
                for output in outputs {
                    offsets[output.name] = offset
                    offset += output.byteCount
                }
                for item in items {
                    try write(item, to: file, at: item.outputs.map { offsets[$0.name]! }, scratch, pool) { bytes in
                        done += bytes
                        try progress(ConversionProgress(file: name, doneBytes: done, totalBytes: total))
                    }
                }
            }
        }
    }

    /// - Parameter offsets: where the item's tensors begin in the file.
    private func write(
        _ item: Item, to file: NewFile, at offsets: [Int], _ scratch: Scratch, _ pool: WorkerPool,
        advance: (Int) throws -> Void
    ) throws {
        switch item.action {
        case .copy: try copy(item.source, to: file, at: offsets[0], nil, scratch, advance)
        case .widen(let scale):
            let decoder = try BlockDecoder(item.source, scale: scale, checkpoint)
            try copy(item.source, to: file, at: offsets[0], decoder, scratch, advance)
        case .quantise(let matrix, let format):
            try MatrixConversion(matrix, format, checkpoint).write(to: file, at: offsets, on: pool, advance: advance)
        }
    }

    private func copy(
        _ source: TensorInfo, to file: NewFile, at start: Int, _ decoder: BlockDecoder?, _ scratch: Scratch,
        _ advance: (Int) throws -> Void
    ) throws {
        var place = start
        try checkpoint.forEachChunk(of: source, buffer: scratch.source) { offset, bytes in
            let result = try decoder?.decode(bytes, firstElement: offset, into: scratch.converted) ?? bytes
            try file.write(result, at: place)
            place += result.count
            try advance(bytes.count)
        }
    }

    /// Room for one piece of a tensor, before and after conversion.
    private final class Scratch {
        let source = UnsafeMutableRawBufferPointer.allocate(byteCount: chunkBytes, alignment: 64)
        let converted = UnsafeMutableBufferPointer<UInt16>.allocate(capacity: chunkBytes)

        deinit {
            source.deallocate()
            converted.deallocate()
        }
    }

    // MARK: Other files

    private func writeIndex(_ folder: OutputFolder) throws {
        guard try checkpoint.folder.names().contains(CheckpointSurvey.indexFile) else { return }
        var index: [String: String] = [:]
        for file in files { for output in file.items.flatMap(\.outputs) { index[output.name] = file.name } }
        try folder.writeIndex(index, totalBytes: target == .bf16 ? nil : byteCount)
    }

    private func writeConfiguration(_ folder: OutputFolder) throws {
        let name = CheckpointSurvey.configurationFile
        let key = "quantization_config"
        let outer = try removingMember(key, from: try checkpoint.folder.read(name) ?? [], file: name)
        let nested = checkpoint.configuration.family.nestedKey
        var text = try editingObject(under: nested, of: outer, file: name) {
            try removingMember(key, from: $0, file: name)
        }
        switch target {
        case .bf16: break
        case .fp8: text = try replacingMembers([key: QuantizationScheme.fp8Text], in: text, file: name)
        case .int4: text = try replacingMembers([key: QuantizationScheme.packedText], in: text, file: name)
        }
        try folder.write(name) { try $0.write(text) }
    }
}

extension Conversion {
    /// One tensor of the source and what becomes of it.
    struct Item {
        /// A tensor of the result.
        struct Output {
            let name: String
            let type: ElementType
            let shape: [Int]
            var byteCount: Int { shape.reduce(type.bits / 8, *) }
        }

        enum Action {
            case copy
            /// FP8 to BF16, with the block scales.
            case widen(TensorInfo)
            /// To another format by way of FP32 values.
            case quantise(LinearSource, MatrixConversion.Format)
        }

        let source: TensorInfo
        let action: Action
        let outputs: [Output]

        /// - Parameter matrix: the same weight as a matrix that the target quantises.
        init(_ tensor: TensorInfo, _ checkpoint: Checkpoint, _ target: Target, _ matrix: LinearSource?) throws {
            source = tensor
            if let matrix {
                let format: MatrixConversion.Format = target == .int4 ? .int4 : .fp8
                action = .quantise(matrix, format)
                outputs = format.outputs(matrix, name: tensor.name)
            } else if tensor.name.hasSuffix(".weight" + PackedCodes.codeSuffix), tensor.type == .i32,
                tensor.shape.count == 2
            {
                let name = String(tensor.name.dropLast(PackedCodes.codeSuffix.count))
                let codes = try checkpoint.packedMatrix(name, rows: tensor.shape[0], columns: 8 * tensor.shape[1])
                action = .quantise(codes, .bf16)
                outputs = MatrixConversion.Format.bf16.outputs(codes, name: name)
            } else if let scale = try Item.scale(of: tensor, checkpoint) {
                action = .widen(scale)
                outputs = [Output(name: tensor.name, type: .bf16, shape: tensor.shape)]
            } else {
                action = .copy
                outputs = [Output(name: tensor.name, type: tensor.type, shape: tensor.shape)]
            }
        }

        /// The scale of an FP8 weight, nil for a tensor that is copied.
        private static func scale(of tensor: TensorInfo, _ checkpoint: Checkpoint) throws -> TensorInfo? {
            switch tensor.type {
            case .fp8: return try checkpoint.blockScale(of: tensor)
            case .fp8E5M2, .fp8E8M0, .fp8E4M3FNUZ, .fp8E5M2FNUZ, .f4, .f6E2M3, .f6E3M2:
                throw CheckpointError(
                    "\(checkpoint.fileNames[tensor.file]): tensor \(shown(tensor.name)) cannot be converted",
                    expected: "F8_E4M3", found: tensor.type.rawValue)
            default: return nil
            }
        }
    }
}

extension LayerSource {
    /// The projections of attention and of every feed-forward part; not the router.
    fileprivate var matrices: [LinearSource] {
        switch feedForward {
        case .dense(let mlp): return attention.projections + mlp.matrices
        case .moe(_, _, _, let shared): return attention.projections + (shared?.matrices ?? []) + routedExperts
        }
    }

    fileprivate var routedExperts: [LinearSource] {
        guard case .moe(_, _, let experts, _) = feedForward else { return [] }
        return experts.flatMap(\.matrices)
    }
}
