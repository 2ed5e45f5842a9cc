import ForetokenTestSupport
import ForetokenWeights
import Testing

@Suite struct ConversionTests {
    private func convert(_ model: TinyModel, shards: Int, _ more: [(String, [UInt8])] = []) throws -> (
        TemporaryFolder, Checkpoint
    ) {
        let folder = try TemporaryFolder()
        let source = try TemporaryFolder()
        try model.write(to: source, shards: shards)
        for (name, bytes) in more { try source.write(bytes, name) }
        try Conversion(Checkpoint(directory: source.path), to: .bf16).write(to: folder.path + "/out/")
        return (folder, try Checkpoint(directory: folder.path + "/out"))
    }

    private func bytes(_ tensor: TensorInfo, of checkpoint: Checkpoint) throws -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: tensor.range.count)
        try bytes.withUnsafeMutableBytes { try checkpoint.read(tensor, fromByte: 0, into: $0) }
        return bytes
    }

    @Test(arguments: [1, 2, 4], [TinyGeometry.Storage.fp8, .mixed, .f16])
    func convertsBitByBit(shards: Int, storage: TinyGeometry.Storage) throws {
        // Scales that are no powers of two, matrices ragged in both directions, weights and scales in different files.
        let model = TinyModel(TinyGeometry { $0.storage = storage }, seed: 5)
        let (_, checkpoint) = try convert(model, shards: shards)
        #expect(checkpoint.fileNames.count == shards)
        let expected = model.tensors.filter { !$0.name.hasSuffix("_scale_inv") }
        #expect(checkpoint.tensors.count == expected.count)
        for stored in expected {
            let tensor = try #require(checkpoint.tensor(stored.name))
            #expect(tensor.shape == stored.shape)
            let found = try bytes(tensor, of: checkpoint)
            if stored.type == .fp8 {
                let wanted = StoredTensor(
                    name: "", .bf16, shape: stored.shape, values: model.values(stored.name))
                #expect(tensor.type == .bf16 && found == wanted.bytes, "\(stored.name)")
            } else {
                #expect(tensor.type == stored.type && found == stored.bytes, "\(stored.name)")
            }
        }
        #expect(try WeightLayout(checkpoint).warnings.isEmpty)
    }

    @Test("Names with a prefix, and modules in a file that no index names", arguments: [1, 3])
    func families(shards: Int) throws {
        for geometry in [TinyGeometry.kimiK25, .joyAI] {
            let (folder, checkpoint) = try convert(TinyModel(geometry), shards: shards)
            defer { withExtendedLifetime(folder) {} }
            let config = String(decoding: try #require(try checkpoint.file(named: "config.json")), as: UTF8.self)
            #expect(!config.contains("quantization_config") && checkpoint.configuration.family == geometry.family)
            #expect(!checkpoint.tensors.values.contains { $0.type == .fp8 || $0.name.hasSuffix("_scale_inv") })
            let layout = try WeightLayout(checkpoint)
            #expect(layout.warnings.isEmpty && layout.mtp.count == geometry.mtpModules, "\(layout.warnings)")
        }
    }

    @Test func convertsEveryCodeOfMatricesLongerThanAChunk() throws {
        // 4.1 million elements: more than one piece, and pieces that end inside a row and inside a block.
        let (rows, columns) = (1_367, 3_001)
        var random = SeededGenerator(seed: 3)
        let codes = (0..<rows * columns).map { _ in UInt8(truncatingIfNeeded: random.next()) }
            .map { $0 & 0x7F == 0x7F ? $0 ^ 1 : $0 }
        let scales = (0..<11 * 24).map { _ in random.uniform() * 0.01 + 1e-5 }
        var model = TinyModel()
        model.tensors += [
            StoredTensor(name: "big.weight", type: .fp8, shape: [rows, columns], bytes: codes),
            StoredTensor(name: "big.weight_scale_inv", .f32, shape: [11, 24], values: scales),
        ]
        let (_, checkpoint) = try convert(model, shards: 1)
        let found = try bytes(#require(checkpoint.tensor("big.weight")), of: checkpoint)
        let table = (0...UInt8.max).map { TestNumbers.fp8($0) }
        let differences = codes.indices.count { index in
            let scale = scales[index / columns / 128 * 24 + index % columns / 128]
            let wanted = TestNumbers.bf16(table[Int(codes[index])] * scale)
            return UInt16(found[2 * index]) | UInt16(found[2 * index + 1]) << 8 != wanted
        }
        #expect(differences == 0)
    }

    @Test func writesTheFilesAround() throws {
        var model = TinyModel()
        model.configuration["zzz"] = "[1.50, 1e-06]"
        let (folder, checkpoint) = try convert(
            model, shards: 2, [("tokenizer.json", [1, 2]), (".hidden", [3]), ("notes.md", [])])
        let out = try folder.names()
        #expect(out == ["out"])
        let config = String(decoding: try #require(try checkpoint.file(named: "config.json")), as: UTF8.self)
        let original = String(decoding: model.files()[0].bytes, as: UTF8.self)
        #expect(!config.contains("quantization_config"))
        let lines = original.split(separator: "\n").filter { !$0.contains("quantization_config") }
        #expect(config.split(separator: "\n") == lines)
        #expect(try checkpoint.file(named: "tokenizer.json") == [1, 2])
        #expect(try checkpoint.file(named: "notes.md") == [])
        #expect(try checkpoint.file(named: ".hidden") == nil)
        let index = String(
            decoding: try #require(try checkpoint.file(named: "model.safetensors.index.json")), as: UTF8.self)
        #expect(index.contains("\"metadata\": {}") && !index.contains("_scale_inv"))
    }

    @Test(arguments: ["first", "middle", "last"]) func cutsTheMemberOut(_ place: String) throws {
        // The order of config.json's keys is the author's; only the one member goes.
        var model = TinyModel()
        let removed = model.configuration.removeValue(forKey: "quantization_config")
        let quantization = try #require(removed)
        var files = model.files()
        let text = String(decoding: files[0].bytes, as: UTF8.self)
        let member = "\"quantization_config\": \(quantization)"
        let changed =
            switch place {
            case "first": text.replacing("{\n", with: "{\n  \(member),\n", maxReplacements: 1)
            case "last": String(text.dropLast(3)) + ",\n  \(member)\n}\n"
            default: text.replacing(",\n  \"vocab_size\"", with: ",\n  \(member),\n  \"vocab_size\"")
            }
        files[0].bytes = Array(changed.utf8)
        let folder = try TemporaryFolder()
        try withCheckpoint(files) { try Conversion($0, to: .bf16).write(to: folder.path + "/out") }
        #expect(try String(decoding: folder.read("out/config.json"), as: UTF8.self) == text)
    }

    @Test func refusesAndLeavesNothing() throws {
        let down = "model.layers.0.mlp.down_proj.weight"
        let cases: [(mention: String, change: (inout TinyModel) -> Void)] = [
            ("no scale", { $0.remove(down + "_scale_inv") }),
            ("wrong shape", { $0.change(down + "_scale_inv") { $0.shape = [4] } }),
            ("cannot be converted", { $0.change(down) { $0.type = .fp8E5M2 } }),
            ("NaN", { $0.change(down) { $0.bytes[200 * 136 - 1] = 0x7F } }),
            (
                "bad scale",
                {
                    $0.change(down + "_scale_inv") {
                        $0 = StoredTensor(name: $0.name, .f32, shape: [2, 2], values: [1, 1, -1, 1])
                    }
                }
            ),
        ]
        for (mention, change) in cases {
            var model = TinyModel()
            change(&model)
            let folder = try TemporaryFolder()
            let text = complaint {
                try withCheckpoint(model.files()) { try Conversion($0, to: .bf16).write(to: folder.path + "/out") }
            }
            #expect(text.contains(mention), "\(text)")
            #expect(try folder.names().isEmpty)
        }
    }

    @Test func refusesAnExistingDestination() throws {
        let folder = try TemporaryFolder()
        try folder.write([1], "out")
        let text = complaint {
            try withCheckpoint(TinyModel().files()) { try Conversion($0, to: .bf16).write(to: folder.path + "/out") }
        }
        #expect(text.contains("exists already"))
        #expect(try folder.names() == ["out"])
        let orphan = checkpointError {
            try withCheckpoint(TinyModel().files()) { try Conversion($0, to: .bf16).write(to: folder.path + "/no/out") }
        }
        #expect(orphan?.kind == .missingPath)
    }

    @Test func progressCanStopIt() throws {
        struct Stop: Error {}
        let folder = try TemporaryFolder()
        #expect(throws: Stop.self) {
            try withCheckpoint(TinyModel().files()) { checkpoint in
                try Conversion(checkpoint, to: .bf16).write(to: folder.path + "/out") { progress in
                    if progress.doneBytes * 2 > progress.totalBytes { throw Stop() }
                }
            }
        }
        #expect(try folder.names().isEmpty)
    }
}
