import Glibc

/// A hidden file that becomes another by taking its name. It is locked while it is written, so that whatever ends the
/// process unlocks it: one that nobody holds was left by a run that was killed.
package struct TemporaryFile {
    package let path: String
    /// Open for writing; it holds the lock until it is closed.
    package let descriptor: Int32

    private static let prefix = ".foretoken-"
    private static let suffix = ".tmp"
    /// Most attempts where another run takes the new file for one that was left, before it is locked.
    private static let attempts = 100

    /// Makes a new file in a folder; nil, with `errno`, when that cannot be.
    package init?(in folder: String) {
        for _ in 0..<Self.attempts {
            let name = String(UInt64.random(in: 0 ... .max), radix: 16)
            let path = "\(folder)/\(Self.prefix)\(name)\(Self.suffix)"
            let descriptor = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o666)
            guard descriptor >= 0 else { return nil }
            // Without locks, on some network file systems, files that were left stay.
            _ = flock(descriptor, LOCK_EX)
            if FileSystem.isAt(path, descriptor) {
                (self.path, self.descriptor) = (path, descriptor)
                return
            }
            close(descriptor)
        }
        errno = EAGAIN
        return nil
    }

    /// Removes what earlier runs left in a folder when they were killed: files of this kind, of this user, that no process
    /// holds. What cannot be examined stays.
    package static func removeLeftovers(in folder: String) {
        for name in FileSystem.names(in: folder) where isOwn(name) {
            let path = "\(folder)/\(name)"
            let descriptor = open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC)
            guard descriptor >= 0 else { continue }
            defer { close(descriptor) }
            var status = stat()
            guard fstat(descriptor, &status) == 0, status.st_mode & S_IFMT == S_IFREG, status.st_uid == geteuid(),
                flock(descriptor, LOCK_EX | LOCK_NB) == 0, FileSystem.isAt(path, descriptor)
            else { continue }
            unlink(path)
        }
    }

    private static func isOwn(_ name: String) -> Bool {
        guard name.hasPrefix(prefix), name.hasSuffix(suffix) else { return false }
        let middle = name.utf8.dropFirst(prefix.utf8.count).dropLast(suffix.utf8.count)
        return !middle.isEmpty
            && middle.allSatisfy {
                (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0)
                    || (UInt8(ascii: "a")...UInt8(ascii: "f")).contains($0) || $0 == UInt8(ascii: "-")
            }
    }
}
