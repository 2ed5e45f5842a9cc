import Glibc

/// What the receiver of an output stream can show.
public struct Terminal: Sendable {
    /// Whether a person is looking: lines may be overwritten.
    public let isInteractive: Bool
    /// Whether escape sequences for colour are welcome.
    public let usesColor: Bool
    /// Columns of a line.
    public let width: Int

    /// Columns where nobody says how many there are.
    public static let defaultWidth = 80

    /// For tests and for streams whose nature is known.
    public init(isInteractive: Bool, usesColor: Bool, width: Int = Terminal.defaultWidth) {
        self.isInteractive = isInteractive
        self.usesColor = usesColor
        self.width = width
    }

    /// Looks at the stream behind a file descriptor; NO_COLOR (see no-color.org) and TERM=dumb switch colour off.
    public init(descriptor: Int32) {
        let isTerminal = isatty(descriptor) == 1
        let isDumb = Self.environment("TERM") == "dumb"
        let refusesColor = Self.environment("NO_COLOR").map { !$0.isEmpty } ?? false
        var size = winsize()
        let isKnown = ioctl(descriptor, UInt(TIOCGWINSZ), &size) == 0 && size.ws_col > 0
        self.init(
            isInteractive: isTerminal && !isDumb, usesColor: isTerminal && !isDumb && !refusesColor,
            width: isKnown ? Int(size.ws_col) : Self.defaultWidth)
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
