/// The paper that a `TokenPicture` is drawn on, filled from top to bottom.
struct TokenSheet {
    /// How a line of text looks.
    enum Weight {
        case strong, soft
    }

    private let columns: Int
    /// Drawn one above the other: boxes, tints of tokens, everything else.
    private var boxes = ""
    private var tints: [TokenPicture.Origin: String] = [:]
    private var content = Markup()
    private var row = 0
    /// Where the next line begins.
    private var y = TokenSheet.padding

    /// Width of a column in units of the picture: 0.6 of the font's size, as monospaced fonts have it.
    private static let advance = 9.6
    private static let smallAdvance = 7.8
    private static let lineHeight = 28.0
    private static let smallHeight = 22.0
    private static let padding = 20.0
    private static let baseline = 19.0
    private static let radius = 5.0

    /// An empty sheet for so many columns of text.
    init(columns: Int) { self.columns = columns }

    private var textWidth: Double { Double(columns) * Self.advance }

    private static func place(_ column: Int) -> Double { padding + Double(column) * advance }

    // MARK: Tokens

    /// Adds a line of tokens.
    /// - Parameter boxes: ends of the steps' boxes by step; rows are counted by this sheet's calls.
    mutating func add(_ line: [TokenLayout.Cell], _ tokens: [TokenPicture.Token], boxes ends: [Int: StepBox]) {
        for part in line.parts(by: { $0.token < 0 ? nil : tokens[$0.token].step }) {
            guard let first = part.first, first.token >= 0, let step = tokens[first.token].step, let end = ends[step]
            else { continue }
            let isFirst = end.first == (row, first.column)
            let isLast = part.contains { end.last == (row, $0.column) }
            boxes += Self.box(
                Self.place(first.column) + 1.2, Self.place(part.endColumn) - 1.2, y + 2, y + 26,
                isFirst ? Self.radius : 0, isLast ? Self.radius : 0)
        }
        for part in line.parts(by: \.token) {
            let token = part.first.flatMap { $0.token < 0 ? nil : tokens[$0.token] }
            mark(part, token)
            write(part, token)
        }
        y += Self.lineHeight
        row += 1
    }

    /// Tint and underline of a token, as far as it stands in a line.
    private mutating func mark(_ part: ArraySlice<TokenLayout.Cell>, _ token: TokenPicture.Token?) {
        guard let token, let first = part.first, token.origin != .own || token.replacesDraft else { return }
        let (left, right) = (Self.place(first.column) + 2, Self.place(part.endColumn) - 2)
        if token.origin != .own {
            tints[token.origin, default: ""] += Self.box(left, right, y + 3, y + 25, 3.6, 3.6)
        }
        content += Self.underline(token, left, right, y + Self.baseline)
    }

    private static func underline(
        _ token: TokenPicture.Token, _ left: Double, _ right: Double, _ baseline: Double
    ) -> Markup {
        func line(_ style: String, _ below: Double) -> Markup {
            ChartFrame.line(style, left + 1, baseline + below, right - 1, baseline + below)
        }
        switch token.origin {
        case .own: return line("mark wrong", 4)
        case .module: return line("mark module", 4)
        case .lookup: return line("mark lookup", 2.7) + line("mark lookup", 5.2)
        case .prediction: return line("mark prediction", 4)
        }
    }

    /// The characters, in runs that keep their places whatever the font.
    private mutating func write(_ part: ArraySlice<TokenLayout.Cell>, _ token: TokenPicture.Token?) {
        let style = token?.origin.rawValue ?? "prompt"
        // What is wider than a column stands alone: a run is stretched as a whole.
        for run in part.parts(by: { $0.kind == .ink ? $0.width == 1 ? -1 : $0.column : nil }) {
            guard let first = run.first, first.kind != .blank else { continue }
            if first.kind == .lineEnd {
                if token != nil { content += Self.lineEnd(style, Self.place(first.column), y + Self.baseline) }
                continue
            }
            content += Self.text(
                run.map(\.text).joined(), style, x: Self.place(first.column), y: y + Self.baseline,
                width: Double(run.endColumn - first.column) * Self.advance)
        }
    }

    private static func lineEnd(_ style: String, _ x: Double, _ y: Double) -> Markup {
        .element(
            "path",
            [
                "class": "end \(style)",
                "d": "M\(coordinate(x + 7)) \(coordinate(y - 9))v5.5h-4.6m2.3-2.3l-2.3 2.3l2.3 2.3",
            ])
    }

    // MARK: Words

    /// Adds a line of text in the tokens' size.
    mutating func addLine(_ text: String, _ weight: Weight) {
        let text = text.standing
        let style = weight == .strong ? "strong" : "soft"
        content += Self.text(
            text, style, x: Self.padding, y: y + Self.baseline, width: Double(text.displayWidth) * Self.advance)
        y += Self.lineHeight - 2
    }

    /// Adds a line between the text and what is said of it.
    mutating func addRule() {
        content += ChartFrame.line("rule", Self.padding, y + 10, Self.padding + textWidth, y + 10)
        y += 18
    }

    /// Adds text in small letters, in as many lines as it needs.
    mutating func addSmall(_ text: String) {
        for line in text.printable.wrapped(toWidth: Int(textWidth / Self.smallAdvance)) {
            addSmall(line, x: Self.padding)
            y += Self.smallHeight
        }
    }

    private mutating func addSmall(_ line: String, x: Double) {
        let line = line.standing
        content += Self.text(
            line, "small soft", x: x, y: y + 15, width: Double(line.displayWidth) * Self.smallAdvance)
    }

    /// Adds the entries of a legend, as many in a line as there is room for.
    mutating func add(_ legend: [TokenPicture.Entry]) {
        guard !legend.isEmpty else { return }
        y += 4
        var x = Self.padding
        for entry in legend {
            let text = entry.text.printable
            let width = 31 + Double(text.displayWidth) * Self.smallAdvance
            if x > Self.padding && x + width > Self.padding + textWidth {
                (x, y) = (Self.padding, y + Self.smallHeight)
            }
            draw(entry.mark, x)
            addSmall(text, x: x + 31)
            x += width + 20
        }
        y += Self.smallHeight + 4
    }

    private mutating func draw(_ mark: TokenPicture.Entry.Mark, _ x: Double) {
        let token: TokenPicture.Token =
            switch mark {
            case .origin(let origin): .init("", origin, step: 0)
            case .replacesDraft: .init("", .own, step: 0, replacesDraft: true)
            }
        boxes += Self.box(x, x + 24, y + 1, y + 20, Self.radius, Self.radius)
        if token.origin != .own {
            tints[token.origin, default: ""] += Self.box(x + 1.1, x + 22.9, y + 2.2, y + 18.8, 3.4, 3.4)
        }
        if token.origin != .own || token.replacesDraft { content += Self.underline(token, x + 3, x + 21, y + 11) }
    }

    // MARK: The file

    /// The whole picture.
    func rendered(title: String, description: String) -> String {
        let (width, height) = (coordinate(textWidth + 2 * Self.padding), coordinate(y + Self.padding - 6))
        let page = Markup.element(
            "rect",
            [
                "class": "page", "x": "0.5", "y": "0.5", "width": coordinate(textWidth + 2 * Self.padding - 1),
                "height": coordinate(y + Self.padding - 7), "rx": "8",
            ])
        var tinted = Markup()
        for origin in TokenPicture.Origin.allCases {
            guard let path = tints[origin] else { continue }
            tinted += .element("path", ["class": "tint \(origin.rawValue)", "d": path])
        }
        let drawing = Markup.element(
            "svg",
            [
                "xmlns": "http://www.w3.org/2000/svg", "viewBox": "0 0 \(width) \(height)", "width": width,
                "height": height, "role": "img", "aria-labelledby": "title",
            ], .element("title", ["id": "title"], Markup(title)), .element("desc", [:], Markup(description)),
            .style(tokenStyleSheet), page, boxes.isEmpty ? Markup() : .element("path", ["class": "box", "d": boxes]),
            tinted, content)
        return drawing.source + "\n"
    }

    /// Text that takes exactly so much room.
    private static func text(_ text: String, _ style: String, x: Double, y: Double, width: Double) -> Markup {
        .element(
            "text",
            [
                "class": style, "x": coordinate(x), "y": coordinate(y),
                "textLength": coordinate(width), "lengthAdjust": "spacingAndGlyphs",
            ], Markup(text))
    }

    /// A rectangle with round corners on either side.
    private static func box(
        _ left: Double, _ right: Double, _ top: Double, _ bottom: Double, _ leftRadius: Double, _ rightRadius: Double
    ) -> String {
        // A box of one column has room for no more.
        let most = (right - left) / 2
        let (leftRadius, rightRadius) = (min(leftRadius, most), min(rightRadius, most))
        let (l, r) = (coordinate(leftRadius), coordinate(rightRadius))
        return "M\(coordinate(left + leftRadius)) \(coordinate(top))H\(coordinate(right - rightRadius))"
            + "a\(r) \(r) 0 0 1 \(r) \(r)V\(coordinate(bottom - rightRadius))a\(r) \(r) 0 0 1-\(r) \(r)"
            + "H\(coordinate(left + leftRadius))a\(l) \(l) 0 0 1-\(l)-\(l)V\(coordinate(top + leftRadius))"
            + "a\(l) \(l) 0 0 1 \(l)-\(l)z"
    }
}

extension Array<TokenLayout.Cell> {
    /// Cells side by side that have the same key, in order.
    fileprivate func parts<Key: Equatable>(by key: (Element) -> Key) -> [ArraySlice<Element>] {
        self[...].parts(by: key)
    }
}

extension ArraySlice<TokenLayout.Cell> {
    fileprivate func parts<Key: Equatable>(by key: (Element) -> Key) -> [ArraySlice<Element>] {
        var parts: [ArraySlice<Element>] = []
        var start = startIndex
        for index in indices where index > start && key(self[index]) != key(self[start]) {
            parts.append(self[start..<index])
            start = index
        }
        if start < endIndex { parts.append(self[start...]) }
        return parts
    }

    /// The column behind the last one.
    fileprivate var endColumn: Int { last.map { $0.column + $0.width } ?? 0 }
}

extension String {
    /// The text; an accent that it begins with gets a circle to stand on, since it would join what comes before the text.
    var standing: String { prefix(1).displayWidth == 0 && !isEmpty ? "\u{25CC}" + self : self }
}
