import ForetokenTestSupport
import ForetokenWeights
import Testing

/// An enlarged checkpoint's tensors and files. That it computes the same is shown where models run.
@Suite struct GrowthTests {
    private func factors(_ text: String) throws -> GrowthFactors { try #require(GrowthFactors(text)) }

    /// Grows a model in memory and reads all tensors of the result.
    private func grow(
        _ model: TinyModel, _ text: String
    ) throws -> (checkpoint: Checkpoint, tensors: [String: StoredTensor], folder: TemporaryFolder) {
        let folder = try TemporaryFolder()
        let destination = folder.path + "/out"
        let factors = try factors(text)
        try withCheckpoint(model.files(shards: 3)) { try Growth($0, by: factors).write(to: destination) }
        let checkpoint = try Checkpoint(directory: destination)
        let tensors = try checkpoint.tensors.mapValues { tensor in
            var bytes = [UInt8](repeating: 0, count: tensor.range.count)
            try bytes.withUnsafeMutableBytes { try checkpoint.read(tensor, fromByte: 0, into: $0) }
            return StoredTensor(name: tensor.name, type: tensor.type, shape: tensor.shape, bytes: bytes)
        }
        return (checkpoint, tensors, folder)
    }

    /// FP32 values of a tensor, block scales multiplied in.
    private func values(_ name: String, in tensors: [String: StoredTensor]) throws -> [Float] {
        let tensor = try #require(tensors[name])
        guard tensor.type == .fp8 else { return tensor.values }
        let scales = try #require(tensors[name + "_scale_inv"])
        let columns = tensor.shape[1]
        let factors = scales.values
        return tensor.values.enumerated().map { index, code in
            code * factors[index / columns / 128 * scales.shape[1] + index % columns / 128]
        }
    }

    /// `parts` of every row repeated `across` times each and divided, then all rows repeated `down` times.
    private func repeated(
        _ values: [Float], columns: Int, down: Int, across: Int, parts: Int = 1, divisor: Float = 1
    ) -> [Float] {
        let width = columns / parts
        let once = stride(from: 0, to: values.count, by: width).flatMap { start in
            (0..<across).flatMap { _ in values[start..<start + width].map { $0 / divisor } }
        }
        return (0..<down).flatMap { _ in once }
    }

    private static let shapes: [TinyGeometry] = [
        TinyGeometry {
            $0.hidden = 256
            $0.expertIntermediate = 128
        },
        TinyGeometry {
            $0.hidden = 64
            $0.sharedExperts = 2
        },
        TinyGeometry { $0.storage = .bf16 }, TinyGeometry { $0.storage = .f32 },
        TinyGeometry {
            $0.hidden = 128
            $0.tiedHead = true
            $0.mtpModules = 2
        },
        TinyGeometry {
            $0.hidden = 96
            $0.queryRank = nil
            $0.sharedExperts = 0
            $0.mtpModules = 0
        },
        TinyGeometry {
            ($0.family, $0.denseModules, $0.modulesApart) = (.joyAIFlash, true, true)
            $0.hidden = 64
        },
    ]

    @Test(arguments: shapes.indices)
    func matricesAreRepeatedAndDivided(index: Int) throws {
        let shape = Self.shapes[index]
        let model = TinyModel(shape, seed: 7)
        let (checkpoint, tensors, _) = try grow(model, "hidden=2,experts=4,layers=2")
        // Dense layer 0, then 1 → 1, 2 and 2 → 3, 4; MTP blocks from 5 on.
        #expect(checkpoint.configuration.layerCount == 5)
        func check(
            _ old: String, _ new: String, down: Int = 1, across: Int = 1, parts: Int = 1, divisor: Float? = nil
        ) throws {
            let source = try #require(model.tensor(old + ".weight"))
            let expected = repeated(
                model.values(source.name), columns: try #require(source.shape.last), down: down, across: across,
                parts: parts, divisor: divisor ?? Float(across))
            #expect(try values(new + ".weight", in: tensors) == expected, "\(new)")
            #expect(tensors[new + ".weight"]?.type == source.type)
        }
        try check("model.embed_tokens", "model.embed_tokens", across: 2, divisor: 1)
        try check("model.norm", "model.norm", across: 2, divisor: 1)
        try check(shape.tiedHead ? "model.embed_tokens" : "lm_head", "lm_head", across: 2)
        try check("model.layers.0.mlp.down_proj", "model.layers.0.mlp.down_proj", down: 2)
        for new in [3, 4] {
            let (from, to) = ("model.layers.2.", "model.layers.\(new).")
            for name in ["self_attn.kv_a_proj_with_mqa", "mlp.gate"] { try check(from + name, to + name, across: 2) }
            try check(from + "input_layernorm", to + "input_layernorm", across: 2, divisor: 1)
            try check(from + "self_attn.kv_b_proj", to + "self_attn.kv_b_proj")
            try check(from + "mlp.experts.3.up_proj", to + "mlp.experts.3.up_proj", down: 4, across: 2)
        }
        try check("model.layers.2.self_attn.o_proj", "model.layers.3.self_attn.o_proj", down: 2)
        let down = "mlp.experts.15.down_proj"
        try check("model.layers.2." + down, "model.layers.3." + down, down: 2, across: 4)
        for name in ["self_attn.o_proj", down] {
            #expect(try values("model.layers.4.\(name).weight", in: tensors).allSatisfy { $0 == 0 })
        }
        for module in 0..<shape.mtpModules {
            let (from, to) = ("model.layers.\(3 + module).", "model.layers.\(5 + module).")
            try check(from + "eh_proj", to + "eh_proj", down: 2, across: 2, parts: 2)
            try check(from + "embed_tokens", to + "embed_tokens", across: 2, divisor: 1)
            try check(from + "shared_head.head", to + "shared_head.head", across: 2)
            try check(from + "self_attn.o_proj", to + "self_attn.o_proj", down: 2)
        }
        #expect(try WeightLayout(checkpoint).warnings.isEmpty)
    }

    /// Heads with all they read and write, and the query between its projections, MTP modules' too.
    @Test func headsAndQueriesAreRepeated() throws {
        let shapes = [
            TinyGeometry { $0.storage = .bf16 },
            TinyGeometry {
                $0.hidden = 128
                $0.heads = 8
                $0.value = 32
                $0.queryRank = 128
            },
        ]
        for shape in shapes {
            let model = TinyModel(shape, seed: 7)
            let (checkpoint, tensors, _) = try grow(model, "heads=2,query=4,hidden=2")
            let configuration = checkpoint.configuration
            #expect(configuration.headCount == 2 * shape.heads)
            #expect(configuration.queryRank == shape.queryRank.map { 4 * $0 })
            #expect(configuration.growth == (try factors("hidden=2,heads=2,query=4")))
            for layer in 0..<shape.layers + shape.mtpModules {
                func check(_ name: String, down: Int, across: Int, divisor: Float) throws {
                    let name = "model.layers.\(layer).self_attn.\(name).weight"
                    let source = try #require(model.tensor(name))
                    let columns = try #require(source.shape.last)
                    let expected = repeated(
                        model.values(name), columns: columns, down: down, across: across, divisor: divisor)
                    #expect(try values(name, in: tensors) == expected, "\(name)")
                }
                try check("q_a_proj", down: 4, across: 2, divisor: 2)
                try check("q_a_layernorm", down: 1, across: 4, divisor: 1)
                try check("q_b_proj", down: 2, across: 4, divisor: 4)
                try check("kv_a_proj_with_mqa", down: 1, across: 2, divisor: 2)
                try check("kv_b_proj", down: 2, across: 1, divisor: 1)
                try check("o_proj", down: 2, across: 2, divisor: 2)
            }
        }
    }

    /// The preset reads bytes as DeepSeek-V3 does.
    @Test func thePresetSharesItsBytesAsV3() throws {
        let growth = try Growth(.demo(), by: factors("2gb-v3"))
        #expect(abs(Double(growth.routedByteCount) / Double(growth.stepByteCount) - 0.543) < 0.005)
        #expect((2_400_000_000...2_600_000_000).contains(growth.byteCount))
        let draft = try #require(growth.mtpStepByteCount)
        #expect(abs(Double(draft) / Double(growth.stepByteCount) - 0.07) < 0.005)
    }

    @Test func theConfigurationTellsTheNewShape() throws {
        let (checkpoint, _, folder) = try grow(TinyModel(Self.shapes[4]), "hidden=2,experts=4,layers=2")
        let configuration = checkpoint.configuration
        #expect(configuration.hiddenSize == 256 && configuration.expertIntermediateSize == 192)
        #expect(configuration.intermediateSize == 136 && configuration.denseLayerCount == 1)
        #expect(!configuration.tiesEmbeddings)
        #expect(configuration.growth == (try factors("hidden=2,experts=4,layers=2")))
        #expect((0..<7).map(configuration.isTrained) == [true, true, false, true, false, true, true])
        // Grown once more, the factors multiply.
        try Growth(checkpoint, by: factors("layers=2")).write(to: folder.path + "/again")
        let again = try Checkpoint(directory: folder.path + "/again").configuration
        #expect(again.growth == (try factors("hidden=2,experts=4,layers=4")) && again.layerCount == 9)
        #expect((0..<9).filter { again.isTrained(layer: $0) } == [0, 1, 5])
    }

    /// Keys in an object of their own, and a list with an entry a layer.
    @Test func configurationsOfOtherFamiliesGrow() throws {
        var kimi = TinyGeometry.kimiK25
        kimi.storage = .bf16
        let (checkpoint, tensors, kept) = try grow(TinyModel(kimi), "hidden=2,layers=2")
        defer { withExtendedLifetime(kept) {} }
        #expect(checkpoint.configuration.hiddenSize == 400 && checkpoint.configuration.layerCount == 5)
        #expect(checkpoint.configuration.growth == (try factors("hidden=2,layers=2")))
        #expect(tensors.keys.allSatisfy { $0.hasPrefix("language_model.") })
        #expect(try WeightLayout(checkpoint).warnings.isEmpty)

        var glm = TinyGeometry.glmFlash
        glm.storage = .bf16
        var model = TinyModel(glm)
        model.configuration["first_k_dense_replace"] = nil
        model.configuration["mlp_layer_types"] = PublishedConfiguration.kinds(dense: 1, of: 3)
        let (longer, _, folder) = try grow(model, "layers=2")
        defer { withExtendedLifetime(folder) {} }
        #expect(longer.configuration.layerCount == 5 && longer.configuration.denseLayerCount == 1)
        #expect(try WeightLayout(longer).mtp.count == 1)
    }

    @Test func thePlanKnowsTheResult() throws {
        let model = TinyModel(Self.shapes[0])
        let text = "hidden=2,experts=4,layers=2"
        let growth = try withCheckpoint(model.files()) { try Growth($0, by: factors(text)) }
        let (checkpoint, tensors, _) = try grow(model, text)
        #expect(growth.layerCount == checkpoint.configuration.layerCount)
        #expect(growth.byteCount == tensors.values.reduce(0) { $0 + $1.bytes.count })
        func bytes(_ prefix: String, without: String = "?") -> Int {
            tensors.values.filter { $0.name.hasPrefix(prefix) && !$0.name.contains(without) }
                .reduce(0) { $0 + $1.bytes.count }
        }
        let chosen = (1...5).map { bytes("model.layers.\($0).mlp.experts") / 16 * 4 }
        let rest = (0...5).map { bytes("model.layers.\($0).", without: ".experts.") }
        let head = bytes("lm_head")
        #expect(growth.stepByteCount == (rest + chosen).reduce(head + bytes("model.norm"), +) - rest[5] - chosen[4])
        #expect(growth.mtpStepByteCount == rest[5] + chosen[4] - bytes("model.layers.5.embed_tokens"))
        let plain = TinyModel(Self.shapes[5])
        #expect(try withCheckpoint(plain.files()) { try Growth($0, by: .one).mtpStepByteCount } == nil)
    }

    @Test(arguments: [
        ("hidden=3", nil), ("hidden=0", nil), ("hidden=-2", nil), ("layers=131072", nil), ("hidden=2,hidden=2", nil),
        ("", nil), ("hidden", nil), ("hidden=2,", nil), ("width=2", nil), ("2gbs", nil),
        ("layers=2", "hidden=1,experts=1,layers=2"), ("experts=4,hidden=2", "hidden=2,experts=4,layers=1"),
        ("1gb", "hidden=2,experts=16,layers=2"), ("2gb-v3", "hidden=4,experts=16,layers=2,heads=4,query=16"),
        ("query=2", "hidden=1,experts=1,layers=1,query=2"), ("heads=2", "hidden=1,experts=1,layers=1,heads=2"),
        ("heads=6", nil), ("hidden=2 ", nil),
    ])
    func factorsAreReadFromText(text: String, meaning: String?) {
        #expect(GrowthFactors(text)?.description == meaning)
    }

    @Test func refusesWhatCannotBeExact() throws {
        let embedding = "model.embed_tokens.weight"
        let cases: [(mention: String, factors: String, shape: TinyGeometry, change: (inout TinyModel) -> Void)] = [
            ("q_a_proj.weight cannot be repeated", "hidden=2", TinyGeometry(), { _ in }),
            (
                "eh_proj.weight cannot be repeated", "hidden=2",
                TinyGeometry {
                    $0.storage = .mixed
                    $0.hidden = 96
                }, { _ in }
            ),
            (
                "shared_experts.gate_proj.weight cannot be repeated", "experts=2",
                TinyGeometry { $0.sharedExperts = 3 }, { _ in }
            ),
            ("has no down-projection", "query=2", TinyGeometry { $0.queryRank = nil }, { _ in }),
            ("without loss in F16", "hidden=2", TinyGeometry { $0.storage = .f16 }, { _ in }),
            (
                "without loss in BF16", "hidden=2", TinyGeometry { $0.storage = .bf16 },
                { $0.change("lm_head.weight") { $0.bytes[..<2] = [1, 0] } }
            ),
            (
                "bad values", "layers=2", TinyGeometry { $0.storage = .bf16 },
                { $0.change(embedding) { $0.bytes[..<2] = [0x80, 0x7F] } }
            ),
        ]
        for (mention, text, shape, change) in cases {
            var model = TinyModel(shape)
            change(&model)
            let folder = try TemporaryFolder()
            let found = complaint {
                try withCheckpoint(model.files()) { checkpoint in
                    try Growth(checkpoint, by: factors(text)).write(to: folder.path + "/out")
                }
            }
            #expect(found.contains(mention), "\(found)")
            #expect(try folder.names().isEmpty)
        }
    }

    @Test(arguments: [
        ("layers=65536", 1, "too many tensors"), ("layers=4096", 1, "num_hidden_layers"),
        ("hidden=65536", 1, "too large"), ("hidden=65536", 0, "too long rows"),
    ])
    func refusesImpossibleSizes(text: String, modules: Int, mention: String) throws {
        let shape = TinyGeometry {
            $0.storage = .f32
            $0.layers = 5
            $0.experts = 4
            $0.groups = 2
            $0.hidden = 512
            $0.mtpModules = modules
        }
        let found = complaint {
            try withCheckpoint(TinyModel(shape).files()) { _ = try Growth($0, by: factors(text)) }
        }
        #expect(found.contains(mention), "\(found)")
    }

    @Test func refusesTheDestination() throws {
        let (source, other) = (try TemporaryFolder(), try TemporaryFolder())
        try TinyModel(Self.shapes[0]).write(to: source)
        let names = try source.names()
        let growth = try Growth(Checkpoint(directory: source.path), by: factors("layers=2"))
        #expect(complaint { try growth.write(to: source.path) }.contains("exists already"))
        #expect(complaint { try growth.write(to: source.path + "/out") }.contains("would lie inside"))
        let roundabout = source.path + "/../" + (source.path.split(separator: "/").last ?? "") + "/out"
        #expect(complaint { try growth.write(to: roundabout) }.contains("would lie inside"))
        #expect(try source.names() == names)
        try growth.write(to: other.path + "/out/")
        #expect(try Checkpoint(directory: other.path + "/out").configuration.layerCount == 5)
    }

    @Test func progressCountsToTheEndAndCanStopIt() throws {
        struct Stop: Error {}
        let folder = try TemporaryFolder()
        let factors = try factors("hidden=2,layers=2")
        try withCheckpoint(TinyModel(Self.shapes[0]).files()) { checkpoint in
            let growth = try Growth(checkpoint, by: factors)
            #expect(throws: Stop.self) {
                try growth.write(to: folder.path + "/out") { if $0.doneBytes * 2 > $0.totalBytes { throw Stop() } }
            }
            #expect(try folder.names().isEmpty)
            var last = 0
            try growth.write(to: folder.path + "/out") { progress in
                #expect(progress.doneBytes > last)
                last = progress.doneBytes
            }
            #expect(last == growth.byteCount)
        }
    }
}
