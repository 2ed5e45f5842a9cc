import CForetokenKernels
import ForetokenHardware
import ForetokenJSON
import ForetokenTestSupport
import ForetokenWeights
import Testing

/// `convert --to int4`, `--to fp8`, and back to BF16.
@Suite(.serialized)
struct QuantisingConversionTests {
    private func convert(
        _ model: TinyModel, to target: Conversion.Target, shards: Int = 2, threads: Int = 2,
        _ more: [(String, [UInt8])] = []
    ) throws -> (TemporaryFolder, Checkpoint) {
        let folder = try TemporaryFolder()
        let source = try TemporaryFolder()
        try model.write(to: source, shards: shards)
        for (name, bytes) in more { try source.write(bytes, name) }
        let conversion = try Conversion(Checkpoint(directory: source.path), to: target)
        var last = (0, 1)
        try conversion.write(to: folder.path + "/out", threads: threads) { last = ($0.doneBytes, $0.totalBytes) }
        #expect(last.0 == last.1)
        let checkpoint = try Checkpoint(directory: folder.path + "/out")
        #expect(conversion.byteCount == checkpoint.tensors.values.reduce(0) { $0 + $1.range.count })
        return (folder, checkpoint)
    }

    private func stored(_ name: String, of checkpoint: Checkpoint) throws -> StoredTensor {
        let tensor = try #require(checkpoint.tensor(name), "\(name)")
        var bytes = [UInt8](repeating: 0, count: tensor.range.count)
        try bytes.withUnsafeMutableBytes { try checkpoint.read(tensor, fromByte: 0, into: $0) }
        return StoredTensor(name: name, type: tensor.type, shape: tensor.shape, bytes: bytes)
    }

    /// Bytes of all panels of a checkpoint's routed experts, those of modules last.
    private func expertPanels(_ checkpoint: Checkpoint, _ format: ResidentFormat) throws -> [[UInt8]] {
        let weights = try ModelWeights(
            checkpoint: checkpoint, layout: try WeightLayout(checkpoint), pool: try WorkerPool(threads: 2),
            format: format)
        return withExtendedLifetime(weights) {
            (weights.layers + weights.modules.map(\.block)).flatMap { layer -> [[UInt8]] in
                guard case .moe(let moe) = layer.feedForward else { return [] }
                return (0..<moe.experts.count).flatMap { expert in
                    let copy = moe.experts[expert].copies[0]
                    return [copy.gate, copy.up, copy.down].map {
                        let matrix = $0.matrix.pointee
                        let count = matrix.panelCount * matrix.panelBytes
                        return Array(UnsafeRawBufferPointer(start: matrix.panels, count: count))
                    }
                }
            }
        }
    }

    private func member(_ key: String, _ checkpoint: Checkpoint) throws -> JSONValue? {
        try JSONValue(#require(try checkpoint.file(named: "config.json"))).object?[key]
    }

    // MARK: INT4

    /// From BF16 as from FP8 the codes are those that `--weights experts-int4` makes; everything else is BF16 or as it was.
    @Test(arguments: [TinyGeometry.Storage.bf16, .fp8, .f32, .mixed], [1, 3])
    func expertsBecomeTheCodesOfTheResidentFormat(storage: TinyGeometry.Storage, shards: Int) throws {
        let model = TinyModel(TinyModel.packableGeometry { $0.storage = storage }, seed: 3)
        let (folder, checkpoint) = try convert(model, to: .int4, shards: shards, [("tokenizer.json", [1, 2])])
        defer { withExtendedLifetime(folder) {} }
        #expect(checkpoint.fileNames.count == shards)
        #expect(try checkpoint.file(named: "tokenizer.json") == [1, 2])
        let original = try withCheckpoint(model.files()) { try expertPanels($0, .expertsInt4) }
        #expect(original.count == 72)
        for format in [ResidentFormat.stored, .int4, .expertsInt4] {
            #expect(try expertPanels(checkpoint, format) == original)
        }
        var names: Set<String> = []
        for tensor in model.tensors where !tensor.name.hasSuffix("_scale_inv") {
            if tensor.name.contains(".experts.") {
                let codes = try stored(tensor.name + "_packed", of: checkpoint)
                let scales = try stored(tensor.name + "_scale", of: checkpoint)
                #expect(codes.type == .i32 && scales.type == .bf16)
                let read = PackedTensor(codes: codes, scales: scales)
                #expect(try stored(tensor.name + "_shape", of: checkpoint).bytes == read.stored("").last?.bytes)
                check(read.values, near: model.values(tensor.name))
                names.formUnion(["_packed", "_scale", "_shape"].map { tensor.name + $0 })
                continue
            }
            names.insert(tensor.name)
            let found = try stored(tensor.name, of: checkpoint)
            if tensor.type == .fp8 {
                let wanted = StoredTensor(name: "", .bf16, shape: tensor.shape, values: model.values(tensor.name))
                #expect(found.type == .bf16 && found.bytes == wanted.bytes, "\(tensor.name)")
            } else {
                #expect(found.type == tensor.type && found.bytes == tensor.bytes, "\(tensor.name)")
            }
        }
        #expect(Set(checkpoint.tensors.keys) == names)
        #expect(try WeightLayout(checkpoint).warnings.isEmpty)
    }

    /// No code is further from its value than the search for scales may cut.
    private func check(_ found: [Float], near values: [Float]) {
        #expect(found.count == values.count)
        for start in stride(from: 0, to: values.count, by: 32) {
            let largest = values[start..<start + 32].reduce(0) { max($0, $1.magnitude) }
            #expect((start..<start + 32).allSatisfy { abs(found[$0] - values[$0]) <= largest * 0.24 })
        }
    }

    @Test func configurationSaysWhatIsPacked() throws {
        let model = TinyModel(TinyModel.packableGeometry { $0.storage = .fp8 })
        let (folder, checkpoint) = try convert(model, to: .int4)
        defer { withExtendedLifetime(folder) {} }
        #expect(checkpoint.configuration.quantization == .packedInt4(groupColumns: [32]))
        let scheme = try #require(try member("quantization_config", checkpoint)?.object)
        #expect(scheme["quant_method"] == .string("compressed-tensors"))
        #expect(scheme["format"] == .string("pack-quantized"))
        guard case .array(let list)? = scheme["ignore"] else {
            Issue.record("there is no list of what is not packed")
            return
        }
        let ignored = try list.compactMap(\.string).map { text in
            try Regex(text.hasPrefix("re:") ? String(text.dropFirst(3)) : text + "$")
        }
        // Every matrix but embeddings: its module is on the list unless its codes are there.
        for tensor in model.tensors where tensor.shape.count == 2 && tensor.name.hasSuffix(".weight") {
            let module = String(tensor.name.dropLast(".weight".count))
            guard !module.hasSuffix("embed_tokens") else { continue }
            let isIgnored = ignored.contains { (try? $0.prefixMatch(in: module)) != nil }
            #expect(isIgnored == (checkpoint.tensor(tensor.name + "_packed") == nil), "\(module)")
        }
        #expect(try member("hidden_size", checkpoint)?.integer == 128)
        let index = try #require(try checkpoint.file(named: "model.safetensors.index.json"))
        #expect(try JSONValue(index).object?["weight_map"]?.object?.members.count == checkpoint.tensors.count)
    }

    @Test func threadsDoNotMatter() throws {
        // More rows than one piece, and a last one that is no whole panel.
        let model = TinyModel(TinyModel.packableGeometry { $0.expertIntermediate = 352 })
        for target in [Conversion.Target.int4, .fp8] {
            let (one, _) = try convert(model, to: target, shards: 1, threads: 1)
            let (three, _) = try convert(model, to: target, shards: 1, threads: 3)
            #expect(try one.read("out/model.safetensors") == three.read("out/model.safetensors"))
        }
    }

    @Test func whatCannotBePackedIsRefused() throws {
        let plain = TinyModel(TinyModel.packableGeometry())
        let cases: [(TinyModel, Conversion.Target, String)] = [
            (TinyModel(TinyModel.packableGeometry { $0.expertIntermediate = 48 }), .int4, "multiple of 32 columns"),
            (
                TinyModel(TinyModel.packableGeometry { ($0.denseLayers, $0.mtpModules) = (3, 0) }), .int4,
                "no routed experts"
            ),
            (plain.packing().packed, .int4, "quantised already"), (plain.packing().packed, .fp8, "quantised already"),
            (TinyModel(TinyModel.packableGeometry { $0.storage = .fp8 }), .fp8, "quantised already"),
        ]
        for (model, target, mention) in cases {
            let text = complaint { try withCheckpoint(model.files()) { _ = try Conversion($0, to: target) } }
            #expect(text.contains(mention), "\(text)")
        }
    }

    @Test(arguments: [Conversion.Target.int4, .fp8]) func badWeightsLeaveNothing(target: Conversion.Target) throws {
        var model = TinyModel(TinyModel.packableGeometry())
        model.change("model.layers.2.mlp.experts.3.up_proj.weight") {
            $0.bytes.replaceSubrange(20..<22, with: [0x80, 0x7F])
        }
        let folder = try TemporaryFolder()
        let text = complaint {
            try withCheckpoint(model.files()) {
                try Conversion($0, to: target).write(to: folder.path + "/out", threads: 2)
            }
        }
        #expect(text.contains("infinite"), "\(text)")
        #expect(try folder.names().isEmpty)
    }

    @Test(arguments: Conversion.Target.allCases) func anInterruptedRunLeavesNothing(target: Conversion.Target) throws {
        struct Stop: Error {}
        let folder = try TemporaryFolder()
        #expect(throws: Stop.self) {
            try withCheckpoint(TinyModel(TinyModel.packableGeometry()).files()) { checkpoint in
                try Conversion(checkpoint, to: target).write(to: folder.path + "/out") { progress in
                    if progress.doneBytes * 2 > progress.totalBytes { throw Stop() }
                }
            }
        }
        #expect(try folder.names().isEmpty)
    }

    // MARK: FP8

    @Test("Matrices become FP8 blocks, those of indexers among them", arguments: [false, true])
    func matricesBecomeFP8Blocks(isSparse: Bool) throws {
        var geometry = TinyGeometry { if isSparse { $0.indexer = TinyIndexer() } }
        let published = TinyModel(geometry, seed: 4)
        geometry.storage = .bf16
        let model = TinyModel(geometry, seed: 4)
        let (folder, checkpoint) = try convert(model, to: .fp8)
        defer { withExtendedLifetime(folder) {} }
        // Which ones, the test support's own FP8 models say; they quantise by W / S with S = amax / 448, too.
        for tensor in published.tensors where !tensor.name.hasSuffix("_scale_inv") {
            let found = try stored(tensor.name, of: checkpoint)
            #expect(found.type == tensor.type && found.shape == tensor.shape, "\(tensor.name)")
            guard tensor.type == .fp8 else {
                #expect(found.bytes == model.tensor(tensor.name)?.bytes, "\(tensor.name)")
                continue
            }
            let expected = TinyModel.quantized(
                tensor.name, tensor.shape[0], tensor.shape[1], model.values(tensor.name))
            let scales = try stored(tensor.name + "_scale_inv", of: checkpoint)
            #expect(found.bytes == expected[0].bytes, "\(tensor.name)")
            #expect(scales.bytes == expected[1].bytes && scales.shape == expected[1].shape, "\(tensor.name)")
        }
        #expect(checkpoint.tensors.count == published.tensors.count)
        #expect(checkpoint.configuration.quantization == .fp8Blocks)
        #expect(try WeightLayout(checkpoint).warnings.isEmpty)
    }

    @Test func zeroBlocksStayZero() throws {
        var model = TinyModel(TinyModel.packableGeometry())
        let name = "model.layers.1.mlp.experts.2.down_proj.weight"
        model.change(name) { $0.bytes = .init(repeating: 0, count: $0.bytes.count) }
        for target in [Conversion.Target.fp8, .int4] {
            let (folder, checkpoint) = try convert(model, to: target)
            defer { withExtendedLifetime(folder) {} }
            #expect(try Inspection(directory: folder.path + "/out", scanningWeights: true).problems.isEmpty)
            #expect(try !expertPanels(checkpoint, .bf16).isEmpty)
        }
    }

    // MARK: Back

    /// Codes become the BF16 numbers nearest to code · scale, the ones that compressed-tensors makes of them.
    @Test(arguments: [32, 128]) func codesBecomeBF16(group: Int) throws {
        let model = TinyModel(TinyModel.packableGeometry { $0.expertIntermediate = 128 })
        let (packed, wide) = model.packing(group: group)
        let (folder, checkpoint) = try convert(packed, to: .bf16)
        defer { withExtendedLifetime(folder) {} }
        #expect(checkpoint.configuration.quantization == nil)
        #expect(try member("quantization_config", checkpoint) == nil)
        #expect(checkpoint.tensors.count == wide.tensors.count)
        for tensor in wide.tensors {
            let found = try stored(tensor.name, of: checkpoint)
            let type: ElementType = tensor.name.contains(".experts.") ? .bf16 : tensor.type
            #expect(found.type == type && found.shape == tensor.shape, "\(tensor.name)")
            let expected =
                type == tensor.type
                ? tensor.bytes : StoredTensor(name: "", .bf16, shape: tensor.shape, values: tensor.values).bytes
            #expect(found.bytes == expected, "\(tensor.name)")
        }
    }

    /// What an edit of one matrix's codes would say, the way to BF16 says as well.
    @Test func badCodesLeaveNothing() throws {
        var model = TinyModel(TinyModel.packableGeometry()).packing().packed
        model.change("model.layers.1.mlp.experts.3.up_proj.weight_shape") { $0.bytes[0] = 65 }
        let folder = try TemporaryFolder()
        let text = complaint {
            try withCheckpoint(model.files()) { try Conversion($0, to: .bf16).write(to: folder.path + "/out") }
        }
        #expect(text.contains("contradicts"), "\(text)")
        #expect(try folder.names().isEmpty)
    }
}
