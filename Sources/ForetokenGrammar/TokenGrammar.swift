import Synchronization

/// A grammar over the tokens of one vocabulary: where the work of its masks is kept, up to 1,024 of them, which is some 16 MB at
/// most for 129,280 tokens. Requests with the same grammar should share one; it may be used from any thread, one at a time gets
/// its mask.
///
///     let vocabulary = GrammarVocabulary(count: 129_280) { isSpecial($0) ? nil : bytes($0) }   // once
///     let grammar = TokenGrammar(try Grammar(schema: schema, isStrict: true), vocabulary)
///     grammar.prepare()                           // on a thread that may take its time
///     var cursor = GrammarCursor(grammar)         // one a text
///     cursor.mask(into: words)                    // of the next row
///     var drafted = cursor                        // of a row behind a draft
///     guard drafted.advance(draft) else { … }     // not allowed: the verifier would not choose it either
///     drafted.mask(into: words)
///     _ = cursor.advance(token)                   // a token that is kept
public final class TokenGrammar: Sendable {
    let automaton: Automaton
    let vocabulary: GrammarVocabulary
    private let masks: Mutex<MaskMaker>

    /// Nothing in it ends a text: whoever asks for masks allows what does where `GrammarCursor.isComplete` says so.
    public init(_ grammar: Grammar, _ vocabulary: GrammarVocabulary) {
        automaton = grammar.automaton
        self.vocabulary = vocabulary
        masks = Mutex(MaskMaker(longestToken: vocabulary.longest))
    }

    /// How many words a mask has: a bit a token, the lowest of the first word for token 0.
    public var wordCount: Int { (vocabulary.count + 63) / 64 }

    /// Makes masks that take long before they are needed: of up to 64 states in which many bytes may follow, those of strings
    /// first of all. It takes some milliseconds for each kind of string; others can get their masks in between.
    public func prepare() {
        for state in automaton.wideStates.prefix(64) { masks.withLock { $0.prepare(state, automaton, vocabulary) } }
    }

    /// Bytes that its tables and the masks that are kept now take.
    public var byteCount: Int { automaton.byteCount + masks.withLock { $0.keptBytes } }

    /// How many states have their masks kept.
    package var keptMasks: Int { masks.withLock { $0.count } }

    func fill(_ words: UnsafeMutablePointer<UInt64>, _ cursor: GrammarCursor) {
        words.update(repeating: 0, count: wordCount)
        masks.withLock { $0.fill(words, cursor, automaton, vocabulary) }
    }
}

/// Where one text stands in a grammar: a value of its own, so that a row's place behind drafted tokens is a copy, and taking
/// drafts back is taking an older copy. Copying allocates nothing.
public struct GrammarCursor: Sendable {
    private let grammar: TokenGrammar
    private(set) var place: Automaton.Place
    private(set) var stack = InlineArray<64, UInt16>(repeating: 0)

    /// Before the first token.
    /// - Parameter schema: which of the grammar's schemas the text is to fit.
    public init(_ grammar: TokenGrammar, schema: Int = 0) {
        self.grammar = grammar
        place = Automaton.Place(state: grammar.automaton.starts[schema])
    }

    /// How many words a mask has; see `TokenGrammar`.
    public var wordCount: Int { grammar.wordCount }

    /// Whether the text so far is a whole value, so that it may end.
    public var isComplete: Bool {
        place.height == 0 && grammar.automaton.outcomes[Int(place.state)] != Automaton.none
    }

    /// Takes a token.
    /// - Returns: whether it is allowed; the cursor is left as it was where it is not.
    public mutating func advance(_ token: Int32) -> Bool {
        let bytes = grammar.vocabulary.bytes(of: token)
        guard !bytes.isEmpty else { return false }
        var next = self
        guard next.take(bytes) else { return false }
        self = next
        return true
    }

    /// Whether the token may come next.
    public func allows(_ token: Int32) -> Bool {
        var copy = self
        return copy.advance(token)
    }

    /// Sets the bits of the allowed tokens and clears all others: the token's bit is number `token % 64` of word `token / 64`.
    /// Allocates nothing where the mask of this state is kept from before.
    public func mask(into words: UnsafeMutablePointer<UInt64>) { grammar.fill(words, self) }

    /// Takes bytes; changed only in part where they are refused.
    private mutating func take(_ bytes: ArraySlice<UInt8>) -> Bool {
        var next = place
        let grammar = grammar
        var span = stack.mutableSpan
        let isTaken = span.withUnsafeMutableBufferPointer { stack in
            grammar.automaton.withTables { tables in
                bytes.allSatisfy { tables.step($0, &next, stack.baseAddress!, deepest: Automaton.deepest) == .taken }
            }
        }
        place = next
        return isTaken
    }
}
