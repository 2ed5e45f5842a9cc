/// A plain table: a header, a rule, aligned columns two spaces apart. Where a line is too long for the terminal, titles take
/// several lines first, then the words of the last column; then columns are left out, which a line below tells; and only
/// when two are left are labels wrapped.
public struct Table: Sendable {
    /// A column's title and where its cells stand.
    public struct Column: Sendable {
        let title: String
        let alignment: Alignment
        let rank: Int

        /// A column; numbers are best aligned right.
        /// - Parameter rank: which columns are left out first on a narrow terminal: those of the highest rank, and of the same
        ///   rank the one on the right. The first column always stays.
        public init(_ title: String, _ alignment: Alignment = .left, rank: Int = 0) {
            self.title = title.printable
            self.alignment = alignment
            self.rank = rank
        }
    }

    private let columns: [Column]
    private var rows: [[String]] = []

    private static let gap = 2
    private static let narrowest = 8
    /// Columns that words of a cell are wrapped to at least.
    private static let narrowestProse = 14

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
        let layout = layout(terminal.isInteractive ? terminal.width : Int.max)
        var text = ""
        if columns.contains(where: { !$0.title.isEmpty }) {
            for line in lines(of: columns.map(\.title), layout, fromBottom: true) {
                text += terminal.styled(line, .bold) + "\n"
            }
            let rules = columns.indices.map { String(repeating: "─", count: layout.widths[$0]) }
            // Nobody wants to hear a rule.
            if !terminal.isPlain {
                for line in lines(of: rules, layout) { text += terminal.styled(line, .dim) + "\n" }
            }
        }
        for row in rows { for line in lines(of: row, layout) { text += line + "\n" } }
        let missing = columns.indices.filter { !layout.shown.contains($0) }.map { columns[$0].title }
        var names: [String] = []
        for title in missing where !title.isEmpty && !names.contains(title) { names.append(title) }
        guard !names.isEmpty else { return text }
        return text + terminal.prose("no room here for: " + names.joined(separator: ", "), .dim)
    }

    // MARK: Widths

    private struct Layout {
        /// Columns that are shown, in order.
        var shown: [Int]
        /// Of all columns.
        var widths: [Int]

        var total: Int { shown.reduce(0) { $0 + widths[$1] } + Table.gap * max(0, shown.count - 1) }
    }

    private func layout(_ limit: Int) -> Layout {
        let cells = columns.indices.map { column in rows.reduce(0) { max($0, $1[column].displayWidth) } }
        let whole = columns.indices.map { max(cells[$0], columns[$0].title.displayWidth) }
        // What has neither title nor cells takes no room on a narrow terminal.
        let filled = columns.indices.filter { whole[$0] > 0 || $0 == 0 }
        var layout = Layout(shown: Array(columns.indices), widths: whole)
        if layout.total > limit { layout.shown = filled }
        while true {
            fit(&layout, cells, limit)
            guard layout.total > limit, layout.shown.count > 2, let next = nextToLeaveOut(layout.shown) else { break }
            layout = Layout(shown: layout.shown.filter { $0 != next }, widths: whole)
        }
        while layout.total > limit {
            let flexible = layout.shown.filter {
                columns[$0].alignment == .left && layout.widths[$0] > Self.narrowest
            }
            guard let widest = flexible.max(by: { layout.widths[$0] < layout.widths[$1] }) else { break }
            layout.widths[widest] -= 1
        }
        return layout
    }

    /// Lets titles, and then words of the last column, take several lines, as far as that is needed.
    private func fit(_ layout: inout Layout, _ cells: [Int], _ limit: Int) {
        while layout.total > limit {
            // Only as narrow as the title's longest word.
            let reducible = layout.shown.filter { column in
                let words = columns[column].title.split(separator: " ").map(\.displayWidth)
                return layout.widths[column] > max(cells[column], words.max() ?? 0)
            }
            guard let widest = reducible.max(by: { layout.widths[$0] < layout.widths[$1] }) else { break }
            layout.widths[widest] -= 1
        }
        guard layout.total > limit, layout.shown.count > 1, let last = layout.shown.last,
            columns[last].alignment == .left
        else { return }
        let room = layout.widths[last] - (layout.total - limit)
        guard room >= Self.narrowestProse else { return }
        layout.widths[last] = room
    }

    private func nextToLeaveOut(_ shown: [Int]) -> Int? {
        shown.dropFirst().max { (columns[$0].rank, $0) < (columns[$1].rank, $1) }
    }

    // MARK: Lines

    /// A row's lines: more than one where a cell is wrapped.
    /// - Parameter fromBottom: whether cells of fewer lines stand at the bottom, as titles do.
    private func lines(of cells: [String], _ layout: Layout, fromBottom: Bool = false) -> [String] {
        let pieces = layout.shown.map { column -> [String] in
            let (cell, width) = (cells[column], layout.widths[column])
            guard cell.displayWidth > width else { return [cell] }
            return columns[column].alignment == .left || fromBottom
                ? cell.wrapped(toWidth: width) : [cell.truncated(toWidth: width)]
        }
        let height = pieces.map(\.count).max() ?? 1
        return (0..<height).map { line in
            let padded = zip(layout.shown, pieces).map { column, pieces in
                let index = fromBottom ? line - (height - pieces.count) : line
                return (pieces.indices.contains(index) ? pieces[index] : "").padded(
                    toWidth: layout.widths[column], alignment: columns[column].alignment)
            }
            let joined = padded.joined(separator: String(repeating: " ", count: Self.gap))
            return String(joined.reversed().drop { $0 == " " }.reversed())
        }
    }
}

extension Terminal {
    /// Prose in lines that fit, each with a line end; in one line where nobody looks on.
    /// - Parameters:
    ///   - indent: blanks before all lines but the first.
    ///   - keepsWords: as that of `wrapped`.
    public func prose(
        _ text: String, _ style: Style? = nil, indent: Int = 0, keepsWords: Bool = false
    ) -> String {
        let blanks = String(repeating: " ", count: indent)
        let lines = isInteractive ? text.wrapped(toWidth: width - indent, keepsWords: keepsWords) : [text]
        return lines.enumerated().map { index, line in
            (index == 0 ? "" : blanks) + (style.map { styled(line, $0) } ?? line) + "\n"
        }.joined()
    }

    /// The text with lines that are too long wrapped at words; as it is where nobody looks on.
    public func fitted(_ text: String) -> String {
        guard isInteractive else { return text }
        return text.split(separator: "\n", omittingEmptySubsequences: false).map { line in
            line.displayWidth > width
                ? line.wrapped(toWidth: width, keepsWords: true).joined(separator: "\n") : String(line)
        }.joined(separator: "\n")
    }

    /// A table below its title and above what is to be said of it.
    public func titled(_ title: String, _ table: Table, _ note: String? = nil) -> String {
        prose(title, .bold) + table.rendered(on: self) + (note.map { prose($0, .dim) } ?? "")
    }
}
