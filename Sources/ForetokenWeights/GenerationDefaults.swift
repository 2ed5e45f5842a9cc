import ForetokenJSON

/// What a checkpoint's generation_config.json says: further tokens that end an answer, and how its makers draw tokens.
/// Every key may be missing; unknown ones are ignored.
public struct GenerationDefaults: Sendable, Equatable {
    static let file = "generation_config.json"

    /// Tokens that end an answer, besides those of config.json.
    public let eosTokens: [Int32]
    /// Divides the logits, 0 or more.
    public let temperature: Float?
    /// Probability that the tokens drawn from reach together, above 0 and at most 1.
    public let topP: Float?
    /// Number of the likeliest tokens drawn from; 0 for all.
    public let topK: Int?
    /// Divisor of the positive logits of tokens already there, above 0.
    public let repetitionPenalty: Float?
    /// false: the likeliest token is always taken, whatever the temperature.
    public let doSample: Bool?

    /// Reads the file.
    /// - Parameters:
    ///   - json: its bytes.
    ///   - vocabularySize: the ids of the model are below it.
    /// - Throws: `CheckpointError` naming the file, for bad JSON and for values that mean nothing.
    public init(json: [UInt8], vocabularySize: Int) throws(CheckpointError) {
        do throws(JSONError) {
            let fields = try JSONField(JSONValue(json)).fields()
            eosTokens = try Self.tokens(fields["eos_token_id"], below: vocabularySize)
            temperature = try Self.float(fields["temperature"], "a number from 0 on") { $0 >= 0 }
            topP = try Self.float(fields["top_p"], "a number above 0 and at most 1") { $0 > 0 && $0 <= 1 }
            repetitionPenalty = try Self.float(fields["repetition_penalty"], "a number above 0") { $0 > 0 }
            topK = try fields["top_k"].given?.integer()
            doSample = try fields["do_sample"].given?.flag()
            if let topK, topK < 0 { throw fields["top_k"].mismatch("a whole number from 0 on") }
        } catch {
            throw CheckpointError(error, in: Self.file)
        }
    }

    private static func tokens(_ field: JSONField, below limit: Int) throws(JSONError) -> [Int32] {
        guard let field = field.given else { return [] }
        let ids: [Int]
        if case .array = field.value { ids = try field.integers() } else { ids = [try field.integer()] }
        if let bad = ids.first(where: { !(0..<limit).contains($0) }) {
            throw JSONError("`\(field.path)` must be token ids in 0...\(limit - 1), found \(bad)")
        }
        return ids.map { Int32($0) }
    }

    private static func float(
        _ field: JSONField, _ expected: String, _ isAllowed: (Float) -> Bool
    ) throws(JSONError) -> Float? {
        guard let field = field.given else { return nil }
        let value = Float(try field.number())
        guard value.isFinite, isAllowed(value) else { throw field.mismatch(expected) }
        return value
    }
}

extension GenerationDefaults: Encodable {
    private enum CodingKeys: String, CodingKey {
        case temperature
        case topP = "top_p"
        case topK = "top_k"
        case repetitionPenalty = "repetition_penalty"
        case doSample = "do_sample"
    }

    /// Encodes how tokens are drawn, under the file's own keys.
    public func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encodeIfPresent(temperature, forKey: .temperature)
        try container.encodeIfPresent(topP, forKey: .topP)
        try container.encodeIfPresent(topK, forKey: .topK)
        try container.encodeIfPresent(repetitionPenalty, forKey: .repetitionPenalty)
        try container.encodeIfPresent(doSample, forKey: .doSample)
    }
}

extension Checkpoint {
    /// What generation_config.json says; nil when there is no such file.
    /// - Throws: `CheckpointError` for a damaged one.
    public func generationDefaults() throws -> GenerationDefaults? {
        guard let json = try file(named: GenerationDefaults.file) else { return nil }
        return try GenerationDefaults(json: json, vocabularySize: configuration.vocabularySize)
    }
}

extension ModelConfiguration {
    /// Tokens that end an answer: those of config.json, then those that only generation_config.json names.
    public func endTokens(_ defaults: GenerationDefaults?) -> [Int32] {
        (eosTokens + (defaults?.eosTokens ?? [])).reduce(into: []) { ids, id in
            if !ids.contains(id) { ids.append(id) }
        }
    }
}
