import ForetokenLaboratory
import ForetokenPlacement
import ForetokenWeights
import Testing

@Suite struct ExampleRoutingTests {
    @Test("Made-up routing keeps the router's rules, and rows overlap as in published traces")
    func rowsOverlap() throws {
        let configuration = try SyntheticShape(named: "deepseek-v3").part(moeLayers: 4, mtp: false)
        var routing = try #require(ExampleRouting(configuration))
        let trace = routing.trace(model: "m")
        #expect(
            trace.layers == [1, 2, 3, 4] && trace.rowCount == 4096 && trace.textCount == 16
                && trace.model == "m")
        for row in 0..<trace.rowCount {
            for layer in trace.layers.indices {
                let chosen = Array(trace.chosen(row: row, layer: layer))
                #expect(
                    chosen.count == 8 && zip(chosen, chosen.dropFirst()).allSatisfy(<) && chosen[7] < 256)
                #expect(Set(chosen.map { $0 / 32 }).count <= 4, "four groups of eight")
            }
        }
        // A published trace of R1 has 13.8 distinct experts for two rows in turn, and 45 for ten; chance has 15.8 and 70.
        let overlap = try ExpertOverlap(trace, name: "example")
        #expect((13...15).contains(overlap.distinct[1]), "\(overlap.distinct)")
        #expect((38...50).contains(overlap.distinct[9]), "\(overlap.distinct)")
        // The same numbers everywhere.
        var again = try #require(ExampleRouting(configuration))
        #expect(again.trace(model: "m") == trace)
    }

    @Test(arguments: SyntheticShape.names) func everyShapeHasSome(_ name: String) throws {
        let shape = try SyntheticShape(named: name)
        var routing = try #require(ExampleRouting(shape.part(moeLayers: 1, mtp: false)))
        let trace = routing.trace(model: "")
        #expect(trace.expertCount == shape.whole.routedExpertCount)
        #expect(trace.experts.count == 4096 * shape.whole.expertsPerToken)
    }
}
