import ForetokenHardware
import ForetokenText
import Glibc

/// Which folder is meant by what the user calls a model.
package enum ModelFolder {
    /// The folder to open: the one of that name, or a snapshot in a Hugging Face cache, for the folder of a model in there or
    /// for OWNER/NAME. One note says which. What is no folder at all is left for the checkpoint to refuse.
    /// - Throws: `InputError` for GGUF files and for a cache that cannot be used, `UsageError` for a model that is not here.
    static func resolve(_ name: String) throws -> String {
        switch kind(of: name) {
        case S_IFDIR:
            if let snapshot = try snapshot(in: name) {
                Console.note("\(name) is a model of Hugging Face's cache: using \(snapshot)")
                return snapshot
            }
            if kind(of: name + "/config.json") == nil,
                let file = FileSystem.names(in: name).first(where: { isGGUF($0) })
            {
                throw InputError("\(name) holds no config.json, but \(file): \(ggufAdvice)")
            }
            return name
        case S_IFREG:
            if isGGUF(name) { throw InputError("\(name): \(ggufAdvice)") }
            return name
        case nil:
            if isGGUF(name) { throw UsageError("\(name) does not exist; besides, \(ggufAdvice)") }
            return try repository(name).map { try snapshot(of: $0, calledBy: name) } ?? name
        default: return name
        }
    }

    /// What a checkpoint is called by its folder: that of the model, where the folder is a snapshot in a cache.
    package static func name(of folder: String) -> String {
        let parts = folder.split(separator: "/").map(String.init)
        if parts.count >= 3, parts[parts.count - 2] == "snapshots",
            let model = modelName(ofCacheFolder: parts[parts.count - 3])
        {
            return model
        }
        return parts.last ?? folder
    }

    // MARK: Kinds of names

    /// What a word may be that somebody calls a model.
    enum Likeness {
        case folder, repository, gguf, file
    }

    /// Nil for what is neither there nor like a name on Hugging Face.
    static func likeness(of word: String) -> Likeness? {
        if isGGUF(word) { return .gguf }
        switch kind(of: word) {
        case S_IFDIR: return .folder
        case S_IFREG: return .file
        case nil: return repository(word) == nil ? nil : .repository
        default: return nil
        }
    }

    static let ggufAdvice =
        "GGUF files are not read; the model's original folder from Hugging Face is (config.json and safetensors), and "
        + "--weights int4 makes it small while it is loaded"

    private static func isGGUF(_ name: String) -> Bool { name.lowercased().hasSuffix(".gguf") }

    /// The file type bits; nil where there is nothing of that name.
    private static func kind(of path: String) -> mode_t? {
        var status = stat()
        return stat(path, &status) == 0 ? status.st_mode & S_IFMT : nil
    }

    /// Owner and name of a model on Hugging Face, if the text can be that: letters, digits, and `-_.` not first.
    private static func repository(_ text: String) -> (owner: String, name: String)? {
        let parts = text.split(separator: "/", omittingEmptySubsequences: false).map(String.init)
        guard parts.count == 2, parts.allSatisfy(isName) else { return nil }
        return (parts[0], parts[1])
    }

    private static func isName(_ text: String) -> Bool {
        guard (1...96).contains(text.utf8.count), let first = text.utf8.first, isLetterOrDigit(first) else {
            return false
        }
        return text.utf8.allSatisfy { isLetterOrDigit($0) || "-_.".utf8.contains($0) }
    }

    private static func isLetterOrDigit(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"):
            true
        default: false
        }
    }

    // MARK: Hugging Face's cache

    private static let cachePrefix = "models--"

    /// `owner/name` of a folder called `models--owner--name`.
    private static func modelName(ofCacheFolder folder: String) -> String? {
        guard folder.hasPrefix(cachePrefix) else { return nil }
        let rest = folder.dropFirst(cachePrefix.count)
        guard let dashes = rest.firstRange(of: "--"), dashes.lowerBound > rest.startIndex,
            dashes.upperBound < rest.endIndex
        else { return nil }
        return "\(rest[..<dashes.lowerBound])/\(rest[dashes.upperBound...])"
    }

    /// Where models may have been downloaded to, in the order in which Hugging Face's tools choose one.
    private static var hubs: [String] {
        let home = environment("HOME")
        let named = [
            environment("HF_HUB_CACHE"), environment("HF_HOME").map { $0 + "/hub" },
            environment("XDG_CACHE_HOME").map { $0 + "/huggingface/hub" },
            home.map { $0 + "/.cache/huggingface/hub" },
        ]
        var hubs: [String] = []
        for case let path? in named {
            let whole = path.hasPrefix("~/") ? (home ?? "~") + path.dropFirst() : path
            if !hubs.contains(whole) { hubs.append(whole) }
        }
        return hubs
    }

    private static func snapshot(of model: (owner: String, name: String), calledBy name: String) throws -> String {
        for hub in hubs {
            let folder = "\(hub)/\(cachePrefix)\(model.owner)--\(model.name)"
            guard kind(of: folder) == S_IFDIR else { continue }
            guard let snapshot = try snapshot(in: folder) else {
                throw InputError("\(folder) has no snapshot; `hf download \(name)` completes it")
            }
            Console.note("\(name) is in Hugging Face's cache: using \(snapshot)")
            return snapshot
        }
        throw UsageError(
            "there is no folder \(name), and no model of that name in Hugging Face's cache "
                + "(\(hubs.joined(separator: ", "))); `hf download \(name)` fetches it there, then the same command works"
        )
    }

    /// The snapshot in a model's folder of a cache: the one that refs/main names, or the only one. Nil for a folder of
    /// another kind.
    private static func snapshot(in folder: String) throws -> String? {
        let all = folder + "/snapshots"
        guard kind(of: all) == S_IFDIR, kind(of: folder + "/config.json") == nil else { return nil }
        if let revision = try mainRevision(folder) {
            let snapshot = "\(all)/\(revision)"
            guard kind(of: snapshot) == S_IFDIR else {
                throw InputError(
                    "\(folder)/refs/main names revision \(revision), but snapshots has no such folder; download it again"
                )
            }
            return snapshot
        }
        let names = FileSystem.names(in: all).filter { kind(of: "\(all)/\($0)") == S_IFDIR }.sorted()
        guard names.count < 2 else {
            throw InputError(
                "\(folder) has \(names.count) snapshots and no refs/main that names one; give --model one of: "
                    + names.prefix(4).map { "\(all)/\($0)" }.joined(separator: ", "))
        }
        return names.first.map { "\(all)/\($0)" }
    }

    /// What refs/main holds; nil where there is none.
    private static func mainRevision(_ folder: String) throws -> String? {
        let path = folder + "/refs/main"
        guard kind(of: path) == S_IFREG else { return nil }
        let bytes = try InputFile.bytes(path, for: .revision)
        let text = String(decoding: bytes, as: UTF8.self).split(whereSeparator: \.isWhitespace)
        guard text.count == 1, isName(String(text[0])) else {
            throw InputError("\(path) should hold the name of one revision, but does not; download the model again")
        }
        return String(text[0])
    }
}
