import ForetokenReport
import Testing

@Suite struct RowChartTests {
    @Test func barsAreNamedAndSound() {
        let chart = RowChart(
            "t", summary: "s", x: Axis("ms"), parts: ["one", "two"],
            rows: [
                .init("a", [1, 2], limit: 4), .init("b", [], remark: "no plan"), .init("<c>", [.nan, .infinity]),
                .init("d", [-1, 1e300], limit: .nan, isEmphasised: true),
            ], limitName: "most", reference: (2, "bound"))
        let source = chart.drawn(id: "x").source
        let balance = TagBalance(source)
        #expect(balance.problem == nil, "\(balance.problem ?? "")")
        for text in ["a, one: 1.00", "a, two: 2.00", "a, most: 4.00", "no plan", "&lt;c&gt;", "bound"] {
            #expect(source.contains(text), "\(text)")
        }
        #expect(!source.contains("nan") && !source.contains("inf"))
    }

    @Test func chartsWithoutRowsAreStillCharts() {
        for rows in [[], [RowChart.Row("a", [])]] {
            let chart = RowChart(
                "t", summary: "s", x: Axis("x"), parts: ["p"], rows: rows, reference: (.infinity, "nothing"))
            #expect(TagBalance(chart.drawn(id: "x").source).problem == nil)
        }
    }

    @Test func thousandsOfCellsAreFewPaths() {
        let columns = (0..<256).map(String.init)
        let values = (0..<58).map { row in columns.indices.map { Double(($0 * 7 + row * 13) % 100) } }
        let map = HeatMap(
            "t", summary: "s", columns: columns, rows: (3..<61).map(String.init), values: values + [[.nan]],
            x: "expert",
            y: Axis("layer", scale: Scale(covering: [0, 100])))
        let balance = TagBalance(map.drawn(id: "x").source)
        #expect(balance.problem == nil)
        #expect(balance.elements.count { $0 == "path" } <= 25)
        #expect(map.drawn(id: "x").source.split(separator: "z").count > 58 * 256)
    }
}
