import ForetokenHardware
import ForetokenTestSupport
import ForetokenWeights
import Glibc
import Testing

/// A file's part in the kernel's cache.
private final class PageCache {
    private let file: Int32
    private let bytes: Int

    init(_ path: String) throws {
        file = open(path, O_RDONLY)
        bytes = Int(lseek(file, 0, SEEK_END))
        try #require(file >= 0 && bytes > 0)
    }

    deinit { close(file) }

    func residentPages() throws -> Int {
        let map = try #require(mmap(nil, bytes, PROT_READ, MAP_SHARED, file, 0))
        defer { munmap(map, bytes) }
        var pages = [UInt8](repeating: 0, count: bytes / Int(sysconf(Int32(_SC_PAGESIZE))) + 1)
        try #require(mincore(map, bytes, &pages) == 0)
        return pages.count { $0 & 1 == 1 }
    }

    /// Whether that is possible: file systems in memory keep their pages.
    func drop() throws -> Bool {
        try #require(fsync(file) == 0 && posix_fadvise(file, 0, 0, POSIX_FADV_DONTNEED) == 0)
        return try residentPages() == 0
    }

    func fill() throws {
        var all = [UInt8](repeating: 0, count: bytes)
        try #require(pread(file, &all, bytes, 0) == bytes)
    }
}

@Suite struct FolderTests {
    private let model = TinyModel(TinyGeometry { $0.layers = 2 })

    private func write(shards: Int = 1, _ change: (inout [(name: String, bytes: [UInt8])]) -> Void = { _ in }) throws
        -> TemporaryFolder
    {
        let folder = try TemporaryFolder()
        var files = model.files(shards: shards)
        change(&files)
        for file in files { try folder.write(file.bytes, file.name) }
        return folder
    }

    private func complaintAbout(_ folder: TemporaryFolder) -> String {
        complaint { _ = try Checkpoint(directory: folder.path) }
    }

    @Test(arguments: [1, 2, 5]) func readsBytesFromDisk(shards: Int) throws {
        let folder = try write(shards: shards)
        let checkpoint = try Checkpoint(directory: folder.path)
        #expect(checkpoint.fileNames.count == shards && checkpoint.tensors.count == model.tensors.count)
        for stored in model.tensors {
            let tensor = try #require(checkpoint.tensor(stored.name))
            var bytes = [UInt8](repeating: 0, count: stored.bytes.count)
            try bytes.withUnsafeMutableBytes { try checkpoint.read(tensor, fromByte: 0, into: $0) }
            #expect(bytes == stored.bytes)
            checkpoint.dropPageCache(tensor)
        }
        #expect(checkpoint.warnings.isEmpty)
    }

    @Test(arguments: [PageCacheUse.keep, .drop]) func packingKeepsOrDropsThePageCache(use: PageCacheUse) throws {
        let folder = try write()
        let cache = try PageCache(folder.path + "/model.safetensors")
        guard try cache.drop() else { try Test.cancel("the temporary folder's file system keeps its pages") }
        try cache.fill()
        let before = try cache.residentPages()
        let checkpoint = try Checkpoint(directory: folder.path)
        let pool = try WorkerPool(threads: 2)
        _ = try ModelWeights(checkpoint: checkpoint, layout: WeightLayout(checkpoint), pool: pool, pageCache: use)
        let after = try cache.residentPages()
        #expect(use == .keep ? after == before && after > 0 : after == 0)
    }

    @Test func readsSmallFiles() throws {
        let folder = try write { $0.append(("tokenizer.json", [1, 2, 3])) }
        let checkpoint = try Checkpoint(directory: folder.path)
        #expect(try checkpoint.file(named: "tokenizer.json") == [1, 2, 3])
        #expect(try checkpoint.file(named: "absent.json") == nil)
        #expect(throws: CheckpointError.self) { try checkpoint.file(named: "../x") }
    }

    @Test func tellsMissingFromUnusable() throws {
        let missing = checkpointError { _ = try Checkpoint(directory: "/nowhere/at/all") }
        #expect(missing?.kind == .missingPath)
        let empty = try TemporaryFolder()
        let unusable = checkpointError { _ = try Checkpoint(directory: empty.path) }
        #expect(unusable?.kind == .unusable && unusable?.summary.contains("config.json") == true)
        try empty.write([], "file")
        #expect(checkpointError { _ = try Checkpoint(directory: empty.path + "/file") }?.kind == .unusable)
        try #require(symlink("circle", empty.path + "/circle") == 0)
        #expect(checkpointError { _ = try Checkpoint(directory: empty.path + "/circle") }?.kind == .unusable)
        try #require(symlink("config.json", empty.path + "/config.json") == 0)
        #expect(checkpointError { _ = try Checkpoint(directory: empty.path) }?.kind == .unusable)
    }

    @Test func typesInTheIndexAreNamedWithTheirKeys() throws {
        for (index, complaint) in [
            (
                "{\"weight_map\": {\"a\": null}}",
                "wrong type at byte 21: expected a string as the value of \"a\", found null"
            ),
            (
                "{\"weight_map\": [1]}",
                "wrong type at byte 15: expected an object as the value of \"weight_map\", found a list"
            ),
            ("[]", "wrong type at byte 0: expected an object, found a list"),
            ("{\"weight_map\": nul}", "bad JSON at byte 15: expected an object, found `n`"),
        ] {
            let text = complaintAbout(try write(shards: 2) { $0[3].bytes = Array(index.utf8) })
            #expect(text.contains(complaint), "\(text)")
        }
    }

    @Test func whatTheIndexLeavesOutIsNoIncompleteCheckpoint() throws {
        let norm = "model.layers.0.input_layernorm.weight"
        let folder = try write(shards: 2) { files in
            let lines = String(decoding: files[3].bytes, as: UTF8.self).split(separator: ",")
            files[3].bytes = Array(lines.filter { !$0.contains(norm) }.joined(separator: ",").utf8)
        }
        #expect(try Checkpoint(directory: folder.path).tensor(norm) == nil)
        let text = complaint { _ = try WeightLayout(Checkpoint(directory: folder.path)) }
        #expect(
            text.contains("index.json: tensor model.layers.0.input_layernorm.weight is left out, though model-0"),
            "\(text)")
    }

    /// A folder like JoyAI-LLM-Flash's.
    private func joyAI(
        shards: Int = 3, _ change: (inout [(name: String, bytes: [UInt8])]) throws -> Void = { _ in }
    ) throws -> TemporaryFolder {
        let folder = try TemporaryFolder()
        var files = TinyModel(.joyAI).files(shards: shards)
        try change(&files)
        for file in files { try folder.write(file.bytes, file.name) }
        return folder
    }

    private static let modules = "mtp-1-of-1.safetensors"

    @Test(arguments: [1, 3]) func modulesMayLieInAFileThatNoIndexNames(shards: Int) throws {
        let folder = try joyAI(shards: shards)
        let checkpoint = try Checkpoint(directory: folder.path)
        #expect(checkpoint.fileNames.last == Self.modules && checkpoint.warnings.isEmpty)
        #expect(try WeightLayout(checkpoint).mtp.count == 1)
    }

    @Test func modulesFileThatIsNotNeededIsNotRead() throws {
        // Nobody announces modules.
        let plain = try joyAI { files in
            let text = String(decoding: files[0].bytes, as: UTF8.self)
            files[0].bytes = Array(text.replacing("predict_layers\": 1", with: "predict_layers\": 0").utf8)
        }
        let checkpoint = try Checkpoint(directory: plain.path)
        #expect(checkpoint.warnings.count == 1 && checkpoint.warnings[0].contains(Self.modules))
        // The index names the layer.
        let model = TinyModel()
        let folder = try TemporaryFolder()
        try model.write(to: folder, shards: 3)
        try folder.write([1, 2, 3], Self.modules)
        let known = try Checkpoint(directory: folder.path)
        #expect(known.warnings.count == 1 && known.warnings[0].contains(Self.modules))
        #expect(try WeightLayout(known).mtp.count == 1)
    }

    @Test func modulesFileIsCheckedLikeOthers() throws {
        let cut = try joyAI { files in
            let index = try #require(files.firstIndex { $0.name == Self.modules })
            files[index].bytes.removeLast()
        }
        #expect(complaintAbout(cut).contains(Self.modules))
        // Another layer's number: the file does not hold the module.
        let geometry = TinyGeometry.joyAI
        let other = try joyAI { files in
            let index = try #require(files.firstIndex { $0.name == Self.modules })
            let tensors = TinyModel(geometry).tensors.filter { $0.name.hasPrefix("model.layers.3.") }.map { tensor in
                var tensor = tensor
                tensor.name = "draft." + tensor.name
                return tensor
            }
            files[index].bytes = SafetensorsWriter.file(tensors)
        }
        let checkpoint = try Checkpoint(directory: other.path)
        #expect(checkpoint.warnings.count == 1 && checkpoint.warnings[0].contains("more than MTP modules"))
        let layout = try WeightLayout(checkpoint)
        #expect(layout.mtp.isEmpty && layout.warnings.contains { $0.contains("announces 1 MTP module") })
        // Two files with the same module.
        let twice = try joyAI { files in
            let file = try #require(files.first { $0.name == Self.modules })
            files.append(("mtp-2-of-2.safetensors", file.bytes))
        }
        #expect(complaintAbout(twice).contains("is in mtp-1-of-1.safetensors and in mtp-2-of-2.safetensors"))
        // A second file with strange tensors alone.
        let strange = try joyAI { files in
            let tensor = StoredTensor(name: "draft.a", .f32, shape: [1], values: [1])
            files.append(("mtp-2-of-2.safetensors", SafetensorsWriter.file([tensor])))
        }
        let mixed = try Checkpoint(directory: strange.path)
        #expect(mixed.warnings.count == 1, "\(mixed.warnings)")
        #expect(mixed.warnings[0].contains("mtp-2-of-2.safetensors holds more than MTP modules; 1 of"))
        // No file at all.
        let none = try joyAI { $0.removeAll { $0.name == Self.modules } }
        let bare = try Checkpoint(directory: none.path)
        #expect(try WeightLayout(bare).mtp.isEmpty)
    }

    @Test func needsWeights() throws {
        #expect(complaintAbout(try write { $0.removeLast() }).contains("no weights"))
        #expect(complaintAbout(try write(shards: 2) { $0.removeLast() }).contains("index"))
        #expect(complaintAbout(try write(shards: 2) { $0.remove(at: 1) }).contains("is missing"))
        let both = try write(shards: 2) { $0.append(("model.safetensors", $0[1].bytes)) }
        #expect(complaintAbout(both).contains("two sets of weights"))
    }

    @Test(arguments: ["../x.safetensors", "/etc/passwd", "a/b.safetensors", "", "..", "x.bin", "a\\u0000.safetensors"])
    func indexStaysInItsFolder(_ name: String) throws {
        let folder = try write(shards: 2) { files in
            files[3].bytes = Array("{\"weight_map\": {\"model.norm.weight\": \"\(name)\"}}".utf8)
        }
        #expect(complaintAbout(folder).contains("same folder"))
    }

    @Test func indexAndShardsMustAgree() throws {
        let extra = try write(shards: 2) { files in
            let text = String(decoding: files[3].bytes, as: UTF8.self)
            let more = text.replacing("\"weight_map\": {", with: "\"weight_map\": {\n\"ghost\": \"\(files[1].name)\",")
            files[3].bytes = Array(more.utf8)
        }
        #expect(complaintAbout(extra).contains("tensor ghost is not in"))
        let swapped = try write(shards: 2) { files in
            (files[1].bytes, files[2].bytes) = (files[2].bytes, files[1].bytes)
        }
        #expect(complaintAbout(swapped).contains("do not belong together"))
        let twice = try write(shards: 2) { files in
            files[3].bytes = Array("{\"weight_map\": {\"a\": \"x.safetensors\", \"a\": \"y.safetensors\"}}".utf8)
        }
        #expect(complaintAbout(twice).contains("twice"))
    }

    @Test func warnsAboutFilesAndTensorsOutsideTheIndex() throws {
        let folder = try write(shards: 2) { files in
            files.append(("stray.safetensors", [1]))
            let stray = StoredTensor(name: "stray", .f32, shape: [1], values: [1])
            let own = model.tensors.enumerated().filter { $0.offset % 2 == 0 }.map(\.element)
            files[1].bytes = SafetensorsWriter.file(own + [stray])
        }
        let warnings = try Checkpoint(directory: folder.path).warnings
        #expect(warnings.count == 2 && warnings.contains { $0.contains("stray.safetensors") })
    }

    @Test func neverCrashesOnNoisyJSON() throws {
        let model = TinyModel(TinyGeometry { ($0.layers, $0.experts, $0.groups) = (1, 4, 2) })
        let whole = model.files(shards: 2)
        let interesting = Array("\"{}[]:,0123456789-.eE\\u \0\u{7F}".utf8)
        var random = SeededGenerator(seed: 12)
        for round in 0..<2_000 {
            var files = whole
            let index = round % 2 == 0 ? 0 : 3
            for _ in 0..<Int.random(in: 1...4, using: &random) {
                let position = files[index].bytes.indices.randomElement(using: &random)!
                files[index].bytes[position] = interesting.randomElement(using: &random)!
            }
            if round % 3 == 0 { files[index].bytes.removeLast(Int.random(in: 1...500, using: &random)) }
            do {
                try withCheckpoint(files) { _ = try WeightLayout($0) }
            } catch {
                #expect(error is CheckpointError)
            }
        }
    }

    @Test func namesFileAndTensorWhenAFileShrinks() throws {
        let folder = try write()
        let checkpoint = try Checkpoint(directory: folder.path)
        let tensor = try #require(checkpoint.tensor("model.norm.weight"))
        try folder.truncate("model.safetensors", to: 100)
        let text = complaint {
            var bytes = [UInt8](repeating: 0, count: tensor.range.count)
            try bytes.withUnsafeMutableBytes { try checkpoint.read(tensor, fromByte: 0, into: $0) }
        }
        #expect(text.contains("model.safetensors") && text.contains("model.norm.weight"), "\(text)")
    }
}
