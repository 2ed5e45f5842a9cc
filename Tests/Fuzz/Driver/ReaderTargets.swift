import ForetokenGrammar
import ForetokenHardware
import ForetokenJSON
import ForetokenPlacement
import ForetokenTestSupport
import ForetokenTokenizer
import ForetokenWeights

/// The readers of files, called in this process: thousands of inputs a second.
enum ReaderTargets {
    /// Every format by name. A new reader gets a line here.
    static let all: [(name: String, make: @Sendable () throws -> Target)] = [
        ("config", config), ("safetensors", safetensors), ("folder", folder), ("index", index),
        ("generation-config", generationDefaults),
        ("tokenizer", tokenizer), ("tokenizer-config", tokenizerConfig), ("template", template), ("text", text),
        ("ranks", ranks), ("ranks-config", ranksConfig),
        ("schema", schema),
        ("plan", plan), ("topology", topology), ("trace", trace), ("trace-records", traceRecords),
        ("trace-text", traceText), ("shape", shape),
    ]

    // MARK: Checkpoints

    /// A checkpoint of a few kilobytes with everything that one can have.
    private static func smallModel() -> TinyModel {
        TinyModel(
            TinyGeometry {
                ($0.layers, $0.denseLayers, $0.experts, $0.groups, $0.keptGroups, $0.expertsPerToken) = (
                    2, 1, 4, 2, 1, 2
                )
                ($0.vocabulary, $0.hidden, $0.intermediate, $0.expertIntermediate) = (8, 8, 4, 2)
                ($0.queryRank, $0.latentRank, $0.heads, $0.nope, $0.rope, $0.value) = (4, 4, 2, 2, 2, 2)
            })
    }

    /// Opens files laid out in memory, looks at every weight, and frees the memory.
    private static func open(_ files: [(name: String, bytes: [UInt8])]) throws {
        let buffers = files.map { file in
            let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: file.bytes.count, alignment: 1)
            buffer.copyBytes(from: file.bytes)
            return (name: file.name, bytes: UnsafeRawBufferPointer(buffer))
        }
        defer { for buffer in buffers { buffer.bytes.deallocate() } }
        let checkpoint = try Checkpoint(embedded: buffers, label: "memory")
        for tensor in checkpoint.tensors.values {
            var copy = [UInt8](repeating: 0, count: tensor.range.count)
            try copy.withUnsafeMutableBytes { try checkpoint.read(tensor, fromByte: 0, into: $0) }
        }
        let inspection = try Inspection(checkpoint, scanningWeights: true)
        for problem in inspection.problems { try Unclean.check(message: problem.description) }
        _ = try WeightLayout(checkpoint)
    }

    /// config.json alone: weights of larger models take long to make.
    private static func configuration(_ geometry: TinyGeometry) -> [UInt8] {
        let members = TinyModel.configuration(geometry).sorted { $0.key < $1.key }.map { "\"\($0.key)\": \($0.value)" }
        return Array("{\(members.joined(separator: ", "))}".utf8)
    }

    private static func config() -> Target {
        let configurations = [
            smallModel().files()[0].bytes, configuration(TinyGeometry { $0.storage = .mixed }),
            configuration(
                TinyGeometry { ($0.queryRank, $0.yarn, $0.mtpModules, $0.storage) = (nil, false, 0, .bf16) }),
            configuration(.glmFlash), configuration(.kimiK25), configuration(.deepSeekV2),
        ]
        let rest = Array(smallModel().files().dropFirst())
        return Target(form: .json, corpus: configurations) { bytes in
            let configuration = try ModelConfiguration(json: bytes, file: "config.json")
            // Weights are there for the first one only.
            guard configuration.vocabularySize == 8 else { return }
            try open([("config.json", bytes)] + rest)
        }
    }

    private static func safetensors() -> Target {
        let files = smallModel().files()
        return Target(form: .safetensors, corpus: [files[1].bytes]) { bytes in
            try open([files[0], (files[1].name, bytes)])
        }
    }

    /// A real folder, whose every file may be the damaged one.
    private static func folder() throws -> Target {
        let folder = try TemporaryFolder()
        let files = smallModel().files(shards: 3) + [("generation_config.json", Array(generationConfig.utf8))]
        for (name, bytes) in files { try folder.write(bytes, name) }
        return Target(form: .safetensors, corpus: files.map(\.bytes)) { bytes in
            let name = files[closest(bytes, files.map(\.bytes))].name
            let sound = try folder.read(name)
            try folder.write(bytes, name)
            defer { try? folder.write(sound, name) }
            let inspection = try Inspection(directory: folder.path, scanningWeights: true)
            for problem in inspection.problems { try Unclean.check(message: problem.description) }
            _ = try WeightLayout(Checkpoint(directory: folder.path))
        }
    }

    /// The index of the file that a damaged one was made from, as far as both ends tell.
    private static func closest(_ bytes: [UInt8], _ files: [[UInt8]]) -> Int {
        let common = files.map { file in
            zip(bytes, file).prefix(400).count { $0 == $1 }
                + zip(bytes.reversed(), file.reversed()).prefix(400).count { $0 == $1 }
        }
        return common.indices.max { common[$0] < common[$1] } ?? 0
    }

    private static let generationConfig = """
        {"_from_model_config": true, "bos_token_id": 0, "eos_token_id": [1, 2], "do_sample": true, "temperature": 0.6,
         "top_p": 0.95, "transformers_version": "4.46.3"}
        """

    private static func generationDefaults() -> Target {
        Target(form: .json, corpus: [Array(generationConfig.utf8)]) { bytes in
            _ = try GenerationDefaults(json: bytes, vocabularySize: 100)
        }
    }

    private static func index() -> Target {
        let files = smallModel().files(shards: 3)
        let place = files.count - 1
        return Target(form: .json, corpus: [files[place].bytes]) { bytes in
            try open(files[..<place] + [(files[place].name, bytes)])
        }
    }

    private static func shape() -> Target {
        Target(form: .json, corpus: [smallModel().files()[0].bytes, configuration(TinyGeometry())]) { bytes in
            let shape = try SyntheticShape(name: "shape", json: bytes, file: "shape.json")
            _ = try shape.checkpoint(shape.part(moeLayers: 1, mtp: true), label: "shape")
            let whole = try WholeShape(shape)
            _ = (whole.parameterCount, whole.fileByteCount, whole.residentByteCount(.int4))
        }
    }

    // MARK: Text

    private static func tokenizer() throws -> Target {
        Target(form: .json, corpus: SmallTokenizer.variants.map { Array($0.utf8) }) { bytes in
            let tokenizer = try Tokenizer(tokenizerJSON: bytes)
            let ids = try tokenizer.encode(SmallTokenizer.sample)
            _ = tokenizer.decode(ids)
        }
    }

    private static func tokenizerConfig() throws -> Target {
        let tokenizer = Array(SmallTokenizer.json.utf8)
        return Target(form: .json, corpus: SmallTokenizer.configurations.map { Array($0.utf8) }) { bytes in
            let tokenizer = try Tokenizer(tokenizerJSON: tokenizer, configJSON: bytes)
            let format = try ChatFormat(ChatTemplates(tokenizer.chatTemplates), tokenizer)
            _ = try format.encode(ChatPrompt(SmallTokenizer.conversation), tokenizer)
        }
    }

    private static func ranks() throws -> Target {
        Target(form: .bytes, corpus: [Array(SmallTokenizer.ranks.utf8)]) { bytes in
            let tokenizer = try Tokenizer(ranks: bytes, configJSON: Array(SmallTokenizer.ranksConfiguration.utf8))
            _ = tokenizer.decode(try tokenizer.encode(SmallTokenizer.sample))
        }
    }

    private static func ranksConfig() throws -> Target {
        let ranks = Array(SmallTokenizer.ranks.utf8)
        return Target(form: .json, corpus: [Array(SmallTokenizer.ranksConfiguration.utf8)]) { bytes in
            let tokenizer = try Tokenizer(ranks: ranks, configJSON: bytes)
            _ = tokenizer.decode(try tokenizer.encode(SmallTokenizer.sample))
        }
    }

    private static func template() throws -> Target {
        let tokenizer = try Tokenizer(
            tokenizerJSON: Array(SmallTokenizer.json.utf8), configJSON: Array(SmallTokenizer.configurations[0].utf8))
        return Target(form: .bytes, corpus: SmallTokenizer.templates.map { Array($0.utf8) }) { bytes in
            let format = try ChatFormat(ChatTemplates(String(decoding: bytes, as: UTF8.self)), tokenizer)
            let tools = [try JSONValue(Array(SmallTokenizer.tool.utf8))]
            _ = try format.encode(ChatPrompt(SmallTokenizer.conversation), tokenizer)
            // Most templates have neither tools nor thoughts, and say so.
            _ = try? format.encode(ChatPrompt(SmallTokenizer.conversation, tools: tools, thinking: true), tokenizer)
        }
    }

    private static func text() throws -> Target {
        let tokenizer = try Tokenizer(tokenizerJSON: Array(SmallTokenizer.json.utf8))
        return Target(form: .bytes, corpus: [Array(SmallTokenizer.sample.utf8)]) { bytes in
            let ids = try bytes.withUnsafeBufferPointer { try tokenizer.encode($0) }
            guard tokenizer.decode(ids, skippingSpecial: false) == bytes else {
                throw Unclean("text does not come back from its tokens")
            }
        }
    }

    /// A schema that is taken must let a text go on byte by byte.
    private static func schema() -> Target {
        let bytes = GrammarVocabulary((0..<256).map { [UInt8($0)] })
        return Target(form: .json, corpus: SampleFiles.schemas.map { Array($0.utf8) }) { schema in
            let grammar = try Grammar(schema: try JSONValue(schema), isStrict: schema.count % 2 == 0)
            var cursor = GrammarCursor(TokenGrammar(grammar, bytes))
            var random = SeededGenerator(seed: UInt64(schema.count))
            for _ in 0..<100 {
                let allowed = (0..<Int32(256)).filter { cursor.allows($0) }
                guard let next = allowed.randomElement(using: &random) else {
                    guard cursor.isComplete else { throw Unclean("no byte may follow") }
                    return
                }
                _ = cursor.advance(next)
            }
        }
    }

    // MARK: Placement

    private static func plan() throws -> Target {
        let plan = PlacementPlan(
            policy: "tiered", model: "0123456789abcdef", machine: "0123456789abcdef", nodes: [0, 2],
            layers: [
                3: [.whole(0), .mirrored([1, 0]), .shares([3, 13])], 7: [.whole(1), .whole(0), .shares([3, 13])],
            ])
        return Target(form: .json, corpus: [try PlacementPlanFile.encode(plan)]) { bytes in
            let plan = try PlacementPlanFile.decode(bytes, name: "plan.json")
            guard try PlacementPlanFile.decode(PlacementPlanFile.encode(plan), name: "again") == plan else {
                throw Unclean("a plan that was read does not come back")
            }
        }
    }

    private static func topology() -> Target {
        Target(form: .json, corpus: SampleFiles.topologies.map { Array($0.utf8) }) { bytes in
            _ = try TopologyFile(json: bytes, source: "machine.json")
        }
    }

    /// What follows on a trace that could be read.
    private static func study(_ trace: RoutingTrace) throws {
        _ = TraceStatistics(trace)
        _ = try WindowHalves(of: trace)
        _ = try WindowHalves(of: trace.shared(by: 2))
    }

    private static func trace() throws -> Target {
        Target(form: .bytes, corpus: try SampleFiles.traces()) { bytes in
            try study(try RoutingTraceFile(bytes).trace)
            _ = try RoutingTraceFile.Survey(bytes)
        }
    }

    /// The same with checksums made good after the damage, so that it gets behind them.
    private static func traceRecords() throws -> Target {
        Target(form: .bytes, corpus: try SampleFiles.traces()) { bytes in
            try study(try RoutingTraceFile(SampleFiles.resealed(bytes)).trace)
        }
    }

    private static func traceText() -> Target {
        Target(form: .json, corpus: [SampleFiles.textTrace, SampleFiles.sharedTextTrace].map { Array($0.utf8) }) {
            bytes in
            try study(try RoutingTrace(jsonLines: bytes))
        }
    }
}
