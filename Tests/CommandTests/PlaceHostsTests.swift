import ForetokenTestSupport
import Testing

extension EngineTests {
    /// `place --hosts`, as its users call it.
    @Suite struct PlacingOverHosts {
        private let folder: TemporaryFolder

        init() throws {
            folder = try TemporaryFolder()
            for (name, count, memory, link) in [
                ("two.json", 2, 384, (30.0, 1.17)), ("slow.json", 2, 384, (50.0, 0.117)),
                ("large.json", 2, 1000, (50.0, 0.117)), ("small.json", 2, 128, (30.0, 1.17)),
                ("six.json", 6, 200, (4.0, 11.5)),
            ] {
                let hosts = (0..<count).map { host in
                    "{\"name\": \"host-\(host)\", \"memory_gb\": \(memory), \"bandwidth_gbps\": 450}"
                }
                let link = "{\"alpha_us\": \(link.0), \"gbps\": \(link.1)}"
                let text = "{\"hosts\": [\(hosts.joined(separator: ", "))], \"link\": \(link)}"
                try folder.write(Array(text.utf8), name)
            }
        }

        private func path(_ name: String) -> String { folder.path + "/" + name }

        private struct Planned: Decodable {
            struct Forecast: Decodable {
                struct Part: Decodable {
                    let name: String
                    let share: Double
                    let weight_bytes: Int
                    let missing_bytes: Int
                }
                let division: String
                let step_seconds: [Double]
                let tokens_per_second: Double
                let drafted_tokens_per_second: Double?
                let fits: Bool
                let parts: [Part]
            }
            struct Link: Decodable {
                let alpha_us: Double
                let gbps: Double
            }
            let division: String?
            let verdict: String
            let reason: String
            let acceptance: Double
            let link: Link
            let forecasts: [Forecast]
        }

        @Test(arguments: [
            ("two.json", "rows"), ("slow.json", "layers"), ("large.json", "one-host"), ("six.json", "rows"),
        ])
        func aShapeIsDivided(_ file: String, _ division: String) throws {
            let arguments = ["place", "--hosts", path(file), "--shape", "deepseek-v3"]
            let tables = try Command(arguments).finish()
            #expect(tables.status == 0, "\(tables.errors)")
            for text in ["one host", "layers", "rows", "→", "with a draft", "exchange", "Predicted:", "note:"] {
                #expect(tables.output.contains(text), "\(text)")
            }
            #expect(!tables.output.contains("nan") && !tables.output.contains("inf"), "\(tables.output)")
            let planned: Planned = try Command(arguments + ["--json"]).finish().json()
            #expect(planned.division == division && planned.acceptance == 0.85)
            #expect(planned.forecasts.map(\.division) == ["one-host", "layers", "rows"])
            for forecast in planned.forecasts {
                #expect(forecast.step_seconds.count == 16 && forecast.drafted_tokens_per_second != nil)
                #expect(forecast.fits == forecast.parts.allSatisfy { $0.missing_bytes == 0 })
                #expect(abs(forecast.parts.reduce(0) { $0 + $1.share } - 1) < 1e-9)
            }
        }

        /// A shape whose files have INT4 experts is planned for with them, though made-up weights have none.
        @Test func filesWithCodesArePlannedForAsTheyAre() throws {
            func bytes(_ format: String...) throws -> Int {
                let arguments = ["place", "--hosts", path("large.json"), "--shape", "kimi-k2-thinking", "--json"]
                let planned: Planned = try Command(arguments + format).finish().json()
                return planned.forecasts[0].parts[0].weight_bytes
            }
            let stored = try bytes("--weights", "stored")
            #expect(try stored == bytes() && stored == bytes("--weights", "experts-int4"))
            #expect(try (580_000_000_000..<620_000_000_000).contains(stored) && bytes("--weights", "bf16") > 3 * stored)
        }

        @Test func theDemonstrationModelStaysWhole() throws {
            let planned: Planned = try Command.run(
                "place", "--hosts", path("two.json"), "--acceptance", "0.5", "--json"
            )
            .json()
            #expect(planned.division == "one-host" && planned.acceptance == 0.5 && planned.link.gbps == 1.17)
            #expect(planned.verdict.contains("whole on host-0"))
        }

        @Test func whatDoesNotFitIsSaid() throws {
            let outcome = try Command.run("place", "--hosts", path("small.json"), "--shape", "deepseek-v3")
            #expect(outcome.status == 65 && outcome.errors.contains("are missing on host-0"), "\(outcome.errors)")
            #expect(outcome.output.contains("No division fits"))
        }

        @Test func damagedFilesAreRefused() throws {
            try folder.write(Array("{\"hosts\": 3}".utf8), "bad.json")
            let outcome = try Command.run("place", "--hosts", path("bad.json"))
            #expect(outcome.status == 65 && outcome.errors.contains("`hosts`") && outcome.output.isEmpty)
        }

        @Test(
            arguments: [
                ["--hosts", "none.json"], ["--hosts", "a", "--trace", "b"], ["--hosts", "a", "--topology", "b"],
                ["--hosts", "a", "--policy", "sliced"], ["--hosts", "a", "--out", "b"],
                ["--hosts", "a", "--show", "b"],
                ["--acceptance", "0.5", "--trace", "a"], ["--hosts", "a", "--acceptance", "2"],
                ["--hosts", "a", "--acceptance", "nan"], ["--hosts", "a", "--shape", "b", "--model", "c"],
            ])
        func wrongCommandLinesAreUsageErrors(arguments: [String]) throws {
            let outcome = try Command(["place"] + arguments).finish()
            #expect(outcome.status == 2 && outcome.output.isEmpty && !outcome.errors.isEmpty, "\(outcome.errors)")
        }
    }
}
