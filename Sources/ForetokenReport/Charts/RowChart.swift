/// Bars that lie one below another, each named on its left: for many things with long names. A bar may be made of parts,
/// and have a limit that it should stay below.
public struct RowChart: Chart {
    /// One bar.
    public struct Row: Sendable {
        let name: String
        let parts: [Double]
        let limit: Double?
        let remark: String?
        let isEmphasised: Bool

        /// A bar.
        /// - Parameters:
        ///   - parts: from left to right, as many as the chart has; values that cannot be drawn count as 0. Empty for a
        ///     row that only has a remark.
        ///   - limit: drawn as an outline; nil for none.
        ///   - remark: stands behind the bar instead of its value.
        ///   - isEmphasised: the one to look at.
        public init(
            _ name: String, _ parts: [Double], limit: Double? = nil, remark: String? = nil, isEmphasised: Bool = false
        ) {
            self.name = name
            self.parts = parts.map { Scale.isDrawable($0) ? max(0, $0) : 0 }
            self.limit = limit.flatMap { Scale.isDrawable($0) && $0 >= 0 ? $0 : nil }
            self.remark = remark
            self.isEmphasised = isEmphasised
        }

        fileprivate var sum: Double { parts.reduce(0, +) }
    }

    /// What it shows, in a few words.
    public let title: String
    /// What can be seen in it, for those who cannot see it.
    public let summary: String
    private let x: Axis
    private let parts: [String]
    private let rows: [Row]
    private let limitName: String?
    private let reference: (value: Double, name: String)?

    private static let rowHeight = 22.0
    private static let barHeight = 14.0
    private static let top = 10.0
    private static let characterWidth = 7.2
    private static let mostNameCharacters = 24

    /// A chart.
    /// - Parameters:
    ///   - title: what it shows.
    ///   - summary: what can be seen in it, for those who cannot.
    ///   - x: what lengths are, and how they are written.
    ///   - parts: names of the bars' parts.
    ///   - rows: from top to bottom.
    ///   - limitName: what limits are.
    ///   - reference: a value to compare with, and its name.
    public init(
        _ title: String, summary: String, x: Axis, parts: [String], rows: [Row], limitName: String? = nil,
        reference: (value: Double, name: String)? = nil
    ) {
        self.title = title
        self.summary = summary
        self.x = x
        self.parts = parts
        self.rows = rows
        self.limitName = limitName
        self.reference = reference.flatMap { Scale.isDrawable($0.value) ? $0 : nil }
    }

    /// The legend and the picture; `id` is unique in its page.
    public func drawn(id: String) -> Markup {
        let area = Area(rows, x, reference?.value)
        var content = Markup()
        for tick in area.scale.ticks {
            content += ChartFrame.line("grid", area.place(tick), Self.top, area.place(tick), area.bottom)
            content += ChartFrame.text(
                x.format.label(tick, step: area.scale.step), area.place(tick), area.bottom + 16, "label middle")
        }
        for (index, row) in rows.enumerated() {
            content += drawn(row, Self.top + Double(index) * Self.rowHeight, area)
        }
        content += ChartFrame.line("base", area.left, Self.top, area.left, area.bottom)
        if let reference {
            let place = area.place(reference.value)
            content += ChartFrame.line("reference", place, Self.top - 6, place, area.bottom)
        }
        content += ChartFrame.text(x.title, (area.left + area.right) / 2, area.bottom + 36, "axis middle")
        return legend
            + .element(
                "svg",
                [
                    "class": "plot", "viewBox": "0 0 \(coordinate(ChartFrame.width)) \(coordinate(area.bottom + 44))",
                    "role": "img", "aria-labelledby": "\(id)-title \(id)-desc",
                ], .element("title", ["id": "\(id)-title"], Markup(title)),
                .element("desc", ["id": "\(id)-desc"], Markup(summary)), content)
    }

    /// Where bars stand.
    private struct Area {
        let left: Double
        let right: Double
        let bottom: Double
        let scale: Scale

        init(_ rows: [Row], _ axis: Axis, _ reference: Double?) {
            let longest = min(RowChart.mostNameCharacters, rows.map(\.name.displayWidth).max() ?? 0)
            left = Double(longest) * RowChart.characterWidth + 10
            scale = axis.scale ?? Scale(covering: [0, reference ?? 0] + rows.flatMap { [$0.sum, $0.limit ?? 0] })
            // Values stand behind bars.
            let widest = rows.filter { !$0.parts.isEmpty }.map { axis.format.text($0.sum).displayWidth }.max() ?? 0
            right = ChartFrame.width - max(16, Double(widest) * RowChart.characterWidth + 6)
            bottom = RowChart.top + Double(rows.count) * RowChart.rowHeight
        }

        func place(_ value: Double) -> Double { left + min(1, max(0, scale.position(value))) * (right - left) }
    }

    private func drawn(_ row: Row, _ top: Double, _ area: Area) -> Markup {
        let baseline = top + Self.rowHeight / 2 + 4.5
        let name = row.name.truncated(toWidth: Self.mostNameCharacters)
        var result = ChartFrame.text(name, area.left - 7, baseline, row.isEmphasised ? "value end" : "label end")
        let y = top + (Self.rowHeight - Self.barHeight) / 2
        if let limit = row.limit {
            result += labelled(
                "\(row.name), \(limitName ?? "limit"): \(x.format.text(limit))",
                Self.bar("bar outline", area.left, area.place(limit), y))
        }
        var sum = 0.0
        for (index, part) in row.parts.enumerated() where part > 0 {
            let label = index < parts.count ? parts[index] : ""
            result += labelled(
                "\(row.name), \(label): \(x.format.text(part))",
                Self.bar("bar s\(index % SeriesStyle.colors)", area.place(sum), area.place(sum + part), y))
            sum += part
        }
        let text = row.remark ?? (row.parts.isEmpty ? "" : x.format.text(row.sum))
        let end = max(area.place(sum), row.limit.map(area.place) ?? 0)
        return result
            + ChartFrame.text(text, end + 6, baseline, row.parts.isEmpty || row.remark != nil ? "label" : "value")
    }

    private static func bar(_ style: String, _ left: Double, _ right: Double, _ y: Double) -> Markup {
        .element(
            "rect",
            [
                "class": style, "x": coordinate(left), "y": coordinate(y), "width": coordinate(max(0.5, right - left)),
                "height": coordinate(barHeight),
            ])
    }

    private var legend: Markup {
        var legend = Legend()
        func swatch(_ style: String) -> Markup {
            .element("rect", ["class": style, "x": "1", "y": "1", "width": "24", "height": "10", "rx": "2"])
        }
        if parts.count > 1 || limitName != nil {
            for (index, name) in parts.enumerated() {
                legend.add(name, swatch: swatch("bar s\(index % SeriesStyle.colors)"))
            }
        }
        if let limitName { legend.add(limitName, swatch: swatch("bar outline")) }
        if let reference { legend.addReference(reference.name) }
        return legend.drawn
    }
}
