/// Something drawn: an SVG picture, with a legend where it needs one.
public protocol Chart: Sendable {
    /// What it shows, in a few words.
    var title: String { get }
    /// What can be seen in it, for those who cannot see it.
    var summary: String { get }
    /// The legend and the picture, for a page with `ReportPage`'s style sheet.
    /// - Parameter id: names the picture; unique in its page.
    func drawn(id: String) -> Markup
}

/// How a series looks: a colour of the page's palette, and a form for those who cannot tell colours apart.
package struct SeriesStyle {
    /// Series beyond the palette begin again with other dashes.
    let index: Int
    /// Drawn in the colour of text and thicker: the series that sums up the others.
    let isSummary: Bool

    package init(index: Int, isSummary: Bool) {
        self.index = index
        self.isSummary = isSummary
    }

    static let colors = 8
    private static let dashes = [nil, "7 3", "2 3", "9 3 2 3"]

    /// Class names for shapes of this series.
    var colorClass: String { isSummary ? "sum" : "s\(index % Self.colors)" }

    /// SVG's dash pattern; none for a solid line.
    package var dash: String? { isSummary ? nil : Self.dashes[(index + index / Self.colors) % Self.dashes.count] }

    /// A marker at a place, about eight units wide.
    package func marker(_ x: Double, _ y: Double) -> Markup {
        let shapes = [
            "m-4 0a4 4 0 1 0 8 0a4 4 0 1 0-8 0z", "m-3.6-3.6h7.2v7.2h-7.2z", "m0-4.8l4.6 8h-9.2z",
            "m0-5l5 5l-5 5l-5-5z",
            "m0 4.8l4.6-8h-9.2z", "m-1.5-4.5h3v3h3v3h-3v3h-3v-3h-3v-3h3z",
        ]
        let shape = isSummary ? shapes[0] : shapes[index % shapes.count]
        return .element("path", ["class": "mark \(colorClass)", "d": "M\(coordinate(x)) \(coordinate(y))\(shape)"])
    }

    /// A line of this series.
    func line(_ path: String) -> Markup {
        .element("path", ["class": "line \(colorClass)", "d": path, "stroke-dasharray": dash])
    }
}

/// What stands beside a chart to explain its marks.
struct Legend {
    private var entries = Markup()

    var isEmpty: Bool { entries == Markup() }

    /// Adds an entry.
    /// - Parameters:
    ///   - name: what the mark stands for.
    ///   - swatch: the mark, drawn into a box of 26 × 12 units.
    mutating func add(_ name: String, swatch: Markup) {
        let picture = Markup.element(
            "svg", ["class": "swatch", "viewBox": "0 0 26 12", "width": "26", "height": "12", "aria-hidden": "true"],
            swatch)
        entries += .element("li", [:], picture, .element("span", [:], Markup(words: name)))
    }

    /// Adds the entry of a reference line.
    mutating func addReference(_ name: String, style: String = "reference") {
        add(name, swatch: .element("line", ["class": style, "x1": "0", "y1": "6", "x2": "26", "y2": "6"]))
    }

    var drawn: Markup { isEmpty ? Markup() : .element("ul", ["class": "legend"], entries) }
}

/// A length or place in a picture, to a tenth of a unit.
func coordinate(_ value: Double) -> String {
    // Programs read it, and know no other minus sign.
    let text = Format.fixed(abs(value), 1)
    let short = text.hasSuffix(".0") ? String(text.dropLast(2)) : text
    return value < 0 && short != "0" ? "-" + short : short
}
