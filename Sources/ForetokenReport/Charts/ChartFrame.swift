/// The part that line and bar charts share: a plot area with a y axis on the left, grid lines and titles.
struct ChartFrame {
    let y: Scale
    private let yAxis: Axis

    /// Narrow enough that text is still legible when the picture is shrunk to a phone's width.
    static let width = 480.0
    private static let right = 470.0
    private static let top = 30.0
    private static let plotHeight = 210.0
    private static let digitWidth = 7.0

    init(_ axis: Axis, covering values: [Double]) {
        yAxis = axis
        y = axis.scale ?? Scale(covering: values)
    }

    /// Left end of the plot: behind the longest label.
    var left: Double {
        let longest = y.ticks.map { yAxis.format.label($0, step: y.step).displayWidth }.max() ?? 0
        return Double(longest) * Self.digitWidth + 10
    }

    var plotWidth: Double { Self.right - left }
    var top: Double { Self.top }
    var bottom: Double { Self.top + Self.plotHeight }
    var right: Double { Self.right }

    /// The place of a value on the y axis; values beyond the ends stay at them.
    func place(_ value: Double) -> Double { bottom - min(1, max(0, y.position(value))) * Self.plotHeight }

    /// The y axis: title, grid lines and labels.
    var grid: Markup {
        var result = Self.text(yAxis.title, 0, 12, "axis")
        for tick in y.ticks {
            let height = place(tick)
            result += Self.line("grid", left, height, right, height)
            result += Self.text(yAxis.format.label(tick, step: y.step), left - 7, height + 4.5, "label end")
        }
        return result
    }

    /// The whole picture.
    /// - Parameters:
    ///   - labelLines: lines of text under the x axis, before its title.
    ///   - id, title, summary: name and description, for screen readers too.
    func picture(
        id: String, title: String, summary: String, xTitle: String, labelLines: Int = 1, _ content: Markup
    ) -> Markup {
        let titleHeight = bottom + 22 + Double(labelLines) * 15
        let axis = Self.text(xTitle, (left + right) / 2, titleHeight, "axis middle")
        let base = Self.line("base", left, bottom, right, bottom)
        let name = Markup.element("title", ["id": "\(id)-title"], Markup(title))
        let description = Markup.element("desc", ["id": "\(id)-desc"], Markup(summary))
        return .element(
            "svg",
            [
                "class": "plot", "viewBox": "0 0 \(coordinate(Self.width)) \(coordinate(titleHeight + 8))",
                "role": "img", "aria-labelledby": "\(id)-title \(id)-desc",
            ], name, description, grid, content, base, axis)
    }

    /// A straight line.
    static func line(_ style: String, _ x1: Double, _ y1: Double, _ x2: Double, _ y2: Double) -> Markup {
        .element(
            "line",
            [
                "class": style, "x1": coordinate(x1), "y1": coordinate(y1), "x2": coordinate(x2),
                "y2": coordinate(y2),
            ])
    }

    /// A line of text.
    static func text(_ text: String, _ x: Double, _ y: Double, _ style: String) -> Markup {
        .element("text", ["class": style, "x": coordinate(x), "y": coordinate(y)], Markup(text))
    }

    /// An interval: a vertical line with short ends.
    static func interval(_ style: String, _ x: Double, _ top: Double, _ bottom: Double) -> Markup {
        let (x0, x1) = (coordinate(x - 3), coordinate(x + 3))
        let (y0, y1) = (coordinate(top), coordinate(bottom))
        return .element(
            "path",
            ["class": "interval \(style)", "d": "M\(x0) \(y0)H\(x1)M\(coordinate(x)) \(y0)V\(y1)M\(x0) \(y1)H\(x1)"])
    }
}

/// A group of shapes that says what it is when pointed at.
func labelled(_ name: String, _ shapes: Markup...) -> Markup {
    .element("g", [:], .element("title", [:], Markup(name)), shapes.joined())
}
