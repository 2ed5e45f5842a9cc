/// A grid of cells, darker for larger values: many layers at a glance.
public struct HeatMap: Chart {
    /// What it shows, in a few words.
    public let title: String
    /// What can be seen in it, for those who cannot see it.
    public let summary: String
    private let columns: [String]
    private let rows: [String]
    private let values: [[Double]]
    private let x: String
    private let y: Axis

    private static let cellHeight = 17.0
    private static let gap = 1.0

    /// A map.
    /// - Parameters:
    ///   - title: what it shows.
    ///   - summary: what can be seen in it, for those who cannot.
    ///   - columns, rows: their names. Only as many columns are named as fit.
    ///   - values: by row, then column; cells that are missing or not numbers stay empty.
    ///   - x: what the columns are.
    ///   - y: what the rows are, and how a cell's value is written; its scale gives the colours' range.
    public init(
        _ title: String, summary: String, columns: [String], rows: [String], values: [[Double]], x: String, y: Axis
    ) {
        self.title = title
        self.summary = summary
        self.columns = columns
        self.rows = rows
        self.values = values
        self.x = x
        self.y = y
    }

    /// The legend and the picture; `id` is unique in its page.
    public func drawn(id: String) -> Markup {
        let scale = y.scale ?? Scale(covering: values.joined())
        let left = Double(rows.map(\.displayWidth).max() ?? 0) * 7 + 10
        let width = (ChartFrame.width - 10 - left) / Double(max(1, columns.count))
        var content = ChartFrame.text(y.title, 0, 12, "axis")
        for (row, name) in rows.enumerated() {
            let top = 24 + Double(row) * Self.cellHeight
            content += ChartFrame.text(name, left - 7, top + 13, "label end")
            for (column, value) in (row < values.count ? values[row] : []).prefix(columns.count).enumerated()
            where Scale.isDrawable(value) {
                content += cell(row, column, value, scale, left + Double(column) * width, top, width)
            }
        }
        let bottom = 24 + Double(rows.count) * Self.cellHeight
        let stride = max(1, Int((32 / width).rounded(.up)))
        for column in Swift.stride(from: 0, to: columns.count, by: stride) {
            content += ChartFrame.text(
                columns[column], left + (Double(column) + 0.5) * width, bottom + 15, "label middle")
        }
        content += ChartFrame.text(x, (left + ChartFrame.width - 10) / 2, bottom + 36, "axis middle")
        let name = Markup.element("title", ["id": "\(id)-title"], Markup(title))
        let description = Markup.element("desc", ["id": "\(id)-desc"], Markup(summary))
        return legend(scale)
            + .element(
                "svg",
                [
                    "class": "plot", "viewBox": "0 0 \(coordinate(ChartFrame.width)) \(coordinate(bottom + 44))",
                    "role": "img", "aria-labelledby": "\(id)-title \(id)-desc",
                ], name, description, content)
    }

    private func cell(
        _ row: Int, _ column: Int, _ value: Double, _ scale: Scale, _ left: Double, _ top: Double, _ width: Double
    ) -> Markup {
        labelled(
            "\(y.title) \(rows[row]), \(x) \(columns[column]): \(y.format.text(value))",
            .element(
                "rect",
                [
                    "class": "cell", "x": coordinate(left), "y": coordinate(top),
                    "width": coordinate(max(0.5, width - Self.gap)), "height": coordinate(Self.cellHeight - Self.gap),
                    "fill-opacity": Format.fixed(Self.opacity(scale.position(value)), 2),
                ]))
    }

    /// Even the smallest value is told from an empty cell.
    private static func opacity(_ position: Double) -> Double { 0.06 + 0.94 * min(1, max(0, position)) }

    private func legend(_ scale: Scale) -> Markup {
        var legend = Legend()
        for tick in [scale.low, (scale.low + scale.high) / 2, scale.high] {
            let opacity = Format.fixed(Self.opacity(scale.position(tick)), 2)
            let shape = Markup.element(
                "rect", ["class": "cell", "x": "1", "y": "0", "width": "24", "height": "12", "fill-opacity": opacity])
            legend.add(y.format.label(tick, step: (scale.high - scale.low) / 2), swatch: shape)
        }
        return legend.drawn
    }
}
