/// A grid of cells, of a stronger colour for larger values: further from the page's, be that light or dark. Many layers at a
/// glance. Thousands of cells are drawn small, across the page and without a note on each.
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

    private static let gap = 1.0
    private static let mostNotedCells = 2048
    private static let broadWidth = 1040.0
    /// Shades of a map without notes.
    private static let shades = 24

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

    /// Whether there are too many cells for a note on each.
    private var isDense: Bool { rows.count * columns.count > Self.mostNotedCells }
    private var width: Double { isDense ? Self.broadWidth : ChartFrame.width }
    private var cellHeight: Double { rows.count > 24 && isDense ? 9 : 17 }
    private var left: Double { Double(rows.map(\.displayWidth).max() ?? 0) * 7 + 10 }
    private var cellWidth: Double { (width - 10 - left) / Double(max(1, columns.count)) }

    /// The legend and the picture; `id` is unique in its page.
    public func drawn(id: String) -> Markup {
        let scale = y.scale ?? Scale(covering: values.joined())
        let bottom = 24 + Double(rows.count) * cellHeight
        let name = Markup.element("title", ["id": "\(id)-title"], Markup(title))
        let description = Markup.element("desc", ["id": "\(id)-desc"], Markup(summary))
        return legend(scale)
            + .element(
                "svg",
                [
                    "class": isDense ? "plot broad" : "plot",
                    "viewBox": "0 0 \(coordinate(width)) \(coordinate(bottom + 44))",
                    "role": "img", "aria-labelledby": "\(id)-title \(id)-desc",
                ], name, description, names(bottom), isDense ? shaded(scale) : noted(scale))
    }

    /// As many names as fit.
    private func names(_ bottom: Double) -> Markup {
        var content = ChartFrame.text(y.title, 0, 12, "axis")
        for row in stride(from: 0, to: rows.count, by: max(1, Int((14 / cellHeight).rounded(.up)))) {
            content += ChartFrame.text(
                rows[row], left - 7, 24 + (Double(row) + 0.5) * cellHeight + 4.5, "label end")
        }
        for column in stride(from: 0, to: columns.count, by: max(1, Int((32 / cellWidth).rounded(.up)))) {
            content += ChartFrame.text(
                columns[column], left + (Double(column) + 0.5) * cellWidth, bottom + 15, "label middle")
        }
        return content + ChartFrame.text(x, (left + width - 10) / 2, bottom + 36, "axis middle")
    }

    private func forEachCell(_ body: (_ row: Int, _ column: Int, _ value: Double) -> Void) {
        for (row, values) in values.prefix(rows.count).enumerated() {
            for (column, value) in values.prefix(columns.count).enumerated() where Scale.isDrawable(value) {
                body(row, column, value)
            }
        }
    }

    private func noted(_ scale: Scale) -> Markup {
        var content = Markup()
        forEachCell { row, column, value in
            content += cell(row, column, value, scale, left + Double(column) * cellWidth, cellWidth)
        }
        return content
    }

    /// One path for all cells of a shade.
    private func shaded(_ scale: Scale) -> Markup {
        var paths = [String](repeating: "", count: Self.shades + 1)
        let shape = "h\(coordinate(cellWidth))v\(coordinate(cellHeight))h-\(coordinate(cellWidth))z"
        forEachCell { row, column, value in
            let shade = Int((min(1, max(0, scale.position(value))) * Double(Self.shades)).rounded())
            let place = (left + Double(column) * cellWidth, 24 + Double(row) * cellHeight)
            paths[shade] += "M\(coordinate(place.0)) \(coordinate(place.1))\(shape)"
        }
        return paths.enumerated().filter { !$1.isEmpty }.map { shade, path in
            let opacity = Self.opacity(Double(shade) / Double(Self.shades))
            return .element("path", ["class": "cell", "d": path, "fill-opacity": Format.fixed(opacity, 2)])
        }.joined()
    }

    private func cell(
        _ row: Int, _ column: Int, _ value: Double, _ scale: Scale, _ left: Double, _ width: Double
    ) -> Markup {
        labelled(
            "\(y.title) \(rows[row]), \(x) \(columns[column]): \(y.format.text(value))",
            .element(
                "rect",
                [
                    "class": "cell", "x": coordinate(left), "y": coordinate(24 + Double(row) * cellHeight),
                    "width": coordinate(max(0.5, width - Self.gap)), "height": coordinate(cellHeight - Self.gap),
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
