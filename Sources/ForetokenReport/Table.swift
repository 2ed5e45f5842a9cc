/// A plain table: a header, a rule, aligned columns two spaces apart. When a line is too long for the terminal, the widest
/// left-aligned columns give way.
public struct Table: Sendable {
    /// A column's title and where its cells stand.
    public struct Column: Sendable {
        let title: String
        let alignment: Alignment

        /// A column; numbers are best aligned right.
        public init(_ title: String, _ alignment: Alignment = .left) {
            self.title = title.printable
            self.alignment = alignment
        }
    }

    private let columns: [Column]
    private var rows: [[String]] = []

    private static let gap = 2
    private static let narrowest = 8

    /// An empty table. Without titles there is no header.
    public init(_ columns: [Column]) { self.columns = columns }

    /// Adds a row; missing cells are empty.
    public mutating func add(_ cells: String...) { add(cells) }

    /// Adds a row; missing cells are empty. Cells may hold any text: what could steer a terminal is escaped.
    public mutating func add(_ cells: [String]) {
        precondition(cells.count <= columns.count, "a row has a cell for every column at most")
        rows.append(cells.map(\.printable) + Array(repeating: "", count: columns.count - cells.count))
    }

    /// The table's lines, each ending with a newline and none longer than the terminal, as far as that is possible.
    public func rendered(on terminal: Terminal) -> String {
        let widths = fittedWidths(terminal.isInteractive ? terminal.width : Int.max)
        var text = ""
        if columns.contains(where: { !$0.title.isEmpty }) {
            text += terminal.styled(line(columns.map(\.title), widths), .bold) + "\n"
            text += terminal.styled(line(widths.map { String(repeating: "─", count: $0) }, widths), .dim) + "\n"
        }
        for row in rows { text += line(row, widths) + "\n" }
        return text
    }

    private func fittedWidths(_ limit: Int) -> [Int] {
        var widths = columns.indices.map { column in
            rows.reduce(columns[column].title.displayWidth) { max($0, $1[column].displayWidth) }
        }
        var excess = widths.reduce(0, +) + Self.gap * (columns.count - 1) - limit
        while excess > 0 {
            let flexible = widths.indices.filter { columns[$0].alignment == .left && widths[$0] > Self.narrowest }
            guard let widest = flexible.max(by: { widths[$0] < widths[$1] }) else { break }
            widths[widest] -= 1
            excess -= 1
        }
        return widths
    }

    private func line(_ cells: [String], _ widths: [Int]) -> String {
        let padded = columns.indices.map { column in
            let cell =
                cells[column].displayWidth > widths[column]
                ? cells[column].truncated(toWidth: widths[column]) : cells[column]
            return cell.padded(toWidth: widths[column], alignment: columns[column].alignment)
        }
        let line = padded.joined(separator: String(repeating: " ", count: Self.gap))
        return String(line.reversed().drop { $0 == " " }.reversed())
    }
}
