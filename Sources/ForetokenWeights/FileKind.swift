/// What a file is that was found in the place of another, told by its first bytes. For error messages: files are read by
/// what they should be, never by what they look like.
enum FileKind: Equatable {
    /// The note that git-LFS leaves for a file it has not fetched; with the bytes of the real one, if it says so.
    case gitLFSPointer(bytes: Int?)
    case webPage, errorDocument, gzip, zip, pickle, gguf, empty
    /// The beginning of the file was never written.
    case zeros

    /// Whether the real file lies elsewhere.
    var isPointer: Bool { if case .gitLFSPointer = self { true } else { false } }

    /// Bytes of a file's beginning that are looked at.
    static let prefixBytes = 512

    /// - Parameter start: the file's first bytes, all of them where it is shorter than `prefixBytes`.
    init?(_ start: some Collection<UInt8>) {
        let bytes = Array(start.prefix(Self.prefixBytes))
        if bytes.isEmpty {
            self = .empty
        } else if bytes.starts(with: "version https://git-lfs.github.com/spec/".utf8) {
            self = .gitLFSPointer(bytes: Self.size(bytes))
        } else if let kind = Self.signatures.first(where: { bytes.starts(with: $0.bytes) })?.kind {
            self = kind
        } else if bytes.count >= 8, bytes.allSatisfy({ $0 == 0 }) {
            self = .zeros
        } else if let kind = Self.document(bytes) {
            self = kind
        } else {
            return nil
        }
    }

    private static let signatures: [(bytes: [UInt8], kind: FileKind)] = [
        (Array("GGUF".utf8), .gguf), ([0x1F, 0x8B], .gzip), (Array("PK\u{3}\u{4}".utf8), .zip),
        // Protocols 2 to 5 of Python's pickle.
        ([0x80, 2], .pickle), ([0x80, 3], .pickle), ([0x80, 4], .pickle), ([0x80, 5], .pickle),
    ]

    /// The number behind `size` on a line of its own.
    private static func size(_ bytes: [UInt8]) -> Int? {
        let lines = String(decoding: bytes, as: UTF8.self).split(whereSeparator: \.isNewline)
        return lines.first { $0.hasPrefix("size ") }.flatMap { Int($0.dropFirst(5)) }.flatMap { $0 >= 0 ? $0 : nil }
    }

    private static func document(_ bytes: [UInt8]) -> FileKind? {
        let text = String(decoding: bytes.prefix(64), as: UTF8.self).drop { $0.isWhitespace || $0 == "\u{FEFF}" }
            .lowercased()
        if text.hasPrefix("<!doctype html") || text.hasPrefix("<html") { return .webPage }
        return text.hasPrefix("<?xml") || text.hasPrefix("<error>") ? .errorDocument : nil
    }

    /// The error of a file that is this instead of what it should be.
    /// - Parameter expected: what it should be, such as `a safetensors file`.
    func error(_ name: String, expected: String) -> CheckpointError {
        let again = "download the file again"
        let others = "other formats (GGUF, PyTorch .bin) are not read; fetch the safetensors files"
        func error(_ what: String, _ hint: String) -> CheckpointError {
            CheckpointError("\(shown(name)) \(what)", expected: expected, hint: hint)
        }
        switch self {
        case .gitLFSPointer(let bytes):
            let missing = bytes.map { " (\(Self.readable($0)) are missing)" } ?? ""
            return CheckpointError(
                "\(shown(name)) is a git-LFS pointer, not the file itself\(missing)",
                hint: "run `git lfs pull` in the folder, or download the file")
        case .webPage: return error("looks like a web page", "the download brought a page in its place; \(again)")
        case .errorDocument: return error("looks like a server's error message", again)
        case .gzip: return error("is compressed by gzip", "unpack it first")
        case .zip: return error("is a zip archive, as PyTorch writes .bin files", others)
        case .pickle: return error("is a Python pickle, as PyTorch writes .bin files", others)
        case .gguf: return error("is a GGUF file", others)
        case .empty: return error("is empty", "the download did not begin; \(again)")
        case .zeros: return error("begins with zeros", "the download did not finish; \(again)")
        }
    }

    private static func readable(_ bytes: Int) -> String {
        let units = [(1_000_000_000, "GB"), (1_000_000, "MB"), (1_000, "kB")]
        guard let (unit, name) = units.first(where: { bytes >= $0.0 }) else { return "\(bytes) bytes" }
        return "\(bytes / unit).\(bytes % unit * 10 / unit) \(name)"
    }
}

extension ByteSource {
    /// What the file is, if its beginning tells.
    func kind() throws -> FileKind? { FileKind(try bytes(0..<min(count, FileKind.prefixBytes))) }
}
