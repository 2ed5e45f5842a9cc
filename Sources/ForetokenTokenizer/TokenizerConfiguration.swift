import ForetokenJSON

/// What tokenizer_config.json adds: the names of special tokens, which of them surround a text, and the chat templates.
struct TokenizerConfiguration {
    static let name = "tokenizer_config.json"

    /// Keys such as "bos_token" and the tokens they name, as the file spells them.
    private(set) var specialTokens: [String: [UInt8]] = [:]
    /// Whether a text begins with BOS; nil where the file does not say.
    private(set) var addsBOS: Bool?
    /// Whether a text ends with EOS; nil where the file does not say.
    private(set) var addsEOS: Bool?
    /// Sources of chat templates by name; a single one is "default".
    private(set) var chatTemplates: [String: String] = [:]
    /// The class that reads the tokenizer; nil where the file does not say.
    private(set) var tokenizerClass: String?
    /// The tokens of `added_tokens_decoder` by their ids; empty unless asked for.
    private(set) var addedTokens: [Int: TokenizerFile.AddedToken] = [:]

    /// The keys of tokens that chat templates may ask for.
    static let tokenKeys = ["bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token"]

    /// - Parameter readsAddedTokens: whether `added_tokens_decoder` is to be read: tokenizer.json says the same and more.
    init(_ bytes: UnsafeBufferPointer<UInt8>, readsAddedTokens: Bool = false) throws(TokenizerError) {
        do {
            var reader = JSONReader(bytes)
            try read(&reader, readsAddedTokens)
        } catch {
            throw TokenizerError(error, file: Self.name, size: bytes.count)
        }
    }

    private mutating func read(_ reader: inout JSONReader, _ readsAddedTokens: Bool) throws {
        try reader.beginObject()
        while try reader.nextKey() {
            switch reader.key {
            case let key where Self.tokenKeys.contains(key): specialTokens[key] = try Self.readToken(&reader)
            case "add_bos_token": addsBOS = try Self.readFlag(&reader)
            case "add_eos_token": addsEOS = try Self.readFlag(&reader)
            case "tokenizer_class" where readsAddedTokens:
                tokenizerClass = try reader.takeNull() ? nil : try reader.string()
            case "added_tokens_decoder" where readsAddedTokens: try readAddedTokens(&reader)
            case "chat_template": chatTemplates = try Self.readTemplates(&reader)
            default: try reader.skip()
            }
        }
        try reader.finish()
    }

    /// A string, an object with the string as its content, or null.
    private static func readToken(_ reader: inout JSONReader) throws -> [UInt8]? {
        switch try reader.kind() {
        case .string:
            try reader.readString()
            return reader.text
        case .object:
            var content: [UInt8]?
            try reader.beginObject()
            while try reader.nextKey() {
                guard reader.text.elementsEqual("content".utf8) else {
                    try reader.skip()
                    continue
                }
                try reader.readString()
                content = reader.text
            }
            guard let content else { throw reader.error("a token without content") }
            return content
        case .null:
            try reader.skip()
            return nil
        default: throw reader.error("expected a token")
        }
    }

    private mutating func readAddedTokens(_ reader: inout JSONReader) throws {
        try reader.beginObject()
        while try reader.nextKey() {
            let key = reader.key
            guard let id = Int(key), String(id) == key, (0..<Vocabulary.highestID).contains(id) else {
                throw reader.error("expected the id of an added token, found \"\(key.prefix(60))\"")
            }
            var token = TokenizerFile.AddedToken(id: id, content: [])
            try reader.beginObject()
            while try reader.nextKey() {
                switch reader.key {
                case "content":
                    try reader.readString()
                    token.content = reader.text
                case "special": token.isSpecial = try reader.bool()
                default: try reader.skip()
                }
            }
            guard !token.content.isEmpty else { throw reader.error("an added token without content") }
            addedTokens[id] = token
        }
    }

    private static func readFlag(_ reader: inout JSONReader) throws -> Bool? {
        try reader.takeNull() ? nil : try reader.bool()
    }

    /// One template, or a list of named ones.
    private static func readTemplates(_ reader: inout JSONReader) throws -> [String: String] {
        if try reader.takeNull() { return [:] }
        guard try reader.kind() == .array else { return [ChatTemplates.usual: try reader.string()] }
        var templates: [String: String] = [:]
        try reader.beginArray()
        while try reader.nextElement() {
            var name: String?
            var template: String?
            try reader.beginObject()
            while try reader.nextKey() {
                switch reader.key {
                case "name": name = try reader.string()
                case "template": template = try reader.string()
                default: try reader.skip()
                }
            }
            guard let name, let template else { throw reader.error("a chat template without name or text") }
            if let other = templates[name], !other.utf8.elementsEqual(template.utf8) {
                let reason = "it has several chat templates named \"\(name.prefix(60))\" with different texts"
                throw TokenizerError.damaged(file: Self.name, reason: reason)
            }
            templates[name] = template
        }
        return templates
    }
}
