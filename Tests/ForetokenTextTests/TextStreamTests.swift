import ForetokenSpeculation
import ForetokenText
import ForetokenTokenizer
import Testing

/// Text keeps the fates of the tokens that it is from.
@Suite struct TextStreamTests {
    private let tokenizer: Tokenizer

    init() throws { tokenizer = try OpenModel(ModelSettings()) { _ in }.requiredTokenizer() }

    /// Tokens of a text as drafts 1, 2, 3, … of one round.
    private func feed(_ text: String, stops: [String] = []) throws -> (
        pieces: [TextPiece], tokens: [Int32], isEnd: Bool
    ) {
        let tokens = try tokenizer.encode(text)
        var stream = TextStream(tokenizer, stopStrings: stops)
        var pieces: [TextPiece] = []
        for (place, token) in tokens.enumerated() {
            let (text, isEnd) = stream.push(token, TokenFate(.mtp, draft: place + 1))
            pieces += text
            if isEnd { return (pieces, tokens, true) }
        }
        pieces += stream.finish()
        #expect(String(decoding: pieces.bytes, as: UTF8.self) == stream.whole)
        return (pieces, tokens, false)
    }

    @Test func everyPieceIsOfItsToken() throws {
        let (pieces, tokens, _) = try feed("func reverse(_ text: String) -> String {\n")
        #expect(pieces.map(\.fate.draft) == Array(1...tokens.count))
        #expect(pieces.map(\.bytes) == tokens.map { tokenizer.decode([$0]) })
    }

    @Test func aCharacterIsOfTheTokenThatCompletesIt() throws {
        let (pieces, tokens, _) = try feed("a 🦖!")
        try #require(tokens.count > 4, "the character takes several tokens")
        let character = try #require(pieces.first { String(decoding: $0.bytes, as: UTF8.self).contains("🦖") })
        #expect(pieces.map { String(decoding: $0.bytes, as: UTF8.self) }.joined() == "a 🦖!")
        #expect(character.fate.draft == pieces.last!.fate.draft - 1 && character.fate.draft == tokens.count - 1)
    }

    @Test func whatAStopStringHoldsBackKeepsItsFates() throws {
        let text = "one two three four five"
        let free = try feed(text)
        // All of it begins a stop string that never comes; then one that comes.
        let held = try feed(text, stops: [text + "!"])
        #expect(held.pieces == free.pieces && held.pieces.count > 3)
        let stopped = try feed(text, stops: ["r fi"])
        #expect(stopped.isEnd && String(decoding: stopped.pieces.bytes, as: UTF8.self) == "one two three fou")
        for (piece, whole) in zip(stopped.pieces, free.pieces) {
            #expect(piece.fate == whole.fate && whole.bytes.starts(with: piece.bytes))
        }
    }

    @Test func halfACharacterAtTheEndIsOfTheLastToken() throws {
        let tokens = try tokenizer.encode("🦖").dropLast()
        try #require(!tokens.isEmpty)
        var stream = TextStream(tokenizer, stopStrings: [])
        for token in tokens { #expect(stream.push(token, TokenFate(.lookup, draft: 3)).text.isEmpty) }
        #expect(stream.finish() == [TextPiece(bytes: Array("\u{FFFD}".utf8), fate: TokenFate(.lookup, draft: 3))])
    }
}
