import ForetokenJSON

/// The dimensions of a model that is to be measured without its weights.
public struct SyntheticShape: Sendable {
    /// What the command line and reports call it.
    public let name: String
    /// What its makers call it; the name for a config.json that was given.
    public let title: String
    /// The whole model, of which only some layers will be made.
    public let whole: ModelConfiguration
    /// What is not known of the model or not made of it, as sentences without a full stop.
    public let remarks: [String]
    /// The type that large matrices are made in, FP8 or BF16, by the configuration; BF16 also where experts are packed.
    let storage: SyntheticStorage
    /// How the published files keep the weights: with packed experts where the configuration or what is known of them says so.
    package let files: PublishedFiles
    /// Whether MTP modules in the published files have copies of embedding and lm_head.
    let repeatsTables: Bool

    /// The shapes known by name.
    public static let names = PublishedShape.all.map(\.name)

    /// A shape known by name.
    /// - Throws: `CheckpointError` of kind `missingPath` for other names.
    public init(named name: String) throws {
        guard let published = PublishedShape.all.first(where: { $0.name == name }) else { throw Self.unknown(name) }
        try self.init(published, json: Array(published.configuration.utf8), file: name)
    }

    /// The shape that a config.json describes.
    /// - Parameters:
    ///   - name: what reports are to call it.
    ///   - json: the file's bytes.
    ///   - file: its name, for messages.
    /// - Throws: `CheckpointError` as `ModelConfiguration` does.
    public init(name: String, json: [UInt8], file: String) throws {
        try self.init(PublishedShape(name: name, title: name, configuration: ""), json: json, file: file)
    }

    private init(_ published: PublishedShape, json: [UInt8], file: String) throws {
        name = published.name
        title = published.title
        whole = try ModelConfiguration(json: json, file: file)
        storage = SyntheticStorage(json)
        if case .packedInt4 = whole.quantization { files = .expertsInt4 } else { files = published.files }
        remarks = published.remarks + (files == .expertsInt4 ? [Self.packedRemark] : [])
        repeatsTables = published.repeatsTables
    }

    private static let packedRemark =
        "its files have INT4 experts, and sizes as stored are theirs; without --weights experts are made as experts-int4, in as "
        + "many bytes, which rounds activations to INT8, where the files' meet FP32; bench --weights stored makes them in BF16"

    /// How the weights lie in memory where nothing else is asked for: in as many bits as the published files have.
    public var publishedFormat: ResidentFormat { files == .expertsInt4 ? .expertsInt4 : .stored }

    /// The format to count bytes by: as stored the published files have their own, not that of made-up weights.
    public func counted(_ format: ResidentFormat) -> ResidentFormat { format == .stored ? publishedFormat : format }

    /// The configuration of a model with so many MoE layers, at most one dense layer before them, and at most one MTP
    /// module behind them. Everything else is the whole model's.
    public func part(moeLayers: Int, mtp: Bool) -> ModelConfiguration {
        var part = whole
        part.denseLayerCount = min(1, whole.denseLayerCount)
        part.layerCount = part.denseLayerCount + moeLayers
        part.mtpModuleCount = mtp ? min(1, whole.mtpModuleCount) : 0
        part.sparseAttention = whole.sparseAttention?.part(
            dense: part.denseLayerCount, moe: moeLayers, wholeDense: whole.denseLayerCount)
        return part
    }

    /// Layers of the whole model with experts.
    public var moeLayerCount: Int { max(0, whole.layerCount - whole.denseLayerCount) }

    /// A checkpoint of such a model, or of a part of it, whose weights are made while they are read.
    /// - Parameters:
    ///   - configuration: the whole, or what `part` gives.
    ///   - label: what to call it in messages.
    /// - Throws: `CheckpointError` for shapes beyond any memory.
    public func checkpoint(_ configuration: ModelConfiguration, label: String) throws -> Checkpoint {
        try Checkpoint(synthetic: configuration, storage: storage, label: label)
    }

    /// Standard deviation of the logits of a made model's routers.
    package var routerLogitDeviation: Double { SyntheticTensors.logitDeviation(whole) }

    /// Tells what names there are, and first those that the given one may stand for.
    private static func unknown(_ name: String) -> CheckpointError {
        let wanted = name.lowercased()
        let near = wanted.isEmpty ? [] : names.filter { $0.hasPrefix(wanted) || wanted.hasPrefix($0) }
        let rest = names.filter { !near.contains($0) }
        let list = "\((near.isEmpty ? names : rest).joined(separator: ", ")), or the path of a config.json"
        return CheckpointError(
            "there is no shape '\(shown(name))'",
            expected: near.isEmpty ? list : "perhaps \(near.joined(separator: " or ")); there are also \(list)",
            kind: .missingPath)
    }
}

/// The type of a made-up model's large matrices.
package enum SyntheticStorage: Sendable {
    /// FP8 with block scales, but embedding, lm_head, router and `eh_proj` in BF16.
    case fp8
    /// BF16.
    case bf16

    /// What a config.json, known to be usable, says: FP8 where that is its `quant_method`. Codes that are packed are not made;
    /// what they would take, `SyntheticShape.files` tells.
    init(_ json: [UInt8]) {
        let members = (try? JSONValue(json))?.object
        let inner = members?["text_config"]?.object
        let quantization = (members?["quantization_config"] ?? inner?["quantization_config"])?.object
        self = quantization?["quant_method"]?.string == "fp8" ? .fp8 : .bf16
    }
}
