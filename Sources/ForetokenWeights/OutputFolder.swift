import ForetokenHardware
import FoundationEssentials
import Glibc

/// A folder that appears complete or not at all: files go into a hidden sibling, which is renamed at the end.
final class OutputFolder {
    private let destination: String
    private let parent: String
    private let staging: String
    /// The staging folder, locked while this object lives.
    private let lock: Int32
    private var isFinished = false

    /// Creates the staging folder beside `path`, which must not exist and not lie inside `source`. What a run that was
    /// killed left there is removed.
    /// - Throws: `CheckpointError`, also where another run is writing the same folder.
    init(_ path: String, outside source: CheckpointFolder) throws {
        var trimmed = path[...]
        while trimmed.count > 1, trimmed.hasSuffix("/") { trimmed.removeLast() }
        destination = String(trimmed)
        let slash = trimmed.lastIndex(of: "/")
        let name = slash.map { trimmed[trimmed.index(after: $0)...] } ?? trimmed
        parent = slash.map { $0 == trimmed.startIndex ? "/" : String(trimmed[..<$0]) } ?? "."
        guard CheckpointFolder.isPlainName(String(name)) else {
            throw CheckpointError("\"\(shown(path))\" cannot be the name of a new folder")
        }
        var status = stat()
        guard lstat(destination, &status) != 0 else {
            throw Self.exists(destination)
        }
        try OutputFolder.require(parent, outside: source)
        staging = "\(parent)/.\(name).foretoken"
        lock = try StagingFolder.claim(staging, in: parent, for: destination)
    }

    private static func exists(_ destination: String) -> CheckpointError {
        CheckpointError("\(destination) exists already", hint: "name a folder that does not exist yet")
    }

    /// A checkpoint inside another would be copied or deleted with it.
    private static func require(_ parent: String, outside source: CheckpointFolder) throws {
        guard case .directory(let directory) = source, let inner = resolved(parent), let outer = resolved(directory),
            "\(inner)/".hasPrefix(outer == "/" ? outer : "\(outer)/")
        else { return }
        throw CheckpointError(
            "the new folder would lie inside \(directory), which is being read", hint: "name a folder outside of it")
    }

    /// The path without symbolic links; nil when it leads nowhere.
    private static func resolved(_ path: String) -> String? {
        guard let real = realpath(path, nil) else { return nil }
        defer { free(real) }
        return String(cString: real)
    }

    deinit {
        // Removed by hand, its name may be another run's by now.
        if !isFinished, FileSystem.isAt(staging, lock) { try? FileManager.default.removeItem(atPath: staging) }
        close(lock)
    }

    /// Bytes that the file system has left for us.
    var availableBytes: Int? {
        var status = statvfs()
        guard statvfs(staging, &status) == 0 else { return nil }
        let (bytes, overflow) = Int(clamping: status.f_bavail).multipliedReportingOverflow(by: Int(status.f_frsize))
        return overflow ? .max : bytes
    }

    /// Writes one file and brings it to the disk.
    func write(_ name: String, _ body: (NewFile) throws -> Void) throws {
        let file = try NewFile(path: "\(staging)/\(name)", name: name)
        try body(file)
        try file.finish()
    }

    /// Gives the folder its name. Until this returns, nothing is visible at the destination.
    func finish() throws {
        guard FileSystem.isAt(staging, lock) else {
            throw CheckpointError("\(staging) was removed while it was filled", hint: "start again", kind: .system)
        }
        try synchronize(staging)
        let code = ExclusiveRename.rename(staging, to: destination)
        if code == EEXIST { throw Self.exists(destination) }
        guard code == 0 else { throw CheckpointError.system("create the folder", destination, code: code) }
        isFinished = true
        try synchronize(parent)
    }

    private func synchronize(_ directory: String) throws {
        let code = FileSystem.synchronize(folder: directory)
        guard code == 0 else { throw CheckpointError.system("synchronize the folder", directory, code: code) }
    }
}

/// A new file being written, from start to end or at given places.
final class NewFile {
    private let name: String
    private let descriptor: Int32

    init(path: String, name: String) throws {
        self.name = name
        descriptor = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o644)
        guard descriptor >= 0 else { throw CheckpointError.system("create the file", name, code: errno) }
    }

    deinit { close(descriptor) }

    func write(_ bytes: UnsafeRawBufferPointer) throws {
        var done = 0
        while done < bytes.count {
            let put = Glibc.write(descriptor, bytes.baseAddress! + done, bytes.count - done)
            if put < 0 && errno == EINTR { continue }
            guard put >= 0 else { throw CheckpointError.system("write", name, code: errno) }
            done += put
        }
    }

    func write(_ bytes: [UInt8]) throws { try bytes.withUnsafeBytes { try write($0) } }

    /// Writes bytes at a place of the file; where the file ends before it, zeros fill the gap.
    func write(_ bytes: UnsafeRawBufferPointer, at offset: Int) throws {
        var done = 0
        while done < bytes.count {
            let put = pwrite(descriptor, bytes.baseAddress! + done, bytes.count - done, offset + done)
            if put < 0 && errno == EINTR { continue }
            guard put >= 0 else { throw CheckpointError.system("write", name, code: errno) }
            done += put
        }
    }

    func write(_ bytes: [UInt8], at offset: Int) throws { try bytes.withUnsafeBytes { try write($0, at: offset) } }

    func finish() throws {
        guard fsync(descriptor) == 0 else { throw CheckpointError.system("synchronize", name, code: errno) }
    }
}
