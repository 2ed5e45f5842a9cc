extension StringProtocol {
    /// Columns the text takes on a terminal: 2 for wide East Asian characters and emoji, 0 for combining marks, control
    /// characters and colour sequences.
    public var displayWidth: Int {
        var width = 0
        var isInEscape = false
        for scalar in unicodeScalars {
            if isInEscape {
                // A colour sequence ends with its first letter.
                isInEscape = !scalar.properties.isAlphabetic
            } else if scalar == "\u{1B}" {
                isInEscape = true
            } else {
                width += scalar.displayWidth
            }
        }
        return width
    }

    /// The text, cut to at most so many columns; a cut is marked with an ellipsis. For text without colour.
    public func truncated(toWidth limit: Int) -> String {
        guard displayWidth > limit else { return String(self) }
        var result = ""
        var width = 0
        for character in self {
            let next = String(character).displayWidth
            if width + next > limit - 1 { break }
            width += next
            result.append(character)
        }
        return limit > 0 ? result + "…" : ""
    }

    /// The text with spaces after it (or before, for numbers) up to so many columns.
    public func padded(toWidth width: Int, alignment: Alignment = .left) -> String {
        let padding = String(repeating: " ", count: Swift.max(0, width - displayWidth))
        return alignment == .left ? self + padding : padding + self
    }

    /// The text in lines of at most so many columns, broken at spaces, and inside a word only where it is longer than a line.
    /// For text without colour.
    /// - Parameter keepsWords: whether words longer than a line stay whole, which terminals wrap themselves, and what is
    ///   between backquotes is one word: paths and commands, to be copied.
    public func wrapped(toWidth width: Int, keepsWords: Bool = false) -> [String] {
        let width = Swift.max(1, width)
        var lines: [String] = []
        var line = ""
        for var word in words(quoted: keepsWords) {
            if !line.isEmpty && line.displayWidth + 1 + word.displayWidth <= width {
                line += " " + word
                continue
            }
            if !line.isEmpty { lines.append(line) }
            while !keepsWords && word.displayWidth > width {
                let head = word.head(ofWidth: width)
                lines.append(head)
                word = String(word.dropFirst(head.count))
            }
            line = word
        }
        return lines + [line]
    }

    /// What is between spaces; those at the start belong to the first word.
    /// - Parameter quoted: whether spaces between backquotes separate nothing.
    private func words(quoted: Bool) -> [String] {
        let start = String(prefix { $0 == " " })
        var words: [String] = []
        var (isOpen, marks) = (false, count { $0 == "`" })
        // The last of an odd number opens nothing.
        if marks % 2 == 1 { marks -= 1 }
        for part in dropFirst(start.count).split(separator: " ", omittingEmptySubsequences: false) {
            if isOpen {
                words[words.count - 1] += " " + part
            } else {
                words.append((words.isEmpty ? start : "") + part)
            }
            let here = Swift.min(marks, part.count { $0 == "`" })
            marks -= here
            if quoted && here % 2 == 1 { isOpen.toggle() }
        }
        return words
    }

    /// The longest beginning of at most so many columns, but one character at least.
    private func head(ofWidth width: Int) -> String {
        var (result, room) = ("", width)
        for character in self {
            room -= String(character).displayWidth
            if room < 0 && !result.isEmpty { break }
            result.append(character)
        }
        return result
    }
}

/// Where a cell's text stands.
public enum Alignment: Sendable {
    /// Words.
    case left
    /// Numbers.
    case right
}

extension Unicode.Scalar {
    fileprivate var displayWidth: Int {
        switch properties.generalCategory {
        case .control, .format, .nonspacingMark, .enclosingMark, .surrogate: return 0
        default: return Self.wide.contains { $0.contains(value) } ? 2 : 1
        }
    }

    /// The large blocks of Unicode's East_Asian_Width W and F.
    private static let wide: [ClosedRange<UInt32>] = [
        0x1100...0x115F, 0x2E80...0x303E, 0x3041...0xA4CF, 0xAC00...0xD7A3, 0xF900...0xFAFF, 0xFE30...0xFE6F,
        0xFF00...0xFF60, 0xFFE0...0xFFE6, 0x1F300...0x1F64F, 0x1F680...0x1F6FF, 0x1F900...0x1F9FF, 0x20000...0x3FFFD,
    ]
}
