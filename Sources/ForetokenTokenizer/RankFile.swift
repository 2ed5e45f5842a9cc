/// What a file of tiktoken's says: a line for each token, with its bytes in base64, a blank and its rank, which is its id.
///
/// The merges that such a file leaves out follow from it: two neighbours are joined where their bytes together are a token, and
/// the lowest rank comes first. So a token comes about from the two that its own bytes come down to, if from any.
struct RankFile {
    static let name = "tiktoken.model"
    /// How a text is cut. The file does not say: Kimi's folders have the expression in Python code beside it, and it is the same
    /// in all of them.
    static let pattern =
        #"[\p{Han}]+|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}&&[^\p{Han}]]*"#
        + #"[\p{Ll}\p{Lm}\p{Lo}\p{M}&&[^\p{Han}]]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?"#
        + #"|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}&&[^\p{Han}]]+"#
        + #"[\p{Ll}\p{Lm}\p{Lo}\p{M}&&[^\p{Han}]]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?"#
        + #"|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"#
    /// The class that a folder's tokenizer_config.json names where the file is Kimi's.
    static let tokenizerClass = "TikTokenTokenizer"
    /// Ids behind the file's own that are special tokens, those without a name among them.
    private static let specialCount = 256
    /// A longer token would be a damaged file; it bounds the time that finding its halves takes.
    private static let longestToken = 1024

    /// The bytes of each token, by its rank.
    private(set) var tokens: [[UInt8]] = []

    /// Throws `TokenizerError.damaged` for anything but lines of a token and a rank, and for ranks that repeat or are missing.
    init(_ bytes: UnsafeBufferPointer<UInt8>) throws(TokenizerError) {
        var found: [(rank: Int, token: [UInt8])] = []
        var (line, rest) = (0, bytes[...])
        while !rest.isEmpty {
            line += 1
            var text = rest.prefix { $0 != UInt8(ascii: "\n") }
            rest = rest.dropFirst(text.count + 1)
            if text.last == UInt8(ascii: "\r") { text = text.dropLast() }
            if !text.isEmpty { found.append(try Self.entry(text, line: line)) }
        }
        guard !found.isEmpty, found.count < Vocabulary.highestID - 2 * Self.specialCount else {
            throw Self.damaged(
                "expected 1 to \(Vocabulary.highestID - 2 * Self.specialCount) tokens, found \(found.count)")
        }
        tokens = Array(repeating: [], count: found.count)
        for (rank, token) in found {
            guard tokens.indices.contains(rank) else {
                throw Self.damaged("it has \(found.count) tokens, but one of rank \(rank): a rank is missing")
            }
            guard tokens[rank].isEmpty else { throw Self.damaged("two tokens have the rank \(rank)") }
            tokens[rank] = token
        }
    }

    private static func damaged(_ reason: String) -> TokenizerError { .damaged(file: name, reason: reason) }

    private static func entry(
        _ text: Slice<UnsafeBufferPointer<UInt8>>, line: Int
    ) throws(TokenizerError) -> (rank: Int, token: [UInt8]) {
        guard let gap = text.firstIndex(of: UInt8(ascii: " ")), let token = Base64.decode(text[..<gap]), !token.isEmpty
        else { throw damaged("line \(line) does not begin with a token in base64 and a blank") }
        guard token.count <= longestToken else { throw damaged("the token in line \(line) has \(token.count) bytes") }
        let digits = text[text.index(after: gap)...]
        guard (1...9).contains(digits.count), digits.allSatisfy({ (0x30...0x39).contains($0) }),
            let rank = Int(String(decoding: digits, as: UTF8.self))
        else { throw damaged("line \(line) does not end with a rank") }
        return (rank, token)
    }

    /// The special tokens: those with a name, and the others as the published class calls them.
    /// - Parameter named: by their ids.
    /// - Throws: `TokenizerError.damaged` for an id that is one of the file's own.
    func specialTokens(
        _ named: [Int: TokenizerFile.AddedToken]
    ) throws(TokenizerError) -> [TokenizerFile.AddedToken] {
        if let id = named.keys.min(), id < tokens.count {
            throw .damaged(
                file: TokenizerConfiguration.name,
                reason: "it names the token \(id), which is one of the \(tokens.count) of \(Self.name)")
        }
        // The published class counts the special tokens from there on, so a file that was cut off would move them all.
        if let id = named.keys.min(), id > tokens.count {
            throw .damaged(
                file: Self.name,
                reason: "it ends at \(tokens.count - 1), but the first token that \(TokenizerConfiguration.name) names "
                    + "is \(id): the download is incomplete, or the two belong to different models")
        }
        let end = max(tokens.count + Self.specialCount, (named.keys.max() ?? 0) + 1)
        guard end <= tokens.count + 2 * Self.specialCount else {
            throw .damaged(
                file: TokenizerConfiguration.name,
                reason: "it names the token \(end - 1), but those of \(Self.name) end at \(tokens.count - 1)")
        }
        return (tokens.count..<end).map { id in
            named[id]
                ?? TokenizerFile.AddedToken(id: id, content: Array("<|reserved_token_\(id)|>".utf8), isSpecial: true)
        }
    }

    /// The two tokens that each is merged from; nil for one that no merges make.
    /// - Parameter id: finds the token with these bytes.
    func halves(_ id: (UnsafeBufferPointer<UInt8>) -> Int32?) -> [(left: Int32, right: Int32)?] {
        tokens.map { token in
            guard token.count > 1 else { return nil }
            return token.withUnsafeBufferPointer { Self.halves(of: $0, id) }
        }
    }

    private static func halves(
        of token: UnsafeBufferPointer<UInt8>, _ id: (UnsafeBufferPointer<UInt8>) -> Int32?
    ) -> (left: Int32, right: Int32)? {
        func rank(_ start: Int, _ end: Int) -> Int32 {
            id(UnsafeBufferPointer(rebasing: token[start..<end])) ?? .max
        }
        // Where the parts begin, the end behind the last; and the token that each makes with the next.
        var starts = Array(0...token.count)
        var joined = (0..<token.count - 1).map { rank($0, $0 + 2) }
        while starts.count > 3 {
            guard let best = joined.indices.min(by: { joined[$0] < joined[$1] }), joined[best] < .max else {
                return nil
            }
            starts.remove(at: best + 1)
            joined.remove(at: best)
            if best > 0 { joined[best - 1] = rank(starts[best - 1], starts[best + 1]) }
            if best < joined.count { joined[best] = rank(starts[best], starts[best + 2]) }
        }
        let (left, right) = (rank(0, starts[1]), rank(starts[1], token.count))
        return left < .max && right < .max ? (left, right) : nil
    }
}

/// Bytes as text of 64 letters.
enum Base64 {
    /// The bytes; nil for what is no base64 of the usual alphabet, padded to whole groups of four.
    static func decode(_ text: some BidirectionalCollection<UInt8>) -> [UInt8]? {
        let padding = text.reversed().prefix { $0 == UInt8(ascii: "=") }.count
        guard text.count % 4 == 0, padding <= 2 else { return nil }
        var (bytes, bits, count) = ([UInt8](), UInt32(0), 0)
        bytes.reserveCapacity(text.count / 4 * 3)
        for letter in text.dropLast(padding) {
            guard let value = value(of: letter) else { return nil }
            bits = bits << 6 | value
            count += 6
            if count >= 8 {
                count -= 8
                bytes.append(UInt8(truncatingIfNeeded: bits >> UInt32(count)))
            }
        }
        // What is left over belongs to no byte.
        return bits & (1 << UInt32(count) - 1) == 0 ? bytes : nil
    }

    private static func value(of letter: UInt8) -> UInt32? {
        switch letter {
        case 0x41...0x5A: UInt32(letter - 0x41)
        case 0x61...0x7A: UInt32(letter - 0x61 + 26)
        case 0x30...0x39: UInt32(letter - 0x30 + 52)
        case UInt8(ascii: "+"): 62
        case UInt8(ascii: "/"): 63
        default: nil
        }
    }
}
