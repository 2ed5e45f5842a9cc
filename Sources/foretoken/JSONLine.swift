import FoundationEssentials

/// One line of a JSON-lines file.
enum JSONLine {
    /// - Returns: the line's value, and all its keys.
    /// - Throws: `InputError` for anything but a JSON object with values of these types.
    static func parse<Line: Decodable>(_: Line.Type, _ bytes: [UInt8]) throws -> (line: Line, keys: [String]) {
        _ = try InputFile.text(bytes, source: "the line")
        guard let keys = try? JSONDecoder().decode([String: Anything].self, from: Data(bytes)).keys else {
            throw InputError("this is not a JSON object such as {\"prompt\": \"…\"}")
        }
        do {
            return (try JSONDecoder().decode(Line.self, from: Data(bytes)), Array(keys))
        } catch let error as DecodingError {
            throw InputError(error.sentence)
        }
    }
}

/// Any JSON value, not looked at.
private struct Anything: Decodable {
    init(from decoder: any Decoder) {}
}

extension DecodingError {
    /// The cause in one sentence, with the key it is about.
    fileprivate var sentence: String {
        switch self {
        case .typeMismatch(let type, let context): "\(Self.key(context)) must be \(Self.name(of: type))"
        case .valueNotFound(_, let context): "\(Self.key(context)) must not be null"
        case .keyNotFound(let key, _): "the key \"\(key.stringValue)\" is missing"
        // The decoder does not say where the number stands.
        case .dataCorrupted(let context) where context.codingPath.isEmpty:
            "a number does not fit its key: max_tokens, top_k, logprobs, seed and ids are whole numbers, seed is 0 or "
                + "more, and none is larger than the key's type allows"
        case .dataCorrupted(let context): "\(Self.key(context)): \(context.debugDescription)"
        @unknown default: "\(self)"
        }
    }

    /// What JSON calls a value of that type.
    private static func name(of type: any Any.Type) -> String {
        switch type {
        case is String.Type: "a string"
        case is Int.Type, is Int32.Type, is UInt64.Type: "a whole number"
        case is Float.Type, is Double.Type: "a number"
        case is Bool.Type: "true or false"
        default: "\(type)".hasPrefix("Array") ? "an array" : "an object"
        }
    }

    private static func key(_ context: Context) -> String {
        let path = context.codingPath.map { $0.intValue.map { "[\($0)]" } ?? $0.stringValue }.joined(separator: " ")
        return path.isEmpty ? "the line" : "\"\(path)\""
    }
}
