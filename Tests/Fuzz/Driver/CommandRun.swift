import ForetokenTestSupport
import FoundationEssentials
import Glibc

/// Runs the built program in a folder with sound files, and judges how it ended.
final class CommandRun {
    /// Exit codes that the program promises.
    private static let codes: [Int32] = [0, 1, 2, 65, 130]
    /// Seconds after which it is interrupted as by Ctrl-C, and then until it counts as hung.
    private static let (patience, limit) = (8, 120)

    /// Where measured bandwidths are kept, seen from the folder.
    static let cache = "model/foretoken/"

    /// Where it runs.
    let folder: TemporaryFolder
    private var sound: [String: [UInt8]] = [:]
    private let kept: Set<String>
    private let outside: TemporaryFolder

    /// Makes the folder: a tiny model in `model`, the embedded one's own files being inside the program, and one sound
    /// file of each format.
    init() throws {
        folder = try TemporaryFolder()
        outside = try TemporaryFolder()
        mkdir(folder.path + "/model", 0o755)
        let model =
            TinyModel(TinyGeometry { $0.vocabulary = 320 }).files() + [
                ("tokenizer.json", Array(SmallTokenizer.json.utf8)),
                ("tokenizer_config.json", Array(SmallTokenizer.configurations[1].utf8)),
            ]
        for (name, bytes) in model { sound["model/" + name] = bytes }
        for (name, text) in CommandLines.files { sound[name] = Array(text.utf8) }
        sound["code.trace"] = try SampleFiles.traces()[0]
        for (name, bytes) in sound { try folder.write(bytes, name) }
        kept = Set(try folder.names())
        // Programs that this process starts run there.
        guard chdir(folder.path) == 0 else { throw Unclean("\(folder.path) cannot be entered") }
    }

    /// Records a trace of the embedded model and makes a plan from it, both for this machine, in place of made-up ones.
    func record() throws {
        try run(["score", "--text-file", "text.txt", "--record-routing", "new.trace"], patience: Self.limit) {
            sound["code.trace"] = try folder.read("new.trace")
        }
        try run(
            [
                "place", "--trace", "code.trace", "--policy", "round-robin", "--search-seconds", "0.1", "--out",
                "new.json",
            ], patience: Self.limit
        ) {
            sound["plan.json"] = try folder.read("new.json")
        }
    }

    /// Runs one command line, with one file replaced if asked, and puts the folder in order again.
    /// - Throws: `Unclean`; a `Refusal` when the program refused as it should.
    /// `keep` is called after success, before that.
    func run(
        _ arguments: [String], replacing file: (name: String, bytes: [UInt8])? = nil, patience: Int = patience,
        keep: () throws -> Void = {}
    ) throws {
        if let file { try folder.write(file.bytes, file.name) }
        defer { tidy(file?.name) }
        let process = try Process(
            [Self.program] + arguments, output: outside.path + "/output", errors: outside.path + "/errors",
            input: folder.path + "/standard-input",
            variables: [
                "XDG_CACHE_HOME": folder.path + "/model", "ASAN_OPTIONS": "detect_leaks=0:abort_on_error=1",
                "OPENBLAS_NUM_THREADS": "1",
            ])
        var ending = process.wait(seconds: patience)
        let interrupted = ending == nil
        if interrupted {
            kill(process.id, SIGINT)
            ending = process.wait(seconds: Self.limit)
        }
        guard let ending else {
            kill(process.id, SIGKILL)
            _ = process.wait()
            throw Unclean("no end within \(Self.limit) seconds of an interrupt: \(arguments)")
        }
        do {
            try judge(ending, interrupted)
            try keep()
        } catch {
            throw error is Refusal ? error : Unclean("\(error)\n  \(arguments)")
        }
    }

    private func judge(_ ending: Process.Ending, _ interrupted: Bool) throws {
        let errors = String(decoding: try outside.read("errors"), as: UTF8.self)
        // Before there is anything to save, Ctrl-C may end it at once.
        if interrupted, ending == .signal(SIGINT) { return }
        guard case .code(let code) = ending, Self.codes.contains(code), interrupted || code != 130 else {
            throw Unclean("it ended with \(ending): \(errors.suffix(2000))")
        }
        let leftovers = try folder.names().filter { $0.contains(".foretoken") || $0.hasSuffix(".tmp") }
        guard leftovers.isEmpty else { throw Unclean("it left \(leftovers) behind") }
        if !errors.isEmpty { try Unclean.check(message: errors) }
        let isControl: (Unicode.Scalar) -> Bool = {
            ($0.value < 0x20 && $0 != "\n" && $0 != "\t") || 0x7F...0x9F ~= $0.value || 0x202A...0x202E ~= $0.value
                || 0x2066...0x2069 ~= $0.value
        }
        if let raw = errors.unicodeScalars.first(where: isControl) {
            throw Unclean("a raw control character U+\(String(raw.value, radix: 16)) in: \(errors.suffix(1000))")
        }
        guard code != 0, code != 130 else { return }
        // What inspect finds wrong is its result.
        if code == 65, try !outside.read("output").isEmpty { throw Refusal(description: "see its output") }
        guard errors.hasPrefix("foretoken: error: ") || errors.contains("\nforetoken: error: ") else {
            throw Unclean("it ended with \(code) without an error message: \(errors.suffix(1000))")
        }
        throw Refusal(description: errors)
    }

    private func tidy(_ replaced: String?) {
        for name in (try? folder.names()) ?? [] where !kept.contains(name) {
            try? FileManager.default.removeItem(atPath: folder.path + "/" + name)
        }
        for (name, bytes) in sound where name == replaced || !name.hasPrefix("model/") {
            try? folder.write(bytes, name)
        }
    }

    /// Makes the folder where measured bandwidths are kept.
    func makeCache() throws {
        guard mkdir(folder.path + "/" + Self.cache, 0o755) == 0 else {
            throw Unclean("the cache's folder cannot be made")
        }
    }

    /// The program beside this one, or the one in FUZZ_SANITIZED, which was built with the address sanitizer.
    static var program: String {
        sanitized ?? Runner.ownPath.split(separator: "/").dropLast().map { "/" + $0 }.joined() + "/foretoken"
    }

    /// A program that may map as much as it likes, since the address sanitizer maps terabytes.
    static var sanitized: String? { getenv("FUZZ_SANITIZED").map { String(cString: $0) } }
}

/// The program said what is wrong, as it should.
struct Refusal: Error, CustomStringConvertible {
    let description: String
}
