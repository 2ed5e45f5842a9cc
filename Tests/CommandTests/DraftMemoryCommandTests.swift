import ForetokenTestSupport
import FoundationEssentials
import Testing

extension EngineTests {
    /// What `generate` and `chat` keep of drafting.
    @Suite struct RememberingDrafts {
        private let folder: TemporaryFolder
        private var environment: [String: String] { ["XDG_CACHE_HOME": folder.path] }

        init() throws { folder = try TemporaryFolder() }

        private func names() -> [String] {
            (try? FileManager.default.contentsOfDirectory(atPath: folder.path + "/foretoken")) ?? []
        }

        private func generate(_ arguments: String...) throws -> (answer: Generated, errors: String) {
            let all = ["generate", prompt, "--json", "--max-tokens", "200", "--ignore-eos"] + arguments
            let outcome = try Command(all, environment: environment).finish()
            try #require(outcome.status == 0, "\(outcome.errors)")
            return (try outcome.json(), outcome.errors)
        }

        /// Whether the machine was free is not the test's to say: of a busy one nothing is kept.
        @Test func generateRemembersUntilFresh() throws {
            let plain = try generate("--draft", "off")
            #expect(plain.answer.speculation.policy == nil)
            let fresh = try generate("--fresh-odds")
            #expect(fresh.answer.speculation.policy?.earlier_runs == 0)
            #expect(names().isEmpty, "neither learns for others")

            let first = try generate()
            #expect(first.answer.speculation.policy?.earlier_runs == 0 && first.errors.isEmpty)
            #expect(first.answer.tokens == plain.answer.tokens)
            guard let name = names().first else { return }
            #expect(names() == [name] && name.hasPrefix("drafts-"))
            let path = URL(filePath: folder.path + "/foretoken/" + name)
            let kept = try Data(contentsOf: path)
            let second = try generate()
            #expect(second.answer.speculation.policy?.earlier_runs == 1 && second.errors.isEmpty)
            #expect(second.answer.tokens == plain.answer.tokens)
            let other = try generate("--weights", "int8")
            #expect(other.answer.speculation.policy?.earlier_runs == 0, "not of the same weights")

            try kept.write(to: path)
            #expect(try generate("--fresh-odds").answer.speculation.policy?.earlier_runs == 0)
            #expect(try Data(contentsOf: path) == kept)
            let shown = try Command(["generate", prompt, "--max-tokens", "80"], environment: environment).finish()
            #expect(shown.errors.contains("1 earlier run"), "\(shown.errors)")

            try Data("{".utf8).write(to: path)
            let damaged = try generate()
            #expect(damaged.answer.speculation.policy?.earlier_runs == 0)
            #expect(damaged.answer.tokens == plain.answer.tokens)
            #expect(damaged.errors.split(separator: "\n").count == 1 && damaged.errors.contains("it is damaged"))
        }

        @Test(arguments: [["HOME": "/dev/null"], ["HOME": ""], ["XDG_CACHE_HOME": "relative"]])
        func homesThatCannotBeWrittenToAreFine(home: [String: String]) throws {
            let variables = ["XDG_CACHE_HOME": ""].merging(home) { $1 }
            let outcome = try Command(["generate", prompt, "--json", "--max-tokens", "80"], environment: variables)
                .finish()
            #expect(outcome.status == 0 && outcome.errors.isEmpty, "\(outcome.errors)")
        }
    }
}
