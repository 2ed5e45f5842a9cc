import ForetokenTestSupport
import Testing

/// `foretoken bench` as its users call it.
@Suite(.serialized)
struct BenchCommandTests {
    private struct Output: Decodable {
        struct Speed: Decodable {
            let threads: Int
            let per_second: Double
        }
        struct Roofs: Decodable {
            let read: [Speed]
            let sgemm: [Speed]
        }
        struct Product: Decodable {
            let format: String
            let rows: Int
            let bytes_per_second: Double
            let operations_per_second: Double
            let read_share: Double
            let sgemm_share: Double
        }
        struct Curve: Decodable {
            struct Point: Decodable {
                let rows: Int
                let time: Double
                let relative: Double
                let relative_bytes: Double
                let over_bytes: Double
            }
            let context: Int
            let points: [Point]
            let tokens_per_second: Double
            let read_share: Double
        }
        struct Round: Decodable {
            let drafts: Int
            let draft_time: Double
            let verify_time: Double
            let relative: Double
            let break_even: Double?
        }
        struct Prompt: Decodable {
            let tokens: Int
            let tokens_per_second: Double
            let sgemm_share: Double
        }
        struct Component: Decodable {
            let place: String
            let name: String
            let per_layer: Double
        }
        struct Memory: Decodable {
            let resident: Int
            let weights: Int
            let cache: Int
        }
        struct Projection: Decodable {
            struct Overlap: Decodable {
                struct Row: Decodable {
                    let rows: Int
                    let experts: Double
                    let relative_bytes: Double
                    let relative: Double
                }
                let name: String
                let rows: [Row]
            }
            struct Memory: Decodable {
                let format: String
                let weight_bytes: Int
                let is_measured: Bool
            }
            struct Context: Decodable {
                let context: Int
                let time: Double
                let attention_share: Double
            }
            let layers: Int
            let tokens_per_second: Double
            let parameters: Int
            let active_parameters: Int
            let memory: [Memory]
            let cache_bytes_per_token: Int
            let contexts: [Context]
            let overlaps: [Overlap]
        }
        struct Depth: Decodable {
            struct Row: Decodable {
                let rows: Int
                let time: Double
                let relative: Double
            }
            struct Chunk: Decodable {
                let tokens: Int
                let time: Double
                let attention_share: Double
            }
            let context: Int
            let rows: [Row]
            let attention_share: Double
            let cache_bytes: Int
            let chunk: Chunk?
            let is_projected: Bool
            let has_made_latents: Bool
        }
        let roofs: Roofs
        let products: [Product]
        let steps: [Curve]
        let rounds: [Round]
        let prompts: [Prompt]
        let components: [Component]
        let memory: Memory
        struct FormatLoss: Decodable {
            let format: String
            let perplexity: Double
            let relative: Double
            let bytes_per_step: Int
        }
        let formats: [FormatLoss]
        let projection: Projection?
        let depths: [Depth]
        let left_out: [String]
        let is_partial: Bool
    }

    private func writeShape(_ folder: TemporaryFolder, _ change: (inout TinyModel) -> Void = { _ in }) throws -> String
    {
        var model = TinyModel()
        change(&model)
        for (name, bytes) in model.files() where name == "config.json" { try folder.write(bytes, name) }
        return folder.path + "/config.json"
    }

    @Test func aShapeIsMeasuredAndProjected() throws {
        let folder = try TemporaryFolder()
        let shape = try writeShape(folder)
        let outcome = try Command(["bench", "--shape", shape, "--seconds", "0.1", "--json"]).finish()
        #expect(outcome.status == 0, "\(outcome.errors)")
        let output = try outcome.json(Output.self)
        #expect(!output.roofs.read.isEmpty && output.roofs.read.count == output.roofs.sgemm.count)
        #expect(output.products.count % 8 == 0 && output.products.contains { $0.format == "fp8" && $0.rows == 16 })
        #expect(output.steps.map(\.context) == [128] && output.steps[0].points.count == 16)
        #expect(output.rounds.count == 8 && output.prompts.map(\.tokens) == [128])
        #expect(output.projection?.layers == 3 && !output.is_partial)
        #expect(output.projection?.overlaps.map(\.name) == ["uniform"] && output.depths.isEmpty)
        let projection = try #require(output.projection)
        #expect(projection.parameters > projection.active_parameters && projection.active_parameters > 0)
        #expect(projection.memory.map(\.format) == ["stored", "fp8", "bf16", "int8", "int4", "experts-int4"])
        #expect(projection.memory.map(\.is_measured) == [true, false, false, false, false, false])
        #expect(projection.memory[2].weight_bytes > projection.memory[0].weight_bytes)
        #expect(projection.contexts.map(\.context) == [128] && projection.contexts[0].attention_share > 0)
    }

    @Test func longContextsAreMeasured() throws {
        let folder = try TemporaryFolder()
        let shape = try writeShape(folder) { $0 = TinyModel(TinyGeometry { $0.positions = 20_000 }) }
        let flags = ["--shape", shape, "--seconds", "0.2", "--cache-type", "bf16"]
        let outcome = try Command(["bench", "--contexts", "16k,1k,1024", "--json"] + flags).finish()
        #expect(outcome.status == 0, "\(outcome.errors)")
        let output = try outcome.json(Output.self)
        #expect(output.depths.map(\.context) == [1024, 16384] && output.prompts.isEmpty)
        for depth in output.depths {
            #expect(depth.rows.map(\.rows) == [1, 2, 4] && depth.rows[0].relative == 1 && depth.is_projected)
            #expect(depth.rows.allSatisfy { $0.time > 0 } && depth.has_made_latents)
            // A machine that is busy may be too slow for it.
            let isLeftOut = output.left_out.contains { $0.contains("512 prompt tokens behind \(depth.context)") }
            #expect((depth.chunk == nil) == isLeftOut && depth.chunk?.tokens ?? 512 == 512)
            #expect(0 < depth.attention_share && depth.attention_share < 1)
        }
        let bytes = try #require(output.projection).cache_bytes_per_token
        // Whole pages of 256 positions, drafts among them.
        #expect(output.depths.map(\.cache_bytes) == [1280 * bytes, 16640 * bytes])
        let tables = try Command(["bench", "--contexts", "1k"] + flags).finish()
        for part in ["Long contexts", "made-up latents", "Projected", "Memory that the whole model"] {
            #expect(tables.output.contains(part), "\(tables.output) \(tables.errors)")
        }
    }

    @Test("The longest context that fits is measured, and a longer one refused") func contextsUpToTheEnd() throws {
        let folder = try TemporaryFolder()
        let shape = try writeShape(folder) { $0 = TinyModel(TinyGeometry { $0.positions = 2048 }) }
        let flags = ["--shape", shape, "--seconds", "0.2", "--json"]
        let outcome = try Command(["bench", "--contexts", "2008"] + flags).finish()
        #expect(outcome.status == 0, "\(outcome.errors)")
        #expect(try outcome.json(Output.self).depths.map(\.context) == [2008])
        let refused = try Command(["bench", "--contexts", "2k"] + flags).finish()
        #expect(refused.status == 65 && refused.errors.contains("they can be 2008"), "\(refused.errors)")
    }

    @Test func longContextsOfARealModelAreRead() throws {
        let outcome = try Command(["bench", "--contexts", "1k", "--seconds", "1", "--json"]).finish()
        #expect(outcome.status == 0, "\(outcome.errors)")
        let output = try outcome.json(Output.self)
        #expect(output.projection == nil)
        // A machine that is busy may be too slow to read so far.
        let isLeftOut = output.left_out.contains { $0.contains("behind 1024 tokens") }
        #expect(output.depths.map(\.context) == (isLeftOut ? [] : [1024]))
        for depth in output.depths {
            #expect(!depth.is_projected && !depth.has_made_latents && depth.rows[0].time > 0)
            #expect(depth.cache_bytes == 1280 * 4160)
        }
    }

    private func routedLikeV3(_ model: inout TinyModel) {
        model = TinyModel(
            TinyGeometry {
                $0.experts = 256
                $0.expertsPerToken = 8
                $0.groups = 8
                $0.keptGroups = 4
                $0.expertIntermediate = 32
            })
    }

    @Test func theOverlapCanBeChosen() throws {
        let folder = try TemporaryFolder()
        let shape = try writeShape(folder, routedLikeV3)
        // Each row shares four experts with the one before.
        let lines = (0..<20).map { row in
            let ids = (row * 4..<row * 4 + 8).map(String.init).joined(separator: ",")
            return "{\"round\":0,\"row\":\(row),\"layers\":[[],[\(ids)],[\(ids)]]}\n"
        }.joined()
        try folder.write(Array(lines.utf8), "mine.jsonl")
        let trace = folder.path + "/mine.jsonl"
        for (argument, names) in [
            ("r1", ["r1", "uniform"]), ("uniform", ["uniform", "r1"]), (trace, ["mine.jsonl", "r1", "uniform"]),
        ] {
            let outcome = try Command([
                "bench", "--shape", shape, "--overlap", argument, "--seconds", "0.1", "--json",
            ]).finish()
            #expect(outcome.status == 0, "\(outcome.errors)")
            let overlaps = try #require(try outcome.json(Output.self).projection).overlaps
            #expect(overlaps.map(\.name) == names)
            #expect(overlaps.allSatisfy { $0.rows.count == 16 && $0.rows[15].relative > 0 })
            guard argument == trace else { continue }
            let expected: [Double] = (1...16).map { rows in Double(4 + 4 * rows) }
            #expect(overlaps[0].rows.map(\.experts) == expected)
        }
    }

    @Test func overlapsOfOtherModelsAreRefused() throws {
        let folder = try TemporaryFolder()
        let outcome = try Command(["bench", "--shape", try writeShape(folder), "--overlap", "r1"]).finish()
        #expect(outcome.status == 2 && outcome.errors.contains("8 of 256 experts"), "\(outcome.errors)")
    }

    @Test func enlargementsTellWhatRowsWillRead() throws {
        let folder = try TemporaryFolder()
        let outcome = try Command(["convert", "--grow", "layers=2", folder.path + "/out"]).finish()
        #expect(outcome.status == 0)
        for part in ["of it routed experts", "2 rows", "8 rows", "(3.09 in DeepSeek-V3)"] {
            #expect(outcome.errors.contains(part), "\(outcome.errors)")
        }
        let again = try Command([
            "convert", "--grow", "layers=2", folder.path + "/out", folder.path + "/again",
        ]).finish()
        #expect(again.status == 0 && !again.errors.contains("8 rows"))
    }

    @Test func formatsAreComparedOnRequest() throws {
        let outcome = try Command(["bench", "--perplexity", "--seconds", "0.1", "--json"]).finish()
        #expect(outcome.status == 0, "\(outcome.errors)")
        let formats = try outcome.json(Output.self).formats
        #expect(formats.map(\.format) == ["stored", "fp8", "bf16", "int8", "int4", "experts-int4"])
        let (stored, int8, int4, mixed) = (formats[0], formats[3], formats[4], formats[5])
        #expect(stored.relative == 1 && stored.perplexity > 1)
        #expect(abs(int8.relative - 1) < 0.02 && int4.relative > 1 && int4.relative < 1.15)
        #expect(mixed.relative > 1 && mixed.relative < int4.relative)
        #expect(int4.bytes_per_step < mixed.bytes_per_step && mixed.bytes_per_step < stored.bytes_per_step)
    }

    @Test func theTablesNameEveryPart() throws {
        let folder = try TemporaryFolder()
        let outcome = try Command(["bench", "--shape", try writeShape(folder), "--seconds", "0.1", "--no-mtp"]).finish()
        #expect(outcome.status == 0, "\(outcome.errors)")
        for part in [
            "Roofs", "Panel products", "Decoding", "Verify steps", "Attention", "Parts of a step", "Prompts", "Memory",
            "Projected", "not run", "how rows overlap", "gain of drafts", "no module was made",
        ] {
            #expect(outcome.output.contains(part), "\(part)")
        }
        #expect(!outcome.output.contains("Rounds with"))
    }

    @Test func shapesThatDoNotFitAreRefusedBeforeAnythingIsMade() throws {
        let outcome = try Command(["bench", "--shape", "deepseek-v3", "--layers", "58"]).finish()
        #expect(outcome.status == 1 && outcome.output.isEmpty)
        for part in ["GiB of weights", "bytes a token for", "in f32)", "of scratch together need", "fewer --layers"] {
            #expect(outcome.errors.contains(part), "\(part): \(outcome.errors)")
        }
    }

    @Test(arguments: [
        (["--shape", "gpt-2"], 2, "glm-4.7-flash"), (["--shape", "glm"], 2, "perhaps glm-4.7-flash or glm-5"),
        (["--shape", "joyai-flash", "--layers", "40"], 2, "39 MoE layers"),
        (["--contexts", "8k,x"], 2, "'x' is none"), (["--contexts", "0"], 2, "from 1 on"),
        (["--contexts", "8k"], 65, "holds 4096"), (["--contexts", "1k", "--numa"], 2, "--numa"),
        (["--shape", "/nonexistent.json"], 2, "does not exist"),
        (["--shape", "gigachat3-10b", "--model", "x"], 2, "not both"), (["--layers", "2"], 2, "--shape"),
        (["--overlap", "r1"], 2, "--shape"), (["--shape", "deepseek-v3", "--overlap", "/none"], 2, "exist"),
        (["--no-mtp"], 2, "--shape"), (["--shape", "gigachat3-10b", "--layers", "0"], 2, "--layers"),
        (["--seconds", "0"], 2, "--seconds"), (["--shape", "gigachat3-10b", "--perplexity"], 2, "--perplexity"),
        (["--shape", "gigachat3-10b", "--context", "100"], 65, "too short"),
    ])
    func wrongCallsAreExplained(arguments: [String], status: Int32, message: String) throws {
        let outcome = try Command(["bench"] + arguments).finish()
        #expect(outcome.status == status, "\(outcome.errors)")
        #expect(outcome.errors.contains(message) && outcome.output.isEmpty, "\(outcome.errors)")
    }
}
