import Testing

extension EngineTests {
    /// `foretoken bench --serve` as its users call it.
    @Suite struct BenchOfServers {
        private struct Report: Decodable {
            struct Server: Decodable {
                let program: String
                let tokenizes: Bool
            }
            struct Level: Decodable {
                struct Equality: Decodable {
                    let compared: Int
                    let identical: Int
                }
                let concurrency: Int
                let failed: Int
                let output_tokens: Int
                let drafted: [Int]
                let rows_of_text: Double?
                let equality: Equality
            }
            struct Cancel: Decodable { let pages_before, pages_after: Int? }
            let server: Server
            let levels: [Level]
            let cancel: Cancel?
            let left_out: [String]
        }

        @Test func aServersAnswersAreComparedAndItsTokensCounted() throws {
            let server = try Command(["serve", "--port", "0", "--draft", "1"])
            server.wait { server.outputSoFar.hasSuffix("\n") }
            let url = try #require(server.outputSoFar.split(separator: " ").last?.dropLast())
            let outcome = try Command([
                "bench", "--serve", String(url), "--trials", "levels,cancel", "--concurrency", "4", "--requests", "3",
                "--prompt-tokens", "20", "--max-tokens", "12", "--temperature", "0.7", "--logprobs", "--quick",
                "--json",
            ]).finish()
            server.signal(2)
            #expect(try server.finish().status == 0)
            #expect(outcome.status == 0, "\(outcome.errors)")
            let report = try outcome.json(Report.self)
            #expect(report.server.program.hasPrefix("foretoken ") && report.server.tokenizes)
            #expect(report.levels.map(\.concurrency) == [1, 4] && report.levels.allSatisfy { $0.failed == 0 })
            #expect(report.levels.map(\.output_tokens) == [36, 96])
            #expect(report.levels[1].equality.compared == 8 && report.levels[1].equality.identical == 8)
            #expect(report.levels.allSatisfy { !$0.drafted.isEmpty && $0.rows_of_text ?? 0 >= 1 })
            #expect(report.cancel?.pages_after == report.cancel?.pages_before && report.left_out.isEmpty)
        }

        @Test(arguments: [
            (["--serve", "127.0.0.1"], 1, "http://"), (["--serve", "http://127.0.0.1:1"], 1, "does not answer"),
            (["--soak", "3"], 2, "--serve"), (["--serve", "http://h", "--numa"], 2, "no model"),
            (["--serve", "http://h", "--seconds", "3"], 2, "--seconds"),
            (["--serve", "http://h", "--trials", "speed"], 2, "levels, prefix"),
            (["--serve", "http://h", "--concurrency", "1,,2"], 2, "1,4,16"),
            (["--serve", "http://h", "--requests", "0"], 2, "--requests"),
            (["--serve", "http://h", "--soak", "0"], 2, "--soak"),
            (["--serve", "http://h", "--soak", "1", "--trials", "levels"], 2, "not both"),
            (["--serve", "http://h", "--prompts", "/none"], 2, "exist"),
        ])
        func wrongCallsAreExplained(arguments: [String], status: Int32, message: String) throws {
            let outcome = try Command(["bench"] + arguments).finish()
            #expect(outcome.status == status, "\(outcome.errors)")
            #expect(outcome.errors.contains(message) && outcome.output.isEmpty, "\(outcome.errors)")
        }
    }
}
