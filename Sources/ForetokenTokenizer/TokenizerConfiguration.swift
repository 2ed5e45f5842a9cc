import ForetokenJSON

/// What tokenizer_config.json adds: the names of BOS and EOS, and the chat template's text.
struct TokenizerConfiguration {
    static let name = "tokenizer_config.json"

    private(set) var bos: [UInt8]?
    private(set) var eos: [UInt8]?
    private(set) var chatTemplate: String?

    init(_ bytes: UnsafeBufferPointer<UInt8>) throws(TokenizerError) {
        do {
            var reader = JSONReader(bytes)
            try read(&reader)
        } catch {
            throw TokenizerError(error, file: Self.name, size: bytes.count)
        }
    }

    private mutating func read(_ reader: inout JSONReader) throws {
        try reader.beginObject()
        while try reader.nextKey() {
            switch reader.key {
            case "bos_token": bos = try Self.readToken(&reader)
            case "eos_token": eos = try Self.readToken(&reader)
            case "chat_template": chatTemplate = try Self.readTemplate(&reader)
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

    /// One template, or a list of named ones, of which "default" is taken.
    private static func readTemplate(_ reader: inout JSONReader) throws -> String? {
        if try reader.takeNull() { return nil }
        guard try reader.kind() == .array else { return try reader.string() }
        var chosen: String?
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
            if name == "default" { chosen = template }
        }
        return chosen
    }
}
