import FoundationEssentials
import ForetokenTokenizer

/// Files of the tests, found from where this source file lies.
enum Files {
    private static let tests: [Substring] = #filePath.split(separator: "/", omittingEmptySubsequences: false).dropLast(
        2)

    static func path(_ relative: String) -> String { tests.joined(separator: "/") + "/" + relative }

    static func bytes(_ relative: String) throws -> [UInt8] {
        Array(try Data(contentsOf: URL(fileURLWithPath: path(relative))))
    }

    static func fixture<T: Decodable>(_ name: String, as type: T.Type) throws -> T {
        try JSONDecoder().decode(type, from: Data(try bytes("ForetokenTokenizerTests/Fixtures/\(name)")))
    }

    static let demo = "../Sources/CForetokenDemo/model/tokenizer.json"
    static let published = ".fetched/tokenizer.json"

    static let hasPublished = FileManager.default.fileExists(atPath: path(published))
}

/// A text and the ids that the reference library gives it; in JSON `["text", [1, 2]]`.
struct GoldenVector: Decodable {
    var text: String
    var ids: [Int32]

    init(from decoder: any Decoder) throws {
        var row = try decoder.unkeyedContainer()
        text = try row.decode(String.self)
        ids = try row.decode([Int32].self)
    }
}

/// A linear congruential sequence, so that a failure can be repeated.
struct Repeatable: RandomNumberGenerator {
    var state: UInt64

    mutating func next() -> UInt64 {
        state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
        return state ^ state >> 29
    }
}

/// The demo's tokenizer, loaded once for all tests.
let demoTokenizer = Result {
    try Tokenizer(
        tokenizerJSON: try Files.bytes(Files.demo),
        configJSON: try Files.bytes("ForetokenTokenizerTests/Fixtures/demo-tokenizer_config.json"))
}

/// The published V3 tokenizer; only for tests that run where it has been fetched.
let publishedTokenizer = Result { try Tokenizer(tokenizerJSON: try Files.bytes(Files.published)) }
