import FoundationEssentials

/// One prompt of a golden.json; see the schema beside the fixtures.
public struct GoldenPrompt: Decodable {
    /// The prompt.
    public let prompt_ids: [Int32]
    /// Its greedy continuation.
    public let greedy_ids: [Int32]
    /// By module: the best guess behind every token of both.
    public let mtp_greedy_drafts: [[Int32]]
    /// By kind of hidden state: chains of drafts, by draft and token; nil without.
    public let mtp_recursive_drafts: [String: [[Int32]]]?
}

/// A checkpoint with reference results.
public struct GoldenModel: Sendable, CustomStringConvertible {
    /// Its name.
    public let description: String
    /// The checkpoint's folder.
    public let directory: String

    /// All there are.
    public static let all = [
        GoldenModel(description: "demo", directory: Fixtures.demoModel),
        GoldenModel(description: "bf16-plain", directory: Fixtures.golden("bf16-plain")),
        GoldenModel(description: "fp8-ragged", directory: Fixtures.golden("fp8-ragged")),
    ]

    private struct File: Decodable { let prompts: [GoldenPrompt] }

    /// Prompts with what the reference made of them.
    public func prompts() throws -> [GoldenPrompt] {
        let file = Fixtures.golden(description) + "/golden.json"
        return try JSONDecoder().decode(File.self, from: Data(contentsOf: URL(filePath: file))).prompts
    }

    /// The reference's values.
    public func tensors() throws -> GoldenTensors {
        try GoldenTensors(path: Fixtures.golden(description) + "/golden.safetensors")
    }
}
