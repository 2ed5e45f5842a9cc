import ForetokenWeights

/// A random checkpoint of any geometry, complete with config.json; equal geometry and seed give equal bytes.
///
/// Matrices have variance 1/columns, so activations stay of order 1; router logits are spread to about ±2 and biases have
/// both signs, so that choices do not hang on rounding.
public struct TinyModel: Sendable {
    /// Its shape.
    public let geometry: TinyGeometry
    /// Its tensors, in the order of the layers. Tests may change them before writing.
    public var tensors: [StoredTensor] = []
    /// config.json: key → JSON literal. Tests may change it before writing.
    public var configuration: [String: String]

    private let seed: UInt64
    private var storedCount = 0

    /// Makes the model in memory.
    public init(_ geometry: TinyGeometry = TinyGeometry(), seed: UInt64 = 1) {
        self.geometry = geometry
        self.seed = seed
        configuration = TinyModel.configuration(geometry)
        addMatrix("model.embed_tokens", geometry.vocabulary, geometry.hidden, deviation: 1, isPlain: true)
        for layer in 0..<geometry.layers { addLayer(layer) }
        addNorm("model.norm", geometry.hidden)
        if !geometry.tiedHead { addMatrix("lm_head", geometry.vocabulary, geometry.hidden, gain: 3, isPlain: true) }
        for module in 0..<geometry.mtpModules { addModule(geometry.layers + module) }
        for index in tensors.indices { tensors[index].name = geometry.family.name(tensors[index].name) }
    }

    /// One in BF16 whose weights are finite, but whose products with the first norm of that name's end overflow.
    public static func overflowing(_ norm: String = "model.norm.weight") -> TinyModel {
        var tiny = TinyModel(TinyGeometry { $0.storage = .bf16 })
        guard let index = tiny.tensors.firstIndex(where: { $0.name.hasSuffix(norm) }) else {
            preconditionFailure("no tensor is named …\(norm)")
        }
        tiny.tensors[index].bytes = .init(repeating: 0x7F, count: tiny.tensors[index].bytes.count)
        return tiny
    }

    /// The tensor of that name.
    public func tensor(_ name: String) -> StoredTensor? { tensors.first { $0.name == name } }

    /// FP32 values of the tensor `name`, block scales multiplied in: W[r,c] = float(q[r,c]) · S[⌊r/128⌋, ⌊c/128⌋].
    public func values(_ name: String) -> [Float] {
        let tensor = tensor(name)!
        guard tensor.type == .fp8 else { return tensor.values }
        let scales = self.tensor(name + "_scale_inv")!
        let columns = tensor.shape[1]
        let blocks = scales.shape[1]
        let factors = scales.values
        return tensor.values.enumerated().map { index, code in
            code * factors[index / columns / 128 * blocks + index % columns / 128]
        }
    }

    // MARK: Files

    /// The folder's files: config.json and the weights, in one file or in shards with an index. With two or more shards
    /// most weights and their scales lie in different files.
    public func files(shards: Int = 1) -> [(name: String, bytes: [UInt8])] {
        let members = configuration.sorted { $0.key < $1.key }.map { "  \"\($0.key)\": \($0.value)" }
        let config = "{\n" + members.joined(separator: ",\n") + "\n}\n"
        var files = [("config.json", Array(config.utf8))]
        var tensors = tensors
        if geometry.modulesApart {
            let first = geometry.family.name("model.layers.\(geometry.layers).")
            let module = tensors.filter { $0.name.hasPrefix(first) }
            files.append(("mtp-1-of-1.safetensors", SafetensorsWriter.file(module)))
            tensors.removeAll { $0.name.hasPrefix(first) }
        }
        guard shards > 1 else { return files + [("model.safetensors", SafetensorsWriter.file(tensors))] }
        var map: [String] = []
        for shard in 0..<min(shards, tensors.count) {
            let name = "model-\(TinyModel.padded(shard + 1))-of-\(TinyModel.padded(shards)).safetensors"
            let own = stride(from: shard, to: tensors.count, by: shards).map { tensors[$0] }
            files.append((name, SafetensorsWriter.file(own)))
            map += own.map { "    \"\($0.name)\": \"\(name)\"" }
        }
        let index = "{\n  \"metadata\": {},\n  \"weight_map\": {\n" + map.joined(separator: ",\n") + "\n  }\n}\n"
        return files + [("model.safetensors.index.json", Array(index.utf8))]
    }

    /// Writes the folder's files into an existing folder.
    public func write(to folder: TemporaryFolder, shards: Int = 1) throws {
        for (name, bytes) in files(shards: shards) { try folder.write(bytes, name) }
    }

    private static func padded(_ number: Int) -> String {
        let digits = String(number)
        return String(repeating: "0", count: max(0, 5 - digits.count)) + digits
    }

    // MARK: Tensors

    private mutating func addModule(_ layer: Int) {
        let prefix = "model.layers.\(layer)."
        let hidden = geometry.hidden
        addNorm(prefix + "enorm", hidden)
        addNorm(prefix + "hnorm", hidden)
        addMatrix(prefix + "eh_proj", hidden, 2 * hidden, isPlain: true)
        addLayer(layer)
        addNorm(prefix + "shared_head.norm", hidden)
        guard geometry.mtpCopies else { return }
        addCopy(prefix + "embed_tokens", of: "model.embed_tokens")
        addCopy(prefix + "shared_head.head", of: geometry.tiedHead ? "model.embed_tokens" : "lm_head")
    }

    private mutating func addCopy(_ name: String, of original: String) {
        for suffix in [".weight", ".weight_scale_inv"] {
            guard var tensor = tensor(original + suffix) else { continue }
            tensor.name = name + suffix
            tensors.append(tensor)
        }
    }

    private mutating func addLayer(_ layer: Int) {
        let prefix = "model.layers.\(layer)."
        let shape = geometry
        let attention = prefix + "self_attn."
        addNorm(prefix + "input_layernorm", shape.hidden)
        let queryRows = shape.heads * (shape.nope + shape.rope)
        if let rank = shape.queryRank {
            addMatrix(attention + "q_a_proj", rank, shape.hidden)
            addNorm(attention + "q_a_layernorm", rank)
            addMatrix(attention + "q_b_proj", queryRows, rank)
        } else {
            addMatrix(attention + "q_proj", queryRows, shape.hidden)
        }
        addMatrix(attention + "kv_a_proj_with_mqa", shape.latentRank + shape.rope, shape.hidden)
        addNorm(attention + "kv_a_layernorm", shape.latentRank)
        addMatrix(attention + "kv_b_proj", shape.heads * (shape.nope + shape.value), shape.latentRank)
        addMatrix(attention + "o_proj", shape.hidden, shape.heads * shape.value)
        if let indexer = shape.indexer, indexer.isIn(layer: layer) { addIndexer(attention + "indexer.", indexer) }
        addNorm(prefix + "post_attention_layernorm", shape.hidden)
        let isDense = layer >= shape.layers ? shape.denseModules : layer < shape.denseLayers
        if isDense { return addMLP(prefix + "mlp.", shape.intermediate) }
        addMatrix(prefix + "mlp.gate", shape.experts, shape.hidden, gain: 2, isPlain: true)
        if shape.family.routerRule == .sigmoid {
            addBias(prefix + "mlp.gate.e_score_correction_bias", shape.experts)
        }
        for expert in 0..<shape.experts { addMLP("\(prefix)mlp.experts.\(expert).", shape.expertIntermediate) }
        if shape.sharedExperts > 0 {
            addMLP(prefix + "mlp.shared_experts.", shape.sharedExperts * shape.expertIntermediate)
        }
    }

    private mutating func addIndexer(_ prefix: String, _ indexer: TinyIndexer) {
        addMatrix(prefix + "wq_b", indexer.heads * indexer.width, geometry.queryRank ?? geometry.hidden)
        addMatrix(prefix + "wk", indexer.width, geometry.hidden)
        addNorm(prefix + "k_norm", indexer.width)
        addBias(prefix + "k_norm.bias", indexer.width)
        addMatrix(prefix + "weights_proj", indexer.heads, geometry.hidden, isPlain: true)
    }

    private mutating func addMLP(_ prefix: String, _ width: Int) {
        addMatrix(prefix + "gate_proj", width, geometry.hidden)
        addMatrix(prefix + "up_proj", width, geometry.hidden)
        addMatrix(prefix + "down_proj", geometry.hidden, width, gain: 1.5)
    }

    /// `isPlain`: not FP8 in the published files. Standard deviation `gain`/√columns unless given.
    private mutating func addMatrix(
        _ name: String, _ rows: Int, _ columns: Int, gain: Float = 1, deviation: Float? = nil, isPlain: Bool = false
    ) {
        var random = SeededGenerator(seed: seed, name: name)
        let factor = deviation ?? gain / Float(columns).squareRoot()
        let values = (0..<rows * columns).map { _ in random.normal() * factor }
        let type = nextType(isPlain: isPlain)
        if type == .fp8 {
            tensors += TinyModel.quantized(name + ".weight", rows, columns, values)
        } else {
            tensors.append(StoredTensor(name: name + ".weight", type, shape: [rows, columns], values: values))
        }
    }

    private mutating func addNorm(_ name: String, _ size: Int) {
        var random = SeededGenerator(seed: seed, name: name)
        let values = (0..<size).map { _ in 0.75 + random.uniform() / 2 }
        let type = nextType(isPlain: true)
        tensors.append(StoredTensor(name: name + ".weight", type == .fp8 ? .f32 : type, shape: [size], values: values))
    }

    /// Half the biases positive, half negative, up to ±0.25.
    private mutating func addBias(_ name: String, _ size: Int) {
        var random = SeededGenerator(seed: seed, name: name)
        let values = (0..<size).map { index in (0.05 + random.uniform() / 5) * (index % 2 == 0 ? 1 : -1) }
        tensors.append(StoredTensor(name: name, .f32, shape: [size], values: values))
    }

    private mutating func nextType(isPlain: Bool) -> ElementType {
        storedCount += 1
        switch geometry.storage {
        case .fp8: return isPlain ? .bf16 : .fp8
        case .bf16: return .bf16
        case .f16: return .f16
        case .f32: return .f32
        case .mixed: return [.fp8, .bf16, .f16, .f32][storedCount % 4]
        }
    }

    /// The weight and its `_scale_inv`: per 128×128 block S = max|W| / 448.
    public static func quantized(_ name: String, _ rows: Int, _ columns: Int, _ values: [Float]) -> [StoredTensor] {
        let blocks = (columns + 127) / 128
        var scales = [Float](repeating: 0, count: (rows + 127) / 128 * blocks)
        var codes = [UInt8](repeating: 0, count: rows * columns)
        for row in 0..<rows {
            for column in 0..<columns {
                let block = row / 128 * blocks + column / 128
                scales[block] = max(scales[block], values[row * columns + column].magnitude / 448)
            }
        }
        for row in 0..<rows {
            for column in 0..<columns {
                let scale = scales[row / 128 * blocks + column / 128]
                codes[row * columns + column] = TestNumbers.fp8Code(values[row * columns + column] / scale)
            }
        }
        return [
            StoredTensor(name: name, type: .fp8, shape: [rows, columns], bytes: codes),
            StoredTensor(name: name + "_scale_inv", .f32, shape: [(rows + 127) / 128, blocks], values: scales),
        ]
    }
}
