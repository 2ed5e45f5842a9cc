import ForetokenHardware
import ForetokenReport
import ForetokenText
import Glibc

/// Reads messages from a terminal with an editor. The terminal is in its usual state whenever nobody is asked.
struct TerminalLines {
    private let terminal: Terminal
    private var editor = LineEditor(byteLimit: LineReader.lineLimit)
    private var decoder = KeyDecoder()
    private var screen: EditorScreen
    /// Keys that came with the last ones of a message.
    private var waiting: [Key] = []

    /// Nil where keys do not come one by one or the cursor cannot be moved.
    /// - Parameter terminal: what standard error can show.
    init?(_ terminal: Terminal) {
        guard terminal.isInteractive, isatty(STDIN_FILENO) == 1 else { return nil }
        self.terminal = terminal
        screen = EditorScreen(terminal: terminal, lines: Self.size().lines)
    }

    private static func size() -> (columns: Int, lines: Int) {
        var size = winsize()
        guard ioctl(STDERR_FILENO, UInt(TIOCGWINSZ), &size) == 0, size.ws_col > 0, size.ws_row > 0 else {
            return (Terminal.defaultWidth, 24)
        }
        return (Int(size.ws_col), Int(size.ws_row))
    }

    /// The next message.
    /// - Throws: `InputError` when the terminal cannot be read.
    mutating func next() throws -> LineReader.Result {
        var keys = try KeyByKey()
        defer { keys.end() }
        screen.begin()
        while true {
            while !waiting.isEmpty {
                let outcome = editor.apply(waiting.removeFirst())
                if let result = react(outcome, &keys) { return result }
            }
            if !decoder.isPasting { draw() }
            var chunk = [UInt8](repeating: 0, count: 1 << 16)
            let count = readWaiting(STDIN_FILENO, &chunk)
            if count < 0 && errno == EINTR { return .interrupted }
            guard count >= 0 || errno == EIO else {
                throw InputError("cannot read standard input: \(String(cString: strerror(errno)))")
            }
            // A terminal that has gone is at its end.
            if count <= 0 { return .end }
            waiting = decoder.push(chunk[..<count])
        }
    }

    /// What the loop is to return, if anything.
    private mutating func react(_ outcome: LineEditor.Outcome, _ keys: inout KeyByKey) -> LineReader.Result? {
        switch outcome {
        case .edited: return nil
        case .message(let text):
            Console.write(screen.drawing(Array(text), cursor: text.count, isFinal: true) + "\r\n")
            return .line(text)
        case .end: return .end
        case .interrupted: return .interrupted
        case .dropped:
            Console.write("^C\r\n")
            screen.begin()
        case .clearScreen: Console.write(screen.cleared(editor))
        case .suspend:
            keys.end()
            Console.write("\r\n")
            kill(getpid(), SIGTSTP)
            keys.begin()
            screen.begin()
        }
        return nil
    }

    private mutating func draw() {
        let (columns, lines) = Self.size()
        screen.resize(columns: columns, lines: lines)
        Console.write(screen.drawing(editor))
    }
}

/// A terminal that hands on every key at once, shows none itself, and marks what is pasted.
private struct KeyByKey {
    private let usual: termios
    private var isOn = false

    /// - Throws: `InputError` for what is no terminal.
    init() throws {
        var state = termios()
        guard tcgetattr(STDIN_FILENO, &state) == 0 else {
            throw InputError("cannot ask the terminal for its state: \(String(cString: strerror(errno)))")
        }
        usual = state
        begin()
    }

    mutating func begin() {
        var state = usual
        cfmakeraw(&state)
        // Line feeds in our own messages stay line ends.
        state.c_oflag = usual.c_oflag
        // What was typed meanwhile is kept.
        isOn = tcsetattr(STDIN_FILENO, TCSADRAIN, &state) == 0
        Console.write("\u{1B}[?2004h")
    }

    mutating func end() {
        guard isOn else { return }
        isOn = false
        Console.write("\u{1B}[?2004l")
        var state = usual
        tcsetattr(STDIN_FILENO, TCSADRAIN, &state)
    }
}
