import ForetokenHardware
import ForetokenTestSupport
import ForetokenWeights
import FoundationEssentials
import Testing

@Suite struct InspectionTests {
    private struct Answer: Decodable {
        var model_type: String?
        var family: String?
        var runs: Bool
        var context: Int?
        var mtp_blocks: [String]
        var weights_bytes: [String: Int]
        var remarks: [String]
        var config: [String: Value]?
        var mtp_modules: Int
        var tensors: Int
        var bytes_by_dtype: [String: Int]
        var problems: [String]

        struct Value: Decodable {
            let number: Double?
            init(from decoder: any Decoder) throws {
                number = try? decoder.singleValueContainer().decode(Double.self)
            }
        }
    }

    private func write(_ model: TinyModel, shards: Int = 1) throws -> TemporaryFolder {
        let folder = try TemporaryFolder()
        try model.write(to: folder, shards: shards)
        return folder
    }

    @Test func goodFolder() throws {
        let model = TinyModel()
        let folder = try write(model, shards: 2)
        var last = (0, 1)
        let inspection = try Inspection(directory: folder.path, scanningWeights: true) { last = ($0, $1) }
        #expect(inspection.problems.isEmpty && last.0 == last.1)
        let data = try JSONEncoder().encode(inspection)
        let text = String(decoding: data, as: UTF8.self)
        for key in ["model_type", "config", "mtp_modules", "tensors", "bytes_by_dtype", "problems"] {
            #expect(text.contains("\"\(key)\":"))
        }
        let answer = try JSONDecoder().decode(Answer.self, from: data)
        #expect(answer.model_type == "deepseek_v3" && answer.config?["hidden_size"]?.number == 200)
        #expect(answer.mtp_modules == 1 && answer.tensors == model.tensors.count && answer.problems.isEmpty)
        let bytes = model.tensors.filter { $0.type == .fp8 }.reduce(0) { $0 + $1.bytes.count }
        #expect(answer.bytes_by_dtype["F8_E4M3"] == bytes)
    }

    @Test("A scale of 0 is sound where its block is nothing but zeros, and lost where it is not")
    func scalesOfZero() throws {
        for isPruned in [true, false] {
            var model = TinyModel()
            model.change("model.layers.0.mlp.up_proj.weight_scale_inv") { tensor in
                tensor = StoredTensor(
                    name: tensor.name, .f32, shape: tensor.shape, values: [0, 0] + tensor.values.dropFirst(2))
            }
            if isPruned {
                model.change("model.layers.0.mlp.up_proj.weight") { tensor in
                    for i in tensor.bytes.indices where i < 128 * 200 { tensor.bytes[i] = i % 2 == 0 ? 0 : 0x80 }
                }
            }
            let folder = try write(model)
            let problems = try Inspection(directory: folder.path, scanningWeights: true).problems
            #expect(problems.count == (isPruned ? 0 : 1), "\(problems)")
            #expect(isPruned || problems[0].description.contains("up_proj.weight_scale_inv holds a bad scale"))
        }
    }

    private func answer(_ model: TinyModel) throws -> Answer {
        let folder = try write(model, shards: 3)
        let inspection = try Inspection(directory: folder.path)
        return try JSONDecoder().decode(Answer.self, from: JSONEncoder().encode(inspection))
    }

    @Test func familiesAreNamed() throws {
        for (geometry, family, blocks) in [
            (TinyGeometry(), "DeepSeek-V3", ["experts"]), (.glmFlash, "GLM-4.7-Flash", ["experts"]),
            (.gigaChat, "DeepSeek-V3", ["experts"]), (.joyAI, "JoyAI-LLM-Flash", ["dense"]),
            (.deepSeekV2, "DeepSeek-V2", []), (.kimiK25, "Kimi-K2.5", []),
        ] {
            let answer = try answer(TinyModel(geometry))
            #expect(answer.family == family && answer.runs && answer.mtp_blocks == blocks, "\(answer)")
            #expect(answer.model_type == geometry.family.modelTypes[0] && answer.context == 512)
            #expect(answer.remarks.isEmpty && answer.problems.isEmpty)
        }
    }

    /// What inspection foretells is what loading takes.
    @Test func memoryOfEveryFormat() throws {
        for geometry in [TinyGeometry(), .joyAI, .deepSeekV2] {
            let model = TinyModel(geometry)
            let foretold = try answer(model).weights_bytes
            #expect(foretold.count == ResidentFormat.allCases.count)
            for format in ResidentFormat.allCases {
                let weights = try withCheckpoint(model.files()) {
                    try ModelWeights(
                        checkpoint: $0, layout: WeightLayout($0), pool: WorkerPool(threads: 1), format: format)
                }
                #expect(foretold[format.rawValue] == weights.byteCount)
            }
        }
    }

    @Test func whatDoesNotRunIsSaid() throws {
        var relative = TinyModel()
        relative.configuration["model_type"] = "\"glm4_moe\""
        let refused = try answer(relative)
        #expect(!refused.runs && refused.family == nil && refused.weights_bytes.isEmpty && refused.context == nil)
        #expect(refused.problems.count == 1 && refused.problems[0].contains("grouped-query"))
        var seeing = TinyModel(.kimiK25)
        seeing.tensors.append(StoredTensor(name: "vision_tower.a", .f32, shape: [1], values: [1]))
        let partly = try answer(seeing)
        #expect(partly.runs && partly.remarks.count == 1 && partly.remarks[0].contains("vision_tower.*"))
        var incomplete = TinyModel(.glmFlash)
        incomplete.remove("model.layers.1.self_attn.kv_b_proj.weight")
        let broken = try answer(incomplete)
        #expect(!broken.runs && broken.family == "GLM-4.7-Flash" && broken.weights_bytes.isEmpty)
    }

    @Test func listsEveryProblem() throws {
        var model = TinyModel()
        model.remove("lm_head.weight")
        model.remove("model.norm.weight")
        model.change("model.layers.0.mlp.gate_proj.weight") { $0.bytes[3] = 0xFF }
        model.change("model.layers.0.mlp.up_proj.weight_scale_inv") { tensor in
            tensor = StoredTensor(name: tensor.name, .f32, shape: tensor.shape, values: [0, -1, .nan, .infinity])
        }
        model.change("model.layers.1.mlp.gate.e_score_correction_bias") { tensor in
            tensor = StoredTensor(name: tensor.name, .f32, shape: [16], values: tensor.values.dropLast() + [.nan])
        }
        let folder = try write(model)
        #expect(try Inspection(directory: folder.path).problems.count == 2)
        let problems = try Inspection(directory: folder.path, scanningWeights: true).problems.map(\.description)
        #expect(problems.count == 5)
        #expect(problems.contains { $0.contains("up_proj.weight_scale_inv holds 3 bad") })
        #expect(problems.contains { $0.contains("gate_proj.weight holds 1 bad") })
        #expect(problems.contains { $0.contains("e_score_correction_bias holds 1 bad") })
    }

    @Test func combinesFileAndConfigurationProblems() throws {
        var model = TinyModel()
        model.configuration["hidden_act"] = "\"gelu\""
        model.configuration["attention_bias"] = "true"
        var files = model.files(shards: 3)
        files[1].bytes.removeLast()
        files[2].bytes[20] ^= 1
        let folder = try TemporaryFolder()
        for file in files { try folder.write(file.bytes, file.name) }
        let inspection = try Inspection(directory: folder.path)
        #expect(inspection.problems.count == 4, "\(inspection.problems)")
        #expect(inspection.modelType == "deepseek_v3" && inspection.configuration == nil)
    }

    @Test func aDamagedFileDoesNotDragItsTensorsIn() throws {
        var files = TinyModel().files(shards: 3)
        files[1].bytes.removeLast()
        let folder = try TemporaryFolder()
        for file in files { try folder.write(file.bytes, file.name) }
        #expect(try Inspection(directory: folder.path).problems.count == 1)
    }

    @Test func emptyAndMissingFolders() throws {
        let folder = try TemporaryFolder()
        #expect(try Inspection(directory: folder.path).problems.count == 2)
        #expect(checkpointError { _ = try Inspection(directory: folder.path + "/x") }?.kind == .missingPath)
    }

    @Test(.enabled(if: DemoModel.isPresent)) func demoModel() throws {
        let inspection = try Inspection(directory: DemoModel.directory, scanningWeights: true)
        #expect(inspection.problems.isEmpty && inspection.tensorCount == 2597 && inspection.mtpModuleCount == 1)
        #expect(inspection.bytesByType.values.reduce(0, +) == 31_493_692)
    }
}
