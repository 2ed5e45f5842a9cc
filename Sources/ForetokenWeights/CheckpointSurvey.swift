import ForetokenJSON

/// Everything that can be learned about a folder without reading weights, with *all* problems found on the way.
///
/// `Checkpoint` throws the first problem; `Inspection` lists them all.
struct CheckpointSurvey {
    static let configurationFile = "config.json"
    static let indexFile = "model.safetensors.index.json"
    static let singleFile = "model.safetensors"

    let folder: CheckpointFolder
    let label: String
    private(set) var configurationJSON: JSONValue?
    private(set) var configuration: ModelConfiguration?
    private(set) var fileNames: [String] = []
    private(set) var sources: [ByteSource] = []
    private(set) var tensors: [String: TensorInfo] = [:]
    /// Tensors that the index names but their file, by itself a problem, does not hold.
    private(set) var knownMissing: Set<String> = []
    /// Tensors that the index does not name, with the shard that holds them.
    private(set) var unlisted: [String: String] = [:]
    private(set) var problems: [CheckpointError] = []
    private(set) var warnings: [String] = []

    init(_ folder: CheckpointFolder, label: String) throws {
        self.folder = folder
        self.label = label
        let names = try folder.names()
        readConfiguration()
        let weightFiles = names.filter { $0.hasSuffix(".safetensors") }
        if names.contains(CheckpointSurvey.indexFile) {
            readSharded(weightFiles)
        } else {
            readSingle(weightFiles)
        }
    }

    // MARK: Configuration

    private mutating func readConfiguration() {
        let name = CheckpointSurvey.configurationFile
        collect { survey in
            guard let bytes = try survey.folder.read(name) else {
                throw CheckpointError(
                    "\(survey.label) holds no \(name)",
                    hint: "name the folder of a Hugging Face checkpoint of the DeepSeek-V3 family")
            }
            let json = try ModelConfiguration.parse(bytes, file: name)
            survey.configurationJSON = json
            let (configuration, problems) = ModelConfiguration.read(json, file: name)
            survey.configuration = configuration
            survey.problems += problems
        }
    }

    // MARK: Weight files

    private mutating func readSingle(_ weightFiles: [String]) {
        collect { survey in
            let name: String
            switch (weightFiles.contains(CheckpointSurvey.singleFile), weightFiles.count) {
            case (true, _): name = CheckpointSurvey.singleFile
            case (false, 1): name = weightFiles[0]
            case (false, 0):
                throw CheckpointError(
                    "\(survey.label) holds no weights",
                    expected: "\(CheckpointSurvey.singleFile) or \(CheckpointSurvey.indexFile) with its files",
                    hint: "other formats (GGUF, PyTorch .bin) are not read")
            default:
                throw CheckpointError(
                    "\(survey.label) holds \(weightFiles.count) safetensors files but no \(CheckpointSurvey.indexFile)",
                    hint: "download the index as well")
            }
            let others = weightFiles.filter { $0 != name }
            defer { survey.warnAboutUnused(survey.readModuleFiles(others)) }
            for tensor in try survey.openFile(name) { survey.tensors[tensor.name] = tensor }
        }
    }

    private mutating func readSharded(_ weightFiles: [String]) {
        guard let index = collect({ try $0.readIndex() }) else { return }
        if weightFiles.contains(CheckpointSurvey.singleFile), !index.values.contains(CheckpointSurvey.singleFile) {
            problems.append(
                CheckpointError(
                    "\(label) holds both \(CheckpointSurvey.singleFile) and an index that does not name it",
                    hint: "two sets of weights lie in one folder; move one away"))
        }
        let shards = Set(index.values)
        var misplaced: [String] = []
        for shard in shards.sorted() {
            for tensor in collect({ try $0.openFile(shard) }) ?? [] {
                if index[tensor.name] == shard {
                    tensors[tensor.name] = tensor
                } else {
                    misplaced.append(tensor.name)
                    if index[tensor.name] == nil { unlisted[tensor.name] = shard }
                }
            }
        }
        reportMissing(index, unreadable: shards.subtracting(fileNames))
        warnAboutUnused(readModuleFiles(weightFiles.filter { !shards.contains($0) }))
        if let first = misplaced.min() {
            let isOne = misplaced.count == 1
            warnings.append(
                "\(misplaced.count) tensor\(isOne ? "" : "s") of the weight files \(isOne ? "is" : "are") not where the index "
                    + "puts \(isOne ? "it" : "them") and \(isOne ? "is" : "are") ignored, for example \(shown(first))")
        }
    }

    /// Reads the announced MTP modules from files of their own, `mtp-….safetensors`, where no tensor of a module's layer has
    /// been found so far: JoyAI-LLM-Flash is published so. Copies of the main model's tensors in these files are not used.
    /// - Returns: the files among `names` that are none of these.
    private mutating func readModuleFiles(_ names: [String]) -> [String] {
        let files = names.filter { $0.hasPrefix("mtp-") }
        guard !files.isEmpty, let configuration, configuration.mtpModuleCount > 0 else { return names }
        let layers = configuration.family.name("model.layers.")
        func isOfModule(_ name: String) -> Bool {
            TensorResolver.layerIndex(name, layers).map { $0 >= configuration.layerCount } ?? false
        }
        guard !tensors.keys.contains(where: isOfModule), !knownMissing.contains(where: isOfModule) else { return names }
        var strange: [(name: String, file: String)] = []
        for file in files {
            for tensor in collect({ try $0.openFile(file) }) ?? [] {
                guard isOfModule(tensor.name) else {
                    if tensors[tensor.name] == nil { strange.append((tensor.name, file)) }
                    continue
                }
                if let other = tensors.updateValue(tensor, forKey: tensor.name) {
                    problems.append(
                        CheckpointError(
                            "\(label): tensor \(shown(tensor.name)) is in \(fileNames[other.file]) and in \(file)",
                            hint: "two sets of weights lie in one folder; move one away"))
                }
            }
        }
        if let first = strange.min(by: { $0.name < $1.name }) {
            let count = strange.count { $0.file == first.file }
            let others = strange.count - count
            warnings.append(
                "\(shown(first.file)) holds more than MTP modules; \(count) of its tensors are ignored, for example "
                    + shown(first.name) + (others > 0 ? ", and \(others) of other files" : ""))
        }
        return names.filter { !files.contains($0) }
    }

    private func readIndex() throws -> [String: String] {
        let name = CheckpointSurvey.indexFile
        let bytes = try folder.read(name) ?? []
        let index: [String: String]?
        do {
            index = try JSONReader.read(bytes) { try Self.weightMap(&$0, file: name) }
        } catch let error as JSONError {
            throw CheckpointError(error, in: name)
        }
        guard let index, !index.isEmpty else { throw CheckpointError("\(name): the weight_map is missing or empty") }
        return index
    }

    /// The index's tensors with their files; nil where it has no map.
    private static func weightMap(_ reader: inout JSONReader, file name: String) throws -> [String: String]? {
        var map: [String: String]?
        try reader.beginObject()
        while try reader.nextKey() {
            guard reader.key == "weight_map" else {
                try reader.skip()
                continue
            }
            var files: [String: String] = [:]
            try reader.beginObject()
            while try reader.nextKey() {
                let tensor = reader.key
                let file = try reader.string()
                guard CheckpointFolder.isPlainName(file), file.hasSuffix(".safetensors") else {
                    throw CheckpointError(
                        "\(name): tensor \(shown(tensor)) is said to lie in \"\(shown(file))\"",
                        expected: "a .safetensors file of the same folder, with a name of at most "
                            + "\(CheckpointFolder.maximumNameBytes) bytes")
                }
                files[tensor] = file
                guard files.count <= SafetensorsHeader.maximumTensors else {
                    throw CheckpointError("\(name): more than \(SafetensorsHeader.maximumTensors) tensors")
                }
            }
            map = files
        }
        try reader.finish()
        return map
    }

    private mutating func reportMissing(_ index: [String: String], unreadable: Set<String>) {
        guard tensors.count < index.count else { return }
        knownMissing = Set(index.keys.lazy.filter { [tensors] in tensors[$0] == nil })
        let missing = knownMissing.filter { !unreadable.contains(index[$0]!) }.sorted()
        for name in missing.prefix(100) {
            problems.append(
                CheckpointError(
                    "\(CheckpointSurvey.indexFile): tensor \(shown(name)) is not in \(index[name]!)",
                    hint: "index and weight files do not belong together; download both again"))
        }
        if missing.count > 100 {
            problems.append(
                CheckpointError(
                    "\(CheckpointSurvey.indexFile): \(missing.count - 100) more tensors are not in their files"))
        }
    }

    private mutating func openFile(_ name: String) throws -> [TensorInfo] {
        guard let source = try folder.open(name) else {
            throw CheckpointError(
                "\(label): \(name) is missing", hint: "the download is incomplete; the index names this file")
        }
        let header = try SafetensorsHeader(source: source, name: name, file: sources.count)
        guard tensors.count + header.tensors.count <= SafetensorsHeader.maximumTensors else {
            throw CheckpointError("\(label): more than \(SafetensorsHeader.maximumTensors) tensors")
        }
        sources.append(source)
        fileNames.append(name)
        return header.tensors
    }

    private mutating func warnAboutUnused(_ files: [String]) {
        guard let first = files.first else { return }
        let others = files.count > 1 ? " and \(files.count - 1) more" : ""
        warnings.append("\(shown(first))\(others) does not belong to the checkpoint's weights and is ignored")
    }

    /// Runs one step and notes its error instead of throwing it.
    @discardableResult
    private mutating func collect<Value>(_ step: (inout CheckpointSurvey) throws -> Value) -> Value? {
        do {
            return try step(&self)
        } catch let error as CheckpointError {
            problems.append(error)
        } catch {
            problems.append(CheckpointError("\(label): \(error)", kind: .system))
        }
        return nil
    }
}
