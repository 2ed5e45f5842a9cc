import FoundationEssentials
import Glibc

/// A new empty folder that disappears with its owner.
public final class TemporaryFolder: Sendable {
    /// Its absolute path.
    public let path: String

    /// Creates the folder.
    public init() throws {
        path = FileManager.default.temporaryDirectory.path + "/foretoken-test-\(UUID().uuidString)"
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
    }

    deinit { try? FileManager.default.removeItem(atPath: path) }

    /// Writes a file into the folder.
    public func write(_ bytes: [UInt8], _ name: String) throws {
        try Data(bytes).write(to: URL(filePath: path + "/" + name))
    }

    /// The bytes of a file in the folder.
    public func read(_ name: String) throws -> [UInt8] { try Array(Data(contentsOf: URL(filePath: path + "/" + name))) }

    /// The bytes of any file.
    public static func contents(of path: String) throws -> [UInt8] { try Array(Data(contentsOf: URL(filePath: path))) }

    /// Cuts a file to its first `size` bytes in place.
    public func truncate(_ name: String, to size: Int) throws {
        guard Glibc.truncate(path + "/" + name, size) == 0 else { throw CocoaError(.fileWriteUnknown) }
    }

    /// Names of everything in the folder, hidden files included, sorted.
    public func names() throws -> [String] { try FileManager.default.contentsOfDirectory(atPath: path).sorted() }
}
