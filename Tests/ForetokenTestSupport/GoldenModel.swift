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
    /// Whether it has MTP modules, and so reference drafts.
    public let hasModules: Bool

    /// One whose checkpoint lies beside its reference results.
    private init(_ name: String, hasModules: Bool = true) {
        self.init(name, directory: Fixtures.golden(name), hasModules: hasModules)
    }

    private init(_ name: String, directory: String, hasModules: Bool) {
        description = name
        self.directory = directory
        self.hasModules = hasModules
    }

    /// Relatives of DeepSeek-V3, each as its publisher writes config.json and names tensors and files.
    public static let relatives =
        [
            GoldenModel("glm-4.7-flash"), GoldenModel("joyai-flash"), GoldenModel("gigachat3"), GoldenModel("glm-fp8"),
            GoldenModel("moonlight", hasModules: false), GoldenModel("kimi-k2", hasModules: false),
            GoldenModel("kimi-k2-int4", hasModules: false),
            GoldenModel("deepseek-v2", hasModules: false), GoldenModel("deepseek-v2-lite", hasModules: false),
        ] + sparse

    /// Those that attend to entries which an indexer chooses.
    public static let sparse = [
        GoldenModel("deepseek-v32"), GoldenModel("glm-5"), GoldenModel("glm-5.2", hasModules: false),
    ]

    /// All there are.
    public static let all =
        [
            GoldenModel("demo", directory: Fixtures.demoModel, hasModules: true), GoldenModel("bf16-plain"),
            GoldenModel("fp8-ragged"),
        ] + relatives

    /// The one of that name.
    public static func named(_ name: String) -> GoldenModel {
        guard let model = all.first(where: { $0.description == name }) else {
            preconditionFailure("there is no reference for \(name)")
        }
        return model
    }

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
