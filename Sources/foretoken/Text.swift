import ForetokenTokenizer
import ForetokenWeights

extension Tokenizer {
    /// The tokenizer of a checkpoint; nil when it has no tokenizer.json.
    init?(_ checkpoint: Checkpoint) throws {
        guard let json = try checkpoint.file(named: "tokenizer.json") else { return nil }
        try self.init(tokenizerJSON: json, configJSON: checkpoint.file(named: "tokenizer_config.json"))
    }

    /// The ids of a text behind one BOS, if the tokenizer defines one. A text that brings its own gets no second.
    func encodeWithBOS(_ text: String) throws -> [Int32] {
        let ids = try encode(text)
        guard let bos, ids.first != bos else { return ids }
        return [bos] + ids
    }

    /// Bytes of the text that the ids stand for; nil when one of them has no token.
    func byteCount(of ids: some Sequence<Int32>) -> Int? {
        var count = 0
        for id in ids {
            guard let bytes = bytes(of: id) else { return nil }
            count += bytes.count
        }
        return count
    }
}

extension OpenModel {
    /// The checkpoint's chat format.
    /// - Throws: `TokenizerError` when it has none that this program knows.
    func chatFormat() throws -> ChatFormat {
        let tokenizer = try requiredTokenizer()
        // Newer folders keep the template in a file of its own.
        let file = try checkpoint.file(named: "chat_template.jinja")
        return try ChatFormat.detect(tokenizer, template: file.map { String(decoding: $0, as: UTF8.self) })
    }
}
