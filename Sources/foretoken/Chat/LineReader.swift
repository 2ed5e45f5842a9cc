import ForetokenHardware
import ForetokenText
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

    /// Bytes that one line may have.
    static let lineLimit = InputPurpose.prompt.byteLimit

    /// Whether somebody may be typing.
    let isTerminal: Bool
    private let descriptor: Int32
    /// Bytes read; those before `start` belong to lines that were given out.
    private var buffer: [UInt8] = []
    private var start = 0
    /// Where the search for the next line end goes on.
    private var searched = 0
    private var number = 1
    private var isAtEnd = false

    init(_ descriptor: Int32 = STDIN_FILENO) {
        self.descriptor = descriptor
        isTerminal = isatty(descriptor) == 1
    }

    /// The next line without its line end.
    /// - Throws: `InputError` when the input cannot be read, or for a line that is too long.
    mutating func next() throws -> Result {
        while true {
            if Interrupts.requested { return .interrupted }
            if let end = buffer.lineEnd(from: searched) {
                defer {
                    start = end + 1
                    searched = start
                    number += 1
                }
                return text(buffer[start..<end])
            }
            searched = buffer.count
            if isAtEnd {
                defer { start = buffer.count }
                return start == buffer.count ? .end : text(buffer[start...])
            }
            guard buffer.count - start <= Self.lineLimit else {
                throw InputPurpose.lineIsTooLong("standard input", number: number, limit: Self.lineLimit)
            }
            try fill()
        }
    }

    private mutating func fill() throws {
        var chunk = [UInt8](repeating: 0, count: 1 << 16)
        let count = readWaiting(descriptor, &chunk)
        guard count >= 0 || errno == EINTR else {
            throw InputError("cannot read standard input: \(String(cString: strerror(errno)))")
        }
        isAtEnd = count == 0
        buffer.removeFirst(start)
        searched -= start
        start = 0
        buffer += chunk[..<max(0, count)]
    }

    private func text(_ bytes: ArraySlice<UInt8>) -> Result {
        let line = bytes.last == UInt8(ascii: "\r") ? bytes.dropLast() : bytes
        return String(validating: line, as: UTF8.self).map { .line($0) } ?? .bad
    }
}
