import CForetokenKernels
import ForetokenHardware
import ForetokenTestSupport
import ForetokenWeights
import Testing

/// Loading INT4 codes of compressed-tensors files.
@Suite(.serialized)
struct PackedCodeTests {
    private static let up = "model.layers.1.mlp.experts.3.up_proj.weight"

    private func load<Result>(
        _ model: TinyModel, _ format: ResidentFormat, _ body: (ModelWeights) throws -> Result
    ) throws -> Result {
        let weights = try withCheckpoint(model.files(shards: 2)) {
            try ModelWeights(
                checkpoint: $0, layout: try WeightLayout($0), pool: try WorkerPool(threads: 2), format: format)
        }
        return try withExtendedLifetime(weights) { try body(weights) }
    }

    private func values(_ matrix: PackedMatrix) -> [Float] {
        var matrix = matrix
        return (0..<matrix.rows).flatMap { row in
            var out = [Float](repeating: 0, count: Int(matrix.columns))
            foretoken_kernels_best().pointee.decode_row(&matrix, row, &out)
            return out
        }
    }

    /// All matrices of all blocks, by name.
    private func matrices(_ weights: ModelWeights) -> [(name: String, linear: Linear)] {
        var all: [(String, Linear)] = []
        for (index, layer) in (weights.layers + weights.modules.map(\.block)).enumerated() {
            let prefix = "model.layers.\(index)."
            all.append((prefix + "self_attn.q_b_proj.weight", layer.attention.queryUp))
            all.append((prefix + "self_attn.kv_a_proj_with_mqa.weight", layer.attention.latentDown))
            all.append((prefix + "self_attn.o_proj.weight", layer.attention.output))
            func add(_ mlp: String, _ gate: Linear, _ up: Linear, _ down: Linear) {
                for (name, linear) in [("gate", gate), ("up", up), ("down", down)] {
                    all.append(("\(prefix)mlp.\(mlp)\(name)_proj.weight", linear))
                }
            }
            switch layer.feedForward {
            case .dense(let mlp): add("", mlp.gate, mlp.up, mlp.down)
            case .moe(let moe):
                for expert in 0..<moe.experts.count {
                    let copy = moe.experts[expert].copies[0]
                    add("experts.\(expert).", copy.gate, copy.up, copy.down)
                }
                if let shared = moe.shared { add("shared_experts.", shared.gate, shared.up, shared.down) }
            }
        }
        return all
    }

    @Test(arguments: [32, 64]) func codesKeepTheirValues(group: Int) throws {
        let (packed, wide) = TinyModel(TinyModel.packableGeometry()).packing(group: group)
        try load(packed, .stored) { weights in
            let all = matrices(weights)
            #expect(all.count > 70)
            for (name, linear) in all {
                let isExpert = name.contains(".experts.")
                let format = isExpert ? FORETOKEN_EXACT_INT4 : FORETOKEN_BF16
                #expect(linear.matrix.pointee.format == Int32(format.rawValue), "\(name)")
                #expect(values(linear.matrix.pointee) == wide.values(name), "\(name)")
            }
        }
    }

    /// The formats with INT8 activations take the same bytes; others are made of the values.
    @Test(arguments: [ResidentFormat.int4, .expertsInt4, .int8, .bf16, .fp8])
    func otherFormats(format: ResidentFormat) throws {
        let (packed, wide) = TinyModel(TinyModel.packableGeometry()).packing()
        func panels(_ model: TinyModel, _ format: ResidentFormat) throws -> [[UInt8]] {
            try load(model, format) { weights in
                matrices(weights).filter { $0.name.contains(".experts.") }.map {
                    let matrix = $0.linear.matrix.pointee
                    return Array(
                        UnsafeRawBufferPointer(start: matrix.panels, count: matrix.panelCount * matrix.panelBytes))
                }
            }
        }
        let isSame = [.int4, .expertsInt4].contains(format)
        #expect(try panels(packed, format) == panels(isSame ? packed : wide, isSame ? .stored : format))
    }

    /// Checkpoints of other quantisers have attention and the router packed as well; the halves of kv_b_proj become FP32.
    @Test func everyMatrixMayBePacked() throws {
        let model = TinyModel(TinyModel.packableGeometry { $0.heads = 3 })
        let (packed, wide) = model.packing { !$0.contains("norm") && $0.contains(".layers.") || $0 == "lm_head.weight" }
        let configuration = try load(packed, .stored) { weights in
            for (name, linear) in matrices(weights) {
                #expect(values(linear.matrix.pointee) == wide.values(name), "\(name)")
            }
            #expect(values(weights.lmHead.matrix.pointee) == wide.values("lm_head.weight"))
            let name = "model.layers.2.self_attn.kv_b_proj.weight"
            let (all, geometry) = (wide.values(name), model.geometry)
            for head in 0..<3 {
                let first = head * (geometry.nope + geometry.value) * geometry.latentRank
                let middle = first + geometry.nope * geometry.latentRank
                let attention = weights.layers[2].attention
                let valueUp = values(attention.valueUp.matrices[head])
                #expect(valueUp[...] == all[middle..<middle + geometry.value * geometry.latentRank])
                let keyUp = values(attention.keyUp.matrices[head])
                for row in 0..<geometry.nope {
                    for column in 0..<geometry.latentRank {
                        let expected = all[first + row * geometry.latentRank + column]
                        #expect(keyUp[column * geometry.nope + row] == expected)
                    }
                }
            }
            return weights.configuration
        }
        #expect(configuration.quantization == .packedInt4(groupColumns: [32]))
    }

    @Test func bytesAreCounted() throws {
        let (packed, wide) = TinyModel(TinyModel.packableGeometry()).packing()
        let (small, large) = (try load(packed, .stored) { $0.byteCount }, try load(wide, .stored) { $0.byteCount })
        // Four layers' blocks but the dense one, eight experts of three matrices [64, 128], 4.5 bits instead of 32.
        let weights = 3 * 8 * 3 * 64 * 128
        #expect(large - small == weights * 4 - weights * 9 / 16)
    }

    // MARK: Refusals

    @Test func badTensorsAreRefused() throws {
        let cases: [(mention: String, change: (inout TinyModel) -> Void)] = [
            ("wrong shape", { $0.change(Self.up + "_packed") { $0.shape = [128, 8] } }),
            ("wrong type", { $0.change(Self.up + "_packed") { $0.type = .u32 } }),
            ("are missing", { $0.remove(Self.up + "_scale") }),
            ("wrong type", { $0.change(Self.up + "_scale") { $0.type = .f16 } }),
            ("wrong shape", { $0.change(Self.up + "_scale") { $0.shape = [128, 2] } }),
            ("wrong type", { $0.change(Self.up + "_shape") { $0.type = .u64 } }),
            ("wrong shape", { $0.change(Self.up + "_shape") { $0.shape = [2, 1] } }),
            ("contradicts", { $0.change(Self.up + "_shape") { $0.bytes[0] = 65 } }),
            ("contradicts", { $0.change(Self.up + "_shape") { $0.bytes[7] = 0xFF } }),
            ("quantised in another way", { $0.add(Self.up + "_zero_point", .i32, [8, 4]) }),
            ("quantised in another way", { $0.add(Self.up + "_g_idx", .i32, [128]) }),
            ("there twice", { $0.add(Self.up, .bf16, [64, 128]) }),
            ("does not tell", { $0.configuration.removeValue(forKey: "quantization_config") }),
            ("bad scale", { $0.setScale(Self.up, 0, 0x7FC0) }), ("bad scale", { $0.setScale(Self.up, 4, 0x7F80) }),
            ("bad scale", { $0.setScale(Self.up, 4, 0x6300) }),
            ("other than zero", { $0.setScale(Self.up, 4, 0x8000) }),
        ]
        for (mention, change) in cases {
            var model = TinyModel(TinyModel.packableGeometry()).packing().packed
            change(&model)
            for format in [ResidentFormat.stored, .int8] {
                let text = complaint { try load(model, format) { _ in } }
                #expect(text.contains(mention) && text.contains("experts"), "\(mention): \(text)")
            }
        }
    }

    @Test func oddWidthsAreRefused() throws {
        // 136 columns are 17 words and no whole groups.
        var model = TinyModel(TinyModel.packableGeometry { $0.expertIntermediate = 136 })
        let name = "model.layers.1.mlp.experts.0.down_proj.weight"
        model.remove(name)
        model.add(name + "_packed", .i32, [128, 17])
        model.add(name + "_scale", .bf16, [128, 5])
        model.configuration["quantization_config"] = TinyModel.packedConfiguration()
        let text = complaint { try load(model, .stored) { _ in } }
        #expect(text.contains("multiple of 32 columns"), "\(text)")
    }

    @Test func configurationsThatMeanSomethingElseAreRefused() throws {
        let cases: [(weights: [String: String], members: [String: String], mention: String)] = [
            (["num_bits": "8"], [:], "num_bits"), (["type": "\"float\""], [:], "type"),
            (["symmetric": "false"], [:], "symmetric"), (["strategy": "\"channel\""], [:], "strategy"),
            (["group_size": "16"], [:], "group_size"), (["group_size": "null"], [:], "group_size"),
            (["dynamic": "true"], [:], "dynamic"), (["actorder": "\"group\""], [:], "actorder"),
            ([:], ["format": "\"float-quantized\""], "format"), ([:], ["quant_method": "\"awq\""], "quant_method"),
            ([:], ["kv_cache_scheme": "{\"num_bits\": 8}"], "kv_cache_scheme"),
            ([:], ["config_groups": "{}"], "config_groups"), ([:], ["config_groups": "{\"a\": 1}"], "config_groups"),
            ([:], ["config_groups": #"{"a": {"weights": {}, "input_activations": {"b": 8}}}"#], "input_activations"),
            ([:], ["sparsity_config": "{\"format\": \"sparse-24-bitmask\"}"], "sparsity_config"),
        ]
        let model = TinyModel(TinyModel.packableGeometry()).packing().packed
        for (weights, members, mention) in cases {
            var model = model
            let text = TinyModel.packedConfiguration(weights: weights, members: members)
            model.configuration["quantization_config"] = text
            let found = complaint { try load(model, .stored) { _ in } }
            #expect(found.contains("quantization_config.") && found.contains(mention), "\(found)")
        }
        // What says the usual in other words.
        for (weights, members) in [
            (["actorder": "\"static\""], ["sparsity_config": "{}"]),
            (["symmetric": "null"], ["transform_config": "{}"]),
        ] {
            var model = model
            let text = TinyModel.packedConfiguration(weights: weights, members: members)
            model.configuration["quantization_config"] = text
            #expect(try load(model, .stored) { $0.configuration.quantization } == .packedInt4(groupColumns: [32]))
        }
    }

    /// Names are trusted over the list of what is not packed, and a scan finds what loading would.
    @Test func inspection() throws {
        var model = TinyModel(TinyModel.packableGeometry()).packing().packed
        model.configuration["quantization_config"] = TinyModel.packedConfiguration(
            members: ["ignore": "[\"re:.*experts.*\"]"])
        let (folder, other) = (try TemporaryFolder(), try TemporaryFolder())
        defer { withExtendedLifetime((folder, other)) {} }
        try model.write(to: folder)
        let inspection = try Inspection(directory: folder.path, scanningWeights: true)
        #expect(inspection.problems.isEmpty && inspection.warnings.isEmpty, "\(inspection.problems)")
        #expect(inspection.bytesByType["I32"] == 3 * 8 * 3 * 64 * 64 && inspection.bytesByType["I64"] == 72 * 16)
        model.change(Self.up + "_shape") { $0.bytes[0] = 65 }
        model.setScale(Self.up, 4, 0x7F80)
        try model.write(to: folder)
        let problems = try Inspection(directory: folder.path, scanningWeights: true).problems.map(\.description)
        #expect(problems.count == 2, "\(problems)")
        #expect(problems.contains { $0.contains("contradicts") })
        #expect(problems.contains { $0.contains("holds 1 bad value") })
        // Scales of either sign are sound.
        var negative = TinyModel(TinyModel.packableGeometry()).packing().packed
        negative.change(Self.up + "_scale") { $0.bytes[9] |= 0x80 }
        try negative.write(to: other)
        #expect(try Inspection(directory: other.path, scanningWeights: true).problems.isEmpty)
    }

    @Test("A scan finds scales of 0 that were lost, but none whose codes are all zero") func scalesOfZero() throws {
        for isPruned in [true, false] {
            var model = TinyModel(TinyModel.packableGeometry()).packing().packed
            model.setScale(Self.up, 4, 0x8000)
            if isPruned {
                // Row 1's first 32 columns.
                model.change(Self.up + "_packed") { tensor in for i in 64..<80 { tensor.bytes[i] = 0x88 } }
            }
            let folder = try TemporaryFolder()
            try model.write(to: folder)
            let problems = try Inspection(directory: folder.path, scanningWeights: true).problems
            #expect(problems.count == (isPruned ? 0 : 1), "\(problems)")
            #expect(isPruned || problems[0].description.contains("0 for row 1, group 0"), "\(problems)")
        }
    }

    @Test func codesAreNotGrown() throws {
        let model = TinyModel(TinyModel.packableGeometry()).packing().packed
        let factors = try #require(GrowthFactors("experts=2"))
        let text = complaint { try withCheckpoint(model.files()) { _ = try Growth($0, by: factors) } }
        #expect(text.contains("cannot be repeated") && text.contains("--to bf16"), "\(text)")
    }
}

extension TinyModel {
    /// Replaces the BF16 bits of a scale.
    fileprivate mutating func setScale(_ weight: String, _ index: Int, _ bits: UInt16) {
        change(weight + "_scale") {
            let bytes = [UInt8(truncatingIfNeeded: bits), UInt8(bits >> 8)]
            $0.bytes.replaceSubrange(2 * index..<2 * index + 2, with: bytes)
        }
    }

    fileprivate mutating func add(_ name: String, _ type: ElementType, _ shape: [Int]) {
        let bytes = [UInt8](repeating: 0, count: shape.reduce(type.bits / 8, *))
        tensors.append(StoredTensor(name: name, type: type, shape: shape, bytes: bytes))
    }
}
