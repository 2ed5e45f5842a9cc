import FoundationEssentials
import ForetokenWeights
import Testing

@Suite struct DemoSuiteTests {
    private struct Line: Decodable {
        let id: String
        let domain: String
        let prompt: String
        let answer: String?
    }

    private func lines() throws -> [Line] {
        try Checkpoint.demoSuite.split(separator: UInt8(ascii: "\n"))
            .map { try JSONDecoder().decode(Line.self, from: Data($0)) }
    }

    @Test func domainsHaveTheirPrompts() throws {
        let byDomain = Dictionary(grouping: try lines(), by: \.domain).mapValues(\.count)
        #expect(byDomain == ["code": 16, "tests": 16, "prose": 16, "edit": 8, "agent": 8])
    }

    /// Copied text is given: the model is too small to copy.
    @Test func copiedTextsHaveAnswers() throws {
        for line in try lines() {
            #expect((line.answer != nil) == ["edit", "agent"].contains(line.domain), "\(line.id)")
        }
        // Most lines of an edited file's copy stand in the prompt.
        for line in try lines() where line.domain == "edit" {
            let known = Set(line.prompt.split(separator: "\n"))
            let copy = try #require(line.answer).split(separator: "\n")
            #expect(copy.count { known.contains($0) } * 2 > copy.count, "\(line.id)")
        }
    }

    @Test func promptsAreDistinctAndNameTheirSource() throws {
        let lines = try lines()
        #expect(Set(lines.map(\.id)).count == lines.count && Set(lines.map(\.prompt)).count == lines.count)
        #expect(lines.allSatisfy { $0.id.contains("/") && $0.id.contains("#") && !$0.prompt.isEmpty })
    }

    /// The file ends with a newline, so that suites can be joined.
    @Test func theLastLineIsEnded() { #expect(Checkpoint.demoSuite.last == UInt8(ascii: "\n")) }
}
