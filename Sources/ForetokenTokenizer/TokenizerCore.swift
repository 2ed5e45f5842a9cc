/// Everything a tokenizer knows, immutable after loading.
final class TokenizerCore: Sendable {
    let vocabulary: Vocabulary
    let model: MergeModel
    let ignoresMerges: Bool
    let patterns: [SplitPattern]
    /// Looked for one after the other, each in what the one before left over.
    let addedTokens: [AddedTokenTrie]

    init(_ file: TokenizerFile) throws(TokenizerError) {
        var vocabulary = try Self.vocabulary(of: file)
        for token in file.addedTokens { try Self.add(token, to: &vocabulary, file: TokenizerFile.name) }
        model = MergeModel(
            byteTokens: try Self.byteTokens(of: vocabulary, file: TokenizerFile.name),
            merges: try Self.merges(of: file, in: vocabulary))
        self.vocabulary = vocabulary
        ignoresMerges = file.ignoresMerges

        var patterns: [SplitPattern] = []
        for source in file.splits { patterns.append(try SplitPattern(source)) }
        self.patterns = patterns

        addedTokens = [false, true].compactMap { isNormalized in
            Self.trie(file.addedTokens.filter { $0.isNormalized == isNormalized })
        }
    }

    /// The same from a file of tiktoken's and the special tokens behind its own.
    init(_ file: RankFile, special: [TokenizerFile.AddedToken]) throws(TokenizerError) {
        var vocabulary = Vocabulary(
            tokens: file.tokens.count + special.count, idCount: file.tokens.count + special.count)
        var spelling: [UInt8] = []
        for (rank, token) in file.tokens.enumerated() {
            spelling.removeAll(keepingCapacity: true)
            token.withUnsafeBufferPointer { ByteAlphabet.encode($0, into: &spelling) }
            let inserted = spelling.withUnsafeBufferPointer {
                vocabulary.insert($0, id: Int32(rank), verbatim: false)
            }
            guard inserted == .done else {
                throw .damaged(file: RankFile.name, reason: "the token of rank \(rank) is there twice")
            }
        }
        let byteTokens = try Self.byteTokens(of: vocabulary, file: RankFile.name)
        var merges = PairTable(capacity: file.tokens.count)
        let halves = file.halves { bytes in
            spelling.removeAll(keepingCapacity: true)
            ByteAlphabet.encode(bytes, into: &spelling)
            return spelling.withUnsafeBufferPointer { vocabulary.id(spelt: $0) }
        }
        for (rank, pair) in halves.enumerated() {
            guard let pair else { continue }
            // No two tokens have the same halves, since they would be the same.
            _ = merges.insert(
                UInt64(pair.left) << 32 | UInt64(pair.right), UInt64(rank) << 32 | UInt64(rank))
        }
        for token in special { try Self.add(token, to: &vocabulary, file: TokenizerConfiguration.name) }
        self.vocabulary = vocabulary
        model = MergeModel(byteTokens: byteTokens, merges: merges)
        // A piece that is a token is that token, whether or not merges make it.
        ignoresMerges = true
        patterns = [try SplitPattern(.regex(RankFile.pattern))]
        addedTokens = [Self.trie(special)].compactMap { $0 }
    }

    private static func trie(_ tokens: [TokenizerFile.AddedToken]) -> AddedTokenTrie? {
        tokens.isEmpty ? nil : AddedTokenTrie(tokens.map { ($0.content, Int32($0.id)) })
    }

    private static func damaged(_ reason: String) -> TokenizerError {
        .damaged(file: TokenizerFile.name, reason: reason)
    }

    private static func vocabulary(of file: TokenizerFile) throws(TokenizerError) -> Vocabulary {
        for id in file.tokenIDs + file.addedTokens.map(\.id) where !(0..<Vocabulary.highestID).contains(id) {
            throw damaged("expected token ids from 0 to \(Vocabulary.highestID - 1), found \(id)")
        }
        let highest = max(file.tokenIDs.max() ?? 0, file.addedTokens.map(\.id).max() ?? 0)
        var vocabulary = Vocabulary(tokens: file.tokens.count + file.addedTokens.count, idCount: highest + 1)
        for (index, id) in file.tokenIDs.enumerated() {
            switch file.tokens.withBytes(index, { vocabulary.insert($0, id: Int32(id), verbatim: false) }) {
            case .done: break
            case .repeatedID: throw damaged("two tokens have the id \(id)")
            case .repeatedSpelling: throw damaged("the token with id \(id) is in the vocabulary twice")
            }
        }
        return vocabulary
    }

    /// An added token may repeat an entry of the vocabulary, but then under the same id.
    private static func add(
        _ token: TokenizerFile.AddedToken, to vocabulary: inout Vocabulary, file: String
    ) throws(TokenizerError) {
        let name = String(decoding: token.content.prefix(60), as: UTF8.self)
        guard token.content.count <= AddedTokenTrie.longestToken else {
            throw .damaged(file: file, reason: "the added token \"\(name)\"… has \(token.content.count) bytes")
        }
        let id = Int32(token.id)
        let inserted = token.content.withUnsafeBufferPointer { content in
            if let known = vocabulary.id(spelt: content) { return known == id }
            return vocabulary.insert(content, id: id, verbatim: true) == .done
        }
        guard inserted else {
            throw .damaged(
                file: file, reason: "the added token \"\(name)\" and another token contend for an id (\(id))")
        }
        vocabulary.markAdded(id)
        if token.isSpecial { vocabulary.markSpecial(id) }
    }

    private static func byteTokens(of vocabulary: Vocabulary, file: String) throws(TokenizerError) -> [Int32] {
        var tokens: [Int32] = []
        for (byte, scalar) in ByteAlphabet.scalars.enumerated() {
            guard let id = Array(scalar.utf8).withUnsafeBufferPointer({ vocabulary.id(spelt: $0) }) else {
                throw .damaged(
                    file: file, reason: "the vocabulary has no token for byte \(byte), spelt \"\(scalar)\"")
            }
            tokens.append(id)
        }
        return tokens
    }

    private static func merges(
        of file: TokenizerFile, in vocabulary: Vocabulary
    ) throws(TokenizerError) -> PairTable {
        var table = PairTable(capacity: file.merges.count / 2)
        var joined: [UInt8] = []
        for rank in 0..<file.merges.count / 2 {
            joined.removeAll(keepingCapacity: true)
            var halves: [2 of Int32?] = [nil, nil]
            for half in 0..<2 {
                halves[half] = file.merges.withBytes(2 * rank + half) { text in
                    joined.append(contentsOf: text)
                    return vocabulary.id(spelt: text)
                }
            }
            guard let left = halves[0], let right = halves[1],
                let merged = joined.withUnsafeBufferPointer({ vocabulary.id(spelt: $0) })
            else {
                let pair = (0..<2).map { half in
                    file.merges.withBytes(2 * rank + half) { "\"\(String(decoding: $0.prefix(60), as: UTF8.self))\"" }
                }
                throw damaged("merge \(rank) of \(pair[0]) and \(pair[1]) names a token the vocabulary does not have")
            }
            guard table.insert(UInt64(left) << 32 | UInt64(right), UInt64(rank) << 32 | UInt64(merged)) else {
                throw damaged("merge \(rank) repeats an earlier one")
            }
        }
        return table
    }
}
