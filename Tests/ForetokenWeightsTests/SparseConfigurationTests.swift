import ForetokenTestSupport
import ForetokenWeights
import Testing

/// What config.json and the files may say of sparse attention.
@Suite struct SparseConfigurationTests {
    /// A config.json with a few keys changed; nil removes a key.
    private func configuration(
        pattern: String? = nil, _ changes: [String: String?] = [:]
    ) throws -> ModelConfiguration {
        var members = TinyModel.configuration(
            TinyGeometry {
                $0.layers = 8
                $0.indexer = TinyIndexer(pattern: pattern)
            })
        for (key, value) in changes { members[key] = value }
        let text = members.map { "\"\($0.key)\": \($0.value)" }.joined(separator: ", ")
        return try ModelConfiguration(json: Array("{\(text)}".utf8), file: "config.json")
    }

    private func own(_ changes: [String: String?]) throws -> String {
        let sparse = try #require(try configuration(pattern: "FFFFFFFF", changes).sparseAttention)
        return String(sparse.ownIndexers.map { $0 ? "F" : "S" })
    }

    @Test func readsEveryKey() throws {
        let sparse = try #require(try configuration(["index_topk": "2048"]).sparseAttention)
        #expect(sparse.chosenCount == 2048 && sparse.headCount == 6 && sparse.headDimension == 32)
        // DeepSeek-V3.2 rotates halves, GLM neighbours; files may say otherwise.
        #expect(!sparse.hasInterleavedRotation)
        for (pattern, value, expected) in [
            (nil, "true", true), ("FFFFFFFF", "false", false), ("FFFFFFFF", nil, true),
        ] {
            let changed = try configuration(pattern: pattern, ["indexer_rope_interleave": value])
            #expect(changed.sparseAttention?.hasInterleavedRotation == expected)
        }
        #expect(abs(sparse.weightScale - 1 / (6 * 32 as Float).squareRoot()) < 1e-8)
    }

    @Test func readsWhichLayersHaveAnIndexer() throws {
        #expect(try own(["index_topk_pattern": nil]) == "FFFFFFFF")
        #expect(try own(["index_topk_pattern": "\"FSSFSSSF\""]) == "FSSFSSSF")
        let list = "[\"full\", \"shared\", \"shared\", \"full\", \"full\", \"full\", \"shared\", \"full\"]"
        #expect(try own(["indexer_types": list, "index_topk_pattern": "null"]) == "FSSFFFSF")
        // A list goes before a pattern, and a pattern before a period.
        #expect(try own(["indexer_types": list, "index_topk_freq": "4"]) == "FSSFFFSF")
        // GLM-5.2's: 0, 1, 2, and every fourth from there.
        let period =
            ["index_topk_pattern": nil, "index_topk_freq": "4", "index_skip_topk_offset": "3"] as [String: String?]
        #expect(try own(period) == "FFFSSSFS")
        #expect(try own(["index_topk_pattern": nil, "index_topk_freq": "2"]) == "FFSFSFSF")
        // The MTP module's block may be listed, too.
        #expect(try own(["index_topk_pattern": "\"FSSFSSSFF\""]) == "FSSFSSSF")
    }

    @Test(arguments: [
        ("index_topk", "0", "index_topk"), ("index_topk", "-1", "index_topk"), ("index_topk", "1e9", "index_topk"),
        ("index_topk", "\"8\"", "index_topk"), ("index_topk", "null", "index_topk"),
        ("index_n_heads", "0", "index_n_heads"), ("index_n_heads", "1000000000", "index_n_heads"),
        ("index_head_dim", "31", "even"), ("index_head_dim", "14", "qk_rope_head_dim"),
        ("index_head_dim", "0", "index_head_dim"), ("index_head_dim", "2147483648", "index_head_dim"),
        ("indexer_rope_interleave", "1", "indexer_rope_interleave"),
        ("index_share_for_mtp_iteration", "\"yes\"", "index_share_for_mtp_iteration"),
        ("index_topk_pattern", "\"SFFFFFFF\"", "first layer"), ("index_topk_pattern", "\"FFF\"", "8 layers"),
        ("index_topk_pattern", "\"FFFFXFFF\"", "FFFFXFFF"), ("index_topk_pattern", "7", "index_topk_pattern"),
        ("indexer_types", "[\"full\"]", "indexer_types"), ("indexer_types", "[]", "indexer_types"),
        ("indexer_types", "[1, 2, 3, 4, 5, 6, 7, 8]", "indexer_types"),
        ("q_lora_rank", "null", "q_lora_rank"),
    ])
    func refuses(_ key: String, _ value: String, _ mention: String) throws {
        let text = complaint { _ = try configuration([key: value]) }
        #expect(text.contains(mention) && text.contains("config.json"), "\(text)")
    }

    @Test(arguments: ["0", "10001", "\"4\"", "2.5"]) func refusesPeriods(_ value: String) throws {
        let keys = ["index_topk_freq": value, "index_topk_pattern": "null"]
        let text = complaint { _ = try configuration(pattern: "FFFFFFFF", keys) }
        #expect(text.contains("index_topk_freq"), "\(text)")
    }

    @Test func refusesAMissingKey() throws {
        for key in ["index_topk", "index_n_heads", "index_head_dim"] {
            let text = complaint { _ = try configuration([key: nil]) }
            #expect(text.contains(key), "\(text)")
        }
    }

    // MARK: Tensors

    private func layout(
        pattern: String? = nil, _ change: (inout TinyModel) -> Void = { _ in }
    ) throws -> WeightLayout {
        var tiny = TinyModel(
            TinyGeometry {
                $0.layers = 4
                $0.indexer = TinyIndexer(pattern: pattern)
            })
        change(&tiny)
        let folder = try TemporaryFolder()
        try tiny.write(to: folder)
        return try WeightLayout(Checkpoint(directory: folder.path))
    }

    @Test func findsEveryIndexer() throws {
        let all = try layout()
        #expect(all.layers.allSatisfy { $0.attention.indexer != nil } && all.mtp[0].block.attention.indexer != nil)
        let indexer = try #require(all.layers[1].attention.indexer)
        #expect(indexer.query.weight.shape == [192, 72] && indexer.query.scale?.shape == [2, 1])
        #expect(indexer.key.weight.shape == [32, 200] && indexer.weights.weight.shape == [6, 200])
        #expect(all.warnings.isEmpty)
        let some = try layout(pattern: "FSFS")
        #expect(some.layers.map { $0.attention.indexer != nil } == [true, false, true, false])
        #expect(some.mtp[0].block.attention.indexer != nil && some.warnings.isEmpty)
    }

    /// Files may hold tensors of layers that go by another layer's choice, and lack those of MTP modules.
    @Test func toleratesWhatNothingUses() throws {
        let layout = try layout { tiny in
            tiny.configuration["indexer_types"] = "[\"full\", \"shared\", \"full\", \"shared\"]"
            tiny.tensors.removeAll { $0.name.hasPrefix("model.layers.4.self_attn.indexer.") }
        }
        #expect(layout.layers[1].attention.indexer == nil && layout.mtp[0].block.attention.indexer == nil)
        #expect(layout.warnings.isEmpty, "\(layout.warnings)")
        #expect(layout.remarks.count == 1 && layout.remarks[0].contains("2 layers, for example of layer 1"))
    }

    @Test(arguments: ["wq_b.weight", "wk.weight", "weights_proj.weight", "k_norm.weight", "k_norm.bias"])
    func refusesWhatIsMissingOrWrong(_ name: String) throws {
        let name = "model.layers.1.self_attn.indexer." + name
        let missing = complaint { _ = try layout { tiny in tiny.tensors.removeAll { $0.name == name } } }
        #expect(missing.contains(name) && missing.contains("missing"), "\(missing)")
        let wrong = complaint {
            _ = try layout { tiny in
                let index = tiny.tensors.firstIndex { $0.name == name }!
                let old = tiny.tensors[index]
                tiny.tensors[index] = StoredTensor(
                    name: name, .f32, shape: old.shape.map { $0 + 1 },
                    values: [Float](repeating: 0, count: old.shape.reduce(1) { $0 * ($1 + 1) }))
            }
        }
        #expect(wrong.contains(name) && wrong.contains("shape"), "\(wrong)")
    }

    /// The MoE layers of a made-up part are those that recur in the whole.
    @Test func partsOfShapesHaveTheirShareOfIndexers() throws {
        let geometry = TinyGeometry {
            $0.layers = 9
            $0.indexer = TinyIndexer(pattern: "FFFSSFSSF")
        }
        let members = TinyModel.configuration(geometry).map { "\"\($0.key)\": \($0.value)" }.joined(separator: ", ")
        let shape = try SyntheticShape(name: "tiny", json: Array("{\(members)}".utf8), file: "config.json")
        for (layers, expected) in [(1, "FF"), (3, "FFSS"), (7, "FFSSFFSS")] {
            let part = shape.part(moeLayers: layers, mtp: true)
            #expect(part.sparseAttention.map { String($0.ownIndexers.map { $0 ? "F" : "S" }) } == expected)
            let layout = try WeightLayout(try Checkpoint(synthetic: part, label: "tiny"))
            #expect(layout.warnings.isEmpty && layout.mtp[0].block.attention.indexer != nil)
            #expect(String(layout.layers.map { $0.attention.indexer == nil ? "S" : "F" }) == expected)
        }
    }

    @Test func refusesToEnlarge() throws {
        let folder = try TemporaryFolder()
        try TinyModel(TinyGeometry { $0.indexer = TinyIndexer() }).write(to: folder)
        let checkpoint = try Checkpoint(directory: folder.path)
        let text = complaint { _ = try Growth(checkpoint, by: GrowthFactors("hidden=2")!) }
        #expect(text.contains("indexer"), "\(text)")
    }
}
