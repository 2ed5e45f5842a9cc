import ForetokenPlacement
import Testing

@Suite struct RoutingTraceJoiningTests {
    /// Rows of one layer with two of four experts, in windows of one row.
    private func trace(_ rows: [[UInt16]], domain: String, model: String = "m") -> RoutingTrace {
        var trace = RoutingTrace(model: model, layers: [1], expertCount: 4, expertsPerToken: 2)
        trace.domains = [domain]
        for (row, chosen) in rows.enumerated() {
            trace.windows.append(.init(rows: row..<row + 1, domain: 0, position: row))
            trace.kinds.append(.newest)
            trace.experts += chosen
        }
        return trace
    }

    @Test func tracesAreJoinedDomainByDomain() throws {
        var joined = trace([[0, 1]], domain: "a", model: "")
        try joined.append(trace([[2, 3], [0, 3]], domain: "b"))
        try joined.append(trace([[1, 2]], domain: "a"))
        #expect(joined.model == "m" && joined.domains == ["a", "b"] && joined.rowCount == 4)
        #expect(joined.windows.map(\.domain) == [0, 1, 1, 0] && joined.windows.map(\.rows.lowerBound) == [0, 1, 2, 3])
        #expect(joined.chosen(row: 3, layer: 0) == [1, 2])
        #expect(joined.windows.map(\.text) == [0, 1, 1, 2], "texts of two traces are not one")
        var shared = trace([[0, 1], [2, 3]], domain: "a")
        (shared.windows[1].text, shared.windows[1].joinsPrevious) = (1, true)
        try joined.append(shared)
        #expect(joined.steps == [0..<1, 1..<2, 2..<3, 3..<4, 4..<6] && joined.windows.suffix(2).map(\.text) == [3, 4])
    }

    @Test func otherModelsAreNotJoined() {
        var joined = trace([[0, 1]], domain: "a")
        #expect(throws: PlacementError.self) { try joined.append(trace([[0, 1]], domain: "a", model: "n")) }
        let larger = RoutingTrace(model: "m", layers: [1], expertCount: 8, expertsPerToken: 2)
        #expect(throws: PlacementError.self) { try joined.append(larger) }
        #expect(joined.rowCount == 1)
    }

    @Test func modelsRefuseTracesOfOthers() throws {
        let model = PlacementModel(
            fingerprint: "m", layers: [1, 2], expertCount: 4, expertsPerToken: 2, gateUpBytes: 2, downBytes: 1,
            gateUpPanels: 1, downPanels: 1, denseBytesPerStep: 0, denseBytes: 0)
        try model.check(trace([[0, 1]], domain: "a"), comparesFingerprints: true)
        try model.check(trace([[0, 1]], domain: "a", model: ""), comparesFingerprints: true)
        let other = trace([[0, 1]], domain: "a", model: "n")
        #expect(throws: PlacementError.self) { try model.check(other, comparesFingerprints: true) }
        try model.check(other, comparesFingerprints: false)
        for (layers, experts, chosen) in [([3], 4, 2), ([1], 8, 2), ([1], 4, 1)] {
            let trace = RoutingTrace(model: "m", layers: layers, expertCount: experts, expertsPerToken: chosen)
            #expect(throws: PlacementError.self) { try model.check(trace, comparesFingerprints: true) }
        }
    }

    @Test func pairsAreComparedWithChance() throws {
        // 0 and 1 always together, 2 and 3 always together: three times as often as with three equal partners.
        let map = try #require(
            CoactivationMap(trace([[0, 1], [2, 3], [0, 1], [2, 3]], domain: "a"), layer: 1, limit: 8))
        #expect(map.experts == [0, 1, 2, 3] && map.layer == 1)
        #expect(map.ratios[0] == [0, 3, 0, 0] && map.ratios[3] == [0, 0, 3, 0])
        #expect(CoactivationMap(trace([[0, 1]], domain: "a"), layer: 2, limit: 8) == nil)
        #expect(CoactivationMap(trace([[0, 1]], domain: "a"), layer: 1, limit: 1) == nil)
    }

    @Test func plansOfWholeExpertsBecomeArrays() throws {
        var plan = PlacementPlan(policy: "p", model: "m", machine: "n", nodes: [0, 1], layers: [:])
        plan.layers[1] = [.whole(1), .whole(0), .mirrored([0, 1]), .whole(0), .whole(1)]
        let maps = try ReplicaMaps(plan, layers: [1], experts: 5)
        #expect(maps.phy2log == [[1, 2, 3, 0, 2, 4]] && maps.logcnt == [[1, 1, 2, 1, 1]])
        #expect(maps.log2phy == [[[3, -1], [0, -1], [1, 4], [2, -1], [5, -1]]])
        plan.layers[1]?[0] = .whole(0)
        #expect(throws: PlacementError.self, "unequal nodes") { try ReplicaMaps(plan, layers: [1], experts: 5) }
        plan.layers[1]?[0] = .sliced([0, 1])
        #expect(throws: PlacementError.self, "parts") { try ReplicaMaps(plan, layers: [1], experts: 5) }
        #expect(throws: PlacementError.self, "cut evenly") { try ReplicaMaps(plan, layers: [2], experts: 5) }
    }
}
