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
    ///
    /// Open MPI puts a terminal without a size between a rank and whatever its output goes to, which may be a file: that one
    /// is none.
    public init(descriptor: Int32) {
        let isDumb = Self.environment("TERM") == "dumb"
        let refusesColor = Self.environment("NO_COLOR").map { !$0.isEmpty } ?? false
        var size = winsize()
        let isKnown = ioctl(descriptor, UInt(TIOCGWINSZ), &size) == 0 && size.ws_col > 0
        let isLaunched = Self.environment("OMPI_COMM_WORLD_SIZE") != nil
        let isTerminal = isatty(descriptor) == 1 && (isKnown || !isLaunched)
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

    /// What follows the escape character where the mark begins.
    fileprivate func command(usesColor: Bool) -> String { "[" + lines + (usesColor ? ";" + color : "") + "m" }
}

extension Terminal {
    /// The text (UTF-8) with that mark, line by line: without its colour where colour is not welcome, and as it is on what is
    /// no terminal.
    public func marked(_ text: [UInt8], _ mark: Mark) -> [UInt8] {
        guard isInteractive && mark != .plain else { return text }
        let start = Array("\u{1B}\(mark.command(usesColor: usesColor))".utf8)
        let end = Array("\u{1B}\(Style.end)".utf8)
        let lines = text.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false)
        return Array(lines.map { $0.isEmpty ? [] : start + $0 + end }.joined(separator: [UInt8(ascii: "\n")]))
    }
}
