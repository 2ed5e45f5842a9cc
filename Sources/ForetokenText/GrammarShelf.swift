import ForetokenGrammar
import ForetokenJSON
import ForetokenTokenizer
import ForetokenWeights
import Synchronization

/// Grammars over the tokens of one model. Each is made when it is first asked for, on the thread that asks and by one alone
/// while others wait for it, and is kept while there is room.
package final class GrammarShelf: Sendable {
    /// Bytes that grammars may take between requests.
    private static let mostBytes = 256 << 20
    private static let mostGrammars = 256

    private struct State {
        var slots: [[UInt8]: Slot] = [:]
        var uses = 0
    }

    /// A grammar, or why there is none, once that is known.
    private final class Slot: Sendable {
        let made = Mutex<Result<TokenGrammar, GrammarError>?>(nil)
        private let lastUse = Atomic(0)

        /// The larger, the later it was used last.
        var order: Int {
            get { lastUse.load(ordering: .relaxed) }
            set { lastUse.store(newValue, ordering: .relaxed) }
        }

        /// nil while it is being made.
        var byteCount: Int? {
            made.withLockIfAvailable { made in (try? made?.get())?.byteCount ?? 0 }
        }
    }

    let open: OpenModel
    private let ends: [Int32]
    private let state = Mutex(State())
    private let vocabulary = Mutex<GrammarVocabulary?>(nil)

    package init(_ open: OpenModel) {
        self.open = open
        ends = open.endTokens
    }

    /// How many grammars are kept.
    package var count: Int { state.withLock { $0.slots.count } }

    /// Any JSON object.
    /// - Throws: `InputError` without a tokenizer, `GrammarError`.
    package func jsonObject() throws -> TokenGrammar {
        try grammar(key: Array("object".utf8)) { () throws(GrammarError) in try Grammar.jsonObject() }
    }

    /// The values that fit one of several schemas, and a text behind them.
    /// - Throws: `InputError` without a tokenizer, `GrammarError`.
    package func grammar(
        _ schemas: [(schema: JSONValue, isStrict: Bool)], suffix: String = ""
    ) throws -> TokenGrammar {
        // JSON texts on one line each.
        let key = schemas.reduce(into: suffix) { $0 += "\n\($1.isStrict)\($1.schema.text)" }
        return try grammar(key: Array(key.utf8)) { () throws(GrammarError) in
            try Grammar(schemas: schemas, suffix: suffix)
        }
    }

    private func grammar(key: [UInt8], _ make: () throws(GrammarError) -> Grammar) throws -> TokenGrammar {
        let vocabulary = try sharedVocabulary()
        let slot = state.withLock { state in
            let slot = state.slots[key] ?? Slot()
            state.slots[key] = slot
            state.uses += 1
            slot.order = state.uses
            return slot
        }
        let result = slot.made.withLock { made in
            if let made { return made }
            let result = Result { () throws(GrammarError) in
                let grammar = TokenGrammar(try make(), vocabulary)
                grammar.prepare()
                return grammar
            }
            made = result
            return result
        }
        makeRoom(besides: slot)
        return try result.get()
    }

    /// Forgets what has not been used for longest while all take too much, or are too many. Requests keep those that they use.
    private func makeRoom(besides newest: Slot) {
        state.withLock { state in
            let slots = state.slots.filter { $0.value !== newest }.sorted { $0.value.order < $1.value.order }
            var bytes = state.slots.reduce(0) { $0 + $1.key.count + ($1.value.byteCount ?? 0) }
            var count = slots.count + 1
            for (key, slot) in slots where bytes > Self.mostBytes || count > Self.mostGrammars {
                guard let own = slot.byteCount else { continue }
                state.slots[key] = nil
                bytes -= key.count + own
                count -= 1
            }
        }
    }

    /// Whether a token is no text that a grammar knows: a special one, a marker, an end of the model's answers, an id without
    /// a token.
    func isNoText(_ token: Int32) -> Bool {
        guard let tokenizer = open.tokenizer, tokenizer.bytes(of: token) != nil else { return true }
        return tokenizer.isAdded(token) || ends.contains(token)
    }

    private func sharedVocabulary() throws -> GrammarVocabulary {
        let tokenizer = try open.requiredTokenizer()
        return vocabulary.withLock { vocabulary in
            if let vocabulary { return vocabulary }
            let made = GrammarVocabulary(count: open.configuration.vocabularySize) { id in
                isNoText(id) ? nil : tokenizer.bytes(of: id)
            }
            vocabulary = made
            return made
        }
    }
}
