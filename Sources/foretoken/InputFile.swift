import ForetokenReport
import ForetokenText
import Glibc

/// A file the user names on the command line; `-` is standard input.
enum InputFile {
    /// The whole content.
    /// - Parameters:
    ///   - purpose: says how large it may be; it is not read further than that.
    ///   - glance: looks at the first bytes that could be read, and may refuse the file for them.
    /// - Throws: `UsageError` when there is no such file, `InputError` when it cannot be read or is too large,
    ///   `Interrupted`, and what `glance` throws.
    static func bytes(
        _ path: String, for purpose: InputPurpose, glance: ([UInt8]) throws -> Void = { _ in }
    ) throws -> [UInt8] {
        let descriptor = path == "-" ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else {
            if errno == ENOENT || errno == ENOTDIR {
                throw UsageError("\(path.isEmpty ? "a file without a name" : path) does not exist")
            }
            throw failure("open", path)
        }
        defer { if descriptor != STDIN_FILENO { close(descriptor) } }
        return try bytes(of: descriptor, path, for: purpose, glance: glance)
    }

    /// What is left to read of an open file that messages call `path`.
    /// - Throws: as `bytes` does of a path.
    static func bytes(
        of descriptor: Int32, _ path: String, for purpose: InputPurpose, glance: ([UInt8]) throws -> Void = { _ in }
    ) throws -> [UInt8] {
        var bytes: [UInt8] = []
        var status = stat()
        if fstat(descriptor, &status) == 0 && status.st_mode & S_IFMT == S_IFREG {
            if status.st_size > purpose.byteLimit { throw purpose.isTooLarge(path) }
            bytes.reserveCapacity(Int(status.st_size) + 1)
        }
        var buffer = [UInt8](repeating: 0, count: 1 << 16)
        var line = LineMeter(path, limit: purpose.lineLimit)
        while true {
            let count = readWaiting(descriptor, &buffer)
            guard count >= 0 else { throw failure("read", path) }
            if count == 0 { return bytes }
            bytes += buffer[..<count]
            try line.add(bytes, from: bytes.count - count)
            if bytes.count > purpose.byteLimit { throw purpose.isTooLarge(path) }
            if bytes.count == count { try glance(bytes) }
        }
    }

    /// Why the system refused; to be called before anything else can change errno.
    private static func failure(_ verb: String, _ path: String) -> any Error {
        if errno == EINTR { return Interrupted() }
        return InputError("cannot \(verb) \(path): \(String(cString: strerror(errno)))")
    }

    /// The whole content as text, unchanged.
    /// - Throws: `InputError` with the first bad byte's place, besides what `bytes` throws.
    static func text(_ path: String, for purpose: InputPurpose) throws -> String {
        try text(bytes(path, for: purpose), source: path)
    }

    /// The lines of a text file without their line ends, and their numbers from 1. A final line end makes no extra line.
    static func lines(_ path: String) throws -> InputLines { InputLines(try bytes(path, for: .lines)) }

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

/// The lines of a file already read, without their line ends, and their numbers from 1. A final line end makes no extra
/// line. Each is made when its turn comes: a file of line ends alone would fill the memory with empty ones.
struct InputLines: Sequence, IteratorProtocol {
    private let bytes: [UInt8]
    private var start = 0
    private var number = 0

    init(_ bytes: [UInt8]) { self.bytes = bytes }

    mutating func next() -> (number: Int, bytes: [UInt8])? {
        guard start < bytes.count else { return nil }
        let end = bytes.lineEnd(from: start) ?? bytes.count
        let line = bytes[start..<end]
        start = end + 1
        number += 1
        return (number, Array(line.last == UInt8(ascii: "\r") ? line.dropLast() : line))
    }
}

/// Counts the bytes of the line that is being read, and refuses one that is too long.
private struct LineMeter {
    private let path: String
    private let limit: Int?
    private var number = 1
    private var count = 0

    init(_ path: String, limit: Int?) {
        self.path = path
        self.limit = limit
    }

    /// Takes the bytes from `start` on.
    mutating func add(_ bytes: [UInt8], from start: Int) throws {
        guard let limit else { return }
        var start = start
        while let end = bytes.lineEnd(from: start) {
            try check(count + end - start, limit)
            number += 1
            count = 0
            start = end + 1
        }
        count += bytes.count - start
        try check(count, limit)
    }

    private func check(_ count: Int, _ limit: Int) throws {
        if count > limit { throw InputPurpose.lineIsTooLong(path, number: number, limit: limit) }
    }
}

extension [UInt8] {
    /// Where the next line feed is, from an index on.
    func lineEnd(from start: Int) -> Int? {
        withUnsafeBytes { all in
            guard start < all.count, let base = all.baseAddress,
                let found = memchr(base + start, Int32(UInt8(ascii: "\n")), all.count - start)
            else { return nil }
            return UnsafeRawPointer(found) - base
        }
    }
}
