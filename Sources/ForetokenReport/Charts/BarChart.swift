/// Groups of bars that stand on zero.
public struct BarChart: Chart {
    /// One bar, with its interval where it has one.
    public struct Bar: Sendable {
        let value: Double
        let interval: ClosedRange<Double>?

        /// A bar; an interval whose ends cannot be drawn or are out of order is left out.
        public init(_ value: Double, low: Double? = nil, high: Double? = nil) {
            self.value = value
            interval = LineChart.Point(0, value, low: low, high: high).interval
        }
    }

    /// Bars of one kind.
    public struct Series: Sendable {
        let name: String
        let bars: [Bar?]
        let isExpectation: Bool

        /// A series.
        /// - Parameters:
        ///   - bars: one for each group; nil, and values that are not numbers, leave a gap.
        ///   - isExpectation: drawn as an outline: something foretold, not seen.
        public init(_ name: String, _ bars: [Bar?], isExpectation: Bool = false) {
            self.name = name
            self.bars = bars.map { bar in bar.flatMap { Scale.isDrawable($0.value) ? $0 : nil } }
            self.isExpectation = isExpectation
        }
    }

    /// What it shows, in a few words.
    public let title: String
    /// What can be seen in it, for those who cannot see it.
    public let summary: String
    private let groups: [String]
    private let x: String
    private let y: Axis
    private let series: [Series]
    private let reference: (value: Double, name: String)?

    private static let widestBar = 46.0
    private static let characterWidth = 7.4
    private static let mostLabelLines = 3

    /// A chart.
    /// - Parameters:
    ///   - title: what it shows.
    ///   - summary: what can be seen in it, for those who cannot.
    ///   - groups: their names, from left to right.
    ///   - x: what the groups are.
    ///   - reference: a value to compare with, and its name.
    public init(
        _ title: String, summary: String, groups: [String], x: String, y: Axis, series: [Series],
        reference: (value: Double, name: String)? = nil
    ) {
        self.title = title
        self.summary = summary
        self.groups = groups
        self.x = x
        self.y = y
        self.series = series
        self.reference = reference
    }

    /// The legend and the picture; `id` is unique in its page.
    public func drawn(id: String) -> Markup {
        let bars = series.flatMap { $0.bars.compactMap { $0 } }
        let ends = bars.flatMap { [$0.value, $0.interval?.upperBound ?? $0.value] }
        let frame = ChartFrame(y, covering: [0] + ends + [reference?.value ?? 0])
        var content = Markup()
        if let reference, Scale.isDrawable(reference.value) {
            let height = frame.place(reference.value)
            content += ChartFrame.line("reference", frame.left, height, frame.right, height)
        }
        let width = frame.plotWidth / Double(max(1, groups.count))
        let labels = groups.map { Self.wrapped($0, columns: max(4, Int(width / Self.characterWidth))) }
        for (group, lines) in labels.enumerated() {
            let middle = frame.left + (Double(group) + 0.5) * width
            for (line, text) in lines.enumerated() {
                content += ChartFrame.text(text, middle, frame.bottom + 18 + Double(line) * 15, "label middle")
            }
            content += drawn(group: group, middle, width, frame)
        }
        return legend
            + frame.picture(
                id: id, title: title, summary: summary, xTitle: x, labelLines: labels.map(\.count).max() ?? 1, content)
    }

    private var legend: Markup {
        var legend = Legend()
        if series.count > 1 || reference != nil {
            for (index, series) in series.enumerated() {
                legend.add(
                    series.name,
                    swatch: .element(
                        "rect", ["class": style(index), "x": "1", "y": "1", "width": "24", "height": "10", "rx": "2"]))
            }
        }
        if let reference { legend.addReference(reference.name) }
        return legend.drawn
    }

    private func style(_ index: Int) -> String {
        guard !series[index].isExpectation else { return "bar outline" }
        let earlier = series[..<index].count { !$0.isExpectation }
        return "bar s\(earlier % SeriesStyle.colors)"
    }

    private func drawn(group: Int, _ middle: Double, _ width: Double, _ frame: ChartFrame) -> Markup {
        let slot = min(Self.widestBar, width * 0.82 / Double(max(1, series.count)))
        let present = series.enumerated().compactMap { index, series in
            (group < series.bars.count ? series.bars[group] : nil).map { (index, series, $0) }
        }
        var result = Markup()
        for (position, (index, series, bar)) in present.enumerated() {
            let left = middle + (Double(position) - Double(present.count) / 2) * slot
            let (top, zero) = (frame.place(max(0, bar.value)), frame.place(min(0, bar.value)))
            var shapes = Markup.element(
                "rect",
                [
                    "class": style(index), "x": coordinate(left + 1.5), "y": coordinate(top),
                    "width": coordinate(max(1, slot - 3)), "height": coordinate(max(0.5, zero - top)), "rx": "2",
                ])
            var labelHeight = top
            if let interval = bar.interval, interval.upperBound > interval.lowerBound {
                labelHeight = min(top, frame.place(interval.upperBound))
                shapes += ChartFrame.interval(
                    "ink", left + slot / 2, frame.place(interval.upperBound), frame.place(interval.lowerBound))
            }
            let text = y.format.text(bar.value)
            // Narrow bars leave the values to the table, as expectations do.
            if !series.isExpectation && Double(text.count) * Self.characterWidth <= slot * 1.3 {
                shapes += ChartFrame.text(text, left + slot / 2, labelHeight - 5, "value middle")
            }
            result += labelled("\(series.name), \(x) \(groups[group]): \(text)", shapes)
        }
        return result
    }

    /// Words on a few lines of at most so many columns; what does not fit is cut off.
    package static func wrapped(_ text: String, columns: Int) -> [String] {
        var lines: [String] = []
        for word in text.split(separator: " ") {
            if let last = lines.last, last.displayWidth + 1 + word.displayWidth <= columns {
                lines[lines.count - 1] += " " + word
            } else {
                lines.append(String(word))
            }
        }
        if lines.count > mostLabelLines {
            lines[mostLabelLines - 1] += "…"
            lines.removeSubrange(mostLabelLines...)
        }
        return lines.map { $0.truncated(toWidth: columns) }
    }
}
