import ForetokenReport

/// Where the characters of a message stand on a terminal, and what moves the terminal from one picture to the next. No row
/// reaches the last column, since terminals differ in what they do there.
package struct EditorScreen {
    /// A message as rows.
    struct Picture {
        /// Without line ends.
        var rows: [String]
        var widths: [Int]
        var cursorRow: Int
        var cursorColumn: Int
    }

    private let terminal: Terminal
    /// Columns of the terminal, and rows.
    private var columns: Int
    private var lines: Int
    /// Of the rows that are on the terminal.
    private var drawn = Picture(rows: [""], widths: [0], cursorRow: 0, cursorColumn: 0)

    private static let prompt = "> "
    /// Before further lines of a message.
    private static let continuation = "… "
    /// Narrower terminals have no room for either.
    private static let narrowest = 8

    /// - Parameters:
    ///   - terminal: what may be shown; its width is that of the beginning.
    ///   - lines: rows of the terminal.
    package init(terminal: Terminal, lines: Int) {
        self.terminal = terminal
        columns = terminal.width
        self.lines = lines
    }

    /// Takes a new size; what was drawn has been wrapped anew by then, as most terminals do.
    package mutating func resize(columns: Int, lines: Int) {
        self.lines = lines
        guard columns != self.columns, columns > 0 else { return }
        self.columns = columns
        let above = drawn.widths[..<drawn.cursorRow].reduce(0) { $0 + max(1, ($1 + columns - 1) / columns) }
        drawn.cursorRow = above + drawn.cursorColumn / columns
        drawn.widths = []
    }

    /// The cursor is at the start of an empty row.
    package mutating func begin() { drawn = Picture(rows: [""], widths: [0], cursorRow: 0, cursorColumn: 0) }

    /// What shows the message in place of what was shown before.
    /// - Parameter isFinal: whether all rows are shown, however many, with the cursor behind them.
    package mutating func drawing(_ editor: LineEditor, isFinal: Bool = false) -> String {
        let label = Array(editor.label)
        return drawing(
            label + editor.characters, cursor: isFinal ? editor.characters.count : label.count + editor.cursor,
            isFinal: isFinal)
    }

    /// The same for any characters.
    package mutating func drawing(_ characters: [Character], cursor: Int, isFinal: Bool) -> String {
        var picture = picture(characters, cursor: cursor)
        let most = max(1, lines - 1)
        if !isFinal && picture.rows.count > most {
            // A window around the cursor: rows that have left the screen cannot be drawn again.
            let start = min(max(0, picture.cursorRow - most / 2), picture.rows.count - most)
            picture.rows = Array(picture.rows[start..<start + most])
            picture.widths = Array(picture.widths[start..<start + most])
            picture.cursorRow -= start
        }
        var text = "\r" + Self.up(drawn.cursorRow) + "\u{1B}[J"
        text += picture.rows.joined(separator: "\r\n")
        text += Self.up(picture.rows.count - 1 - picture.cursorRow) + "\r"
        if picture.cursorColumn > 0 { text += "\u{1B}[\(picture.cursorColumn)C" }
        drawn = picture
        return text
    }

    /// An empty terminal with the message at its top.
    package mutating func cleared(_ editor: LineEditor) -> String {
        begin()
        return "\u{1B}[H\u{1B}[2J" + drawing(editor)
    }

    private static func up(_ rows: Int) -> String { rows > 0 ? "\u{1B}[\(rows)A" : "" }

    private func picture(_ characters: [Character], cursor: Int) -> Picture {
        let room = max(2, columns - 1)
        let hasPrompt = columns >= Self.narrowest
        func start(_ mark: String) -> (text: String, width: Int) {
            hasPrompt ? (terminal.styled(mark, .cyan), mark.displayWidth) : ("", 0)
        }
        var (row, width) = start(Self.prompt)
        var picture = Picture(rows: [], widths: [], cursorRow: 0, cursorColumn: width)
        func finish() {
            picture.rows.append(row)
            picture.widths.append(width)
        }
        for (index, character) in characters.enumerated() {
            let shown = character == "\t" ? String(repeating: " ", count: min(4, room)) : Self.shown(character)
            let isWrapped = character != "\n" && width + shown.displayWidth > room && width > 0
            if isWrapped {
                finish()
                (row, width) = ("", 0)
            }
            if index == cursor { (picture.cursorRow, picture.cursorColumn) = (picture.rows.count, width) }
            if character == "\n" {
                finish()
                (row, width) = start(Self.continuation)
            } else {
                row += shown
                width += shown.displayWidth
            }
        }
        if cursor >= characters.count { (picture.cursorRow, picture.cursorColumn) = (picture.rows.count, width) }
        finish()
        return picture
    }

    /// A character as it can be drawn: `^A` for what steers, nothing for what joins others.
    private static func shown(_ character: Character) -> String {
        let scalars = character.unicodeScalars
        guard scalars.contains(where: \.isDisruptive) else { return String(character) }
        let visible = scalars.filter { !$0.isDisruptive }
        guard visible.isEmpty, let first = scalars.first else { return String(String.UnicodeScalarView(visible)) }
        return first.value < 0x20 ? "^\(Unicode.Scalar(UInt8(first.value) + 0x40))" : "\u{FFFD}"
    }
}
