/// Turns an FP8 checkpoint into a BF16 one, with the values of DeepSeek's `fp8_cast_bf16.py`:
/// W[r,c] = bf16( float(q[r,c]) · S[⌊r/128⌋, ⌊c/128⌋] ), product in FP32, round to nearest even.
///
/// File names stay, scales go, MTP modules are converted like everything else, other tensors are copied bit by bit. Unlike
/// the script, it also writes config.json without its `quantization_config`, copies the tokenizer and other small files,
/// and refuses a weight whose scale is missing.
public struct BF16Conversion {
    /// Bytes read at a time.
    private static let chunkBytes = 4 << 20

    private struct Item {
        let source: TensorInfo
        let scale: TensorInfo?
        var type: ElementType { scale == nil ? source.type : .bf16 }
        var byteCount: Int { scale == nil ? source.range.count : 2 * source.elementCount }
    }

    private let checkpoint: Checkpoint
    /// Per file, its new tensors in their order.
    private let files: [(name: String, items: [Item])]
    private let totalBytes: Int

    /// Converts `checkpoint` into the new folder `destination`.
    /// - Parameters:
    ///   - destination: must not exist. It appears when everything is on the disk; after an error nothing is left.
    ///   - progress: called after every few megabytes, with source bytes read; may throw to stop.
    /// - Throws: `CheckpointError`; whatever `progress` throws.
    public static func run(
        _ checkpoint: Checkpoint, to destination: String, progress: (ConversionProgress) throws -> Void = { _ in }
    ) throws {
        let conversion = try BF16Conversion(checkpoint)
        let folder = try OutputFolder(destination, outside: checkpoint.folder)
        try folder.requireSpace(conversion.newBytes, for: "converted")
        try conversion.writeWeights(folder, progress)
        try conversion.writeIndex(folder)
        try conversion.writeConfiguration(folder)
        try folder.copySmallFiles(of: checkpoint)
        try folder.finish()
    }

    // MARK: Plan

    private init(_ checkpoint: Checkpoint) throws {
        self.checkpoint = checkpoint
        var items = [[Item]](repeating: [], count: checkpoint.fileNames.count)
        var problems: [CheckpointError] = []
        for tensor in checkpoint.tensors.values where !BF16Conversion.isScale(tensor, checkpoint) {
            do {
                items[tensor.file].append(Item(source: tensor, scale: try BF16Conversion.scale(of: tensor, checkpoint)))
            } catch let error as CheckpointError {
                problems.append(error)
            }
        }
        try problems.sorted { $0.summary < $1.summary }.throwFirst()
        files = zip(checkpoint.fileNames, items).map { name, items in
            // Widest elements first keeps everything aligned, as other writers of the format do.
            (name, items.sorted { ($1.type.bits, $0.source.name) < ($0.type.bits, $1.source.name) })
        }
        totalBytes = items.joined().reduce(0) { $0 + $1.source.range.count }
    }

    /// The scale of an FP8 weight, nil for a tensor that is copied.
    private static func scale(of tensor: TensorInfo, _ checkpoint: Checkpoint) throws -> TensorInfo? {
        let place = "\(checkpoint.fileNames[tensor.file]): tensor \(shown(tensor.name))"
        switch tensor.type {
        case .fp8: break
        case .fp8E5M2, .fp8E8M0, .fp8E4M3FNUZ, .fp8E5M2FNUZ, .f4, .f6E2M3, .f6E3M2:
            throw CheckpointError("\(place) cannot be converted", expected: "F8_E4M3", found: tensor.type.rawValue)
        default: return nil
        }
        return try checkpoint.blockScale(of: tensor)
    }

    /// Whether the tensor only says how weights or activations are rounded: then it has no place in the result.
    private static func isScale(_ tensor: TensorInfo, _ checkpoint: Checkpoint) -> Bool {
        if tensor.name.hasSuffix("_scale_inv") || BlockScales.isForActivations(tensor.name) { return true }
        return BlockScales.suffixes.contains { suffix in
            tensor.name.hasSuffix(suffix)
                && checkpoint.tensor(String(tensor.name.dropLast(suffix.count)))?.type == .fp8
        }
    }

    private var newBytes: Int { files.reduce(0) { $0 + $1.items.reduce(0) { $0 + $1.byteCount } } }

    // MARK: Weights

    private func writeWeights(_ folder: OutputFolder, _ progress: (ConversionProgress) throws -> Void) throws {
        let scratch = Scratch()
        var done = 0
        for (name, items) in files {
            try folder.write(name) { file in
                let header = items.map {
                    (name: $0.source.name, type: $0.type, shape: $0.source.shape, bytes: $0.byteCount)
                }
                try file.write(SafetensorsHeader.encode(header))
                for item in items {
                    try write(item, to: file, scratch) { bytes in
                        done += bytes
                        try progress(ConversionProgress(file: name, doneBytes: done, totalBytes: totalBytes))
                    }
                }
            }
        }
    }

    private func write(
        _ item: Item, to file: NewFile, _ scratch: Scratch, advance: (Int) throws -> Void
    ) throws {
        let decoder = try item.scale.map { try BlockDecoder(item.source, scale: $0, checkpoint) }
        try checkpoint.forEachChunk(of: item.source, buffer: scratch.source) { offset, bytes in
            let result = try decoder?.decode(bytes, firstElement: offset, into: scratch.converted) ?? bytes
            try file.write(result)
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
        for file in files { for item in file.items { index[item.source.name] = file.name } }
        try folder.writeIndex(index)
    }

    private func writeConfiguration(_ folder: OutputFolder) throws {
        let name = CheckpointSurvey.configurationFile
        let text = try checkpoint.folder.read(name) ?? []
        let key = "quantization_config"
        let outer = try removingMember(key, from: text, file: name)
        let nested = checkpoint.configuration.family.nestedKey
        let plain = try editingObject(under: nested, of: outer, file: name) {
            try removingMember(key, from: $0, file: name)
        }
        try folder.write(name) { try $0.write(plain) }
    }
}
