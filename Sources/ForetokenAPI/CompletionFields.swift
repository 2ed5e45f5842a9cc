import ForetokenJSON
import ForetokenText
import ForetokenTokenizer

/// What a completion request says of its prompts.
enum CompletionFields {
    /// The tokens of one prompt or of several.
    static func prompts(_ fields: RequestFields, _ served: ServedModel) throws(APIError) -> [[Int32]] {
        guard let prompts = try fields.read("prompt", list) else {
            throw APIError(400, code: "missing_required_parameter", param: "prompt", "`prompt` is missing")
        }
        guard (1...Order.mostChoices).contains(prompts.count) else {
            throw .value("prompt", "`prompt` must be 1...\(Order.mostChoices) prompts, not \(prompts.count)")
        }
        let suffix = try fields.string("suffix") ?? ""
        var tokens: [[Int32]] = []
        for prompt in prompts {
            tokens.append(
                suffix.isEmpty
                    ? try served.encode(prompt, param: "prompt") : try gap(prompt, before: suffix, served))
        }
        return tokens
    }

    /// A text, ids, or a list of either.
    private static func list(_ field: JSONField) throws -> [Prompt] {
        if let text = field.value?.string { return [.text(text)] }
        guard case .array(let elements) = field.value else {
            throw field.mismatch("a string, a list of strings, a list of token ids or a list of such lists")
        }
        switch elements.first {
        case .number: return [.tokens(try field.integers())]
        case .array: return try field.list().map { .tokens(try $0.integers()) }
        default: return try field.strings().map { .text($0) }
        }
    }

    /// A text with a gap to be filled before the suffix, as DeepSeek's models know it. Neither text can hold markers.
    private static func gap(_ prompt: Prompt, before suffix: String, _ served: ServedModel) throws(APIError) -> [Int32]
    {
        guard case .text(let prefix) = prompt else {
            throw .unsupported("suffix", "`suffix` is only possible where `prompt` is text")
        }
        let tokenizer = try APIError.reading("suffix") { try served.open.requiredTokenizer() }
        let markers = ["begin", "hole", "end"].compactMap { tokenizer.id(of: "<｜fim▁\($0)｜>") }
        guard markers.count == 3 else {
            throw .unsupported("suffix", "the model \(served.name) has no tokens for text with a gap; leave it out")
        }
        let texts = try APIError.reading("prompt") {
            try [prefix, suffix].map { try tokenizer.encode($0, addedTokens: false) }
        }
        let bos = tokenizer.addsBOS ? tokenizer.bos.map { [$0] } ?? [] : []
        let tokens = bos + [markers[0]] + texts[0] + [markers[1]] + texts[1] + [markers[2]]
        return try served.encode(.tokens(tokens.map { Int($0) }), param: "prompt")
    }
}
