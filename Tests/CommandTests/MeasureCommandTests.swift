import ForetokenTestSupport
import Testing

/// `foretoken measure` as its users call it.
@Suite(.serialized)
struct MeasureCommandTests {
    private struct Output: Decodable {
        struct Estimate: Decodable {
            let value: Double
            let count: Int
        }
        struct Round: Decodable {
            let draft_length: Int
            let rounds: Int
            let tokens_per_round: Estimate
        }
        struct Domain: Decodable {
            let domain: String
            let conditional: [Estimate]
            let rounds: [Round]
        }
        struct Condition: Decodable {
            let temperature: Double
            let domains: [Domain]
        }
        let is_partial: Bool
        let conditions: [Condition]
    }

    private let quick = ["--max-tokens", "24", "--seconds", "0", "--temperatures", "0"]

    @Test func theBuiltInSuiteHasFiveDomains() throws {
        let outcome = try Command(["measure", "--prompts", "1", "--drafts", "2", "--json"] + quick).finish()
        #expect(outcome.status == 0, "\(outcome.errors)")
        let output = try outcome.json(Output.self)
        #expect(output.conditions[0].domains.map(\.domain) == ["code", "tests", "prose", "edit", "agent", "all"])
        #expect(output.conditions[0].domains.allSatisfy { $0.conditional.count == 2 })
        #expect(!output.is_partial)
    }

    @Test func figuresAreThoseOfGenerate() throws {
        let folder = try TemporaryFolder()
        try folder.write(Array(#"{"id":1,"prompt":"func reverse"}"#.utf8), "suite.jsonl")
        let suite = folder.path + "/suite.jsonl"
        let measured = try Command(["measure", "--suite", suite, "--drafts", "1,3", "--json"] + quick).finish()
        let domain = try #require(try measured.json(Output.self).conditions.first?.domains.first)
        #expect(domain.domain == "prompts")
        for round in domain.rounds {
            let generated = try Command.generate(
                "func reverse", "--draft", "\(round.draft_length)", "--max-tokens", "24"
            ).speculation
            #expect(round.rounds == generated.rounds)
            let tokens = 1 + Double(generated.accepted.reduce(0, +)) / Double(generated.rounds)
            #expect(abs(round.tokens_per_round.value - tokens) < 1e-12)
        }
    }

    @Test func aReportIsWrittenWholeBesideTheTables() throws {
        let folder = try TemporaryFolder()
        let report = folder.path + "/report.html"
        let outcome = try Command(["measure", "--prompts", "1", "--report", report] + quick).finish()
        #expect(outcome.status == 0 && outcome.output.contains("Module drafts that hold, %, at temperature 0"))
        let page = String(decoding: try folder.read("report.html"), as: UTF8.self)
        #expect(page.hasPrefix("<!DOCTYPE html>") && page.contains("</html>"))
        let nowhere = try Command(["measure", "--prompts", "1", "--report", folder.path + "/none/r.html"] + quick)
            .finish()
        #expect(nowhere.status == 2 && nowhere.errors.contains("none"))
    }

    @Test func aDomainIsChosenAndSourcesAreTold() throws {
        let outcome = try Command(
            ["measure", "--domain", "edit", "--prompts", "2", "--max-tokens", "24", "--seconds", "0.1"]
                + ["--temperatures", "0,0.6", "--top-p", "0.95", "--drafts", "1,15,auto"]
        ).finish()
        #expect(outcome.status == 0, "\(outcome.errors)")
        #expect(outcome.output.contains("Look-up at temperature 0") && outcome.output.contains("edit"))
        #expect(outcome.output.contains("What each source gains at temperature 0"))
        #expect(outcome.output.contains("--draft auto over off by domain, at temperature 0"))
        // Given answers stand for temperature 0.
        #expect(!outcome.output.contains("temperature 0.6"))
        let none = try Command(["measure", "--domain", "edit", "--temperatures", "0.6"]).finish()
        #expect(none.status == 2 && none.errors.contains("temperature 0"))
    }

    @Test func withoutAnMTPModuleLookUpIsMeasured() throws {
        let folder = try TemporaryFolder()
        try folder.write(Array(#"{"prompt_tokens":[1,2,3,1,2,3,1,2],"domain":"x"}"#.utf8), "suite.jsonl")
        let plain = try TemporaryFolder()
        try TinyModel(TinyGeometry { $0.mtpModules = 0 }).write(to: plain)
        let call = ["measure", "--model", plain.path, "--suite", folder.path + "/suite.jsonl"] + quick
        let outcome = try Command(call + ["--report", folder.path + "/r.html"]).finish()
        #expect(outcome.status == 0, "\(outcome.errors)")
        #expect(outcome.errors.contains("no MTP module") && outcome.output.contains("Look-up at temperature 0"))
        #expect(!outcome.output.contains("Module drafts"))
        let refused = try Command(call + ["--draft-source", "mtp"]).finish()
        #expect(refused.status == 65 && refused.errors.contains("no MTP module"))
    }

    @Test func givenTextsAreForeseen() throws {
        let folder = try TemporaryFolder()
        let text = String(repeating: "let value = array[index]\n", count: 12)
        try folder.write(Array(text.utf8), "own.swift")
        let outcome = try Command(["measure", "--text", folder.path + "/own.swift"] + quick).finish()
        #expect(outcome.status == 0, "\(outcome.errors)")
        #expect(outcome.output.contains("Agreement with the text itself"))
        #expect(outcome.output.contains("own.swift"))
    }

    @Test(arguments: [
        (["--drafts", "0"], 2, "drafts"), (["--drafts", "16"], 2, "drafts"),
        (["--drafts", "9", "--draft-source", "mtp"], 2, "at most 8"), (["--domain", "poetry"], 2, "poetry"),
        (["--temperatures", "nan"], 2, "temperatures"),
        (["--seconds", "-1"], 2, "seconds"), (["--max-tokens", "1"], 2, "max-tokens"),
        (["--suite", "/nonexistent.jsonl"], 2, "does not exist"), (["--suite", "-"], 65, "line 1"),
        (["--text", "-", "--chat"], 2, "--chat"),
    ])
    func wrongCallsAreExplained(arguments: [String], status: Int32, message: String) throws {
        let outcome = try Command(["measure"] + arguments, input: Array("{\"domain\": 3}\n".utf8)).finish()
        #expect(outcome.status == status, "\(outcome.errors)")
        #expect(outcome.errors.contains(message), "\(outcome.errors)")
        #expect(outcome.output.isEmpty)
    }
}
