import ForetokenReport
import Glibc
import Testing

@Suite struct ScaleTests {
    @Test(
        arguments: [
            ([0, 1], 0, 1, 6), ([0.31, 0.92], 0.2, 1, 5), ([0, 1.388, 1], 0, 1.5, 4), ([3], 2.4, 3.6, 7), ([], 0, 1, 6),
            ([0, 0], -0.6, 0.6, 7), ([-7, 12], -10, 15, 6), ([.nan, .infinity, 2, 4], 2, 4, 5),
            ([0, 1e15], 0, 1e15, 6),
        ] as [([Double], Double, Double, Int)])
    func endsAndTicksAreRound(values: [Double], low: Double, high: Double, ticks: Int) {
        let scale = Scale(covering: values)
        #expect(abs(scale.low - low) <= 1e-9 * max(1, abs(low)))
        #expect(abs(scale.high - high) <= 1e-9 * max(1, abs(high)))
        #expect(scale.ticks.count == ticks)
    }

    @Test func closeNumbersDoNotNeedThousandsOfLabels() {
        for values in [[1e15, 1e15 - 1], [1, 1 + 1e-15], [1e-300, 2e-300], [-1e15, 1e15]] {
            let scale = Scale(covering: values)
            #expect(scale.low < scale.high && (2...12).contains(scale.ticks.count), "\(values)")
        }
    }

    @Test func countsAreNamedWhereTheyFit() {
        #expect(Scale(counting: 1...4).ticks == [1, 2, 3, 4])
        #expect(Scale(counting: 1...1).ticks == [1])
        #expect(Scale(marking: [0.8, 0, 0.8, .nan]).ticks == [0, 0.8])
        #expect(Scale(marking: [0, 0.01, 1]).ticks == [0, 1])
        #expect(Scale(marking: []).low < Scale(marking: []).high)
        #expect(Scale(counting: 1...60).ticks == [10, 20, 30, 40, 50, 60])
    }

    @Test func labelsHaveAsManyDecimalsAsTheyNeed() {
        #expect(AxisFormat.percent.label(0.2, step: 0.2) == "20 %")
        #expect(AxisFormat.times.label(1.5, step: 0.5) == "1.5×")
        #expect(AxisFormat.number.label(0.25, step: 0.25) == "0.25")
        #expect(AxisFormat.milliseconds.label(4, step: 2) == "4 ms")
    }
}

@Suite struct ChartTests {
    private let axis = Axis("y", .percent)

    @Test func chartsWithoutDataAreStillCharts() {
        let charts: [any Chart] = [
            LineChart("t", summary: "s", x: Axis("x"), y: axis, series: []),
            LineChart("t", summary: "s", x: Axis("x"), y: axis, series: [.init("a", [])]),
            LineChart("t", summary: "s", x: Axis("x"), y: axis, series: [.init("a", [.init(1, 0.5)])]),
            LineChart(
                "t", summary: "s", x: Axis("x"), y: axis, series: [.init("a", [.init(.nan, 1), .init(1, .infinity)])],
                references: [.horizontal(.nan, "h"), .sloped(0, offset: .infinity, "i")]),
            BarChart("t", summary: "s", groups: [], x: "x", y: axis, series: []),
            BarChart(
                "t", summary: "s", groups: ["a", "b"], x: "x", y: axis,
                series: [.init("a", [nil]), .init("b", [BarChart.Bar(.nan), BarChart.Bar(-2, low: 3, high: 1)])],
                reference: (.infinity, "r")),
            HeatMap("t", summary: "s", columns: [], rows: [], values: [], x: "x", y: axis),
            HeatMap("t", summary: "s", columns: ["1"], rows: ["1", "2"], values: [[.nan, 3]], x: "x", y: axis),
        ]
        for chart in charts {
            let source = chart.drawn(id: "c").source
            let balance = TagBalance(source)
            #expect(balance.problem == nil)
            #expect(balance.elements.contains("title") && balance.elements.contains("desc"))
            #expect(!source.contains("nan") && !source.contains("inf\"") && !source.contains("–"))
        }
    }

    @Test func everySeriesIsToldApartWithoutColour() {
        let looks = (0..<12).map { index -> String in
            let style = SeriesStyle(index: index, isSummary: false)
            return "\(style.dash ?? "solid") \(style.marker(0, 0).source.split(separator: "d=")[1])"
        }
        #expect(Set(looks).count == looks.count)
    }

    @Test func referencesEndAtThePlot() {
        let chart = LineChart(
            "t", summary: "s", x: Axis("x", scale: Scale(counting: 1...9)),
            y: Axis("y", scale: Scale(covering: [0, 2])),
            series: [], references: [.sloped(1, offset: 0, "r")])
        let source = chart.drawn(id: "c").source
        // From x = 0.55, y = 0.55 to x = 2, y = 2: the upper edge.
        let line = source.split(separator: "<line ").first {
            $0.contains("x1") && $0.contains("reference") && !$0.contains("26")
        }
        #expect(line?.contains("y2=\"30\"") == true)
    }

    @Test func groupNamesAreWrappedAndCut() {
        #expect(BarChart.wrapped("shared noise, expected", columns: 9) == ["shared", "noise,", "expected"])
        #expect(BarChart.wrapped("a b c", columns: 9) == ["a b c"])
        #expect(BarChart.wrapped("one two three four five", columns: 5) == ["one", "two", "thre…"])
        #expect(BarChart.wrapped("", columns: 4) == [])
    }

    @Test func textIsEscaped() {
        let markup = Markup.element("p", ["class": "\"><x>", "id": nil], Markup("a < b & c\u{202E}\u{1B}"))
        #expect(markup.source == "<p class=\"&quot;&gt;&lt;x&gt;\">a &lt; b &amp; c\\u{202E}\\u{1B}</p>")
        #expect(
            Markup(prose: "use `--draft <1>` now").source == "use <code class=\"word\">--draft &lt;1&gt;</code> now")
    }

    /// Cells of larger values stand out more from the page, in light and in dark.
    @Test func strongerColoursAreLargerValuesInBothSchemes() throws {
        let page = ReportPage(
            title: "t", subtitle: "", banner: .init(.open, headline: "h", flag: nil, reason: ""), footer: ""
        ).rendered()
        func color(_ name: String) throws -> [[Double]] {
            try page.split(separator: "--\(name): #").dropFirst().map { part in
                let digits = try #require(UInt32(part.prefix(6), radix: 16))
                return [16, 8, 0].map { Double(digits >> $0 & 255) / 255 }
            }
        }
        func luminance(_ color: [Double]) -> Double {
            zip(color, [0.2126, 0.7152, 0.0722]).reduce(0) { sum, part in
                let linear = part.0 <= 0.04045 ? part.0 / 12.92 : pow((part.0 + 0.055) / 1.055, 2.4)
                return sum + linear * part.1
            }
        }
        let values = (0...10).map { Double($0) / 10 }
        let map = HeatMap(
            "t", summary: "s", columns: values.map { "\($0)" }, rows: ["1"], values: [values], x: "x",
            y: Axis("y", scale: Scale(covering: [0, 1])))
        let opacities = map.drawn(id: "m").source.split(separator: "fill-opacity=\"").dropFirst(4)
            .compactMap { Double($0.prefix { $0 != "\"" }) }
        try #require(opacities.count == values.count)
        let (pages, cells) = (try color("page"), try color("s0"))
        #expect(pages.count == 2 && cells.count == 2)
        for (page, cell) in zip(pages, cells) {
            let contrasts = opacities.map { opacity in
                let mixed = zip(page, cell).map { $0 + ($1 - $0) * opacity }
                let pair = [luminance(page), luminance(mixed)].sorted()
                return (pair[1] + 0.05) / (pair[0] + 0.05)
            }
            #expect(zip(contrasts, contrasts.dropFirst()).allSatisfy { $0 < $1 }, "\(contrasts)")
            #expect(contrasts[10] > 4)
        }
    }
}
