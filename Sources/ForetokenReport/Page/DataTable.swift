/// A table of a page: a caption, a header, and rows whose first cell names them.
public struct DataTable: Sendable {
    /// What stands in a cell.
    public struct Cell: Sendable, ExpressibleByStringLiteral, ExpressibleByStringInterpolation {
        let text: String
        let detail: String?

        /// A cell; the detail stands below the text, smaller.
        public init(_ text: String, detail: String? = nil) {
            self.text = text
            self.detail = detail
        }

        /// A cell without a detail.
        public init(stringLiteral text: String) { self.init(text) }
    }

    private let caption: String
    private let columns: [Table.Column]
    private var rows: [(cells: [Cell], isEmphasised: Bool)] = []

    /// An empty table.
    public init(_ caption: String, _ columns: [Table.Column]) {
        self.caption = caption
        self.columns = columns
    }

    /// Adds a row; missing cells are empty. An emphasised one sums up the others or is the one to look at.
    public mutating func add(_ cells: [Cell], isEmphasised: Bool = false) {
        precondition(cells.count <= columns.count, "a row has a cell for every column at most")
        rows.append((cells + Array(repeating: "", count: columns.count - cells.count), isEmphasised))
    }

    /// Whether there is anything to show.
    public var isEmpty: Bool { rows.isEmpty }

    /// Whether half of a page's width is too little for it, by a rough estimate: 8 units a character, 7 where small.
    private var isWide: Bool {
        let longestName = Self.longestWord(rows.map { $0.cells[0].text })
        let widths = columns.indices.map { column in
            let words = columns[column].title.split(separator: " ").map { $0.displayWidth * 8 }
            let cells = rows.map {
                max($0.cells[column].text.displayWidth * 8, ($0.cells[column].detail?.displayWidth ?? 0) * 7)
            }
            // The first column may take several lines.
            let most = column == 0 ? max(150, min(longestName, Markup.longestKept) * 8) : 500
            return min((words + cells).max() ?? 0, most) + 18
        }
        return widths.reduce(-18, +) > 516
    }

    var drawn: Markup {
        let head = columns.map { column in
            Markup.element("th", ["scope": "col", "class": Self.style(column)], Markup(words: column.title))
        }
        let body = rows.map { row in
            let cells = zip(columns, row.cells).enumerated().map { index, pair in
                let (column, cell) = pair
                let text = Markup(words: cell.text)
                let detail = cell.detail.map { Markup.element("small", [:], Markup(words: $0)) } ?? Markup()
                return index == 0
                    ? Markup.element(
                        "th", ["scope": "row", "class": Self.style(name: cell.text, column)], text, detail)
                    : Markup.element("td", ["class": Self.style(column)], text, detail)
            }
            return Markup.element("tr", ["class": row.isEmphasised ? "strong" : nil], cells.joined())
        }
        return .element(
            "div",
            ["class": isWide ? "table wide" : "table", "tabindex": "0", "role": "region", "aria-label": caption],
            .element(
                "table", [:], .element("caption", [:], .element("span", [:], Markup(words: caption))),
                .element("thead", [:], .element("tr", [:], head.joined())),
                .element("tbody", [:], body.joined())))
    }

    private static func style(_ column: Table.Column) -> String? { column.alignment == .right ? "number" : nil }

    /// The same for the cell that names a row: only a very long word may break anywhere.
    private static func style(name: String, _ column: Table.Column) -> String? {
        let classes = [style(column), longestWord([name]) > Markup.longestKept ? "long" : nil].compactMap(\.self)
        return classes.isEmpty ? nil : classes.joined(separator: " ")
    }

    /// Columns of the longest word.
    private static func longestWord(_ texts: [String]) -> Int {
        texts.flatMap { $0.split(separator: " ").map(\.displayWidth) }.max() ?? 0
    }
}
