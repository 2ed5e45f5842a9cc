import CForetokenKernels
import ForetokenHardware
import ForetokenTestSupport
import ForetokenWeights
import Testing

/// Block scales in every type and under every name that is read, and those that are refused.
@Suite struct BlockScaleTests {
    /// Small, since every case makes it anew.
    private static let geometry = TinyGeometry {
        ($0.layers, $0.mtpModules, $0.experts, $0.groups, $0.keptGroups) = (2, 0, 4, 2, 1)
        $0.expertsPerToken = 2
    }
    private static let down = "model.layers.0.mlp.down_proj.weight"

    /// The decoded values of some matrices as they are kept in memory.
    private func values(_ model: TinyModel, _ format: ResidentFormat) throws -> [Float] {
        let weights = try withCheckpoint(model.files(shards: 2)) {
            try ModelWeights(
                checkpoint: $0, layout: try WeightLayout($0), pool: try WorkerPool(threads: 2), format: format)
        }
        return withExtendedLifetime(weights) {
            let layer = weights.layers[0].attention
            return [layer.queryUp, layer.latentDown, layer.output].flatMap { linear in
                (0..<linear.matrix.pointee.rows).flatMap { row in
                    var out = [Float](repeating: 0, count: Int(linear.matrix.pointee.columns))
                    foretoken_kernels_best().pointee.decode_row(linear.matrix, row, &out)
                    return out
                }
            }
        }
    }

    @Test(arguments: ScaleSpelling.all, [ResidentFormat.stored, .bf16, .int4, .expertsInt4])
    func everySpellingPacksTheSameBits(spelling: ScaleSpelling, format: ResidentFormat) throws {
        let model = TinyModel(Self.geometry).roundingScales(to: spelling.type)
        let stored = model.storingScales(as: spelling.type, suffix: spelling.suffix)
        #expect(try values(stored, format) == values(model, format))
    }

    @Test(arguments: ScaleSpelling.all) func everySpellingConvertsToTheSameWeights(spelling: ScaleSpelling) throws {
        let model = TinyModel(Self.geometry).roundingScales(to: spelling.type)
        let folder = try TemporaryFolder()
        for (name, model) in [
            ("plain", model), ("stored", model.storingScales(as: spelling.type, suffix: spelling.suffix)),
        ] {
            try withCheckpoint(model.files()) { try Conversion($0, to: .bf16).write(to: folder.path + "/" + name) }
        }
        #expect(
            try folder.read("plain/model.safetensors") == folder.read("stored/model.safetensors"))
    }

    @Test(arguments: ScaleSpelling.all) func everySpellingGrowsIntoTheSameWeights(spelling: ScaleSpelling) throws {
        var geometry = Self.geometry
        (geometry.hidden, geometry.expertIntermediate) = (256, 128)
        let model = TinyModel(geometry).roundingScales(to: spelling.type)
        let folder = try TemporaryFolder()
        let factors = try #require(GrowthFactors("hidden=2,experts=2,layers=2"))
        for (name, model) in [
            ("plain", model), ("stored", model.storingScales(as: spelling.type, suffix: spelling.suffix)),
        ] {
            let grown = folder.path + "/\(name)-grown"
            try withCheckpoint(model.files()) { try Growth($0, by: factors).write(to: grown) }
            // What the scales say is compared through the BF16 weights that they give.
            try Conversion(Checkpoint(directory: grown), to: .bf16).write(to: folder.path + "/" + name)
        }
        let (plain, stored) = (
            try Checkpoint(directory: folder.path + "/plain"), try Checkpoint(directory: folder.path + "/stored")
        )
        #expect(plain.tensors.keys.sorted() == stored.tensors.keys.sorted())
        for (name, tensor) in plain.tensors {
            #expect(try bytes(tensor, of: plain) == bytes(#require(stored.tensor(name)), of: stored), "\(name)")
        }
    }

    private func bytes(_ tensor: TensorInfo, of checkpoint: Checkpoint) throws -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: tensor.range.count)
        try bytes.withUnsafeMutableBytes { try checkpoint.read(tensor, fromByte: 0, into: $0) }
        return bytes
    }

    @Test func exponentsAreReadExactly() throws {
        let scale = Self.down + "_scale_inv"
        for (exponent, isGood) in [(0, true), (1, true), (127, true), (196, true), (197, false), (255, false)] {
            var model = TinyModel(Self.geometry).roundingScales(to: .fp8E8M0).storingScales(
                as: .fp8E8M0, suffix: "_scale_inv")
            model.change(scale) { $0.bytes[1] = UInt8(exponent) }
            let folder = try TemporaryFolder()
            try model.write(to: folder)
            let problems = try Inspection(directory: folder.path, scanningWeights: true).problems
            #expect(problems.isEmpty == isGood, "\(exponent): \(problems)")
            let load = {
                let checkpoint = try Checkpoint(directory: folder.path)
                _ = try ModelWeights(
                    checkpoint: checkpoint, layout: WeightLayout(checkpoint), pool: WorkerPool(threads: 1))
            }
            if isGood {
                try load()
            } else {
                #expect(complaint(load).contains("bad scale"))
            }
        }
    }

    @Test(arguments: [Float(0), -1, .nan, .infinity, 0x1p70]) func badScalesInBF16AreFound(value: Float) throws {
        var model = TinyModel(Self.geometry).storingScales(as: .bf16, suffix: "_scale")
        model.change(Self.down + "_scale") {
            let bits = UInt16(truncatingIfNeeded: value.bitPattern >> 16)
            $0.bytes[0...1] = [UInt8(truncatingIfNeeded: bits), UInt8(bits >> 8)]
        }
        let folder = try TemporaryFolder()
        try model.write(to: folder)
        let problems = try Inspection(directory: folder.path, scanningWeights: true).problems
        // A scale of 0 is only bad over weights that are not.
        let complaint = value == 0 ? "holds a bad scale" : "holds 1 bad"
        #expect(problems.count == 1 && problems[0].summary.contains("down_proj.weight_scale \(complaint)"))
    }

    @Test func whatIsNoBlockScaleIsRefusedByName() throws {
        let down = Self.down
        let cases: [(mention: [String], suffix: String, shape: [Int])] = [
            (["two scales", down + "_scale_inv", down + "_scale", "both"], "_scale", [2, 2]),
            (["quantised in another way", down + "_scale_2"], "_scale_2", []),
            (["quantised in another way", down + "_zero_point"], "_zero_point", [2, 2]),
        ]
        for (mention, suffix, shape) in cases {
            var model = TinyModel(Self.geometry)
            let values = [Float](repeating: 1, count: shape.reduce(1, *))
            model.tensors.append(StoredTensor(name: down + suffix, .f32, shape: shape, values: values))
            let text = complaint { try withCheckpoint(model.files()) { _ = try WeightLayout($0) } }
            for word in mention { #expect(text.contains(word), "\(text)") }
        }
        for (shape, kind) in [([1], "whole matrix"), ([], "whole matrix"), ([200, 1], "a row"), ([200], "a row")] {
            var model = TinyModel(Self.geometry)
            model.change(down + "_scale_inv") {
                let values = [Float](repeating: 1, count: shape.reduce(1, *))
                $0 = StoredTensor(name: down + "_scale", .f32, shape: shape, values: values)
            }
            let text = complaint { try withCheckpoint(model.files()) { _ = try WeightLayout($0) } }
            for word in [down + "_scale", "[2, 2]", kind] { #expect(text.contains(word), "\(text)") }
        }
    }

    @Test func packedWeightsOfOtherQuantisersAreNamed() throws {
        var model = TinyModel(Self.geometry)
        model.change(Self.down) { $0.name.replace(".weight", with: ".qweight") }
        let text = complaint { try withCheckpoint(model.files()) { _ = try WeightLayout($0) } }
        #expect(text.contains("down_proj.qweight in its place"), "\(text)")
    }

    @Test func scalesOfActivationsAreIgnoredWithOneWarning() throws {
        var model = TinyModel(Self.geometry)
        for layer in 0..<2 {
            let name = "model.layers.\(layer).self_attn.o_proj.input_scale"
            model.tensors.append(StoredTensor(name: name, .f32, shape: [1], values: [1]))
        }
        let warnings = try withCheckpoint(model.files()) { try WeightLayout($0).warnings }
        #expect(warnings.count == 1 && warnings[0].contains("2 scales of activations are ignored"), "\(warnings)")
    }
}
