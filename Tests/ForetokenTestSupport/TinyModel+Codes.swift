import ForetokenWeights

extension TinyModel {
    /// The default geometry with widths that INT4 codes can have, small.
    public static func packableGeometry(_ change: (inout TinyGeometry) -> Void = { _ in }) -> TinyGeometry {
        TinyGeometry {
            $0.storage = .bf16
            ($0.hidden, $0.intermediate, $0.expertIntermediate, $0.queryRank) = (128, 160, 64, 64)
            ($0.experts, $0.groups, $0.keptGroups, $0.value) = (8, 4, 2, 32)
            change(&$0)
        }
    }

    /// `quantization_config` of packed models, with one key of the group's weights or one of its own replaced.
    public static func packedConfiguration(
        group: Int = 32, weights: [String: String] = [:], members: [String: String] = [:]
    ) -> String {
        func json(_ members: [String: String]) -> String {
            "{" + members.sorted { $0.key < $1.key }.map { "\"\($0.key)\": \($0.value)" }.joined(separator: ", ") + "}"
        }
        let usual = [
            "actorder": "null", "block_structure": "null", "dynamic": "false", "group_size": "\(group)",
            "num_bits": "4", "observer": "\"minmax\"", "strategy": "\"group\"", "symmetric": "true", "type": "\"int\"",
        ]
        let one = json([
            "input_activations": "null", "output_activations": "null", "targets": "[\"Linear\"]",
            "weights": json(usual.merging(weights) { $1 }),
        ])
        let all = [
            "config_groups": json(["group_0": one]), "format": "\"pack-quantized\"",
            "ignore": "[\"lm_head\", \"re:.*self_attn.*\"]", "kv_cache_scheme": "null",
            "quant_method": "\"compressed-tensors\"", "quantization_status": "\"compressed\"",
        ]
        return json(all.merging(members) { $1 })
    }

    /// The same model with the weights that `isChosen` names as INT4 codes of -7...7, as compressed-tensors packs them, and with
    /// the same values as F32. By default the routed experts' are chosen.
    /// - Parameter group: columns of a scale.
    public func packing(
        group: Int = 32, _ isChosen: (String) -> Bool = { $0.contains(".mlp.experts.") }
    ) -> (packed: TinyModel, wide: TinyModel) {
        var (packed, wide) = (self, self)
        packed.tensors = []
        wide.tensors = []
        for tensor in tensors {
            guard tensor.name.hasSuffix(".weight"), tensor.shape.count == 2, isChosen(tensor.name) else {
                packed.tensors.append(tensor)
                wide.tensors.append(tensor)
                continue
            }
            let codes = PackedTensor(values(tensor.name), tensor.shape, group: group)
            packed.tensors += codes.stored(tensor.name)
            wide.tensors.append(
                StoredTensor(name: tensor.name, .f32, shape: tensor.shape, values: codes.values))
        }
        packed.configuration["quantization_config"] = Self.packedConfiguration(group: group)
        wide.configuration.removeValue(forKey: "quantization_config")
        return (packed, wide)
    }
}

/// A matrix as INT4 codes, made and read without the product's help.
public struct PackedTensor {
    /// Row-major, -8...7.
    public let codes: [Int]
    /// BF16 bits, [rows][columns / group].
    public let scales: [UInt16]
    private let shape: [Int]
    private let group: Int

    /// Codes of values by amax / 7 of each group.
    public init(_ values: [Float], _ shape: [Int], group: Int) {
        self.shape = shape
        self.group = group
        scales = stride(from: 0, to: values.count, by: group).map { start in
            TestNumbers.bf16(values[start..<start + group].reduce(0) { max($0, $1.magnitude) } / 7)
        }
        codes = values.indices.map { [scales] i in
            let code = (values[i] / TestNumbers.value(bf16: scales[i / group])).rounded(.toNearestOrEven)
            return code.isFinite ? Int(min(7, max(-7, code))) : 0
        }
    }

    /// Reads codes and scales as files hold them.
    public init(codes: StoredTensor, scales: StoredTensor) {
        shape = [codes.shape[0], 8 * codes.shape[1]]
        group = shape[1] / scales.shape[1]
        self.codes = codes.bytes.flatMap { [Int($0 & 15) - 8, Int($0 >> 4) - 8] }
        self.scales = (0..<scales.bytes.count / 2).map {
            UInt16(scales.bytes[2 * $0]) | UInt16(scales.bytes[2 * $0 + 1]) << 8
        }
    }

    /// code · scale
    public var values: [Float] { codes.indices.map { Float(codes[$0]) * TestNumbers.value(bf16: scales[$0 / group]) } }

    /// The three tensors in the place of the weight `name`.
    public func stored(_ name: String) -> [StoredTensor] {
        let bytes = stride(from: 0, to: codes.count, by: 2).map { UInt8(codes[$0] + 8) | UInt8(codes[$0 + 1] + 8) << 4 }
        let scaleBytes = scales.flatMap { [UInt8(truncatingIfNeeded: $0), UInt8($0 >> 8)] }
        let dimensions = shape.flatMap { size in (0..<8).map { UInt8(truncatingIfNeeded: size >> (8 * $0)) } }
        return [
            StoredTensor(name: name + "_packed", type: .i32, shape: [shape[0], shape[1] / 8], bytes: bytes),
            StoredTensor(name: name + "_scale", type: .bf16, shape: [shape[0], shape[1] / group], bytes: scaleBytes),
            StoredTensor(name: name + "_shape", type: .i64, shape: [2], bytes: dimensions),
        ]
    }
}
