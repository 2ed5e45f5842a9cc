import Glibc

/// A flat folder of files, on disk or in memory.
enum CheckpointFolder: Sendable {
    case directory(String)
    case memory([String: EmbeddedBytes])

    /// Bytes that a file which is read whole may have: the tokenizer and the index of the largest models have some tens of
    /// megabytes, files of settings some kilobytes. Anything longer is a mistake.
    static func byteLimit(_ name: String) -> Int {
        switch name {
        case "tokenizer.json", CheckpointSurvey.indexFile: 256 << 20
        case CheckpointSurvey.configurationFile, "tokenizer_config.json", "generation_config.json", "tiktoken.model":
            16 << 20
        default: 64 << 20
        }
    }

    /// Names of the entries, sorted.
    func names() throws -> [String] {
        switch self {
        case .memory(let files): return files.keys.sorted()
        case .directory(let path): return try CheckpointFolder.list(path).sorted()
        }
    }

    private static func list(_ path: String) throws -> [String] {
        guard let directory = opendir(path) else {
            throw CheckpointError.system("list the folder", path, code: errno)
        }
        defer { closedir(directory) }
        var names: [String] = []
        while true {
            errno = 0
            guard let entry = readdir(directory) else { break }
            // The name's field is shorter in the headers than a name may be, so it is read by its address.
            let offset = MemoryLayout<dirent>.offset(of: \.d_name)!
            let start = UnsafeRawPointer(entry) + offset
            let name = String(cString: start.assumingMemoryBound(to: CChar.self))
            if name != "." && name != ".." { names.append(name) }
        }
        guard errno == 0 else { throw CheckpointError.system("list the folder", path, code: errno) }
        return names
    }

    /// Regular files with their sizes, sorted by name.
    func regularFiles() throws -> [(name: String, size: Int)] {
        try names().compactMap { name in
            guard case .directory(let path) = self else { return try open(name).map { (name, $0.count) } }
            var status = stat()
            let isRegular = stat("\(path)/\(name)", &status) == 0 && status.st_mode & S_IFMT == S_IFREG
            return isRegular ? (name, Int(status.st_size)) : nil
        }
    }

    /// Opens the file of that name; nil when there is none. Names with a path separator are refused.
    func open(_ name: String) throws -> ByteSource? {
        guard CheckpointFolder.isPlainName(name) else {
            throw CheckpointError("\"\(shown(name))\" is not the name of a file inside the checkpoint folder")
        }
        switch self {
        case .memory(let files): return files[name].map { .memory($0) }
        case .directory(let path): return try OpenFile(path: "\(path)/\(name)", name: name).map { .file($0) }
        }
    }

    /// The whole of a small file; nil when there is none. What stands in for a file that was not fetched is refused.
    func read(_ name: String) throws -> [UInt8]? {
        guard let source = try open(name) else { return nil }
        let limit = CheckpointFolder.byteLimit(name)
        guard source.count <= limit else {
            throw CheckpointError(
                "\(name) is too long", expected: "at most \(limit >> 20) MiB", found: "\(source.count) bytes")
        }
        let isJSON = name.hasSuffix(".json")
        if let kind = try source.kind(), isJSON || kind.isPointer {
            throw kind.error(name, expected: isJSON ? "a JSON file" : "the file itself")
        }
        return try source.bytes(0..<source.count)
    }

    /// The longest name that Linux gives files, in bytes.
    static let maximumNameBytes = 255

    /// A checkpoint may only name files of its own folder: no separators, no `..`, no zero byte, no name too long for one.
    static func isPlainName(_ name: String) -> Bool {
        !name.isEmpty && name.utf8.count <= maximumNameBytes && name != "." && name != ".."
            && !name.utf8.contains { $0 == UInt8(ascii: "/") || $0 == 0 }
    }

    /// Requires that the path leads to a folder.
    static func requireDirectory(_ path: String) throws {
        var status = stat()
        guard stat(path, &status) == 0 else {
            let code = errno
            if code == ENOENT || code == ENOTDIR || code == ENAMETOOLONG {
                throw CheckpointError(
                    "\(shown(path)) does not exist", hint: "name the folder that holds config.json", kind: .missingPath)
            }
            throw CheckpointError.system("examine the folder", path, code: code)
        }
        guard status.st_mode & S_IFMT == S_IFDIR else {
            throw CheckpointError(
                "\(path) is not a folder", expected: "a Hugging Face model folder", found: "a file",
                hint: "name the folder that holds config.json")
        }
    }
}
