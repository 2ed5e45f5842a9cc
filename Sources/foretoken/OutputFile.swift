import ForetokenHardware
import Glibc

/// A result file the user names on the command line.
package enum OutputFile {
    /// Writes the file whole or not at all: the bytes go to a hidden file beside it, reach the disk, and take the name.
    /// What runs that were killed left there is removed. An existing file is replaced and keeps its permissions; a symbolic link stays one; devices and pipes are written to.
    /// - Throws: `UsageError` where the path cannot name a file, `OutputError` where it cannot be written.
    package static func write(_ bytes: [UInt8], to path: String) throws {
        try check(path)
        let target = try resolved(path)
        var status = stat()
        let exists = stat(target, &status) == 0
        if exists && status.st_mode & S_IFMT != S_IFREG { return try writeThrough(bytes, to: target) }
        TemporaryFile.removeLeftovers(in: folder(of: target))
        guard let temporary = TemporaryFile(in: folder(of: target)) else { throw failure("create", path) }
        // Behind the renaming: until then the lock says that the file is in use.
        defer { close(temporary.descriptor) }
        do {
            if exists, fchmod(temporary.descriptor, status.st_mode & 0o777) != 0 {
                throw failure("set the permissions of", path)
            }
            try writeAll(bytes, to: temporary.descriptor, as: path)
            guard fsync(temporary.descriptor) == 0 else { throw failure("write", path) }
            guard rename(temporary.path, target) == 0 else { throw failure("create", path) }
        } catch {
            unlink(temporary.path)
            throw error
        }
        // Complete under its name by now; some file systems refuse to synchronize folders.
        _ = FileSystem.synchronize(folder: folder(of: target))
    }

    /// Whether both paths lead to one file.
    static func isSame(_ one: String, _ other: String) -> Bool {
        var (first, second) = (stat(), stat())
        guard stat(one, &first) == 0, stat(other, &second) == 0 else { return false }
        return first.st_dev == second.st_dev && first.st_ino == second.st_ino
    }

    /// Finds out early that `write` would fail, before long work whose result it is to hold.
    /// - Parameter appending: whether an existing file is to be added to, which its folder need not allow.
    /// - Throws: as `write` does.
    package static func check(_ path: String, appending: Bool = false) throws {
        let target = try resolved(path)
        var status = stat()
        let exists = stat(target, &status) == 0
        if exists && status.st_mode & S_IFMT == S_IFDIR { throw UsageError("\(path) is a folder; name a file") }
        let isCreated = !exists || (status.st_mode & S_IFMT == S_IFREG && !appending)
        if exists && access(target, W_OK) != 0 { throw failure(appending ? "write" : "replace", path) }
        if isCreated && access(folder(of: target), W_OK) != 0 { throw failure("create", path) }
    }

    /// The same for some outputs of one command, none of which may be another or an input.
    /// - Parameters:
    ///   - outputs: options and the paths they name.
    ///   - appended: an option whose file is added to, which its own check has looked at.
    ///   - inputs: files that are read.
    package static func check(
        _ outputs: [(option: String, path: String?)], appended: (option: String, path: String?)? = nil,
        inputs: [String?]
    ) throws {
        for (index, output) in outputs.enumerated() {
            guard let path = output.path else { continue }
            try check(path)
            for case let input? in inputs where input != "-" && isSame(path, input) {
                throw UsageError("\(output.option) would overwrite \(input), which is read")
            }
            if let appended, let other = appended.path, try identity(of: other) == identity(of: path) {
                throw UsageError("\(output.option) would overwrite what \(appended.option) writes to \(other)")
            }
            for case (let option, let other?) in outputs[..<index] where try identity(of: other) == identity(of: path) {
                throw UsageError("\(option) and \(output.option) name the same file")
            }
        }
    }

    /// The path without symbolic links and detours, also of a file that is not there yet.
    private static func identity(of path: String) throws -> String {
        let path = try resolved(path)
        guard let folder = realpath(folder(of: path), nil) else { return path }
        defer { free(folder) }
        return String(cString: folder) + "/" + (path.split(separator: "/").last ?? "")
    }

    /// The path to write at: where a symbolic link leads, and what is checked before anything is created.
    /// - Parameter links: how many more may be followed that lead to nothing yet.
    private static func resolved(_ path: String, links: Int = 40) throws -> String {
        guard !path.isEmpty else { throw UsageError("an empty path cannot name a file") }
        guard !path.hasSuffix("/") else { throw UsageError("\(path) names a folder; name a file") }
        if let real = realpath(path, nil) {
            defer { free(real) }
            return String(cString: real)
        }
        if errno == ENOENT, links > 0, let target = linked(path) {
            return try resolved(
                target.hasPrefix("/") ? target : "\(folder(of: path))/\(target)", links: links - 1)
        }
        let folder = folder(of: path)
        var status = stat()
        guard stat(folder, &status) == 0 else {
            guard errno == ENOENT || errno == ENOTDIR else { throw failure("create", path) }
            throw UsageError("cannot create \(path): the folder \(folder) does not exist")
        }
        guard status.st_mode & S_IFMT == S_IFDIR else {
            throw UsageError("cannot create \(path): \(folder) is not a folder")
        }
        return path
    }

    /// What a symbolic link names; nil for anything else.
    private static func linked(_ path: String) -> String? {
        var buffer = [CChar](repeating: 0, count: Int(PATH_MAX))
        let count = readlink(path, &buffer, buffer.count)
        guard count > 0 else { return nil }
        return String(decoding: buffer[..<count].map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    private static func folder(of path: String) -> String {
        guard let slash = path.lastIndex(of: "/") else { return "." }
        return slash == path.startIndex ? "/" : String(path[..<slash])
    }

    private static func writeThrough(_ bytes: [UInt8], to path: String) throws {
        let descriptor = open(path, O_WRONLY | O_CLOEXEC)
        guard descriptor >= 0 else { throw failure("open", path) }
        defer { close(descriptor) }
        try writeAll(bytes, to: descriptor, as: path)
    }

    /// To be called before anything else can change errno.
    private static func failure(_ verb: String, _ path: String) -> OutputError {
        OutputError(description: "cannot \(verb) \(path): \(String(cString: strerror(errno)))")
    }
}
