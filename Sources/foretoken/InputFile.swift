import ForetokenReport
import Glibc

/// A file the user names on the command line; `-` is standard input.
enum InputFile {
    /// The whole content.
    /// - Parameter limit: bytes from which on the file is refused, without being read further.
    /// - Throws: `UsageError` when there is no such file, `InputError` when it cannot be read or is too large.
    static func bytes(_ path: String, limit: Int = .max) throws -> [UInt8] {
        let descriptor = path == "-" ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else {
            let reason = String(cString: strerror(errno))
            if errno == ENOENT || errno == ENOTDIR { throw UsageError("\(path) does not exist") }
            throw InputError("cannot open \(path): \(reason)")
        }
        defer { if descriptor != STDIN_FILENO { close(descriptor) } }
        return try bytes(of: descriptor, path, limit: limit)
    }

    /// What is left to read of an open file that messages call `path`.
    /// - Throws: `InputError` when it cannot be read or is too large.
    static func bytes(of descriptor: Int32, _ path: String, limit: Int = .max) throws -> [UInt8] {
        var bytes: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 1 << 16)
        while true {
            let count = readWaiting(descriptor, &buffer)
            if count < 0 && errno == EINTR { continue }
            guard count >= 0 else { throw InputError("cannot read \(path): \(String(cString: strerror(errno)))") }
            if count == 0 { return bytes }
            bytes += buffer[..<count]
            if bytes.count > limit { throw InputError("\(path) is larger than the \(limit) bytes that it may have") }
        }
    }

    /// The whole content as text, unchanged.
    /// - Throws: `InputError` with the first bad byte's place, besides what `bytes` throws.
    static func text(_ path: String) throws -> String { try text(bytes(path), source: path) }

    /// The lines of a text file without their line ends, and their numbers from 1. A final line end makes no extra line.
    static func lines(_ path: String) throws -> [(number: Int, bytes: [UInt8])] { lines(of: try bytes(path)) }

    /// The same of a file already read.
    static func lines(of bytes: [UInt8]) -> [(number: Int, bytes: [UInt8])] {
        var lines = bytes.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false)
        if lines.last?.isEmpty == true { lines.removeLast() }
        return lines.enumerated().map { index, line in
            (index + 1, Array(line.last == UInt8(ascii: "\r") ? line.dropLast() : line))
        }
    }

    /// Bytes as text.
    static func text(_ bytes: [UInt8], source: String) throws -> String {
        guard let text = String(validating: bytes, as: UTF8.self) else {
            throw InputError("\(source) is not valid UTF-8 (first bad byte at offset \(badByte(bytes)))")
        }
        return text
    }

    private static func badByte(_ bytes: [UInt8]) -> Int {
        var decoder = UTF8()
        var iterator = bytes.makeIterator()
        var offset = 0
        while case .scalarValue(let scalar) = decoder.decode(&iterator) { offset += UTF8.width(scalar) }
        return offset
    }
}
