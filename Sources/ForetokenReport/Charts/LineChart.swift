/// Series of points over a common axis.
public struct LineChart: Chart {
    /// One value, with its interval where it has one.
    public struct Point: Sendable {
        let x: Double
        let y: Double
        let interval: ClosedRange<Double>?

        /// A point; an interval whose ends cannot be drawn or are out of order is left out.
        public init(_ x: Double, _ y: Double, low: Double? = nil, high: Double? = nil) {
            self.x = x
            self.y = y
            if let low, let high, Scale.isDrawable(low), Scale.isDrawable(high), low <= high {
                interval = low...high
            } else {
                interval = nil
            }
        }

        var isDrawable: Bool { Scale.isDrawable(x) && Scale.isDrawable(y) }
    }

    /// Points that belong together, in the order of x.
    public struct Series: Sendable {
        let name: String
        let points: [Point]
        let isSummary: Bool

        /// A series; the one that sums up the others is drawn in the colour of text. Points that are not numbers are
        /// left out.
        public init(_ name: String, _ points: [Point], isSummary: Bool = false) {
            self.name = name
            self.points = points.filter(\.isDrawable)
            self.isSummary = isSummary
        }
    }

    /// A line to compare with.
    public enum Reference: Sendable {
        /// y = value.
        case horizontal(Double, String)
        /// y = slope · x + offset; it takes no part in choosing the scale.
        case sloped(Double, offset: Double, String)

        var name: String {
            switch self {
            case .horizontal(_, let name), .sloped(_, _, let name): name
            }
        }
    }

    /// What it shows, in a few words.
    public let title: String
    /// What can be seen in it, for those who cannot see it.
    public let summary: String
    private let x: Axis
    private let y: Axis
    private let series: [Series]
    private let references: [Reference]
    private let dodges: Bool

    /// A chart.
    /// - Parameters:
    ///   - title: what it shows.
    ///   - summary: what can be seen in it, for those who cannot.
    ///   - dodges: whether series are moved apart a little, so that intervals at the same x do not hide each other.
    public init(
        _ title: String, summary: String, x: Axis, y: Axis, series: [Series], references: [Reference] = [],
        dodges: Bool = false
    ) {
        self.title = title
        self.summary = summary
        self.x = x
        self.y = y
        self.series = series
        self.references = references
        self.dodges = dodges
    }

    /// The legend and the picture; `id` is unique in its page.
    public func drawn(id: String) -> Markup {
        let frame = ChartFrame(y, covering: drawnValues)
        let scale = x.scale ?? Scale(covering: series.flatMap { $0.points.map(\.x) })
        let plot = Plot(frame: frame, x: scale)
        var content = Markup()
        for tick in scale.ticks {
            let place = plot.place(x: tick)
            content += ChartFrame.line("grid", place, frame.bottom, place, frame.bottom + 5)
            content += ChartFrame.text(x.format.label(tick, step: scale.step), place, frame.bottom + 18, "label middle")
        }
        for (index, reference) in references.enumerated() { content += plot.line(reference, Self.style(index)) }
        for (index, series) in series.enumerated() { content += drawn(series, index, plot) }
        var legend = Legend()
        if series.count > 1 || !references.isEmpty {
            for (index, series) in series.enumerated() where !series.points.isEmpty {
                let style = style(series, index)
                legend.add(series.name, swatch: style.line("M0 6H26") + style.marker(13, 6))
            }
        }
        for (index, reference) in references.enumerated() {
            legend.addReference(reference.name, style: Self.style(index))
        }
        return legend.drawn + frame.picture(id: id, title: title, summary: summary, xTitle: x.title, content)
    }

    /// References take turns in two kinds of dashes.
    private static func style(_ index: Int) -> String { index % 2 == 0 ? "reference" : "reference dotted" }

    /// Everything the y axis has to hold.
    private var drawnValues: [Double] {
        var values: [Double] = []
        for point in series.flatMap(\.points) {
            values.append(point.y)
            if let interval = point.interval { values += [interval.lowerBound, interval.upperBound] }
        }
        for case .horizontal(let value, _) in references { values.append(value) }
        return values
    }

    private func style(_ series: Series, _ index: Int) -> SeriesStyle {
        // The summary's place does not use up a colour when it comes last, as it should.
        SeriesStyle(index: index, isSummary: series.isSummary)
    }

    private func drawn(_ series: Series, _ index: Int, _ plot: Plot) -> Markup {
        let style = style(series, index)
        let room = min(7, 40 / Double(max(1, self.series.count)))
        let shift = dodges ? (Double(index) - Double(self.series.count - 1) / 2) * room : 0
        let places = series.points.map { (x: plot.place(x: $0.x) + shift, y: plot.frame.place($0.y)) }
        var result = Markup()
        for (point, place) in zip(series.points, places) {
            guard let interval = point.interval, interval.upperBound > interval.lowerBound else { continue }
            result += ChartFrame.interval(
                style.colorClass, place.x, plot.frame.place(interval.upperBound),
                plot.frame.place(interval.lowerBound))
        }
        if places.count > 1 {
            result += style.line("M" + places.map { "\(coordinate($0.x)) \(coordinate($0.y))" }.joined(separator: "L"))
        }
        for (point, place) in zip(series.points, places) {
            result += labelled(label(series, point, plot.x), style.marker(place.x, place.y))
        }
        return .element("g", [:], result)
    }

    private func label(_ series: Series, _ point: Point, _ scale: Scale) -> String {
        let range = point.interval.map { " (\(y.format.text($0.lowerBound)) to \(y.format.text($0.upperBound)))" }
        return
            "\(series.name), \(x.title) \(x.format.label(point.x, step: scale.step)): \(y.format.text(point.y))\(range ?? "")"
    }

    /// The plot area with both scales.
    private struct Plot {
        let frame: ChartFrame
        let x: Scale

        func place(x value: Double) -> Double {
            frame.left + min(1, max(0, x.position(value))) * frame.plotWidth
        }

        /// A reference line, cut where it leaves the plot.
        func line(_ reference: Reference, _ style: String) -> Markup {
            switch reference {
            case .horizontal(let value, _):
                guard Scale.isDrawable(value) else { return Markup() }
                return ChartFrame.line(style, frame.left, frame.place(value), frame.right, frame.place(value))
            case .sloped(let slope, let offset, _):
                guard slope != 0, Scale.isDrawable(slope), Scale.isDrawable(offset) else { return Markup() }
                let crossings = [(frame.y.low - offset) / slope, (frame.y.high - offset) / slope].sorted()
                let (start, end) = (max(x.low, crossings[0]), min(x.high, crossings[1]))
                guard start < end else { return Markup() }
                return ChartFrame.line(
                    style, place(x: start), frame.place(slope * start + offset), place(x: end),
                    frame.place(slope * end + offset))
            }
        }
    }
}
