import ForetokenPlacement
import Testing

/// How many experts rows in turn choose, published, computed and recorded.
@Suite struct ExpertOverlapTests {
    @Test func thePublishedOneLiesBelowChance() {
        let (r1, uniform) = (ExpertOverlap.r1, ExpertOverlap.uniform(expertCount: 256, expertsPerToken: 8))
        #expect(r1.distinct.count == ExpertOverlap.widest && r1.distinct[0] == 8)
        #expect(zip(r1.distinct, uniform.distinct).dropFirst().allSatisfy { $0 < $1 })
        // Every further row brings something new, and less than the one before.
        let more: [Double] = zip(r1.distinct, r1.distinct.dropFirst()).map { $1 - $0 }
        #expect(more.allSatisfy { $0 > 0 })
        #expect(zip(more, more.dropFirst()).allSatisfy { $0 > $1 })
        #expect(abs(uniform.distinct[0] - 8) < 1e-9 && abs(uniform.distinct[1] - 15.75) < 1e-9)
        #expect(abs(uniform.distinct[3] - 30.53) < 0.01 && abs(uniform.distinct[15] - 101.96) < 0.01)
    }

    @Test func aTraceTellsItsOwn() throws {
        // Row i chooses i and i + 1 of 40, and in the second layer always the same two.
        var trace = RoutingTrace(model: "", layers: [1, 2], expertCount: 40, expertsPerToken: 2)
        trace.add(
            .init(repeating: .prompt, count: 20), position: 0,
            (0..<20).map { [[UInt16($0), UInt16($0 + 1)], [3, 7]] })
        let overlap = try ExpertOverlap(trace, name: "mine")
        #expect(overlap.name == "mine" && overlap.expertCount == 40 && overlap.expertsPerToken == 2)
        let expected: [Double] = (1...16).map { rows in Double(rows + 3) / 2 }
        #expect(overlap.distinct == expected)
    }

    @Test func shortTextsAreRefused() throws {
        var trace = RoutingTrace(model: "", layers: [1], expertCount: 4, expertsPerToken: 1)
        trace.add(.init(repeating: .prompt, count: 5), position: 0, .init(repeating: [[1]], count: 5))
        let error = #expect(throws: PlacementError.self) { try ExpertOverlap(trace, name: "short") }
        #expect(error.map { "\($0)".contains("the longest has 5") } == true)
    }
}
