import FoundationEssentials
import ForetokenWeights
import Testing

@Suite struct DemoSuiteTests {
    private struct Line: Decodable {
        let id: String
        let domain: String
        let prompt: String
    }

    private func lines() throws -> [Line] {
        try Checkpoint.demoSuite.split(separator: UInt8(ascii: "\n"))
            .map { try JSONDecoder().decode(Line.self, from: Data($0)) }
    }

    @Test func everyDomainHasSixteenPrompts() throws {
        let byDomain = Dictionary(grouping: try lines(), by: \.domain).mapValues(\.count)
        #expect(byDomain == ["code": 16, "tests": 16, "prose": 16])
    }

    @Test func promptsAreDistinctAndNameTheirSource() throws {
        let lines = try lines()
        #expect(Set(lines.map(\.id)).count == lines.count && Set(lines.map(\.prompt)).count == lines.count)
        #expect(lines.allSatisfy { $0.id.contains("/") && $0.id.contains("#") && !$0.prompt.isEmpty })
    }

    /// The file ends with a newline, so that suites can be joined.
    @Test func theLastLineIsEnded() { #expect(Checkpoint.demoSuite.last == UInt8(ascii: "\n")) }
}
