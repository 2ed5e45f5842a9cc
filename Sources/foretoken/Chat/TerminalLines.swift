import ForetokenHardware
import ForetokenReport
import ForetokenText
import Glibc

/// Reads messages from a terminal with an editor. From the beginning until the end the terminal shows no key by itself: what is
/// typed while nobody is asked is there in the next message.
struct TerminalLines {
    private var editor = LineEditor(byteLimit: LineReader.lineLimit)
    private var decoder = KeyDecoder()
    private var screen: EditorScreen
    /// Keys that came with the last ones of a message.
    private var waiting: [Key] = []
    /// Whether a message has been asked for: until then a Ctrl-C was meant for the program.
    private var hasAsked = false

    /// Nil where keys do not come one by one or the cursor cannot be moved.
    /// - Parameter terminal: what standard error can show.
    init?(_ terminal: Terminal) {
        guard terminal.isInteractive, !terminal.isPlain, isatty(STDIN_FILENO) == 1 else { return nil }
        screen = EditorScreen(terminal: terminal, lines: Self.size().lines)
    }

    private static func size() -> (columns: Int, lines: Int) {
        var size = winsize()
        guard ioctl(STDERR_FILENO, UInt(TIOCGWINSZ), &size) == 0, size.ws_col > 0, size.ws_row > 0 else {
            return (Terminal.defaultWidth, 24)
        }
        return (Int(size.ws_col), Int(size.ws_row))
    }

    /// Takes the terminal; Ctrl-C and Ctrl-Z are signals while nobody is asked.
    /// - Throws: `HardwareError` when that cannot be.
    func begin() throws { try HeldTerminal.hold(takesAllKeys: false) }

    /// Puts the terminal back into its usual state.
    func end() { HeldTerminal.release() }

    /// The next message.
    /// - Throws: `InputError` when the terminal cannot be read, `HardwareError` when its state cannot be set.
    mutating func next() throws -> LineReader.Result {
        try HeldTerminal.hold(takesAllKeys: true)
        // A Ctrl-C that came too late for an answer.
        if hasAsked { Interrupts.reset() }
        hasAsked = true
        let result = try ask()
        if case .line = result { try begin() } else { end() }
        return result
    }

    /// How long nothing may follow an escape that is a key by itself; terminals send sequences at once.
    private static let escapeMilliseconds: Int32 = 50

    private mutating func ask() throws -> LineReader.Result {
        screen.begin()
        while true {
            while !waiting.isEmpty {
                if Interrupts.requested { return .interrupted }
                if let result = react(editor.apply(waiting.removeFirst())) { return result }
            }
            if !decoder.isPasting { draw() }
            if editor.isSearching && decoder.isAtEscape && !isMoreComing {
                waiting = decoder.finishEscape()
                continue
            }
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

    private var isMoreComing: Bool {
        var request = pollfd(fd: STDIN_FILENO, events: Int16(POLLIN), revents: 0)
        return poll(&request, 1, Self.escapeMilliseconds) != 0
    }

    /// What the loop is to return, if anything.
    private mutating func react(_ outcome: LineEditor.Outcome) -> LineReader.Result? {
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
            Console.write("\r\n")
            // The terminal is put back and taken again around it.
            raise(SIGTSTP)
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
