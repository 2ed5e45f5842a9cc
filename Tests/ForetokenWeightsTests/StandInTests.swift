import ForetokenTestSupport
import ForetokenWeights
import Glibc
import Testing

/// Files that lie in the place of others, and folders and names that cannot be used.
@Suite struct StandInTests {
    private static let pointer = """
        version https://git-lfs.github.com/spec/v1
        oid sha256:4d7a214614ab2935c943f9e0ff69d22eadbb8f32b1258daaa5e2ca24d17e2393
        size 4302383966

        """

    private let model = TinyModel(TinyGeometry { ($0.layers, $0.mtpModules) = (1, 0) })

    private static let kinds: [(bytes: [UInt8], mention: [String])] = [
        (Array(pointer.utf8), ["is a git-LFS pointer", "4.3 GB are missing", "git lfs pull"]),
        (Array("\n<!DOCTYPE html><html><body>Sign in</body></html>".utf8), ["looks like a web page"]),
        (Array("<?xml version=\"1.0\"?><Error><Code>AccessDenied</Code></Error>".utf8), ["server's error message"]),
        ([0x1F, 0x8B, 8, 0, 0, 0, 0, 0, 0, 3], ["gzip"]), (Array("PK\u{3}\u{4}".utf8) + [20, 0, 0, 0], ["zip"]),
        ([0x80, 2, 0x8A, 10, 0x6C, 0xFC, 0x9C, 0x46], ["pickle"]), (Array("GGUF".utf8) + [3, 0, 0, 0, 9], ["GGUF"]),
        ([], ["is empty"]), ([UInt8](repeating: 0, count: 4096), ["begins with zeros"]),
    ]

    @Test(arguments: [0, 1, 3]) func whatStandsInForAFileIsNamed(place: Int) throws {
        for (bytes, mention) in Self.kinds {
            var files = model.files(shards: 2)
            files[place].bytes = bytes
            let folder = try TemporaryFolder()
            for file in files { try folder.write(file.bytes, file.name) }
            let error = checkpointError { _ = try Checkpoint(directory: folder.path) }
            let text = error?.description ?? ""
            #expect(error?.kind == .unusable)
            for word in mention + [files[place].name] { #expect(text.contains(word), "\(text)") }
            #expect(try Inspection(directory: folder.path).problems.count == 1)
        }
    }

    @Test func smallFilesThatAreOnlyPointersAreNamed() throws {
        let folder = try TemporaryFolder()
        try model.write(to: folder)
        for name in ["tokenizer.json", "chat_template.jinja"] { try folder.write(Array(Self.pointer.utf8), name) }
        let checkpoint = try Checkpoint(directory: folder.path)
        for name in ["tokenizer.json", "chat_template.jinja"] {
            #expect(complaint { _ = try checkpoint.file(named: name) }.contains("\(name) is a git-LFS pointer"))
        }
        // Files that the model does not need are copied as they are.
        let other = try TemporaryFolder()
        try Conversion(checkpoint, to: .bf16).write(to: other.path + "/out")
        #expect(try other.read("out/tokenizer.json") == Array(Self.pointer.utf8))
    }

    @Test(arguments: ["", "size many", "size -3", "size 99999999999999999999999"])
    func pointersWithoutASizeAreNamedWithoutIt(last: String) throws {
        var files = model.files()
        files[1].bytes = Array("version https://git-lfs.github.com/spec/v1\noid sha256:0\n\(last)".utf8)
        let text = complaint { try withCheckpoint(files) { _ in } }
        #expect(text.contains("git-LFS pointer, not the file itself."), "\(text)")
    }

    @Test func namesTooLongForFilesAreUnusable() throws {
        let folder = try TemporaryFolder()
        var files = model.files(shards: 2)
        let name = String(repeating: "a", count: 300) + ".safetensors"
        files[3].bytes = Array("{\"weight_map\": {\"model.norm.weight\": \"\(name)\"}}".utf8)
        for file in files { try folder.write(file.bytes, file.name) }
        let error = checkpointError { _ = try Checkpoint(directory: folder.path) }
        #expect(error?.kind == .unusable && error?.description.contains("at most 255 bytes") == true)
        let path = "/" + String(repeating: "b", count: 5000)
        #expect(checkpointError { _ = try Checkpoint(directory: path) }?.kind == .missingPath)
    }

    @Test func namesOfEveryLengthAndScriptAreListed() throws {
        let folder = try TemporaryFolder()
        try model.write(to: folder)
        let names = [String(repeating: "n", count: 255), "日本語.txt", ".hidden"]
        for name in names { try folder.write([1], name) }
        let other = try TemporaryFolder()
        try Conversion(Checkpoint(directory: folder.path), to: .bf16).write(to: other.path + "/out")
        for name in names.prefix(2) { #expect(access(other.path + "/out/" + name, R_OK) == 0) }
    }

    @Test func aFolderThatCannotBeListedIsASentence() throws {
        let folder = try TemporaryFolder()
        // A path through a file leads nowhere; one that may not be listed says so. Root may list everything.
        try folder.write([], "file")
        #expect(checkpointError { _ = try Checkpoint(directory: folder.path + "/file/x") }?.kind == .missingPath)
        guard geteuid() != 0 else { return }
        try model.write(to: folder)
        chmod(folder.path, 0o300)
        defer { chmod(folder.path, 0o700) }
        let error = checkpointError { _ = try Checkpoint(directory: folder.path) }
        #expect(
            error?.kind == .system && error?.description.contains("cannot list the folder: Permission denied") == true)
    }
}
