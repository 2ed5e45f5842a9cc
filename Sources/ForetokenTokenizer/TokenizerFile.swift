import ForetokenJSON

/// What tokenizer.json says, checked for shape but not yet for sense: `Tokenizer` builds its tables from it.
struct TokenizerFile {
    static let name = "tokenizer.json"

    struct AddedToken {
        var id: Int
        var content: [UInt8]
        var isSpecial = false
        /// The library looks for tokens that are not normalized first, then for the others in what is left.
        var isNormalized = false
    }

    /// Many byte strings in one store: `ends[i]` is where string i ends.
    struct Strings {
        private(set) var store: [UInt8] = []
        private(set) var ends: [Int] = []

        var count: Int { ends.count }

        mutating func append(_ bytes: some Collection<UInt8>) {
            store.append(contentsOf: bytes)
            ends.append(store.count)
        }

        func withBytes<R>(_ index: Int, _ body: (UnsafeBufferPointer<UInt8>) -> R) -> R {
            store.withUnsafeBufferPointer {
                body(UnsafeBufferPointer(rebasing: $0[(index == 0 ? 0 : ends[index - 1])..<ends[index]]))
            }
        }
    }

    private(set) var addedTokens: [AddedToken] = []
    private(set) var splits: [SplitPattern.Source] = []
    private(set) var tokens = Strings()
    private(set) var tokenIDs: [Int] = []
    /// Two strings for each merge, left and right, in order of rank.
    private(set) var merges = Strings()
    private(set) var ignoresMerges = false

    init(_ bytes: UnsafeBufferPointer<UInt8>) throws(TokenizerError) {
        guard bytes.count <= Int32.max else {
            throw .damaged(file: Self.name, reason: "it has \(bytes.count) bytes, expected at most \(Int32.max)")
        }
        do {
            var reader = JSONReader(bytes)
            try read(&reader)
        } catch {
            throw TokenizerError(error, file: Self.name, size: bytes.count)
        }
    }

    private mutating func read(_ reader: inout JSONReader) throws {
        var seen: Set<String> = []
        try reader.beginObject()
        while try reader.nextKey() {
            let key = reader.key
            seen.insert(key)
            switch key {
            case "added_tokens": try readAddedTokens(&reader)
            case "normalizer": try Self.readNormalizer(&reader)
            case "pre_tokenizer": try readPreTokenizer(&reader)
            case "model": try readModel(&reader)
            case "decoder": try Self.readDecoder(&reader)
            default: try reader.skip()
            }
        }
        try reader.finish()
        for key in ["model", "pre_tokenizer", "decoder"] where !seen.contains(key) {
            throw TokenizerError.damaged(file: Self.name, reason: "\"\(key)\" is missing")
        }
    }

    /// - Parameter feature: what the file asks for; names from the file may be as long as the file.
    static func unsupported(_ feature: String) -> TokenizerError {
        .unsupported(file: name, feature: feature.count > 400 ? feature.prefix(400) + "…" : feature)
    }

    // MARK: Added tokens

    private mutating func readAddedTokens(_ reader: inout JSONReader) throws {
        try reader.beginArray()
        while try reader.nextElement() {
            var id: Int?
            var token = AddedToken(id: 0, content: [])
            var inexact: String?
            try reader.beginObject()
            while try reader.nextKey() {
                let key = reader.key
                switch key {
                case "id": id = try reader.integer()
                case "content":
                    try reader.readString()
                    token.content = reader.text
                case "special": token.isSpecial = try reader.bool()
                case "normalized": token.isNormalized = try reader.bool()
                case "single_word", "lstrip", "rstrip": if try reader.bool() { inexact = key }
                default: try reader.skip()
                }
            }
            guard let id, !token.content.isEmpty else { throw reader.error("an added token without id or content") }
            if let inexact {
                let name = String(decoding: token.content.prefix(60), as: UTF8.self)
                throw Self.unsupported("\(inexact) for the added token \"\(name)\"")
            }
            token.id = id
            addedTokens.append(token)
        }
    }

    // MARK: Normalizer, pre-tokenizer, decoder

    private static func readNormalizer(_ reader: inout JSONReader) throws {
        if try reader.takeNull() { return }
        let part = try Part(&reader)
        guard part.type == "Sequence" else { throw unsupported("the normalizer \(part.type)") }
        if let first = part.children.first { throw unsupported("the normalizer \(first.type)") }
    }

    /// Published files have three; each is a level of recursion.
    private static let mostSplits = 64

    private mutating func readPreTokenizer(_ reader: inout JSONReader) throws {
        if try reader.takeNull() { throw Self.unsupported("no pre-tokenizer at all") }
        let part = try Part(&reader)
        let steps = part.type == "Sequence" ? part.children : [part]
        for (index, step) in steps.enumerated() {
            switch step.type {
            case "Split":
                guard step.behavior == "Isolated" else {
                    throw Self.unsupported("the pre-tokenizer Split with behavior \(step.behavior ?? "missing")")
                }
                guard !step.inverts else { throw Self.unsupported("the pre-tokenizer Split with invert") }
                guard let pattern = step.pattern else { throw reader.error("a Split without a pattern") }
                guard splits.count < Self.mostSplits else {
                    throw Self.unsupported("more than \(Self.mostSplits) Split pre-tokenizers")
                }
                splits.append(pattern)
            case "ByteLevel":
                guard index == steps.count - 1 else { throw Self.unsupported("a pre-tokenizer after ByteLevel") }
                guard !step.addsPrefixSpace else { throw Self.unsupported("ByteLevel with add_prefix_space") }
                guard !step.usesRegex else { throw Self.unsupported("ByteLevel with use_regex") }
            default: throw Self.unsupported("the pre-tokenizer \(step.type)")
            }
        }
        guard steps.last?.type == "ByteLevel" else {
            throw Self.unsupported("pre-tokenizers that do not end in ByteLevel")
        }
    }

    private static func readDecoder(_ reader: inout JSONReader) throws {
        if try reader.takeNull() { throw unsupported("no decoder") }
        let part = try Part(&reader)
        let steps = part.type == "Sequence" ? part.children : [part]
        for step in steps where step.type != "ByteLevel" { throw unsupported("the decoder \(step.type)") }
        guard steps.count == 1 else { throw unsupported("\(steps.count) decoders") }
    }

    // MARK: Model

    private mutating func readModel(_ reader: inout JSONReader) throws {
        var type: String?
        var parts: Set<String> = []
        try reader.beginObject()
        while try reader.nextKey() {
            let key = reader.key
            parts.insert(key)
            switch key {
            case "type":
                let found = try reader.string()
                guard found == "BPE" else { throw Self.unsupported("the model \(found.prefix(60))") }
                type = found
            case "vocab": try readVocabulary(&reader)
            case "merges": try readMerges(&reader)
            case "ignore_merges": ignoresMerges = try reader.bool()
            case "dropout":
                if try reader.kind() == .number { throw Self.unsupported("BPE with dropout") }
                try reader.skip()
            case "continuing_subword_prefix", "end_of_word_suffix":
                if try reader.takeNull() { continue }
                guard try reader.string().isEmpty else { throw Self.unsupported("BPE with \(key)") }
            default: try reader.skip()
            }
        }
        // Files of the library's first years leave the type out.
        guard type != nil || parts.contains("merges") else { throw Self.unsupported("a model without a type") }
        for key in ["vocab", "merges"] where !parts.contains(key) {
            throw reader.error("the model has no \"\(key)\"")
        }
    }

    private mutating func readVocabulary(_ reader: inout JSONReader) throws {
        try reader.beginObject()
        while try reader.nextKey() {
            guard !reader.text.isEmpty else { throw reader.error("an empty token") }
            tokens.append(reader.text)
            tokenIDs.append(try reader.integer())
        }
    }

    /// Both spellings: `"left right"`, and `["left", "right"]` in files written since 2024.
    private mutating func readMerges(_ reader: inout JSONReader) throws {
        try reader.beginArray()
        while try reader.nextElement() {
            if try reader.kind() == .string {
                try reader.readString()
                let halves = reader.text.split(separator: 0x20, omittingEmptySubsequences: false)
                guard halves.count == 2 else {
                    throw reader.error("expected two tokens with a space between in merge \(merges.count / 2)")
                }
                for half in halves { merges.append(half) }
            } else {
                try reader.beginArray()
                var halves = 0
                while try reader.nextElement() {
                    try reader.readString()
                    merges.append(reader.text)
                    halves += 1
                }
                guard halves == 2 else {
                    throw reader.error("expected two tokens, found \(halves), in merge \(merges.count / 2)")
                }
            }
        }
    }
}

/// One normalizer, pre-tokenizer or decoder: the library writes all of them as objects with a type and settings.
private struct Part {
    var type = ""
    var children: [Part] = []
    var pattern: SplitPattern.Source?
    var behavior: String?
    var inverts = false
    // Where a file leaves a setting out, the library's own default holds.
    var addsPrefixSpace = true
    var usesRegex = true

    init(_ reader: inout JSONReader) throws {
        try reader.beginObject()
        while try reader.nextKey() {
            switch reader.key {
            case "type": type = try reader.string()
            case "normalizers", "pretokenizers", "decoders":
                try reader.beginArray()
                while try reader.nextElement() { children.append(try Part(&reader)) }
            case "pattern":
                if try reader.kind() == .object { pattern = try Self.readPattern(&reader) } else { try reader.skip() }
            case "behavior": behavior = try reader.string()
            case "invert": inverts = try reader.bool()
            case "add_prefix_space": addsPrefixSpace = try reader.bool()
            case "use_regex": usesRegex = try reader.bool()
            default: try reader.skip()
            }
        }
        guard !type.isEmpty else { throw reader.error("expected a \"type\"") }
    }

    private static func readPattern(_ reader: inout JSONReader) throws -> SplitPattern.Source? {
        var pattern: SplitPattern.Source?
        try reader.beginObject()
        while try reader.nextKey() {
            switch reader.key {
            case "Regex": pattern = .regex(try reader.string())
            case "String": pattern = .literal(try reader.string())
            default: try reader.skip()
            }
        }
        return pattern
    }
}
