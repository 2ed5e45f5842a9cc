import ForetokenPlacement
import ForetokenSpeculation
import ForetokenText
import Glibc

/// A routing trace that grows. Records are written whole and in order, and never over others: whatever happens, the file
/// is a good trace up to the last of them.
final class RoutingFile: RoutingSink {
    /// What the trace is about.
    let header: RoutingTraceHeader
    /// Labels it had already.
    let domains: [String]
    /// Number of texts it had already.
    let textCount: Int
    private let path: String
    private let descriptor: Int32
    /// Whether this object made the file.
    private let isNew: Bool
    /// Size up to the last whole record.
    private var size: Int
    /// Why writing ended early.
    private var failure: OutputError?

    /// Opens a trace to append to it, or begins one. What a crash left of a last record is dropped.
    /// - Throws: `InputError` for a file that is no trace, damaged, or of another model, `UsageError` for what is no
    ///   file, `OutputError` where it cannot be written or another process is at it.
    init(_ path: String, _ header: RoutingTraceHeader) throws {
        try OutputFile.check(path, appending: true)
        let (descriptor, isNew) = try Self.claimed(path)
        do {
            let bytes = try InputFile.bytes(of: descriptor, path, for: .trace)
            (size, domains, textCount) = try Self.prepare(descriptor, path, bytes, header)
        } catch {
            if isNew { unlink(path) }
            Glibc.close(descriptor)
            throw error
        }
        self.path = path
        self.header = header
        self.descriptor = descriptor
        self.isNew = isNew
    }

    deinit { Glibc.close(descriptor) }

    func write(_ records: UnsafeRawBufferPointer) {
        guard failure == nil else { return }
        if records.count > InputPurpose.trace.byteLimit - size {
            failure = OutputError(
                description: "\(path) has reached the \(InputPurpose.trace.byteLimit >> 20) MiB that a routing trace "
                    + "may have: what came later is not in it; record into another file")
            return
        }
        var done = 0
        while done < records.count {
            let count = Glibc.write(descriptor, records.baseAddress! + done, records.count - done)
            if count > 0 {
                done += count
            } else if count == 0 || errno != EINTR {
                failure = Self.failure("write", path)
                // Whole records stay; nothing more can be done for them.
                _ = ftruncate(descriptor, size)
                return
            }
        }
        size += done
    }

    /// Brings everything to the disk. A new file into which nothing could be recorded is removed.
    /// - Parameter isEmpty: whether no rows were recorded.
    /// - Throws: `OutputError` when some of it could not be written.
    func finish(isEmpty: Bool) throws {
        if isNew && (isEmpty || size == header.bytes.count) { unlink(path) }
        if let failure { throw failure }
        guard fsync(descriptor) == 0 else { throw Self.failure("write", path) }
    }

    /// Opens or makes the file, for this process alone.
    private static func claimed(_ path: String) throws -> (descriptor: Int32, isNew: Bool) {
        while true {
            // O_NONBLOCK: opening a pipe would wait for its reader.
            let flags = O_RDWR | O_CREAT | O_CLOEXEC | O_NONBLOCK
            var isNew = true
            var descriptor = open(path, flags | O_EXCL, 0o666)
            if descriptor < 0 && errno == EEXIST {
                isNew = false
                descriptor = open(path, flags, 0o666)
            }
            guard descriptor >= 0 else { throw failure("open", path) }
            do {
                if try claim(descriptor, path) { return (descriptor, isNew) }
            } catch {
                Glibc.close(descriptor)
                throw error
            }
            Glibc.close(descriptor)
        }
    }

    /// Refuses what is no file, and a trace that another process adds to.
    /// - Returns: false when another process has removed the file meanwhile.
    private static func claim(_ descriptor: Int32, _ path: String) throws -> Bool {
        var status = stat()
        guard fstat(descriptor, &status) == 0 else { throw failure("examine", path) }
        guard status.st_mode & S_IFMT == S_IFREG else {
            throw UsageError("\(path) is no regular file; a routing trace needs one to be appended to")
        }
        guard flock(descriptor, LOCK_EX | LOCK_NB) == 0 else {
            guard errno == EWOULDBLOCK else { throw failure("lock", path) }
            throw OutputError(
                description: "another process is recording into \(path); wait for it or name another file")
        }
        guard fstat(descriptor, &status) == 0 else { throw failure("examine", path) }
        return status.st_nlink > 0
    }

    /// Brings the file into a state in which records can follow.
    /// - Returns: its size then, the domains it has, and the number of its texts.
    private static func prepare(
        _ descriptor: Int32, _ path: String, _ bytes: [UInt8], _ header: RoutingTraceHeader
    ) throws -> (size: Int, domains: [String], textCount: Int) {
        if header.isBegun(by: bytes) {
            let start = header.bytes
            guard ftruncate(descriptor, 0) == 0, lseek(descriptor, 0, SEEK_SET) == 0 else {
                throw failure("write", path)
            }
            do {
                try writeAll(start, to: descriptor, as: path)
            } catch {
                // Part of a header would be no trace.
                _ = ftruncate(descriptor, 0)
                throw error
            }
            return (start.count, [], 0)
        }
        let survey = try InputFile.named(path) { try RoutingTraceFile.Survey(bytes) }
        guard survey.header == header else {
            throw InputError(
                "\(path) is the routing of another model (\(survey.header.summary)) than this one "
                    + "(\(header.summary)); name another file")
        }
        guard survey.isCurrent else {
            throw InputError(
                "\(path) was recorded by an earlier version, whose format has no room for steps of several texts: record "
                    + "into another file; place takes several, each with --trace")
        }
        if survey.droppedByteCount > 0 {
            Console.note("the last \(survey.droppedByteCount) bytes of \(path) are no whole record and are dropped")
        }
        guard ftruncate(descriptor, survey.wholeByteCount) == 0,
            lseek(descriptor, survey.wholeByteCount, SEEK_SET) == survey.wholeByteCount
        else { throw failure("write", path) }
        return (survey.wholeByteCount, survey.domains, survey.textCount)
    }

    /// To be called before anything else can change errno.
    private static func failure(_ verb: String, _ path: String) -> OutputError {
        OutputError(description: "cannot \(verb) \(path): \(String(cString: strerror(errno)))")
    }
}

extension RoutingTraceHeader {
    /// The model in a few words.
    fileprivate var summary: String {
        "\(model.isEmpty ? "no fingerprint" : model): \(expertsPerToken) of \(expertCount) experts in "
            + "\(count(layers.count, "layer"))"
    }
}
