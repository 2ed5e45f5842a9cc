import ForetokenPlacement
import ForetokenTestSupport
import Glibc
import Testing

extension EngineTests {
    /// --record-routing and `place --show`, as their users call them.
    @Suite struct Routing {
        private let folder: TemporaryFolder
        private var path: String { folder.path + "/trace" }

        init() throws { folder = try TemporaryFolder() }

        private func trace() throws -> RoutingTrace {
            let file = try RoutingTraceFile(folder.read("trace"))
            #expect(file.droppedByteCount == 0)
            return file.trace
        }

        private func generate(_ arguments: String...) throws -> Generated {
            let outcome = try Command(["generate", "--json", "--record-routing", path] + arguments).finish()
            try #require(outcome.status == 0, "\(outcome.errors)")
            return try outcome.json()
        }

        @Test func generationsAreAppended() throws {
            let first = try generate(prompt, "--draft", "3", "--max-tokens", "40", "--domain", "code")
            let before = try trace()
            let speculation = first.speculation
            #expect(before.domains == ["code"])
            #expect(before.kinds.count { $0 == .prompt } == first.prompt_tokens.count)
            #expect(before.kinds.count { $0 == .newest } == speculation.rounds)
            #expect(before.kinds.count { $0 == .accepted } == speculation.accepted.reduce(0, +))
            #expect(before.windows.count == speculation.rounds + 1)
            let bytes = try folder.read("trace")
            _ = try generate(prompt, "--draft", "off", "--max-tokens", "10", "--temperature", "0.8")
            let after = try trace()
            #expect(after.domains == ["code", "unlabelled"] && after.windows.count == before.windows.count + 10)
            #expect(try folder.read("trace").starts(with: bytes))
            #expect(try folder.names() == ["trace"])
        }

        @Test func recordingChangesNothingElse() throws {
            let recorded = try Command.run(
                "generate", prompt, "--draft", "2", "--max-tokens", "30", "--record-routing", path)
            let plain = try Command.run("generate", prompt, "--draft", "2", "--max-tokens", "30")
            #expect(recorded.output == plain.output && recorded.errors.contains("windows more"))
        }

        @Test func aTornEndIsDroppedAndSaid() throws {
            _ = try generate(prompt, "--draft", "2", "--max-tokens", "20")
            let whole = try trace()
            let size = try folder.read("trace").count
            try folder.truncate("trace", to: size - 3)
            let shown = try Command.run("place", "--show", path)
            #expect(shown.status == 0 && shown.errors.contains("no whole record"), "\(shown.errors)")
            let outcome = try Command.run("generate", "a", "--max-tokens", "3", "--record-routing", path)
            #expect(outcome.status == 0 && outcome.errors.contains("dropped"), "\(outcome.errors)")
            #expect(try trace().windows.dropLast(3).map(\.rows) == whole.windows.dropLast().map(\.rows))
            try folder.truncate("trace", to: 20)
            #expect(try Command.run("generate", "a", "--max-tokens", "3", "--record-routing", path).status == 0)
            #expect(try trace().windows.count == 3, "a torn header is begun anew")
        }

        @Test func anotherModelsTraceIsRefusedBeforeLoading() throws {
            let other = try TemporaryFolder()
            try TinyModel().write(to: other)
            _ = try generate("a", "--max-tokens", "3")
            let bytes = try folder.read("trace")
            let refused = try Command.run(
                "generate", "--model", other.path, "--prompt-tokens", "1,2,3", "--record-routing", path)
            #expect(refused.status == 65 && refused.errors.contains("another model"), "\(refused.errors)")
            #expect(refused.output.isEmpty)
            #expect(try folder.read("trace") == bytes)
            let own = other.path + "/own"
            let recorded = try Command.run(
                "score", "--model", other.path, "--tokens", "1,2,3", "--record-routing", own)
            #expect(recorded.status == 0, "\(recorded.errors)")
            let tiny = try RoutingTraceFile(other.read("own")).trace
            #expect(tiny.layers == [1, 2] && tiny.kinds == [.prompt, .prompt, .prompt])
        }

        @Test func damageInTheMiddleIsRefused() throws {
            _ = try generate(prompt, "--draft", "2", "--max-tokens", "20")
            var bytes = try folder.read("trace")
            bytes[bytes.count / 2] ^= 1
            try folder.write(bytes, "trace")
            for arguments in [["place", "--show", path], ["score", "a", "--record-routing", path]] {
                let outcome = try Command(arguments).finish()
                #expect(outcome.status == 65 && outcome.errors.contains("damaged at byte"), "\(outcome.errors)")
            }
            #expect(try folder.read("trace") == bytes)
        }

        @Test func tracesWithWindowsThatCannotBeAreNotAddedTo() throws {
            _ = try generate(prompt, "--draft", "2", "--max-tokens", "8")
            var spoilt = try trace()
            // A window's newest token comes first.
            spoilt.kinds[try #require(spoilt.windows.last).rows.lowerBound] = .accepted
            let bytes = try RoutingTraceFile.bytes(of: spoilt)
            try folder.write(bytes, "trace")
            for arguments in [["place", "--show", path], ["score", "a", "--record-routing", path]] {
                let outcome = try Command(arguments).finish()
                #expect(
                    outcome.status == 65 && outcome.errors.contains("in no order that they have"), "\(outcome.errors)")
                #expect(outcome.output.isEmpty)
            }
            #expect(try folder.read("trace") == bytes)
        }

        /// 300 kB that name four million experts, in layers that few rows reach. Seconds of the processor's time are
        /// counted, which other work does not lengthen; what grows with the pairs of experts takes minutes.
        @Test func wideTracesAreShownSoon() throws {
            var wide = RoutingTrace(model: "", layers: Array(0..<64), expertCount: 65_536, expertsPerToken: 16)
            wide.domains = ["code"]
            for row in 0..<150 {
                wide.windows.append(.init(rows: row..<row + 1, domain: 0, position: row))
                wide.kinds.append(.prompt)
                for layer in 0..<64 {
                    let first = UInt16(truncatingIfNeeded: row * 7919 + layer * 104_729) % 4096
                    wide.experts += (0..<16).map { first + 3800 * $0 }
                }
            }
            let bytes = try RoutingTraceFile.bytes(of: wide)
            #expect(bytes.count > 300_000)
            try folder.write(bytes, "trace")
            #if DEBUG
                let seconds = 300
            #else
                let seconds = 20
            #endif
            let script = "ulimit -t \(seconds); exec \"$0\" place --show \"$1\""
            let outcome = try Command(["-c", script, Command.path, path], program: "/bin/sh").finish()
            #expect(
                outcome.status == 0 && outcome.output.contains("16 of 65,536"), "\(outcome.status) \(outcome.errors)")
        }

        @Test func pathsThatCannotBeAreRefused() throws {
            try folder.write(Array("a text".utf8), "text")
            for (name, status, message) in [
                ("none/trace", 2, "does not exist"), ("", 2, "folder"), ("text", 65, "does not begin as"),
            ] {
                for command in [["generate", "a"], ["score", "a"], ["measure"]] {
                    let outcome = try Command(command + ["--record-routing", folder.path + "/" + name]).finish()
                    #expect(outcome.status == Int32(status), "\(command): \(outcome.errors)")
                    #expect(outcome.errors.contains(message) && outcome.output.isEmpty, "\(outcome.errors)")
                }
            }
            let device = try Command.run("score", "a", "--record-routing", "/dev/null")
            #expect(device.status == 2 && device.errors.contains("regular file"))
            let label = try Command.run("score", "a", "--domain", "code")
            #expect(label.status == 2 && label.errors.contains("--record-routing"))
            let taken = try Command.run("score", "a", "--domain", "all", "--record-routing", path)
            #expect(taken.status == 2 && taken.errors.contains("taken"))
            let report = try Command.run("measure", "--report", path, "--record-routing", path)
            #expect(report.status == 2 && report.errors.contains("overwrite"))
        }

        @Test func twoRecordingsDoNotMix() throws {
            let file = open(path, O_RDWR | O_CREAT, 0o600)
            defer { close(file) }
            try #require(flock(file, LOCK_EX) == 0)
            let outcome = try Command.run("score", "a", "--record-routing", path)
            #expect(outcome.status == 1 && outcome.errors.contains("another process"), "\(outcome.errors)")
        }

        @Test(arguments: [SIGINT, SIGKILL]) func whatWasRecordedStays(signal: Int32) throws {
            let command = try Command([
                "generate", prompt, "--max-tokens", "100000", "--context", "4096", "--ignore-eos",
                "--record-routing", path,
            ])
            // A block is written once a second.
            command.wait { (try? folder.read("trace").count) ?? 0 >= 1000 }
            command.signal(signal)
            let outcome = try command.finish()
            #expect(outcome.status == (signal == SIGINT ? 130 : 128 + SIGKILL))
            let file = try RoutingTraceFile(folder.read("trace"))
            #expect(file.trace.windows.count > 1 && file.trace.kinds.contains(.newest))
            _ = try generate("a", "--max-tokens", "3")
            #expect(try trace().windows.count == file.trace.windows.count + 3)
        }

        @Test func linesBringTheirDomains() throws {
            let lines = """
                {"prompt":"func a","domain":"code","max_tokens":4}
                {"prompt":"Once","max_tokens":4}
                {"prompt":"var b","domain":"code","max_tokens":4}
                """
            let outcome = try Command.run(
                "generate", "--input-file", "-", "--record-routing", path, "--domain", "prose", "--draft", "off",
                "--parallel", "1", input: lines)
            #expect(outcome.status == 0, "\(outcome.errors)")
            let trace = try trace()
            #expect(trace.domains == ["code", "prose"])
            #expect(trace.windows.map(\.domain) == [0, 0, 0, 0, 1, 1, 1, 1, 0, 0, 0, 0])
            #expect(trace.windows.map(\.text) == [0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2])
            let bad = try Command.run("generate", "--input-file", "-", input: #"{"prompt":"a","domain":"all"}"#)
            #expect(bad.status == 65 && bad.errors.contains("line 1") && bad.errors.contains("taken"))
        }

        private static let lines = (0..<6).map { text in
            let domain = text % 2 == 0 ? "code" : "prose"
            return "{\"prompt\":\"func number\(text)(\",\"domain\":\"\(domain)\",\"max_tokens\":\(20 + 4 * text)}\n"
        }.joined()

        private func recordLines(parallel: Int, into name: String) throws -> Command.Outcome {
            let outcome = try Command.run(
                "generate", "--input-file", "-", "--record-routing", folder.path + "/" + name, "--draft", "2",
                "--ignore-eos", "--parallel", "\(parallel)", input: Self.lines)
            try #require(outcome.status == 0, "\(outcome.errors)")
            return outcome
        }

        /// Of each text: its domain, and of its rows positions, kinds and experts.
        private func texts(_ trace: RoutingTrace) -> [Int: [String]] {
            var texts: [Int: [String]] = [:]
            for window in trace.windows {
                let ids = trace.layers.count * trace.expertsPerToken
                let experts = trace.experts[window.rows.lowerBound * ids..<window.rows.upperBound * ids]
                texts[window.text, default: []].append(
                    "\(trace.domains[window.domain]) \(window.position) \(trace.kinds[window.rows]) \(experts)")
            }
            return texts
        }

        @Test func textsAtOnceAreRecordedAsAlone() throws {
            let alone = try recordLines(parallel: 1, into: "alone")
            let together = try recordLines(parallel: 4, into: "trace")
            #expect(!alone.errors.contains("share") && together.errors.contains("which share"), "\(together.errors)")
            let single = try RoutingTraceFile(folder.read("alone")).trace
            let shared = try trace()
            #expect(texts(shared) == texts(single) && shared.domains == ["code", "prose"])
            #expect(single.steps.allSatisfy { $0.count == 1 } && shared.steps.contains { $0.count == 4 })
            #expect(shared.steps.allSatisfy { $0.count <= 4 })
            let shown = try Command.run("place", "--show", path)
            #expect(
                shown.output.contains("verified in steps") && shown.output.contains("each alone"), "\(shown.output)")
            #expect(try !Command.run("place", "--show", folder.path + "/alone").output.contains("each alone"))
            // Another recording adds texts.
            _ = try recordLines(parallel: 2, into: "trace")
            let more = try trace()
            #expect(more.textCount == 12 && Array(more.windows.prefix(shared.windows.count)) == shared.windows)
        }

        /// Plans for steps as they were recorded, or for any number of texts, from either trace.
        @Test func plansAreMadeForSeveralTexts() throws {
            struct Planned: Decodable {
                struct Plan: Decodable {
                    struct Windows: Decodable {
                        let source: String
                        let texts_per_step: Double
                        let rows_per_step: Double
                        let tokens_per_step: Double
                    }
                    let windows: Windows
                }
                struct Model: Decodable {
                    let parallel: Int?
                }
                let plan: Plan
                let model: Model
            }
            _ = try recordLines(parallel: 1, into: "alone")
            _ = try recordLines(parallel: 4, into: "trace")
            try folder.write(Array(SampleMachines.slowThirdNode.utf8), "machine.json")
            func plan(_ name: String, _ arguments: String...) throws -> Planned {
                let outcome = try Command(
                    [
                        "place", "--trace", folder.path + "/" + name, "--topology", folder.path + "/machine.json",
                        "--json", "--search-seconds", "0",
                    ] + arguments
                ).finish()
                try #require(outcome.status == 0, "\(outcome.errors)")
                return try outcome.json()
            }
            let recorded = try plan("trace")
            #expect(recorded.plan.windows.source == "verified" && recorded.model.parallel == nil)
            #expect((2...4).contains(recorded.plan.windows.texts_per_step))
            let (one, four) = (try plan("trace", "--parallel", "1"), try plan("trace", "--parallel", "4"))
            #expect(one.plan.windows.texts_per_step == 1 && four.plan.windows.texts_per_step == 4)
            #expect(four.plan.windows.tokens_per_step >= 4 && four.model.parallel == 4)
            let other = try plan("alone", "--parallel", "4")
            #expect(other.plan.windows.rows_per_step == four.plan.windows.rows_per_step)
            let many = try Command.run("place", "--trace", path, "--parallel", "7")
            #expect(many.status == 65 && many.errors.contains("6 texts, too few for steps of 7"), "\(many.errors)")
            #expect(try Command.run("place", "--trace", path, "--parallel", "17").status == 2)
            #expect(try Command.run("place", "--show", path, "--parallel", "2").status == 2)
            let tables = try Command.run(
                "place", "--trace", path, "--parallel", "4", "--topology", folder.path + "/machine.json",
                "--search-seconds", "0")
            #expect(tables.output.contains("put together for 4 texts at once"), "\(tables.output)")
        }

        @Test func tracesOfTheFirstVersionAreReadButNotAddedTo() throws {
            let header = try RoutingTraceHeader(model: "", layers: [1], expertCount: 4, expertsPerToken: 2)
            #expect(header.bytes[8] == 2, "the version that is written")
            _ = try generate("a", "--max-tokens", "3")
            var bytes = Array(try folder.read("trace").prefix(try trace().header().bytes.count))
            bytes[8] = 1
            var hash = FNV1a()
            bytes.dropLast(4).withUnsafeBytes { hash.add($0) }
            let sum = UInt32(truncatingIfNeeded: hash.value ^ hash.value >> 32)
            for byte in 0..<4 { bytes[bytes.count - 4 + byte] = UInt8(truncatingIfNeeded: sum >> (8 * UInt32(byte))) }
            try folder.write(bytes, "trace")
            #expect(try Command.run("place", "--show", path).status == 0)
            let outcome = try Command.run("generate", "a", "--max-tokens", "3", "--record-routing", path)
            #expect(outcome.status == 65 && outcome.errors.contains("earlier version"), "\(outcome.errors)")
            #expect(outcome.output.isEmpty)
            #expect(try folder.read("trace") == bytes)
        }

        @Test func measuringRecordsItsDomains() throws {
            let outcome = try Command.run(
                "measure", "--prompts", "1", "--max-tokens", "16", "--seconds", "0", "--record-routing", path)
            #expect(outcome.status == 0, "\(outcome.errors)")
            #expect(try trace().domains == ["code", "tests", "prose", "edit", "agent"])
        }

        @Test func statisticsAreShown() throws {
            let generated = try generate(prompt, "--draft", "2", "--max-tokens", "60", "--domain", "code")
            struct Shown: Decodable {
                struct Rows: Decodable {
                    let all: Int
                    let prompt: Int
                    let accepted: Int
                }
                struct Layer: Decodable {
                    let layer: Int
                    let load: [Int]
                }
                let rows: Rows
                let layers: [Layer]
                let experts_per_token: Int
            }
            let shown = try Command.run("place", "--show", path, "--json").json(Shown.self)
            #expect(shown.rows.prompt == generated.prompt_tokens.count)
            #expect(shown.rows.accepted == generated.speculation.accepted.reduce(0, +))
            for layer in shown.layers {
                #expect(layer.load.reduce(0, +) == shown.rows.all * shown.experts_per_token)
            }
            let tables = try Command.run("place", "--show", path)
            #expect(tables.status == 0)
            for text in ["routing trace", "hottest/mean", "verify windows", "code", "by chance"] {
                #expect(tables.output.contains(text), "\(text)")
            }
            #expect(!tables.output.contains("nan") && !tables.output.contains("inf"))
        }

        @Test func tracesAsTextAreShown() throws {
            let text = """
                {"round":0,"row":0,"domain":"code","layers":[[],[1,3]]}
                {"round":0,"row":1,"domain":"code","layers":[[],[0,3]]}
                """
            let shown = try Command.run("place", "--show", "-", input: text)
            #expect(shown.status == 0 && shown.output.contains("2 of 4 in 1 layer"), "\(shown.errors)")
            let bad = try Command.run("place", "--show", "-", input: text + "\n{\"round\":1}")
            #expect(bad.status == 65 && bad.errors.contains("line 3") && bad.output.isEmpty)
            let missing = try Command.run("place", "--show", path)
            #expect(missing.status == 2 && missing.errors.contains("does not exist"))
            #expect(try Command.run("place").status == 2)
        }
    }
}
