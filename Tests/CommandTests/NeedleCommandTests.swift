import ForetokenTestSupport
import Testing

extension EngineTests {
    /// `measure --needle`.
    @Suite struct SearchingForNeedles {
        private struct Report: Decodable {
            struct Trial: Decodable {
                let value: String
                let answer: String
                let is_exact: Bool
                let log_probability: Double
                let control: Double
                let tokens: Int
            }
            struct Cell: Decodable {
                let length: Int
                let depth: Double
                let exact: Int
                let gain: Double
                let trials: [Trial]
            }
            let form: String
            let cells: [Cell]
            let is_partial: Bool
        }

        /// The embedded model is small, but it copies: a constant that it has read is likelier than one that it has not.
        @Test func factsThatWereReadAreLikelier() throws {
            let report: Report = try Command.run(
                "measure", "--needle", "--lengths", "256,512", "--depths", "25,100", "--json"
            ).json()
            #expect(report.form == "code" && !report.is_partial)
            #expect(report.cells.map(\.length) == [256, 256, 512, 512])
            #expect(report.cells.map(\.depth) == [25, 100, 25, 100])
            for cell in report.cells {
                #expect(cell.trials.count == 4 && cell.exact == cell.trials.count { $0.is_exact })
                for trial in cell.trials {
                    #expect(trial.tokens <= cell.length && trial.tokens > cell.length * 2 / 3, "\(trial.tokens)")
                    #expect(trial.value.count == 5 && trial.log_probability < 0 && trial.control < 0)
                    #expect(!trial.is_exact || trial.answer.contains(trial.value))
                }
                #expect(cell.gain > 1, "\(cell.length) tokens, depth \(cell.depth): \(cell.gain) nats")
            }
        }

        @Test func theTableHasEveryCell() throws {
            let folder = try TemporaryFolder()
            try folder.write(Array("one line\nanother line\n".utf8), "hay.txt")
            let outcome = try Command.run(
                "measure", "--needle", "--lengths", "128,256", "--depths", "50", "--needles", "1", "--text",
                folder.path + "/hay.txt")
            #expect(outcome.status == 0, "\(outcome.errors)")
            for part in ["given text", "depth", "128", "256", "50 %", "of 2 found"] {
                #expect(outcome.output.contains(part), "\(part): \(outcome.output)")
            }
        }

        @Test(arguments: [
            (["--lengths", "8k"], 65, "holds 4096"), (["--lengths", "16"], 65, "too short"),
            (["--lengths", "1k", "--context", "512"], 65, "raise --context"), (["--lengths", "x"], 2, "'x' is none"),
            (["--depths", "101"], 2, "percentages"), (["--needles", "0"], 2, "--needles"),
            (["--drafts", "1"], 2, "measures no drafts"), (["--suite", "f"], 2, "measures no drafts"),
        ])
        func wrongCallsAreExplained(arguments: [String], status: Int32, message: String) throws {
            let outcome = try Command(["measure", "--needle"] + arguments).finish()
            #expect(outcome.status == status && outcome.output.isEmpty, "\(outcome.errors)")
            #expect(outcome.errors.contains(message), "\(outcome.errors)")
        }

        @Test func itsFlagsNeedIt() throws {
            let outcome = try Command.run("measure", "--lengths", "512")
            #expect(outcome.status == 2 && outcome.errors.contains("need --needle"), "\(outcome.errors)")
        }
    }
}
