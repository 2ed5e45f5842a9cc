import ForetokenPlacement
import ForetokenTestSupport
import FoundationEssentials
import Testing

extension EngineTests {
    /// `place`, as its users call it.
    @Suite struct Placing {
        private let folder: TemporaryFolder

        init() throws {
            folder = try TemporaryFolder()
            for (name, text) in [
                ("two.json", SampleMachines.twoSockets), ("tiered.json", SampleMachines.slowThirdNode),
            ] { try folder.write(Array(text.utf8), name) }
        }

        private func path(_ name: String) -> String { folder.path + "/" + name }

        /// Records some text of the demonstration model.
        private func record(_ name: String = "trace") throws -> String {
            let outcome = try Command.run(
                "generate", prompt, "--draft", "2", "--max-tokens", "120", "--ignore-eos", "--record-routing",
                path(name))
            try #require(outcome.status == 0, "\(outcome.errors)")
            return path(name)
        }

        private func maps() throws -> ReplicaMaps {
            try JSONDecoder().decode(ReplicaMaps.self, from: Data(folder.read("maps.json")))
        }

        struct Planned: Decodable {
            struct Model: Decodable {
                let model: String
                let layers: Int
            }
            struct Machine: Decodable {
                let name: String
                let source: String
                let remark: String?
            }
            struct Plan: Decodable {
                struct Result: Decodable {
                    struct Score: Decodable {
                        let step_seconds: Double
                        let tokens_per_second: Double
                        let ratio_to_bound: Double
                        let bytes: [Int]
                    }
                    let policy: String
                    let reason: String?
                    let score: Score?
                }
                let results: [Result]
                let layers: [Int]
                let is_measured: Bool
            }
            let model: Model
            let machine: Machine
            let policy: String?
            let verdict: String
            let caveats: [String]
            let plan: Plan
        }

        @Test func aDescribedMachineIsPlannedFor() throws {
            let trace = try record()
            let tables = try Command.run("place", "--trace", trace, "--topology", path("two.json"))
            #expect(tables.status == 0, "\(tables.errors)")
            for text in [
                "capacity-sliced", "round-robin", "perfect bound", "tok/s", "node 1", "predicted", "→", "from the file",
                "few", "verified",
            ] { #expect(tables.output.contains(text), "\(text)") }
            #expect(!tables.output.contains("nan") && !tables.output.contains("inf") && !tables.output.contains("`"))

            let outcome = try Command.run("place", "--trace", trace, "--topology", path("two.json"), "--json")
            let planned: Planned = try outcome.json()
            #expect(planned.machine.source == "file" && !planned.plan.is_measured && planned.machine.remark != nil)
            #expect(planned.policy != nil && planned.plan.results.contains { $0.policy == planned.policy })
            #expect(planned.caveats.contains { $0.contains("rows") })
            for result in planned.plan.results {
                guard let score = result.score else {
                    #expect(result.reason != nil)
                    continue
                }
                #expect(score.ratio_to_bound > 0.999 && score.tokens_per_second > 0 && score.bytes.count == 2)
            }
        }

        @Test func oneNodeHasNothingToPlace() throws {
            let outcome = try Command.run("place", "--trace", try record())
            try #require(outcome.status == 0, "\(outcome.errors)")
            // The tests' machine has one node, or has several and then a choice.
            #expect(outcome.output.contains("nothing to place") || outcome.output.contains("capacity-sliced"))
            #expect(outcome.output.contains("Predicted:"))
        }

        @Test func aPlanForThisMachineLoads() throws {
            let trace = try record()
            let out = path("plan.json")
            let placed = try Command.run("place", "--trace", trace, "--out", out)
            #expect(placed.status == 0 && placed.errors.contains("the plan is in"), "\(placed.errors)")
            let plain = try Command.generate(prompt, "--max-tokens", "24")
            let planned = try Command.generate(prompt, "--max-tokens", "24", "--plan", out)
            #expect(planned.tokens == plain.tokens)
        }

        @Test func plansAreWrittenForDescribedMachines() throws {
            let trace = try record()
            let out = path("plan.json")
            for policy in ["round-robin", "tiered", "replicas=25"] {
                let outcome = try Command.run(
                    "place", "--trace", trace, "--topology", path("tiered.json"), "--policy", policy, "--out", out,
                    "--search-seconds", "1")
                #expect(outcome.status == 0, "\(outcome.errors)")
                let plan = try PlacementPlanFile.decode(folder.read("plan.json"), name: out)
                #expect(plan.policy == policy && plan.nodes == [0, 1, 2])
                #expect(try plan.model == RoutingTraceFile(folder.read("trace")).trace.model)
            }
            let refused = try Command.run("generate", prompt, "--max-tokens", "4", "--plan", out)
            #expect(refused.status == 65 && refused.errors.contains("made for machine"), "\(refused.errors)")
        }

        @Test func thePageIsWritten() throws {
            let outcome = try Command.run(
                "place", "--trace", try record(), "--topology", path("two.json"), "--report", path("page.html"))
            #expect(outcome.status == 0 && outcome.errors.contains("the report is in"), "\(outcome.errors)")
            #expect(TagBalance(String(decoding: try folder.read("page.html"), as: UTF8.self)).problem == nil)
        }

        @Test func balancedIsWhatEPLBMakesOfTheLoads() throws {
            let trace = try record()
            for (policy, copies) in [("balanced", 0.0), ("replicas=25", 25)] {
                let outcome = try Command.run(
                    "place", "--trace", trace, "--topology", path("two.json"), "--format", "eplb", "--out",
                    path("maps.json"), "--policy", policy)
                #expect(outcome.status == 0, "\(outcome.errors)")
                let found = try maps()
                let recorded = try RoutingTraceFile(folder.read("trace")).trace
                let loads = TraceStatistics(recorded).layers.map { $0.load.map(Double.init) }
                let places = Int((Double(recorded.expertCount) * (1 + copies / 100) / 2).rounded(.up)) * 2
                let expected = try ReplicaMaps(balancing: loads, copies: places, groups: 1, nodes: 1, devices: 2)
                #expect(found == expected)
            }
        }

        @Test func plansOfWholeExpertsAreArraysToo() throws {
            let trace = try record()
            let outcome = try Command.run(
                "place", "--trace", trace, "--topology", path("two.json"), "--format", "eplb", "--out",
                path("maps.json"),
                "--policy", "round-robin")
            #expect(outcome.status == 0, "\(outcome.errors)")
            let found = try maps()
            let experts = found.logcnt[0].count
            #expect(
                found.phy2log[0] == Array(stride(from: 0, to: experts, by: 2))
                    + Array(stride(from: 1, to: experts, by: 2)))
            #expect(found.log2phy[0][1] == [experts / 2] && found.logcnt.allSatisfy { $0.allSatisfy { $0 == 1 } })
        }

        @Test func tracesAsTextAndShapesArePlannedFor() throws {
            try folder.write(
                Array(SampleMachines.textTrace(layers: 26, dense: 1, experts: 64, chosen: 6).utf8), "trace.jsonl")
            let outcome = try Command.run(
                "place", "--trace-jsonl", path("trace.jsonl"), "--shape", "moonlight-16b", "--topology",
                path("large.json"),
                "--json")
            #expect(outcome.status == 2, "the file is missing")
            try folder.write(Array(SampleMachines.large.utf8), "large.json")
            let planned: Planned = try Command.run(
                "place", "--trace-jsonl", path("trace.jsonl"), "--shape", "moonlight-16b", "--topology",
                path("large.json"),
                "--json"
            ).json()
            #expect(planned.policy == "sliced" && planned.plan.layers == Array(1...26) && planned.model.layers == 26)
            #expect(planned.verdict.contains("Slice"))
            #expect(planned.caveats.contains { $0.contains("dimensions") })
            let other = try Command.run(
                "place", "--trace-jsonl", path("trace.jsonl"), "--shape", "deepseek-v3", "--topology",
                path("large.json"))
            #expect(other.status == 65 && other.errors.contains("6 of 256"), "\(other.errors)")
        }

        /// What anyone can try: no trace, no machine, no model.
        @Test(arguments: ["two-sockets", "two-sockets-cxl", "four-nodes"])
        func examplesArePlannedFor(_ name: String) throws {
            let topology = try Command.run("place", "--example-topology", name)
            try #require(topology.status == 0, "\(topology.errors)")
            try folder.write(Array(topology.output.utf8), "machine.json")
            let shown = try Command.run("doctor", "--topology", path("machine.json"))
            #expect(shown.status == 0, "\(shown.errors)")
            let arguments = [
                "place", "--example-trace", "--shape", "gigachat3-10b", "--topology", path("machine.json"),
                "--search-seconds", "0",
            ]
            let tables = try Command(arguments).finish()
            #expect(tables.status == 0 && tables.output.contains("no model made"), "\(tables.errors)")
            #expect(!tables.output.contains("The trace is text"))
            let planned: Planned = try Command(arguments + ["--json", "--parallel", "4"]).finish().json()
            #expect(planned.policy != nil && planned.plan.layers == Array(1...25))
            #expect(planned.caveats.contains { $0.contains("example") })
        }

        @Test func tuneWritesNoPlanForAnotherMachine() throws {
            let refused = try Command.run("tune", "--topology", path("two.json"), "--out", path("plan.json"))
            #expect(refused.status == 2 && refused.errors.contains("of another"), "\(refused.errors)")
            #expect(try !folder.names().contains("plan.json"))
        }

        @Test func severalTracesAreJoined() throws {
            let first = try record("one")
            let second = path("two")
            _ = try Command.run("score", "A text.", "--record-routing", second, "--domain", "prose")
            let both = try Command.run(
                "place", "--trace", first, "--trace", second, "--topology", path("two.json"))
            #expect(both.status == 0 && both.output.contains("2 domains"), "\(both.errors)")
        }

        @Test func otherModelsTracesAreRefused() throws {
            let other = try TemporaryFolder()
            try TinyModel().write(to: other)
            let own = other.path + "/own"
            let recorded = try Command.run(
                "score", "--model", other.path, "--tokens", "1,2,3,4", "--record-routing", own)
            try #require(recorded.status == 0, "\(recorded.errors)")
            let refused = try Command.run("place", "--trace", own)
            #expect(refused.status == 65 && refused.errors.contains("is of model"), "\(refused.errors)")
            #expect(refused.output.isEmpty)
        }

        @Test func whatDoesNotFitIsRefusedWithWhatIsMissing() throws {
            try folder.write(Array(SampleMachines.tooSmall.utf8), "small.json")
            let out = path("plan.json")
            let outcome = try Command.run(
                "place", "--trace", try record(), "--topology", path("small.json"), "--out", out)
            #expect(outcome.status == 65 && outcome.errors.contains("missing"), "\(outcome.errors)")
            #expect(try !folder.names().contains("plan.json"))
        }

        @Test func damagedInputsAreRefused() throws {
            let trace = try record()
            var bytes = try folder.read("trace")
            bytes[bytes.count / 2] ^= 1
            try folder.write(bytes, "damaged")
            try folder.write(Array("{\"nodes\": 3}".utf8), "bad.json")
            try folder.write(Array("{\"round\":0}\n".utf8), "bad.jsonl")
            try folder.write([], "empty")
            for (arguments, message) in [
                (["--trace", path("damaged")], "damaged"), (["--trace", path("empty")], "does not begin"),
                (["--trace", trace, "--topology", path("bad.json")], "bad.json"),
                (["--trace-jsonl", path("bad.jsonl")], "line 1"), (["--trace-jsonl", trace], "does not begin"),
                (["--trace", trace, "--context", "99999999"], "exceeds"),
                (["--trace", trace, "--topology", path("two.json"), "--policy", "sliced=7"], "no plan"),
            ] {
                let outcome = try Command(["place"] + arguments).finish()
                #expect(outcome.status == 65 && outcome.errors.contains(message), "\(arguments): \(outcome.errors)")
            }
        }

        @Test(
            arguments: [
                [], ["--trace", "none"], ["--trace", "a", "--show", "a"], ["--show", "a", "--out", "b"],
                ["--trace", "a", "--format", "eplb"], ["--trace", "a", "--policy", "best"],
                ["--trace", "a", "--policy", "sliced", "--format", "eplb", "--out", "b"],
                ["--trace", "a", "--window", "0"], ["--trace", "a", "--search-seconds", "-1"],
                ["--trace", "a", "--piece-us", "-1"], ["--trace", "a", "--barrier-us", "nan"],
                ["--trace", "a", "--shape", "gigachat3-10b", "--model", "b"], ["--trace", "-", "--trace", "-"],
                ["--trace", "a", "--topology", "none.json"], ["--trace", "a", "--out", "none/plan.json"],
                ["--trace", "a", "--out", "plan", "--report", "plan"], ["--trace", "a", "--example-trace"],
                ["--example-trace", "--out", "plan"], ["--example-trace", "--show", "a"],
                ["--example-topology", "three-sockets"], ["--example-topology", "two-sockets", "--json"],
            ])
        func wrongCommandLinesAreUsageErrors(arguments: [String]) throws {
            let outcome = try Command(["place"] + arguments).finish()
            #expect(outcome.status == 2 && outcome.output.isEmpty && !outcome.errors.isEmpty, "\(outcome.errors)")
        }
    }
}
