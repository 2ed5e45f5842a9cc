import ForetokenTestSupport
import FoundationEssentials
import Glibc
import Testing

private struct Scored: Decodable {
    struct Module: Decodable {
        let nll: Double
        let argmax: [Int32]
    }

    struct MTP: Decodable {
        let nll: Double
        let argmax: [Int32]
        let modules: [Module]
        let recursive: [[Int32]]
    }

    let tokens: [Int32]
    let logprobs: [Double?]
    let top: [[[Double]]]
    let nll: Double
    let perplexity: Double
    let bits_per_byte: Double?
    let mtp: MTP?
}

extension EngineTests {
    @Suite struct Scoring {
        private let text = "func reverse(_ text: String) -> String {\n    return String(text.reversed())\n}\n"

        @Test func figuresBelongTogether() throws {
            let score: Scored = try Command.run("score", text, "--json", "--top", "3").json()
            let count = score.tokens.count
            #expect(score.logprobs.count == count && score.top.count == count)
            #expect(score.logprobs[0] == nil)
            let nats = -score.logprobs.compactMap { $0 }.reduce(0, +)
            #expect(abs(score.nll - nats / Double(count - 1)) < 1e-9)
            #expect(abs(score.perplexity - exp(score.nll)) < 1e-9 * score.perplexity)
            #expect(abs(try #require(score.bits_per_byte) - nats / log(2) / Double(text.utf8.count)) < 1e-9)
            #expect(score.top.allSatisfy { $0.count == 3 && $0[0][1] >= $0[1][1] && $0[1][1] >= $0[2][1] })
            #expect(score.mtp == nil)
        }

        @Test func greedyContinuationsAreTheScoresFavourites() throws {
            let answer = try Command.generate(prompt, "--max-tokens", "20")
            let ids = (answer.prompt_tokens + answer.tokens).map(String.init).joined(separator: ",")
            let score: Scored = try Command.run("score", "--tokens", ids, "--json", "--top", "1").json()
            let favourites = score.top.dropFirst(answer.prompt_tokens.count - 1).map { Int32($0[0][0]) }
            #expect(Array(favourites.prefix(20)) == answer.tokens)
        }

        @Test func mtpListsHaveTheirLengths() throws {
            let score: Scored = try Command.run("score", text, "--json", "--mtp-depth", "3").json()
            let mtp = try #require(score.mtp)
            #expect(mtp.modules.count == 1)
            #expect(mtp.argmax == mtp.modules[0].argmax && mtp.argmax.count == score.tokens.count - 1)
            #expect(mtp.nll > 0)
            #expect(mtp.recursive.count == 3)
            #expect(mtp.recursive[0] == mtp.argmax, "the first draft of a chain is the module's own guess")
        }

        @Test func windowsCountEveryTokenOnce() throws {
            let whole: Scored = try Command.run("score", text, "--json").json()
            let cut: Scored = try Command.run("score", text, "--json", "--context", "12", "--top", "1").json()
            #expect(cut.logprobs.count == whole.logprobs.count && cut.top.count == whole.top.count)
            #expect(zip(cut.logprobs, whole.logprobs).prefix(12).allSatisfy { abs(($0 ?? 0) - ($1 ?? 0)) < 1e-4 })
        }

        @Test func aCutTextTellsItsWindows() throws {
            let whole = try Command.run("score", text)
            #expect(!whole.output.contains("window"))
            let count = try Command.run("score", text, "--json").json(Scored.self).tokens.count
            let cut = try Command.run("score", text, "--context", "12")
            // The first window holds 12 tokens, each further one brings 6.
            #expect(cut.output.hasSuffix("\n\((count - 12 + 5) / 6 + 1) windows of 12 tokens, stride 6\n"))
            #expect(cut.output.contains("\(count - 1) of \(count)"))
        }

        @Test func everyTokenIsListedOnALineOfItsOwn() throws {
            let ids = "0,545,130,105,200,304"
            let outcome = try Command.run("score", "--tokens", ids, "--per-token")
            let rows = outcome.output.split(separator: "\n", omittingEmptySubsequences: false).prefix { !$0.isEmpty }
                .dropFirst(2)
            #expect(rows.count == 6)
            for (row, token) in zip(rows.dropFirst(), [#""(_""#, #""\xC3""#, #""\xA9""#, #""\t""#, #"" {\n""#]) {
                #expect(row.contains(token))
            }
            let score: Scored = try Command.run("score", "--tokens", ids, "--json").json()
            let logProbabilities = rows.dropFirst().map { row in
                // Tables have the minus sign that people read.
                row.replacing("−", with: "-").split(separator: " ").lazy.compactMap { Double($0) }.first { $0 < 0 }
            }
            for (shown, exact) in zip(logProbabilities, score.logprobs.dropFirst()) {
                #expect(abs(try #require(shown) - (try #require(exact))) < 1e-4)
            }
        }

        @Test func idsTooLargeForTheModelAreNamedAsGiven() throws {
            for id in ["4096", "3000000000", "99999999999999999999", "-7"] {
                let outcome = try Command.run("score", "--tokens", "0,\(id)")
                #expect(outcome.status == 65 && outcome.errors.contains(id), "\(outcome.errors)")
            }
        }

        @Test func idsWithoutTextHaveNoBitsPerByte() throws {
            let score: Scored = try Command.run("score", "--tokens", "0,4095,17", "--json").json()
            #expect(score.tokens == [0, 4095, 17])
            let table = try Command.run("score", text)
            #expect(table.status == 0 && table.output.contains("perplexity"))
        }
    }

    @Suite struct Inspecting {
        private struct Inspected: Decodable {
            struct Config: Decodable { let hidden_size: Int }
            let model_type: String
            let config: Config
            let mtp_modules: Int
            let tensors: Int
            let bytes_by_dtype: [String: Int]
            let problems: [String]
            let unicode: String
        }

        @Test func theEmbeddedModelIsTheFolder() throws {
            let outcome = try Command.run("inspect", "--json")
            let embedded: Inspected = try outcome.json()
            #expect(outcome.status == 0)
            #expect(embedded.model_type == "deepseek_v3" && embedded.config.hidden_size == 256)
            #expect(embedded.mtp_modules == 1 && embedded.problems.isEmpty)
            #expect(Set(embedded.bytes_by_dtype.keys) == ["BF16", "F32", "F8_E4M3"])
            #expect(try Command.run("inspect", Fixtures.demoModel, "--json").output == outcome.output)
            let table = try Command.run("inspect", Fixtures.demoModel).output
            #expect(embedded.unicode == "16.0" && table.contains("Unicode 16.0") && table.contains("YaRN"))
        }

        @Test func problemsAreListed() throws {
            let folder = try TemporaryFolder()
            let outcome = try Command.run("inspect", folder.path, "--json")
            #expect(outcome.status == 65)
            #expect(outcome.output.contains("config.json"))
        }

        @Test func scanningFindsBadValues() throws {
            #expect(try Command.run("inspect", "--scan").output.contains("their values are sound"))
            var tiny = TinyModel(TinyGeometry { $0.storage = .f32 })
            let index = try #require(tiny.tensors.firstIndex { $0.name == "lm_head.weight" })
            tiny.tensors[index].bytes.replaceSubrange(0..<4, with: [0, 0, 0xC0, 0x7F])
            let folder = try TemporaryFolder()
            try tiny.write(to: folder)
            #expect(try Command.run("inspect", folder.path).status == 0)
            let scanned = try Command.run("inspect", folder.path, "--scan")
            #expect(scanned.status == 65 && scanned.output.contains("lm_head.weight"), "\(scanned.output)")
        }

        @Test func convertedWeightsGiveTheSameModel() throws {
            let folder = try TemporaryFolder()
            let destination = folder.path + "/bf16"
            let outcome = try Command.run("convert", "--to", "bf16", Fixtures.demoModel, destination)
            #expect(outcome.status == 0, "\(outcome.errors)")
            let inspected: Inspected = try Command.run("inspect", destination, "--json").json()
            #expect(inspected.bytes_by_dtype["F8_E4M3"] == nil && inspected.mtp_modules == 1)
            let answer = try Command.run(
                "generate", prompt, "--max-tokens", "4", environment: ["FORETOKEN_MODEL": destination])
            #expect(answer.status == 0)
            #expect(try Command.run("convert", "--to", "bf16", Fixtures.demoModel, destination).status == 65)
        }

        @Test func grownWeightsGiveTheSameAnswer() throws {
            let folder = try TemporaryFolder()
            let destination = folder.path + "/grown"
            let outcome = try Command.run("convert", "--grow", "hidden=2,experts=2,layers=2", destination)
            #expect(outcome.status == 0, "\(outcome.errors)")
            #expect(outcome.errors.contains("23 layers") && outcome.errors.contains("an MTP step"))
            let arguments = ["generate", prompt, "--max-tokens", "24", "--draft", "2"]
            let answer = try Command(arguments, environment: ["FORETOKEN_MODEL": destination]).finish()
            #expect(answer.status == 0)
            #expect(try answer.output == Command(arguments).finish().output)
            let inside = try Command.run("convert", "--grow", "layers=2", destination, destination + "/again")
            #expect(inside.status == 65 && inside.errors.contains("inside"))
        }
    }
}
