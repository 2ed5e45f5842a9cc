import ForetokenTestSupport
import Glibc
import Testing

/// What `prove --json` promises.
private struct Proved: Decodable {
    struct Prompt: Decodable {
        let name: String
        let tokens: Int
    }

    struct Way: Decodable {
        let title: String
        let identical: Bool
        let planned_runs: Int
        let runs: Int
        let differing_runs: Int
        let tokens: Int
        let rows: Int
        let values: Int
        let drafts_verified: Int
        let drafts_accepted: Int
    }

    let model: String
    let identical: Bool
    let partial: Bool
    let quick: Bool
    let threads: Int
    let instruction_set: String
    let cache_type: String
    let seed: UInt64
    let max_tokens: Int
    let prompts: [Prompt]
    let steps: Int
    let seconds: Double
    let ways: [Way]
    let left_out: [String]
}

extension EngineTests {
    @Suite struct Proving {
        @Test func theDemoModelIsProvedQuickly() throws {
            let outcome = try Command.run("prove", "--quick", "--json", "--threads", "2")
            try #require(outcome.status == 0, "\(outcome.errors)")
            #expect(outcome.errors.contains("steps"), "what is to come is said beforehand")
            let proved = try outcome.json(Proved.self)
            #expect(proved.identical && !proved.partial && proved.quick)
            #expect(proved.prompts.map(\.name) == ["code", "prose", "long"])
            #expect(proved.prompts[2].tokens > 512, "more than a prompt chunk")
            #expect(proved.ways.allSatisfy { $0.identical && $0.runs == $0.planned_runs && $0.values > 0 })
            #expect(proved.ways.contains { $0.drafts_accepted > 0 })
            #expect(proved.left_out.isEmpty)
        }

        @Test func aTableShowsEveryWay() throws {
            let folder = try TemporaryFolder()
            try TinyModel(TinyGeometry { $0.mtpModules = 0 }).write(to: folder)
            let outcome = try Command.run(
                "prove", "--quick", "--model", folder.path, "--prompt-tokens", "1,2,3", "--max-tokens", "4",
                "--cache-type", "bf16")
            #expect(outcome.status == 0)
            #expect(outcome.output.contains("Left out: the checkpoint has no MTP module"))
            #expect(outcome.output.contains("f32 cache, against itself"))
            #expect(outcome.output.contains("Identical, bit for bit"))
            #expect(outcome.output.contains("identical\n"))
            #expect(!outcome.output.contains("DIFFERENT"))
        }

        @Test(arguments: GoldenModel.relatives)
        func everyRelativeIsProvedQuickly(golden: GoldenModel) throws {
            let ids = try golden.prompts()[1].prompt_ids
            let prompt = (0..<530).map { String(ids[$0 % ids.count]) }.joined(separator: ",")
            let outcome = try Command.run(
                "prove", "--quick", "--json", "--model", golden.directory, "--prompt-tokens", prompt,
                "--max-tokens", "8", "--threads", "2")
            try #require(outcome.status == 0, "\(outcome.errors)")
            let proved = try outcome.json(Proved.self)
            #expect(proved.identical && !proved.partial && proved.left_out.isEmpty == golden.hasModules)
            #expect(proved.ways.allSatisfy { $0.identical && $0.runs == $0.planned_runs && $0.values > 0 })
        }

        @Test func interruptionTellsWhatWasCompared() throws {
            let outcome = try Command.interrupt(["prove", "--max-tokens", "1000"])
            #expect(outcome.status == 130)
            #expect(outcome.output.contains("Interrupted. Identical so far"))
        }

        @Test(arguments: [
            (2, ["prove", "--prompt", "a", "--prompt-tokens", "1"]), (2, ["prove", "--max-tokens", "0"]),
            (65, ["prove", "--prompt", ""]), (65, ["prove", "--context", "63"]),
            (65, ["prove", "--prompt-tokens", "4096"]), (65, ["prove", "--max-tokens", "4096"]),
        ])
        func whatCannotBeProvedIsRefused(status: Int, arguments: [String]) throws {
            let outcome = try Command(arguments).finish()
            #expect(Int(outcome.status) == status, "\(outcome.errors)")
            #expect(outcome.errors.contains("error:"))
        }
    }
}
