/// Tokens set in lines of a fixed number of columns, as on a terminal: lines break at blanks, and inside a word only where
/// that is longer than half a line.
struct TokenLayout {
    /// A character, or what stands for it.
    struct Cell {
        enum Kind {
            case ink, blank, lineEnd
        }

        let text: String
        let kind: Kind
        /// Columns.
        var width: Int
        /// Place of its token; -1 for the prompt.
        let token: Int
        /// Where it begins in its line, from 0.
        var column = 0
    }

    /// Lines from top to bottom; a line end takes one column, also beyond the last.
    private(set) var lines: [[Cell]] = []
    /// Whether text of the prompt is missing before the first line.
    private(set) var isPromptCut = false
    /// Tokens behind the last line.
    private(set) var missing = 0

    private let limit: Int
    private var line: [Cell] = []
    private var column = 0

    private static let tabStop = 4
    /// Lines of the prompt that are wholly shown, before the one that the answer begins in.
    private static let promptLines = 1
    /// Characters of the prompt's end that are looked at.
    private static let promptCharacters = 2000

    /// Sets a prompt's end and what follows it.
    /// - Parameters:
    ///   - limit: columns of a line, at least 16.
    ///   - most: lines at most, at least 4.
    init(prompt: String, tokens: [String], limit: Int, most: Int) {
        precondition(limit >= 16 && most >= 4, "an escaped character and the prompt need room")
        self.limit = limit
        let end = prompt.suffix(Self.promptCharacters)
        for cell in Self.cells(end, token: -1) { add(cell) }
        isPromptCut = end.startIndex > prompt.startIndex || lines.count > Self.promptLines
        lines = lines.suffix(Self.promptLines)
        var isCut = false
        for (index, token) in tokens.enumerated() {
            for cell in Self.cells(token, token: index) {
                isCut = isCut || lines.count >= most
                if !isCut { add(cell) }
            }
            if isCut { break }
        }
        if !line.isEmpty {
            if lines.count < most { endLine() } else { isCut = true }
        }
        guard isCut else { return }
        let last = lines.joined().last { $0.kind != .blank }?.token ?? -1
        missing = tokens.indices.count { $0 > last && !tokens[$0].isEmpty }
    }

    /// Columns of the widest line.
    var width: Int { lines.map { ($0.last?.column ?? 0) + ($0.last?.width ?? 0) }.max() ?? 0 }

    // MARK: Lines

    private mutating func add(_ cell: Cell) {
        var cell = cell
        if cell.text == "\t" { cell.width = Self.tabStop - column % Self.tabStop }
        if cell.kind == .lineEnd {
            append(cell)
            return endLine()
        }
        if column + cell.width > limit {
            // A blank between two lines is not seen.
            if cell.kind == .blank { return endLine() }
            breakLine()
        }
        append(cell)
    }

    private mutating func append(_ cell: Cell) {
        line.append(cell)
        line[line.count - 1].column = column
        column += cell.width
    }

    private mutating func endLine() {
        lines.append(line)
        (line, column) = ([], 0)
    }

    /// Ends the line before its last word, which begins the next one.
    private mutating func breakLine() {
        let start = (line.lastIndex { $0.kind == .blank } ?? -1) + 1
        let word = line[start...]
        let isWord = word.reduce(0) { $0 + $1.width } <= limit / 2 && line[..<start].contains { $0.kind == .ink }
        if isWord {
            line.removeSubrange(start...)
            // Nor is the blank that a token begins with.
            if line.last?.kind == .blank && line.last?.token == word.first?.token { line.removeLast() }
        }
        endLine()
        if isWord { for cell in word { append(cell) } }
    }

    // MARK: Characters

    /// A text's characters. Those that could disturb the picture are spelled out, as everywhere (see `printable`).
    private static func cells(_ text: some StringProtocol, token: Int) -> [Cell] {
        var cells: [Cell] = []
        for character in text {
            switch character {
            case "\n", "\r\n": cells.append(Cell(text: "", kind: .lineEnd, width: 1, token: token))
            case " ", "\u{A0}": cells.append(Cell(text: " ", kind: .blank, width: 1, token: token))
            case "\t": cells.append(Cell(text: "\t", kind: .blank, width: tabStop, token: token))
            default:
                let scalars = character.unicodeScalars
                let parts =
                    scalars.contains(where: \.isDisruptive) || scalars.count > mostScalars
                    ? scalars.map(\.printable) : [String(character)]
                for part in parts {
                    let text = part.standing
                    cells.append(Cell(text: text, kind: .ink, width: text.displayWidth, token: token))
                }
            }
        }
        return cells
    }

    /// Scalars that a character is drawn of as one; accents heaped on accents would cover the lines above.
    private static let mostScalars = 8
}
