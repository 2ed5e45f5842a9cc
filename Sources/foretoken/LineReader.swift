import ForetokenHardware
import Glibc

/// Reads standard input line by line and notices Ctrl-C while it waits.
struct LineReader {
    enum Result: Equatable {
        case line(String)
        /// Not UTF-8.
        case bad
        case end
        case interrupted
    }

    private var buffer: [UInt8] = []
    private var isAtEnd = false

    /// The next line without its line end.
    mutating func next() throws -> Result {
        while true {
            if let end = buffer.firstIndex(of: UInt8(ascii: "\n")) {
                defer { buffer.removeFirst(end + 1) }
                return text(buffer[..<end])
            }
            if isAtEnd {
                defer { buffer = [] }
                return buffer.isEmpty ? .end : text(buffer[...])
            }
            if Interrupts.requested { return .interrupted }
            try fill()
        }
    }

    private mutating func fill() throws {
        var chunk = [UInt8](repeating: 0, count: 4096)
        let count = readWaiting(STDIN_FILENO, &chunk)
        guard count >= 0 || errno == EINTR else {
            throw InputError("cannot read standard input: \(String(cString: strerror(errno)))")
        }
        isAtEnd = count == 0
        buffer += chunk[..<max(0, count)]
    }

    private func text(_ bytes: ArraySlice<UInt8>) -> Result {
        let line = bytes.last == UInt8(ascii: "\r") ? bytes.dropLast() : bytes
        return String(validating: line, as: UTF8.self).map { .line($0) } ?? .bad
    }
}
