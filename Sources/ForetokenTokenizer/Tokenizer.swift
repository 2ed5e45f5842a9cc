/// A byte-level BPE tokenizer in the manner of DeepSeek-V3, made from a checkpoint's tokenizer.json, or from the tiktoken.model of
/// Kimi's folders.
///
/// Text goes in as UTF-8 and comes out as ids below `vocabularyCount`; ids turn back into bytes. A token need not hold
/// whole characters, so bytes become text only at the very end: see `StreamingDetokenizer`. No BOS is added, whatever
/// the file's post-processor says: a prompt's first id is the caller's decision.
///
/// The value is immutable and cheap to copy; any number of threads may use it at once.
public struct Tokenizer: Sendable {
    /// The version of the Unicode Standard by which texts are cut into words, numbers and signs.
    public static let unicodeVersion = UnicodeTable.version

    let core: TokenizerCore

    /// The file that it was made from, and what that file does not say.
    public let origin: String
    /// The id that begins a text; nil when the checkpoint defines none.
    public let bos: Int32?
    /// The id that ends a text or an assistant's turn; nil when the checkpoint defines none.
    public let eos: Int32?
    /// Sources of tokenizer_config.json's chat templates by name; a single one is "default".
    public let chatTemplates: [String: String]
    /// Whether plain text begins with BOS: unless the file says no.
    public let addsBOS: Bool
    /// Whether plain text ends with EOS: only if the file says so.
    public let addsEOS: Bool
    /// Names such as "bos_token", in order, and the tokens that tokenizer_config.json gives them; chat templates ask for these.
    let specialTokens: [(name: String, text: String)]

    /// Reads tokenizer.json and, if the checkpoint has one, tokenizer_config.json.
    ///
    /// Without the latter, BOS and EOS are the added tokens `<｜begin▁of▁sentence｜>` and `<｜end▁of▁sentence｜>`, if
    /// there are such. Throws `TokenizerError.damaged` or `.unsupported`; nothing is guessed from a faulty file.
    public init(tokenizerJSON: UnsafeRawBufferPointer, configJSON: UnsafeRawBufferPointer? = nil) throws(TokenizerError)
    {
        core = try TokenizerCore(try TokenizerFile(tokenizerJSON.bindMemory(to: UInt8.self)))
        origin = TokenizerFile.name
        guard let configJSON else {
            bos = Self.id(spelt: "<｜begin▁of▁sentence｜>".utf8, in: core)
            eos = Self.id(spelt: "<｜end▁of▁sentence｜>".utf8, in: core)
            (chatTemplates, specialTokens) = ([:], [])
            (addsBOS, addsEOS) = (true, false)
            return
        }
        let configuration = try TokenizerConfiguration(configJSON.bindMemory(to: UInt8.self))
        let tokens = configuration.specialTokens
        bos = try Self.required(tokens["bos_token"], "bos_token", in: core)
        eos = try Self.required(tokens["eos_token"], "eos_token", in: core)
        addsBOS = configuration.addsBOS ?? true
        addsEOS = configuration.addsEOS ?? false
        chatTemplates = configuration.chatTemplates
        specialTokens = Self.named(tokens)
    }

    /// Reads a tiktoken.model, and the special tokens of tokenizer_config.json if the checkpoint has one, which stand behind the
    /// others; those without a name there are `<|reserved_token_N|>`. Texts are cut as Kimi's are, since the file does not say
    /// how, and get neither BOS nor EOS.
    ///
    /// Throws `TokenizerError.damaged`, and `.unsupported` where tokenizer_config.json names a class that is not Kimi's.
    public init(ranks: [UInt8], configJSON: [UInt8]? = nil) throws(TokenizerError) {
        let file = try Self.reading(ranks) { bytes throws(TokenizerError) in try RankFile(bytes) }
        let configuration = try configJSON.map { json throws(TokenizerError) in
            try Self.reading(json) { bytes throws(TokenizerError) in
                try TokenizerConfiguration(bytes, readsAddedTokens: true)
            }
        }
        if let found = configuration?.tokenizerClass, found != RankFile.tokenizerClass {
            throw .unsupported(
                file: TokenizerConfiguration.name,
                feature: "the class \(found.prefix(60)) beside \(RankFile.name), which is read as "
                    + "\(RankFile.tokenizerClass) alone reads it")
        }
        core = try TokenizerCore(file, special: try file.specialTokens(configuration?.addedTokens ?? [:]))
        origin = "\(RankFile.name), cut by the expression of Kimi's family"
        let tokens = configuration?.specialTokens ?? [:]
        bos = try Self.required(tokens["bos_token"], "bos_token", in: core, RankFile.name)
        eos = try Self.required(tokens["eos_token"], "eos_token", in: core, RankFile.name)
        addsBOS = configuration?.addsBOS ?? false
        addsEOS = configuration?.addsEOS ?? false
        chatTemplates = configuration?.chatTemplates ?? [:]
        specialTokens = Self.named(tokens)
    }

    private static func reading<Value>(
        _ bytes: [UInt8], _ body: (UnsafeBufferPointer<UInt8>) throws(TokenizerError) -> Value
    ) throws(TokenizerError) -> Value {
        try bytes.withUnsafeBufferPointer { bytes throws(TokenizerError) in try body(bytes) }
    }

    private static func named(_ tokens: [String: [UInt8]]) -> [(name: String, text: String)] {
        TokenizerConfiguration.tokenKeys.compactMap { key in
            tokens[key].map { (key, String(decoding: $0, as: UTF8.self)) }
        }
    }

    /// The same, from arrays of bytes.
    public init(tokenizerJSON: [UInt8], configJSON: [UInt8]? = nil) throws(TokenizerError) {
        let result: Result<Tokenizer, TokenizerError> = tokenizerJSON.withUnsafeBytes { file in
            guard let configJSON else { return Self.make(file, nil) }
            return configJSON.withUnsafeBytes { Self.make(file, $0) }
        }
        self = try result.get()
    }

    private static func make(
        _ file: UnsafeRawBufferPointer, _ configuration: UnsafeRawBufferPointer?
    ) -> Result<Tokenizer, TokenizerError> {
        Result { () throws(TokenizerError) in try Tokenizer(tokenizerJSON: file, configJSON: configuration) }
    }

    private static func required(
        _ token: [UInt8]?, _ key: String, in core: TokenizerCore, _ file: String = TokenizerFile.name
    ) throws(TokenizerError) -> Int32? {
        guard let token else { return nil }
        guard let id = id(spelt: token, in: core) else {
            let name = String(decoding: token.prefix(60), as: UTF8.self)
            throw .damaged(
                file: TokenizerConfiguration.name,
                reason: "its \(key) is \"\(name)\", a token that \(file) does not have")
        }
        return id
    }

    private static func id(spelt spelling: some Sequence<UInt8>, in core: TokenizerCore) -> Int32? {
        Array(spelling).withUnsafeBufferPointer { core.vocabulary.id(spelt: $0) }
    }

    // MARK: Vocabulary

    /// The highest id plus one. Not every id below it need have a token.
    public var vocabularyCount: Int { core.vocabulary.idCount }

    /// The id of a token as the file spells it: an added token by its text, another one in the byte alphabet
    /// (`Ġ` for a space).
    public func id(of token: String) -> Int32? { Self.id(spelt: token.utf8, in: core) }

    /// The bytes a token stands for, often only a part of a character; nil when the id has no token.
    public func bytes(of id: Int32) -> ArraySlice<UInt8>? { core.vocabulary.bytes(of: id) }

    /// The token as text; nil when the id has no token, or none that is text.
    func spelling(of id: Int32) -> String? { bytes(of: id).flatMap { String(validating: $0, as: UTF8.self) } }

    /// Whether the file marks the token special, so that detokenised text leaves it out. DeepSeek's role, thinking and
    /// tool markers are not.
    public func isSpecial(_ id: Int32) -> Bool { core.vocabulary.isSpecial(id) }

    /// Whether the file adds the token to those of the vocabulary proper: special ones and markers, not words.
    public func isAdded(_ id: Int32) -> Bool { core.vocabulary.isAdded(id) }

    // MARK: Encoding

    /// The ids of a UTF-8 text.
    ///
    /// With `addedTokens`, markers such as `<｜User｜>` in the text become their single ids; without, they are ordinary
    /// characters, as text from strangers must be. Throws `TokenizerError.invalidUTF8`, `.textTooLong` (2³¹ bytes) or
    /// `.patternFailed`. Takes O(n log n) time even for a text without any boundary.
    public func encode(_ utf8: UnsafeBufferPointer<UInt8>, addedTokens: Bool = true) throws(TokenizerError) -> [Int32] {
        try encode(utf8, plain: addedTokens ? [] : [utf8.indices])
    }

    /// The ids of a UTF-8 text in parts of which added tokens are ordinary characters, in all else as in the other form.
    /// - Parameter plain: those parts, as ascending ranges of bytes.
    func encode(_ utf8: UnsafeBufferPointer<UInt8>, plain: [Range<Int>]) throws(TokenizerError) -> [Int32] {
        var encoder = try TextEncoder(core, utf8)
        try encoder.encode(plain: plain)
        return encoder.output
    }

    /// The ids of a text; see the form that takes UTF-8.
    public func encode(_ text: String, addedTokens: Bool = true) throws(TokenizerError) -> [Int32] {
        var text = text
        let result: Result<[Int32], TokenizerError> = text.withUTF8 { utf8 in
            Result { () throws(TokenizerError) in try encode(utf8, addedTokens: addedTokens) }
        }
        return try result.get()
    }

    // MARK: Decoding

    /// The bytes of a sequence of tokens; ids without a token add nothing. Not necessarily valid UTF-8: a sequence may
    /// end inside a character.
    public func decode(_ ids: some Sequence<Int32>, skippingSpecial: Bool = true) -> [UInt8] {
        var output: [UInt8] = []
        for id in ids where !(skippingSpecial && isSpecial(id)) {
            if let bytes = bytes(of: id) { output.append(contentsOf: bytes) }
        }
        return output
    }
}
