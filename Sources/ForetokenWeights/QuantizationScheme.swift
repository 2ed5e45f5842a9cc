import ForetokenJSON

/// How config.json says that some of the weights are quantised (`quantization_config`). Which ones, their names tell.
public enum QuantizationScheme: Sendable, Equatable {
    /// FP8 with a scale for each block of 128×128, as DeepSeek publishes.
    case fp8Blocks
    /// INT4 with a BF16 scale for each row and so many columns, packed by compressed-tensors. One of these numbers is each
    /// matrix's.
    case packedInt4(groupColumns: [Int])
}

extension QuantizationScheme {
    /// `quantization_config` of converted checkpoints with block scales, as DeepSeek writes it.
    static let fp8Text = """
        {"activation_scheme": "dynamic", "fmt": "e4m3", "quant_method": "fp8", "weight_block_size": [128, 128]}
        """

    /// The same for packed experts. What is not packed is listed by its place in the model, since other programs go by the
    /// list and not by the names of tensors.
    static let packedText = #"""
        {
            "config_groups": {
              "group_0": {
                "input_activations": null,
                "output_activations": null,
                "targets": ["Linear"],
                "weights": {
                  "actorder": null,
                  "block_structure": null,
                  "dynamic": false,
                  "group_size": 32,
                  "num_bits": 4,
                  "observer": "minmax",
                  "observer_kwargs": {},
                  "strategy": "group",
                  "symmetric": true,
                  "type": "int"
                }
              }
            },
            "format": "pack-quantized",
            "ignore": [
              "lm_head",
              "re:.*lm_head$",
              "re:.*self_attn.*",
              "re:.*shared_experts.*",
              "re:.*mlp\\.(gate|up|gate_up|down)_proj$",
              "re:.*mlp\\.gate$",
              "re:.*eh_proj$",
              "re:.*shared_head.*"
            ],
            "kv_cache_scheme": null,
            "quant_method": "compressed-tensors",
            "quantization_status": "compressed"
          }
        """#
}

/// Reads a `quantization_config` and notes every problem.
struct QuantizationReader {
    private let members: JSONObject
    private let file: String
    private(set) var problems: [CheckpointError] = []
    private static let key = "quantization_config"
    private static let hint = "use the published FP8 or INT4 files or a BF16 checkpoint"
    /// Columns of a scale that is repeated for every 32, where it is for more.
    private static let groups = [32, 64, 128]

    init(_ members: JSONObject, file: String) {
        self.members = members
        self.file = file
    }

    /// The scheme; to be thrown away if there are problems.
    mutating func scheme() -> QuantizationScheme {
        require(members["quant_method"], ["fp8", "compressed-tensors"], "quant_method", isRequired: true)
        guard members["quant_method"]?.string == "compressed-tensors" else {
            checkBlocks()
            return .fp8Blocks
        }
        return .packedInt4(groupColumns: packedGroups())
    }

    // MARK: FP8

    private mutating func checkBlocks() {
        guard problems.isEmpty else { return }
        require(members["fmt"], ["e4m3"], "fmt")
        // ue8m0: the scales are powers of two, whatever type they are stored in.
        require(members["scale_fmt"], ["ue8m0", "float"], "scale_fmt")
        let block = members["weight_block_size"]
        if case .array(let sizes) = block, sizes.map(\.integer) == [128, 128] { return }
        refuse("weight_block_size", expected: "[128, 128]", found: block)
    }

    // MARK: compressed-tensors

    private mutating func packedGroups() -> [Int] {
        require(members["format"], ["pack-quantized"], "format", isRequired: true)
        for key in ["kv_cache_scheme", "transform_config"] { requireAbsent(members[key], key) }
        let sparsity = members["sparsity_config"]
        if sparsity?.object?["format"] != .string("dense") { requireAbsent(sparsity, "sparsity_config") }
        guard problems.isEmpty else { return [] }
        guard let groups = members["config_groups"]?.object, !groups.members.isEmpty else {
            refuse("config_groups", expected: "an object with a group or more", found: members["config_groups"])
            return []
        }
        var sizes: Set<Int> = []
        for group in groups.members {
            let place = "config_groups.\(shown(group.key))"
            guard let object = group.value.object, let weights = object["weights"]?.object else {
                refuse(place + ".weights", expected: "an object", found: group.value.object?["weights"])
                continue
            }
            for key in ["input_activations", "output_activations"] { requireAbsent(object[key], "\(place).\(key)") }
            require(object["format"], ["pack-quantized"], place + ".format")
            sizes.formUnion(groupColumns(weights, place + ".weights"))
        }
        return sizes.sorted()
    }

    private mutating func groupColumns(_ weights: JSONObject, _ place: String) -> [Int] {
        if weights["num_bits"]?.integer != 4 {
            refuse(place + ".num_bits", expected: "4", found: weights["num_bits"])
        }
        require(weights["type"], ["int"], place + ".type")
        require(weights["strategy"], ["group"], place + ".strategy", isRequired: true)
        // These two leave every column in its place.
        require(weights["actorder"], ["weight", "static"], place + ".actorder")
        for (key, only) in [("symmetric", true), ("dynamic", false)] {
            guard let value = weights[key], value != .null, value != .bool(only) else { continue }
            refuse("\(place).\(key)", expected: "\(only)", found: value)
        }
        guard let size = weights["group_size"]?.integer, Self.groups.contains(size) else {
            refuse(place + ".group_size", expected: "32, 64 or 128", found: weights["group_size"])
            return []
        }
        return [size]
    }

    // MARK: Values

    private mutating func require(
        _ value: JSONValue?, _ allowed: [String], _ place: String, isRequired: Bool = false
    ) {
        let found = value.flatMap { $0 == .null ? nil : $0 }
        guard found != nil || isRequired, !allowed.contains(where: { found == .string($0) }) else { return }
        refuse(place, expected: allowed.map { "\"\($0)\"" }.joined(separator: " or "), found: found)
    }

    private mutating func requireAbsent(_ value: JSONValue?, _ place: String) {
        guard let value, value != .null, value.object?.members.isEmpty != true else { return }
        refuse(place, expected: "null", found: value)
    }

    private mutating func refuse(_ place: String, expected: String, found: JSONValue?) {
        problems.append(
            CheckpointError(
                "\(file): `\(Self.key).\(place)` is not supported", expected: expected,
                found: found?.shortDescription ?? "nothing", hint: Self.hint))
    }
}
