import ForetokenReport

/// A terminal's screen as far as this program writes to one: rows of cells, a cursor, and the sequences that move it.
struct ScreenModel {
    let columns: Int
    let lines: Int
    /// The rows on the screen; the second cell of a wide character is empty.
    private(set) var cells: [[String]]
    private(set) var row = 0
    private(set) var column = 0
    /// Sequences that this screen does not know.
    private(set) var unknown: [String] = []
    private var pending: [Unicode.Scalar] = []

    init(columns: Int, lines: Int) {
        (self.columns, self.lines) = (columns, lines)
        cells = Array(repeating: Array(repeating: " ", count: columns), count: lines)
    }

    /// The screen's rows without blanks at their ends, and without empty rows at the bottom.
    var text: String {
        var rows = cells.map { row in
            String(row.joined().reversed().drop { $0 == " " }.reversed())
        }
        while rows.last == "" { rows.removeLast() }
        return rows.joined(separator: "\n")
    }

    mutating func write(_ text: String) {
        for scalar in text.unicodeScalars {
            if !pending.isEmpty {
                pending.append(scalar)
                finishSequence()
            } else {
                take(scalar)
            }
        }
    }

    private mutating func take(_ scalar: Unicode.Scalar) {
        switch scalar {
        case "\u{1B}": pending = [scalar]
        case "\r": column = 0
        case "\n": lineFeed()
        case "\u{7}": break
        default:
            let width = String(scalar).displayWidth
            guard width > 0 else {
                if column > 0 { cells[row][column - 1].unicodeScalars.append(scalar) }
                return
            }
            if column + width > columns {
                column = 0
                lineFeed()
            }
            cells[row][column] = String(scalar)
            if width == 2 { cells[row][column + 1] = "" }
            column += width
        }
    }

    private mutating func lineFeed() {
        if row + 1 < lines {
            row += 1
        } else {
            cells.removeFirst()
            cells.append(Array(repeating: " ", count: columns))
        }
    }

    private mutating func finishSequence() {
        guard pending.count > 1 else { return }
        guard pending[1] == "[" else {
            unknown.append(String(String.UnicodeScalarView(pending)))
            pending = []
            return
        }
        guard pending.count > 2, let final = pending.last, (0x40...0x7E).contains(final.value) else { return }
        let body = String(String.UnicodeScalarView(pending[2..<pending.count - 1]))
        pending = []
        let number = Int(body.split(separator: ";").first ?? "") ?? 0
        switch final {
        case "A": row = max(0, row - max(1, number))
        case "C": column = min(columns - 1, column + max(1, number))
        case "H": (row, column) = (0, 0)
        case "K": erase(row, from: column)
        case "J":
            if number == 0 { erase(row, from: min(column, columns)) }
            for other in number == 2 ? 0..<lines : row + 1..<max(lines, row + 1) { erase(other, from: 0) }
        case "m", "h", "l": break
        default: unknown.append(body + String(final))
        }
    }

    private mutating func erase(_ row: Int, from column: Int) {
        for index in column..<columns { cells[row][index] = " " }
    }
}
