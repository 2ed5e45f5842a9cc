import Glibc

/// Small files that are kept from one run to the next, and can be done without.
package struct CacheFolder: Sendable {
    /// Where they lie; the folder need not be there yet.
    package let path: String

    /// Files in that folder.
    package init(_ path: String) { self.path = path }

    /// $XDG_CACHE_HOME/foretoken, or ~/.cache/foretoken; nil where neither variable names an absolute path.
    package static var standard: CacheFolder? {
        func path(_ name: String) -> String? {
            getenv(name).map { String(cString: $0) }.flatMap { $0.hasPrefix("/") ? $0 : nil }
        }
        let base = path("XDG_CACHE_HOME") ?? path("HOME").map { $0 + "/.cache" }
        return base.map { CacheFolder($0 + "/foretoken") }
    }

    /// The path of a file.
    package func path(of name: String) -> String { "\(path)/\(name)" }

    /// A file's bytes; nil when there is none.
    /// - Throws: `HardwareError` for one that cannot be read, is no file or has more than `limit` bytes.
    package func read(_ name: String, limit: Int) throws -> [UInt8]? {
        // What is no file, such as a pipe, must not keep anybody waiting.
        let descriptor = open(path(of: name), O_RDONLY | O_CLOEXEC | O_NONBLOCK)
        guard descriptor >= 0 else {
            let code = errno
            if code == ENOENT || code == ENOTDIR { return nil }
            throw HardwareError.system("it cannot be opened", errno: code)
        }
        defer { close(descriptor) }
        var status = stat()
        guard fstat(descriptor, &status) == 0, status.st_mode & S_IFMT == S_IFREG else {
            throw HardwareError(.file, "it is no file")
        }
        var bytes = [UInt8](repeating: 0, count: limit + 1)
        var count = 0
        while count <= limit {
            let more = bytes.withUnsafeMutableBytes {
                Glibc.read(descriptor, $0.baseAddress! + count, $0.count - count)
            }
            if more == 0 { return Array(bytes[..<count]) }
            count += max(0, more)
            guard more > 0 || errno == EINTR else { throw HardwareError.system("it cannot be read", errno: errno) }
        }
        throw HardwareError(.file, "it is longer than \(limit) bytes")
    }

    /// Writes a file whole or not at all, in place of one of that name. Runs may do so at once: one of them is the last.
    /// - Throws: `HardwareError`.
    package func write(_ bytes: [UInt8], to name: String) throws {
        try create()
        TemporaryFile.removeLeftovers(in: path)
        guard let temporary = TemporaryFile(in: path) else { throw failure(creating: path(of: name)) }
        // Behind the renaming: until then the lock says that the file is in use.
        defer { close(temporary.descriptor) }
        do {
            try write(bytes, to: temporary.descriptor)
            guard rename(temporary.path, path(of: name)) == 0 else { throw failure(creating: path(of: name)) }
        } catch {
            unlink(temporary.path)
            throw error
        }
    }

    private func write(_ bytes: [UInt8], to descriptor: Int32) throws {
        var written = 0
        while written < bytes.count {
            let count = bytes.withUnsafeBytes {
                Glibc.write(descriptor, $0.baseAddress! + written, $0.count - written)
            }
            written += max(0, count)
            guard count > 0 || errno == EINTR else { throw HardwareError.system("writing to \(path)", errno: errno) }
        }
    }

    /// To be called before anything else can change errno.
    private func failure(creating path: String) -> HardwareError {
        let code = errno
        return .system("creating \(path)", errno: code)
    }

    private func create() throws {
        var made = ""
        for name in path.split(separator: "/") {
            made += "/\(name)"
            guard mkdir(made, 0o755) == 0 || errno == EEXIST || access(made, F_OK) == 0 else {
                throw failure(creating: made)
            }
        }
    }

    /// Removes the oldest of the files whose names begin so, where there are more than `count`.
    package func keepNewest(_ count: Int, prefix: String) {
        let paths = FileSystem.names(in: path).filter { $0.hasPrefix(prefix) }.map { path(of: $0) }
        guard paths.count > count else { return }
        let ages = paths.map { path in
            var status = stat()
            return (path, lstat(path, &status) == 0 ? status.st_mtim.tv_sec : 0)
        }
        for (path, _) in ages.sorted(by: { $0.1 < $1.1 }).prefix(paths.count - count) { unlink(path) }
    }
}
