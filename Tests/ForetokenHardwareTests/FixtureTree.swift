import FoundationEssentials
import Testing

/// A /sys and /proc of our own in a temporary folder, removed with its owner.
final class FixtureTree {
    let root: String
    /// Contents by path below `root`, as they were at the beginning.
    let files: [String: String]
    var sys: String { "\(root)/sys" }
    var proc: String { "\(root)/proc" }

    /// - Parameter name: a description in Fixtures, or nil for an empty tree.
    init(_ name: String? = nil, replacing changes: [String: String?] = [:]) throws {
        root = FileManager.default.temporaryDirectory.appending(path: "foretoken-\(UUID().uuidString)").path
        var files: [String: String] = [:]
        if let name {
            let folder = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "Fixtures")
            let text = try String(contentsOf: folder.appending(path: "\(name).txt"), encoding: .utf8)
            for line in text.split(separator: "\n") where !line.hasPrefix("#") {
                guard let equals = line.firstIndex(of: "=") else { continue }
                let path = String(line[..<equals].dropLast())
                files[path, default: ""] += line[line.index(after: equals)...].dropFirst() + "\n"
            }
        }
        for (path, content) in changes { files[path] = content }
        self.files = files
        for (path, content) in files { try write(content, to: path) }
    }

    deinit { try? FileManager.default.removeItem(atPath: root) }

    func write(_ content: String, to path: String) throws {
        let file = URL(filePath: root).appending(path: path)
        try FileManager.default.createDirectory(at: file.deletingLastPathComponent(), withIntermediateDirectories: true)
        try content.write(to: file, atomically: false, encoding: .utf8)
    }
}
