import ForetokenModel
import ForetokenTestSupport
import ForetokenWeights
import Testing

/// Shapes that no published model has but the format allows: row invariance and both prompt routes must hold on each.
@Suite(.serialized)
struct GeometryTests {
    static let geometries: [(String, TinyGeometry)] = [
        ("defaults", TinyGeometry()),
        (
            "BF16, no q_lora, no groups, two shared experts",
            TinyGeometry {
                $0.storage = .bf16
                $0.queryRank = nil
                $0.groups = 1
                $0.keptGroups = 1
                $0.sharedExperts = 2
                $0.mtpModules = 2
                $0.hidden = 192
                $0.yarn = false
            }
        ),
        (
            "F16, no shared expert, tied head",
            TinyGeometry {
                $0.storage = .f16
                $0.sharedExperts = 0
                $0.tiedHead = true
            }
        ),
        (
            "F32, heads across scale blocks",
            TinyGeometry {
                $0.storage = .f32
                $0.nope = 40
                $0.value = 50
                $0.heads = 3
            }
        ),
        (
            "FP8, heads across scale blocks",
            TinyGeometry {
                $0.nope = 40
                $0.value = 50
                $0.heads = 5
                $0.latentRank = 140
            }
        ),
        ("GLM-4.7-Flash: FP8, 448 rows of kv_b_proj a head", .glmFlash),
        ("GigaChat3: FP8, 320 rows of kv_b_proj a head", .gigaChat),
        ("JoyAI-LLM-Flash: a dense module in a file of its own", .joyAI),
        ("DeepSeek-V2: softmax", .deepSeekV2),
        ("Kimi-K2.5: names with a prefix", .kimiK25),
    ]

    private func model(_ index: Int, threads: Int = 2) throws -> (Model, TemporaryFolder) {
        let folder = try TemporaryFolder()
        try TinyModel(Self.geometries[index].1, seed: UInt64(index)).write(to: folder)
        return (try Model.load(folder.path, threads: threads), folder)
    }

    private func logits(_ model: Model, _ tokens: [Int32], width: Int) throws -> [[Float]] {
        let verifier = try SingleText(model, context: tokens.count)
        var rows: [[Float]] = []
        while verifier.position < tokens.count {
            let count = min(width, tokens.count - verifier.position)
            verifier.run(tokens[verifier.position..<verifier.position + count])
            for first in stride(from: 0, to: count, by: Step.windowRows) {
                let part = min(Step.windowRows, count - first)
                verifier.computeLogits(first: first, count: part)
                for row in 0..<part { rows.append(Array(verifier.logits(row: row))) }
            }
        }
        return rows
    }

    @Test(arguments: geometries.indices)
    func widthsAndThreadsAgree(index: Int) throws {
        let (model, folder) = try model(index)
        let (single, other) = try self.model(index, threads: 1)
        defer { withExtendedLifetime((folder, other)) {} }
        let tokens = (0..<Int32(40)).map { ($0 * 37 + 5) % Int32(model.configuration.vocabularySize) }
        let reference = try logits(model, tokens, width: 1)
        #expect(reference.allSatisfy { $0.allSatisfy(\.isFinite) })
        for width in [2, 3, 7, 16] { #expect(try logits(model, tokens, width: width) == reference) }
        #expect(try logits(single, tokens, width: 4) == reference)
    }

    @Test(arguments: geometries.indices)
    func promptRouteAgrees(index: Int) throws {
        let (model, folder) = try model(index)
        defer { withExtendedLifetime(folder) {} }
        let tokens = (0..<Int32(300)).map { ($0 * 37 + 5) % Int32(model.configuration.vocabularySize) }
        let stepped = try logits(model, tokens, width: 1)
        let chunked = try logits(model, tokens, width: Step.chunkRows)
        for (a, b) in zip(stepped, chunked) {
            #expect(zip(a, b).allSatisfy { abs($0 - $1) < 2e-3 * max(1, abs($0)) })
        }
    }
}
