import ForetokenTokenizer
import ForetokenWeights
import Synchronization

extension Tokenizer {
    /// The files that a tokenizer can be made of, the first of which counts.
    static let files = ["tokenizer.json", "tiktoken.model"]

    /// The tokenizer of a checkpoint; nil when it has no file of one.
    package init?(_ checkpoint: Checkpoint) throws {
        for name in Self.files {
            guard let bytes = try checkpoint.file(named: name) else { continue }
            try self.init(name, bytes, settings: checkpoint.file(named: "tokenizer_config.json"))
            return
        }
        return nil
    }

    /// The tokenizer that a file of `files` gives.
    init(_ name: String, _ bytes: [UInt8], settings: [UInt8]?) throws(TokenizerError) {
        if name == Self.files[0] {
            try self.init(tokenizerJSON: bytes, configJSON: settings)
        } else {
            try self.init(ranks: bytes, configJSON: settings)
        }
    }

    /// The ids of a text to go on with: between BOS and EOS where the tokenizer's files ask for them. A text that brings its own
    /// BOS gets no second.
    package func encodePlain(_ text: String) throws -> [Int32] {
        var ids = try encode(text)
        if addsBOS, let bos, ids.first != bos { ids.insert(bos, at: 0) }
        if addsEOS, let eos { ids.append(eos) }
        return ids
    }

    /// Bytes of the text that the ids stand for; nil when one of them has no token.
    package func byteCount(of ids: some Sequence<Int32>) -> Int? {
        var count = 0
        for id in ids {
            guard let bytes = bytes(of: id) else { return nil }
            count += bytes.count
        }
        return count
    }
}

/// The chat format, once somebody has asked for it: most work needs none.
final class FoundChatFormat: Sendable {
    fileprivate let format = Mutex<ChatFormat?>(nil)
}

extension OpenModel {
    /// The format that the settings ask for, or else the checkpoint's own.
    /// - Throws: `TokenizerError` when the template cannot be used, or there is none and DeepSeek's formats do not fit;
    ///   `InputError` without a tokenizer.
    public func chatFormat() throws -> ChatFormat {
        let (format, isNew) = try foundChatFormat.format.withLock { found in
            if let found { return (found, false) }
            let format = try findChatFormat()
            found = format
            return (format, true)
        }
        if isNew, settings.chat == nil, let remark = format.remark {
            tell(.note("\(remark); --chat-template gives another"))
        }
        return format
    }

    private func findChatFormat() throws -> ChatFormat {
        let tokenizer = try requiredTokenizer()
        return switch settings.chat {
        case .deepSeek(let generation): try ChatFormat(generation, tokenizer)
        case .template(let source): try ChatFormat(ChatTemplates(source), tokenizer)
        case nil: try ChatFormat(ChatTemplates(of: checkpoint, tokenizer), tokenizer)
        }
    }
}

extension ChatTemplates {
    /// A checkpoint's own templates: newer folders keep them in a file of their own.
    init(of checkpoint: Checkpoint, _ tokenizer: Tokenizer) throws {
        let name = "chat_template.jinja"
        guard let file = try checkpoint.file(named: name) else {
            try self.init(tokenizer.chatTemplates)
            return
        }
        guard let source = String(validating: file, as: UTF8.self) else {
            throw InputError("\(name) of \(checkpoint.label) is not valid UTF-8")
        }
        try self.init(source)
    }
}
