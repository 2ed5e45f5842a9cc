import ForetokenTestSupport
import Glibc
import Testing

extension EngineTests {
    /// What may stand behind --model.
    @Suite struct ModelNames {
        /// What is compared of an answer without a text.
        private struct Ids: Decodable {
            let tokens: [Int32]
        }

        private let folder: TemporaryFolder
        private let snapshot: String
        private let ids = ["--prompt-tokens", "1,2,3", "--max-tokens", "4", "--threads", "1", "--json"]

        /// A cache as Hugging Face's tools lay it out, links to blobs included.
        init() throws {
            folder = try TemporaryFolder()
            let model = folder.path + "/hub/models--some-owner--Tiny-V3"
            snapshot = model + "/snapshots/0123abcd"
            for path in [
                folder.path + "/hub", model, model + "/blobs", model + "/refs", model + "/snapshots", snapshot,
            ] {
                try #require(mkdir(path, 0o755) == 0)
            }
            let plain = try TemporaryFolder()
            try TinyModel(TinyGeometry()).write(to: plain)
            for (index, name) in try plain.names().enumerated() {
                try folder.write(plain.read(name), "hub/models--some-owner--Tiny-V3/blobs/\(index)")
                try #require(symlink("../../blobs/\(index)", "\(snapshot)/\(name)") == 0)
            }
            try folder.write(Array("0123abcd\n".utf8), "hub/models--some-owner--Tiny-V3/refs/main")
        }

        private func run(_ model: String, _ variables: [String: String]? = nil) throws -> Command.Outcome {
            try Command(
                ["generate", "--model", model] + ids,
                environment: variables ?? ["HF_HUB_CACHE": "", "HF_HOME": folder.path]
            ).finish()
        }

        @Test func aModelOfHuggingFacesCacheIsFound() throws {
            let direct = try run(snapshot)
            #expect(direct.status == 0, "\(direct.errors)")
            let tokens = try direct.json(Ids.self).tokens
            #expect(tokens.count == 4)
            for (name, variables) in [
                ("some-owner/Tiny-V3", ["HF_HUB_CACHE": "", "HF_HOME": folder.path]),
                ("some-owner/Tiny-V3", ["HF_HUB_CACHE": folder.path + "/hub"]),
                (folder.path + "/hub/models--some-owner--Tiny-V3", [:]),
            ] {
                let outcome = try run(name, variables)
                #expect(outcome.status == 0, "\(outcome.errors)")
                #expect(try outcome.json(Ids.self).tokens == tokens)
                #expect(outcome.errors.contains("cache: using \(snapshot)"), "\(outcome.errors)")
                #expect(outcome.errors.count(of: "using") == 1, "said once")
            }
            let inspected = try Command.run(
                "inspect", "some-owner/Tiny-V3", environment: ["HF_HUB_CACHE": "", "HF_HOME": folder.path])
            #expect(inspected.status == 0, "\(inspected.errors)")
        }

        @Test func homesCacheIsLookedAtToo() throws {
            try #require(
                mkdir(folder.path + "/.cache", 0o755) == 0 && mkdir(folder.path + "/.cache/huggingface", 0o755) == 0)
            try #require(symlink("../../hub", folder.path + "/.cache/huggingface/hub") == 0)
            let outcome = try run("some-owner/Tiny-V3", ["HF_HUB_CACHE": "", "HF_HOME": "", "HOME": folder.path])
            #expect(outcome.status == 0, "\(outcome.errors)")
        }

        @Test func whatIsNotThereIsToBeDownloaded() throws {
            let outcome = try run("some-owner/Other")
            #expect(outcome.status == 2 && outcome.errors.contains("hf download some-owner/Other"), "\(outcome.errors)")
            for name in ["./some/Other", "../x", "/a/b", "a/b/c"] {
                let other = try run(name)
                #expect(other.status == 2 && other.errors.contains("does not exist"), "\(other.errors)")
            }
        }

        @Test(arguments: ["../../../../etc", "ffff", "", "a b", String(repeating: "a", count: 2 << 20)])
        func damagedCachesAreRefused(revision: String) throws {
            try folder.write(Array(revision.utf8), "hub/models--some-owner--Tiny-V3/refs/main")
            let outcome = try run("some-owner/Tiny-V3")
            #expect(outcome.status == 65 && outcome.errors.contains("refs/main"), "\(outcome.errors)")
        }

        @Test func withoutAReferenceTheOnlySnapshotIsTaken() throws {
            try #require(unlink(folder.path + "/hub/models--some-owner--Tiny-V3/refs/main") == 0)
            #expect(try run("some-owner/Tiny-V3").status == 0)
            try #require(mkdir(folder.path + "/hub/models--some-owner--Tiny-V3/snapshots/4567", 0o755) == 0)
            let outcome = try run("some-owner/Tiny-V3")
            #expect(outcome.status == 65 && outcome.errors.contains("2 snapshots"), "\(outcome.errors)")
        }

        @Test func ggufFilesAreExplained() throws {
            try folder.write(Array("GGUF".utf8), "model.gguf")
            let file = try run(folder.path + "/model.gguf")
            #expect(file.status == 65 && file.errors.contains("GGUF files are not read"), "\(file.errors)")
            let missing = try run("Some-Q4_K_M.GGUF")
            #expect(missing.status == 2 && missing.errors.contains("GGUF files are not read"), "\(missing.errors)")
            let inside = try run(folder.path)
            #expect(inside.status == 65 && inside.errors.contains("GGUF files are not read"), "\(inside.errors)")
        }
    }
}
