import ForetokenTestSupport
import ForetokenWeights
import Glibc
import Testing

extension EngineTests {
    /// `inspect` of models that one does not have.
    @Suite struct InspectingShapes {
        private struct Shape: Decodable {
            struct Memory: Decodable {
                let format: String
                let weight_bytes: Int
                let needed_bytes: Int
            }
            let name: String
            let parameters: Int
            let active_parameters: Int
            let mtp_modules: Int
            let file_bytes: Int
            let cache_bytes_per_token: [String: Int]
            let memory: [Memory]
            let remarks: [String]
        }
        private struct List: Decodable { let shapes: [Shape] }

        @Test func allAreListed() throws {
            let list: List = try Command.run("inspect", "--shapes", "--json").json()
            #expect(list.shapes.map(\.name) == SyntheticShape.names)
            for shape in list.shapes {
                #expect(
                    shape.parameters > shape.active_parameters && shape.memory.count == ResidentFormat.allCases.count)
                #expect(shape.memory.allSatisfy { $0.needed_bytes > $0.weight_bytes })
                #expect(shape.cache_bytes_per_token["f32"] == shape.cache_bytes_per_token["bf16"].map { 2 * $0 })
            }
            #expect(
                list.shapes.first { $0.name == "gigachat3-10b" }?.remarks.contains { $0.contains("guesses") } == true)
            let table = try Command.run("inspect", "--shapes")
            #expect(table.status == 0 && SyntheticShape.names.allSatisfy(table.output.contains), "\(table.errors)")
        }

        @Test func oneIsShownInFull() throws {
            let outcome = try Command.run("inspect", "--shape", "joyai-flash")
            for part in [
                "JoyAI-LLM-Flash", "48,942,532,608", "3.04 B active", "1, 78,", "94,464 bytes a token", "int4",
            ] {
                #expect(outcome.output.contains(part), "\(part): \(outcome.output) \(outcome.errors)")
            }
            let folder = try TemporaryFolder()
            try TinyModel().write(to: folder)
            let own: Shape = try Command.run("inspect", "--json", "--shape", folder.path + "/config.json").json()
            #expect(own.mtp_modules == 1 && own.parameters > 0 && own.remarks.isEmpty)
        }

        @Test func checkpointsTellTheirCache() throws {
            let outcome = try Command.run("inspect")
            #expect(
                outcome.output.contains("4,160 bytes a token in f32, 2,080 bytes a token in bf16"), "\(outcome.output)")
        }

        @Test(arguments: [
            (["--shape", "nothing"], "there is no shape 'nothing'"), (["--shapes", "--shape", "glm-5"], "not both"),
            (["--shapes", "folder"], "no folder"), (["--shape", "glm-5", "--scan"], "--scan"),
        ])
        func wrongCallsAreExplained(arguments: [String], message: String) throws {
            let outcome = try Command(["inspect"] + arguments).finish()
            #expect(outcome.status == 2 && outcome.errors.contains(message), "\(outcome.errors)")
        }
    }

    /// `inspect` on folders whose smaller files are damaged, and text that would steer a terminal.
    @Suite struct InspectingOddFolders {
        private struct Answer: Decodable { let problems: [String] }

        private func folder(_ files: [(name: String, text: String)] = []) throws -> TemporaryFolder {
            let folder = try TemporaryFolder()
            try TinyModel(TinyGeometry { ($0.layers, $0.mtpModules) = (2, 0) }).write(to: folder)
            for (name, text) in files { try folder.write(Array(text.utf8), name) }
            return folder
        }

        @Test(arguments: ["tokenizer.json", "tokenizer_config.json", "generation_config.json", "chat_template.jinja"])
        func damagedTextFilesAreProblems(name: String) throws {
            let folder = try folder()
            for file in ["tokenizer.json", "tokenizer_config.json", "generation_config.json"] {
                try folder.write(TemporaryFolder.contents(of: Fixtures.demoModel + "/" + file), file)
            }
            #expect(try Command.run("inspect", folder.path).status == 0)
            try folder.write([0x7B, 0xFF, 0x22], name)
            for flags in [[], ["--scan"]] {
                let outcome = try Command(["inspect", folder.path] + flags).finish()
                #expect(outcome.status == 65 && outcome.output.contains("1 problem"), "\(outcome.output)")
                #expect(outcome.output.contains("- \(name)") && !outcome.output.contains("can be loaded"))
            }
            let answer: Answer = try Command.run("inspect", folder.path, "--json").json()
            #expect(answer.problems.count == 1 && answer.problems[0].hasPrefix(name))
        }

        @Test func tellsWhatAFolderIsAndWhatItTakes() throws {
            let folder = try TemporaryFolder()
            try TinyModel(.joyAI).write(to: folder, shards: 2)
            let outcome = try Command.run("inspect", folder.path)
            #expect(outcome.status == 0)
            for text in [
                "JoyAI-LLM-Flash (joyai_llm_flash)", "1, dense", "512 tokens", "weights in memory", "experts-int4",
                "can be loaded",
            ] { #expect(outcome.output.contains(text), "\(outcome.output)") }
            let kimi = try TemporaryFolder()
            var model = TinyModel(.kimiK25)
            model.tensors.append(model.tensors[0])
            model.tensors[model.tensors.count - 1].name = "vision_tower.a"
            try model.write(to: kimi)
            let seen = try Command.run("inspect", kimi.path)
            #expect(seen.status == 0 && seen.errors.contains("foretoken: vision_tower.* (1 tensor) are not read"))
            #expect(seen.output.contains("Kimi-K2.5 (kimi_k25)"))
        }

        @Test func anotherFamilysRouterIsRefused() throws {
            let folder = try TemporaryFolder()
            var model = TinyModel(TinyGeometry { ($0.layers, $0.mtpModules) = (2, 0) })
            model.configuration["scoring_func"] = "\"softmax\""
            try model.write(to: folder)
            let inspected = try Command.run("inspect", folder.path)
            #expect(inspected.status == 65 && inspected.output.contains("scoring_func"), "\(inspected.output)")
            let failed = try Command.run("generate", "--prompt-tokens", "1,2", "--model", folder.path)
            #expect(failed.status == 65 && failed.errors.contains("such routing belongs to DeepSeek-V2"))
        }

        @Test func aMissingTokenizerIsAWarning() throws {
            let folder = try folder()
            let outcome = try Command.run("inspect", folder.path)
            #expect(outcome.status == 0)
            #expect(outcome.errors.contains("no tokenizer.json or tiktoken.model: token ids only"))
        }

        @Test func whatCouldSteerATerminalIsEscaped() throws {
            let hostile = "\u{1B}[2J\u{85}\u{9B}31m\u{202E}\u{2066}\u{200B}\u{2028}\u{61C}"
            let quoted = hostile.unicodeScalars.map {
                let digits = String($0.value, radix: 16)
                return $0.isASCII && $0.value >= 0x20
                    ? String($0) : "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
            }.joined()
            let model = "{\"model_type\": \"a\(quoted)\", \"hidden_act\": \"\(quoted)\"}"
            let index = "{\"weight_map\": {\"\(quoted)\": \"\(quoted)/x.safetensors\"}}"
            let folder = try folder([("config.json", model), ("model.safetensors.index.json", index)])
            for flags in [[], ["--json"]] {
                let outcome = try Command(["inspect", folder.path] + flags).finish()
                #expect(outcome.status == 65)
                for scalar in (outcome.output + outcome.errors).unicodeScalars where scalar != "\n" {
                    #expect(scalar.value >= 0x20 && (scalar.isASCII || !hostile.unicodeScalars.contains(scalar)))
                }
                #expect(outcome.output.contains(flags.isEmpty ? "\\u{202E}" : "\\u202E"), "\(outcome.output)")
            }
            let failed = try Command.run("generate", "a", "--model", folder.path)
            #expect(failed.status == 65 && failed.errors.contains("\\u{202E}") && failed.errors.contains("\\u{1B}"))
        }

        @Test func pathsCannotForgeMessages() throws {
            let outcome = try Command.run("inspect", "/nowhere\nforetoken: all is well")
            #expect(outcome.status == 2 && outcome.errors.split(separator: "\n").count == 1, "\(outcome.errors)")
        }

        @Test(arguments: ["--help", "--version", "generate --help", "help inspect", "bench -h"])
        func answersThatCannotBeWrittenAreErrors(arguments: String) throws {
            let script = "\"$0\" \(arguments) >/dev/full"
            let outcome = try Command(["-c", script, Command.path], program: "/bin/sh").finish()
            #expect(outcome.status == 1)
            #expect(outcome.errors.contains("cannot write the output: No space left on device"))
        }
    }
}
