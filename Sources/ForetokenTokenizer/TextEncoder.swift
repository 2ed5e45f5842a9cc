/// One encoding call: cuts the text at added tokens, then by each pattern in turn, and encodes the pieces.
///
///     text ─ added tokens ─ segments ─ pattern 1 ─ pieces ─ pattern 2 ─ pieces ─ … ─ BPE ─ ids
struct TextEncoder {
    /// A piece met before: where it lies in the text, and where its ids lie in the output.
    ///
    /// Text and output both outlive the table, so remembering a piece costs no copy and no allocation.
    private struct Memory {
        var hash: UInt64 = 0
        var start: UInt32 = 0
        /// In bytes; 0 in an unused entry.
        var count: UInt32 = 0
        var firstID: UInt32 = 0
        var idCount: UInt32 = 0
    }

    private static let mostMemories = 1 << 14

    private let core: TokenizerCore
    private let text: UnsafeBufferPointer<UInt8>
    private let matcher: Matcher
    private var scratch = MergeModel.Scratch()
    /// Direct-mapped by the hash's low bits.
    private var memories: [Memory]
    private var spelling: [UInt8] = []
    private(set) var output: [Int32] = []

    /// `text` must outlive the encoder.
    init(_ core: TokenizerCore, _ text: UnsafeBufferPointer<UInt8>) throws(TokenizerError) {
        guard text.count <= Int32.max else { throw .textTooLong(bytes: text.count) }
        if let offset = text.firstInvalidUTF8 { throw .invalidUTF8(offset: offset) }
        self.core = core
        self.text = text
        matcher = Matcher(textBytes: text.count)
        var size = 64
        while size < text.count / 8, size < Self.mostMemories { size *= 2 }
        memories = Array(repeating: Memory(), count: size)
        output.reserveCapacity(text.count / 3 + 8)
    }

    /// - Parameter plain: parts of the text, ascending, in which no added token is looked for; a token that would reach into
    ///   one is none.
    mutating func encode(plain: [Range<Int>]) throws(TokenizerError) {
        var searched: [Range<Int>] = []
        var end = 0
        for part in plain where !part.isEmpty {
            if end < part.lowerBound { searched.append(end..<part.lowerBound) }
            end = part.upperBound
        }
        if end < text.count { searched.append(end..<text.count) }
        try cut(text.indices, searched[...], finding: core.addedTokens[...])
    }

    /// - Parameter searched: where added tokens are looked for, at least all of it that lies in `range`.
    private mutating func cut(
        _ range: Range<Int>, _ searched: ArraySlice<Range<Int>>, finding tries: ArraySlice<AddedTokenTrie>
    ) throws(TokenizerError) {
        guard let trie = tries.first, !searched.isEmpty else { return try split(range, by: 0) }
        // What lies behind the last token found, and the first searched part that may reach into it.
        var start = range.lowerBound
        var first = searched.startIndex
        for index in searched.indices {
            let part = searched[index].clamped(to: range)
            let segment = UnsafeBufferPointer(rebasing: text[..<part.upperBound])
            var position = part.lowerBound
            while let found = trie.first(in: segment, from: position) {
                try cut(start..<found.range.lowerBound, searched[first...index], finding: tries.dropFirst())
                output.append(found.id)
                position = found.range.upperBound
                (start, first) = (position, index)
            }
        }
        try cut(start..<range.upperBound, searched[first...], finding: tries.dropFirst())
    }

    /// Each pattern runs on the pieces of the one before, and its lookarounds see only that piece. Text between matches
    /// stays as a piece of its own.
    private mutating func split(_ range: Range<Int>, by level: Int) throws(TokenizerError) {
        guard !range.isEmpty else { return }
        guard level < core.patterns.count else { return encodePiece(range) }
        let piece = UnsafeBufferPointer(rebasing: text[range])
        let matcher = matcher
        var pieceStart = range.lowerBound
        // An empty match cuts too.
        try matcher.forEachMatch(of: core.patterns[level], in: piece) { match throws(TokenizerError) in
            let start = range.lowerBound + match.lowerBound
            let end = range.lowerBound + match.upperBound
            try split(pieceStart..<start, by: level + 1)
            try split(start..<end, by: level + 1)
            pieceStart = end
        }
        try split(pieceStart..<range.upperBound, by: level + 1)
    }

    private mutating func encodePiece(_ range: Range<Int>) {
        let piece = UnsafeBufferPointer(rebasing: text[range])
        let hash = hash(piece)
        let entry = Int(truncatingIfNeeded: hash) & (memories.count - 1)
        let memory = memories[entry]
        if memory.hash == hash, Int(memory.count) == piece.count,
            isSame(UnsafeBufferPointer(rebasing: text[Int(memory.start)..<Int(memory.start + memory.count)]), piece)
        {
            for index in memory.firstID..<memory.firstID + memory.idCount { output.append(output[Int(index)]) }
            return
        }
        let first = output.count
        if let whole = wholeToken(piece) {
            output.append(whole)
        } else {
            core.model.encode(piece, scratch: &scratch, into: &output)
        }
        memories[entry] = Memory(
            hash: hash, start: UInt32(range.lowerBound), count: UInt32(piece.count), firstID: UInt32(first),
            idCount: UInt32(output.count - first))
    }

    /// With ignore_merges, a piece that is a token is never put together from merges. An added token is none: where added tokens
    /// are looked for, it has been found before.
    private mutating func wholeToken(_ piece: UnsafeBufferPointer<UInt8>) -> Int32? {
        guard core.ignoresMerges else { return nil }
        spelling.removeAll(keepingCapacity: true)
        ByteAlphabet.encode(piece, into: &spelling)
        let token = spelling.withUnsafeBufferPointer { core.vocabulary.id(spelt: $0) }
        return token.flatMap { core.vocabulary.isAdded($0) ? nil : $0 }
    }

    @inline(__always)
    private func isSame(_ left: UnsafeBufferPointer<UInt8>, _ right: UnsafeBufferPointer<UInt8>) -> Bool {
        for index in left.indices where left[index] != right[index] { return false }
        return true
    }
}
