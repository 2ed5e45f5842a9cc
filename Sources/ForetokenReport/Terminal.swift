import Glibc

/// What the receiver of an output stream can show.
public struct Terminal: Sendable {
    /// Whether a person is looking.
    public let isInteractive: Bool
    /// Whether that person gets whole lines of plain text alone: nothing is overwritten, and words stand in for styles. So
    /// screen readers and terminals that obey no sequences miss nothing.
    public let isPlain: Bool
    /// Whether escape sequences for colour are welcome.
    public let usesColor: Bool
    /// Columns of a line.
    public let width: Int

    /// Columns where nobody says how many there are.
    public static let defaultWidth = 80

    /// For tests and for streams whose nature is known.
    public init(
        isInteractive: Bool, usesColor: Bool, width: Int = Terminal.defaultWidth, isPlain: Bool = false
    ) {
        self.isInteractive = isInteractive
        self.isPlain = isPlain
        self.usesColor = usesColor && !isPlain
        self.width = width
    }

    /// Looks at the stream behind a file descriptor; NO_COLOR (see no-color.org) switches colour off, TERM=dumb and
    /// FORETOKEN_PLAIN all but plain lines.
    ///
    /// Open MPI puts a terminal without a size between a rank and whatever its output goes to, which may be a file: that one
    /// is none.
    public init(descriptor: Int32) {
        func isSet(_ name: String) -> Bool { Self.environment(name).map { !$0.isEmpty } ?? false }
        let isPlain = Self.environment("TERM") == "dumb" || isSet("FORETOKEN_PLAIN")
        var size = winsize()
        let isKnown = ioctl(descriptor, UInt(TIOCGWINSZ), &size) == 0 && size.ws_col > 0
        let isLaunched = Self.environment("OMPI_COMM_WORLD_SIZE") != nil
        let isTerminal = isatty(descriptor) == 1 && (isKnown || !isLaunched)
        self.init(
            isInteractive: isTerminal, usesColor: isTerminal && !isSet("NO_COLOR"),
            width: isKnown ? Int(size.ws_col) : Self.defaultWidth, isPlain: isPlain)
    }

    private static func environment(_ name: String) -> String? { getenv(name).map { String(cString: $0) } }
}

/// Emphasis on a terminal.
public enum Style: String, Sendable, CaseIterable {
    /// Stands out.
    case bold = "1"
    /// Stands back.
    case dim = "2"
    /// Good news.
    case green = "32"
    /// A warning.
    case yellow = "33"
    /// An error.
    case red = "31"
    /// What the user said.
    case cyan = "36"

    /// What follows the escape character where the style begins.
    var command: String { "[\(rawValue)m" }
    /// What follows the escape character where any style ends.
    static let end = "[0m"
}

extension Terminal {
    /// The text in that style, or as it is where colour is not welcome.
    public func styled(_ text: String, _ style: Style) -> String {
        usesColor ? "\u{1B}\(style.command)\(text)\u{1B}\(Style.end)" : text
    }
}

/// A mark on a stretch of text: colour and line each tell it from the others.
public enum Mark: Sendable, CaseIterable {
    /// None.
    case plain
    /// Green, one line.
    case green
    /// Cyan and bold, two lines. Terminals that know no second line draw one.
    case cyan
    /// Magenta, bold and italic, two lines.
    case magenta

    private var lines: String {
        switch self {
        case .plain: ""
        case .green: "4"
        case .cyan: "4;21;1"
        case .magenta: "4;21;1;3"
        }
    }

    private var color: String {
        switch self {
        case .plain: ""
        case .green: "32"
        case .cyan: "36"
        case .magenta: "35"
        }
    }

    /// What stands before and behind the text where there are no styles.
    fileprivate var quotes: (start: String, end: String) {
        switch self {
        case .plain: ("", "")
        case .green: ("‹", "›")
        case .cyan: ("«", "»")
        case .magenta: ("⟦", "⟧")
        }
    }

    /// What follows the escape character where the mark begins.
    fileprivate func command(usesColor: Bool) -> String { "[" + lines + (usesColor ? ";" + color : "") + "m" }
}

extension Terminal {
    /// The text (UTF-8) with that mark, line by line: without its colour where colour is not welcome, in quotes of its own
    /// where there are no styles, and as it is on what is no terminal.
    public func marked(_ text: [UInt8], _ mark: Mark) -> [UInt8] {
        guard isInteractive && mark != .plain else { return text }
        let start = Array((isPlain ? mark.quotes.start : "\u{1B}\(mark.command(usesColor: usesColor))").utf8)
        let end = Array((isPlain ? mark.quotes.end : "\u{1B}\(Style.end)").utf8)
        let lines = text.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false)
        return Array(lines.map { $0.isEmpty ? [] : start + $0 + end }.joined(separator: [UInt8(ascii: "\n")]))
    }
}
