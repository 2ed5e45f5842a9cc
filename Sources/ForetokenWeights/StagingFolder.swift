import ForetokenHardware
import FoundationEssentials
import Glibc

/// The hidden folder in which a new one is made. It is locked by the process that fills it, so that whatever ends the
/// process unlocks it: one that nobody holds was left by a run that was killed. Process numbers would not tell, since
/// in containers they repeat.
enum StagingFolder {
    /// Most attempts where other runs come and go at the same moment.
    private static let attempts = 100

    /// Makes the folder, or takes over and empties one that was left.
    /// - Parameters:
    ///   - parent: the folder it lies in.
    ///   - destination: what it is to become.
    /// - Returns: a descriptor that holds the lock until it is closed.
    /// - Throws: `CheckpointError`, also where another run holds it.
    static func claim(_ path: String, in parent: String, for destination: String) throws -> Int32 {
        for _ in 0..<attempts {
            let isNew = try make(path, in: parent)
            let descriptor = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)
            // Renamed or removed by another run that has just ended.
            if descriptor < 0 && errno == ENOENT { continue }
            guard descriptor >= 0 else { throw CheckpointError.system("open the folder", path, code: errno) }
            do {
                try lock(descriptor, path, isNew: isNew, for: destination)
                if FileSystem.isAt(path, descriptor) {
                    if !isNew { try empty(descriptor, path) }
                    return descriptor
                }
            } catch {
                close(descriptor)
                throw error
            }
            close(descriptor)
        }
        throw CheckpointError(
            "other runs keep making \(destination)", hint: "let one of them end, or name another folder", kind: .system)
    }

    /// - Returns: whether it was not there before.
    private static func make(_ path: String, in parent: String) throws -> Bool {
        if mkdir(path, 0o755) == 0 { return true }
        let code = errno
        if code == EEXIST { return false }
        guard code == ENOENT || code == ENOTDIR else {
            throw CheckpointError.system("create the folder", path, code: code)
        }
        throw CheckpointError("the folder \(parent) does not exist", hint: "create it first", kind: .missingPath)
    }

    private static func lock(_ descriptor: Int32, _ path: String, isNew: Bool, for destination: String) throws {
        if flock(descriptor, LOCK_EX | LOCK_NB) == 0 { return }
        if errno == EWOULDBLOCK {
            throw CheckpointError(
                "another run is writing \(destination)", hint: "wait for it, or name another folder", kind: .system)
        }
        // Some network file systems have no locks: there nobody can tell whether a folder was left or is in use.
        if isNew { return }
        throw CheckpointError(
            "\(path) is in use by another run, or was left by one that was killed",
            hint: "remove it if no other run is writing \(destination)", kind: .system)
    }

    /// Removes the files of a folder that was left. Folders in it, or files of another user, are not this program's.
    private static func empty(_ descriptor: Int32, _ path: String) throws {
        var status = stat()
        guard fstat(descriptor, &status) == 0 else { throw CheckpointError.system("examine", path, code: errno) }
        guard status.st_uid == geteuid() else {
            throw CheckpointError("\(path) belongs to another user", hint: "name another folder", kind: .system)
        }
        let names: [String]
        do {
            names = try FileManager.default.contentsOfDirectory(atPath: path)
        } catch {
            throw CheckpointError(
                "\(path) was left by another run and cannot be listed",
                hint: "remove it by hand, or name another folder", kind: .system)
        }
        for name in names where unlinkat(descriptor, name, 0) != 0 {
            let code = errno
            throw CheckpointError(
                "\(path)/\(shown(name)) is in the way of a new folder and cannot be removed",
                found: systemMessage(code), hint: "remove it by hand, or name another folder", kind: .system)
        }
    }
}
