import Glibc

/// A read-only file of a checkpoint, on disk, in memory or made up; any thread may read any part of it at any time.
enum ByteSource: Sendable {
    case file(OpenFile)
    case memory(EmbeddedBytes)
    case synthetic(SyntheticSource)

    /// Size in bytes.
    var count: Int {
        switch self {
        case .file(let file): file.count
        case .memory(let bytes): bytes.buffer.count
        case .synthetic(let source): source.count
        }
    }

    /// Fills `destination` with the bytes from `offset` on, which must lie inside the file.
    func read(at offset: Int, into destination: UnsafeMutableRawBufferPointer) throws {
        precondition(offset >= 0 && destination.count <= count - offset, "the caller checks the range")
        switch self {
        case .file(let file): try file.read(at: offset, into: destination)
        case .memory(let bytes):
            let source = bytes.buffer[offset..<offset + destination.count]
            destination.copyMemory(from: UnsafeRawBufferPointer(rebasing: source))
        case .synthetic(let source): source.read(at: offset, into: destination)
        }
    }

    /// The bytes of a range that lies inside the file.
    func bytes(_ range: Range<Int>) throws -> [UInt8] {
        try [UInt8](unsafeUninitializedCapacity: range.count) { buffer, initialized in
            let destination = UnsafeMutableRawBufferPointer(buffer)
            try read(at: range.lowerBound, into: UnsafeMutableRawBufferPointer(rebasing: destination[..<range.count]))
            initialized = range.count
        }
    }

    /// Tells the kernel that the range will not be read again soon. Nothing happens where there is no file.
    func dropPageCache(_ range: Range<Int>) {
        if case .file(let file) = self {
            // Advice only: failure changes nothing but the amount of memory the page cache holds.
            _ = posix_fadvise(file.descriptor, range.lowerBound, range.count, POSIX_FADV_DONTNEED)
        }
    }
}

/// What becomes of a file's pages in the kernel's cache once its weights are copied.
public enum PageCacheUse: Sendable {
    /// They stay and make the next start quicker: right where memory is one node.
    case keep
    /// They are dropped, those of earlier runs as well: page cache would fill nodes that weights are meant for.
    case drop
}

/// Bytes that live as long as the process and that nobody writes: the embedded model.
struct EmbeddedBytes: @unchecked Sendable {
    let buffer: UnsafeRawBufferPointer
}

/// An open regular file.
final class OpenFile: Sendable {
    let name: String
    let descriptor: Int32
    let count: Int

    /// Opens `path`, or returns nil when nothing is there. Symbolic links are followed, as download caches use them;
    /// anything but a regular file is refused (opening a pipe would wait for its writer, hence O_NONBLOCK).
    init?(path: String, name: String) throws {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
        if descriptor < 0 && (errno == ENOENT || errno == ENOTDIR) { return nil }
        guard descriptor >= 0 else { throw CheckpointError.system("open the file", name, code: errno) }
        var status = stat()
        guard fstat(descriptor, &status) == 0 else {
            let code = errno
            close(descriptor)
            throw CheckpointError.system("examine the file", name, code: code)
        }
        guard status.st_mode & S_IFMT == S_IFREG else {
            close(descriptor)
            throw CheckpointError("\(name) is not a regular file")
        }
        self.name = name
        self.descriptor = descriptor
        self.count = Int(status.st_size)
    }

    deinit { close(descriptor) }

    func read(at offset: Int, into destination: UnsafeMutableRawBufferPointer) throws {
        var done = 0
        while done < destination.count {
            let got = pread(descriptor, destination.baseAddress! + done, destination.count - done, off_t(offset + done))
            if got < 0 && errno == EINTR { continue }
            guard got >= 0 else { throw CheckpointError.system("read at byte \(offset + done)", name, code: errno) }
            guard got > 0 else {
                throw CheckpointError(
                    "\(name): the file became shorter while it was read", expected: "\(count) bytes",
                    found: "\(offset + done) bytes", hint: "do not change a checkpoint while it is in use")
            }
            done += got
        }
    }
}

/// The C library's text for an `errno` value.
func systemMessage(_ code: Int32) -> String { String(cString: strerror(code)) }
