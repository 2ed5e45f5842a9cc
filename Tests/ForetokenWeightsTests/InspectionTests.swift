import ForetokenTestSupport
import ForetokenWeights
import FoundationEssentials
import Testing

@Suite struct InspectionTests {
    private struct Answer: Decodable {
        var model_type: String?
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
