/// The one rule for text that reaches a terminal or a page and may come from a file: a scalar that could move the cursor,
/// change colours, turn the writing direction, end the line or hide is written as `\u{…}`. Whoever writes applies it,
/// once; what the model says is the user's text and goes out as it is.
extension StringProtocol {
    /// The text with every such character escaped, line ends included.
    public var printable: String {
        guard unicodeScalars.contains(where: \.isDisruptive) else { return String(self) }
        return unicodeScalars.reduce(into: "") { $0 += $1.printable }
    }

    /// The same for finished tables: line ends and this program's own styles stay.
    public var printablePage: String {
        let styles = (Style.allCases.map(\.command) + [Style.end]).map(\.unicodeScalars)
        var result = ""
        var rest = Substring(self).unicodeScalars
        while let scalar = rest.popFirst() {
            if scalar == "\u{1B}", let style = styles.first(where: { rest.starts(with: $0) }) {
                result += "\u{1B}" + String(style)
                rest.removeFirst(style.count)
            } else {
                result += scalar == "\n" ? "\n" : scalar.printable
            }
        }
        return result
    }

    /// The same line by line, for our own messages of several lines.
    public var printableLines: String {
        unicodeScalars.reduce(into: "") { $0 += $1 == "\n" ? "\n" : $1.printable }
    }
}

extension Unicode.Scalar {
    /// The scalar, or its escape.
    public var printable: String {
        isDisruptive ? "\\u{" + String(value, radix: 16, uppercase: true) + "}" : String(self)
    }

    /// Control characters (C0, DEL, C1), format characters (writing direction, zero width), line and paragraph separators,
    /// unassigned code points and others without any shape. Variation selectors are kept: emoji need them.
    public var isDisruptive: Bool {
        // Printable ASCII, at once.
        if (0x20...0x7E).contains(value) { return false }
        switch properties.generalCategory {
        case .control, .format, .lineSeparator, .paragraphSeparator, .surrogate, .unassigned: return true
        default: return properties.isDefaultIgnorableCodePoint && !(0xFE00...0xFE0F).contains(value)
        }
    }
}
