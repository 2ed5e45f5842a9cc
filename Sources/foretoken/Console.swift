import ForetokenHardware
import ForetokenReport
import ForetokenText
import Glibc
import Synchronization

/// Standard error: messages for people.
enum Console {
    private static let standardError = Terminal(descriptor: STDERR_FILENO)
    /// "rank 1 (host-b)", where this process follows another host.
    private static let follower = Mutex<String?>(nil)

    /// From now on another host says what there is to say: here only what concerns this one is written, its errors above
    /// all, with its name in front.
    static func follow(as label: String) { follower.withLock { $0 = label } }

    /// What can be shown.
    static var terminal: Terminal {
        follower.withLock { $0 } == nil ? standardError : Terminal(isInteractive: false, usesColor: false)
    }

    /// Writes text as it is. That nobody can read it is no reason to stop.
    static func write(_ text: String) {
        if follower.withLock({ $0 }) == nil { writeAlways(text) }
    }

    private static func writeAlways(_ text: String) {
        try? writeAll(Array(text.utf8), to: STDERR_FILENO)
    }

    /// A warning that concerns this host only, of several: its memory, its processors.
    static func warningOfThisHost(_ message: String) {
        guard let label = follower.withLock({ $0 }) else { return warning(message) }
        writeAlways("foretoken: warning: \(label): \(message.printable)\n")
    }

    /// Messages quote files, which may hold what terminals obey and line ends that begin a message of their own.
    static func error(_ message: String) { say(message.printable) }

    /// What the argument parser says, in several lines.
    static func error(lines message: String) { say(message.printableLines) }

    /// A command that does what was meant, on a line of its own that nothing breaks: it is there to be copied.
    static func suggest(_ command: String) {
        // What has to be shown otherwise cannot be copied.
        if command.printable == command { write("  \(terminal.styled(command, .bold))\n") }
    }

    static func warning(_ message: String) {
        write(paragraph("foretoken: \(terminal.styled("warning:", .yellow)) \(message.printable)"))
    }

    /// A remark that explains what is shown.
    static func note(_ message: String) { write(paragraph("foretoken: \(message.printable)")) }

    /// A message in lines that fit; what may be copied from it stays whole.
    private static func paragraph(_ text: String) -> String { terminal.prose(text, indent: 2, keepsWords: true) }

    /// What the rooms below have to tell.
    static func tell(_ notice: Notice) {
        switch notice.kind {
        case .warning: warning(notice.text)
        case .note: note(notice.text)
        }
    }

    private static func say(_ text: String) {
        let label = follower.withLock { $0 }.map { "\($0): " } ?? ""
        let lines = "foretoken: \(terminal.styled("error:", .red)) \(label)\(text)"
        writeAlways(
            lines.split(separator: "\n", omittingEmptySubsequences: false).map { paragraph(String($0)) }.joined())
    }
}

/// Standard output: results.
enum StandardOutput {
    /// Writes at once, without a buffer: streamed text must be seen as it comes.
    static func write(_ text: String) throws { try write(Array(text.utf8)) }

    static func write(_ bytes: [UInt8]) throws { try writeAll(bytes, to: STDOUT_FILENO) }

    /// A finished page of tables and prose: what could steer a terminal is escaped, and lines fit it.
    static func page(_ text: (Terminal) -> String) -> [UInt8] {
        let terminal = Terminal(descriptor: STDOUT_FILENO)
        return Array(terminal.fitted(text(terminal).printablePage).utf8)
    }
}

/// Whoever read the output has gone.
struct BrokenPipe: Error {}

/// The output cannot be written.
struct OutputError: Error, CustomStringConvertible {
    let description: String
}

/// Reads as the system's `read` does, but waits where another program left a terminal non-blocking, and returns -1 with
/// EINTR only when the user asked to stop (`Interrupts`).
func readWaiting(_ descriptor: Int32, _ buffer: inout [UInt8]) -> Int {
    while true {
        let error = Interrupts.waitForInput(descriptor)
        guard error == 0 else {
            errno = error
            return -1
        }
        let count = read(descriptor, &buffer, buffer.count)
        if count >= 0 || (errno != EAGAIN && errno != EINTR) { return count }
    }
}

/// Writes all bytes, however many calls that takes; `name` is what messages call the receiver.
func writeAll(_ bytes: [UInt8], to descriptor: Int32, as name: String = "the output") throws {
    var done = 0
    while done < bytes.count {
        let count = bytes.withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress! + done, bytes.count - done) }
        if count >= 0 {
            done += count
        } else if errno == EPIPE {
            throw BrokenPipe()
        } else if errno == EAGAIN {
            // A terminal that another program left non-blocking.
            var request = pollfd(fd: descriptor, events: Int16(POLLOUT), revents: 0)
            poll(&request, 1, -1)
        } else if errno != EINTR {
            let reason = errno == EBADF ? "it is closed" : String(cString: strerror(errno))
            throw OutputError(description: "cannot write \(name): \(reason)")
        }
    }
}
