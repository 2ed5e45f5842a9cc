/// Makes prompts of known lengths out of texts: of token ids where they are known, so that lengths are exact, of characters
/// otherwise.
package struct PromptMaker: Sendable {
    private enum Corpus: Sendable {
        /// What begins every text, and tokens one after another.
        case tokens(first: [Int], [Int])
        /// Characters, and how many of them a token has.
        case characters([Character], perToken: Double)
    }

    private let corpus: Corpus
    /// Prompts of another number have another beginning, in this run and in others.
    private let salt: UInt64

    /// - Parameter first: what begins every text; empty for none.
    package init(tokens: [Int], first: [Int], salt: UInt64) {
        precondition(!tokens.isEmpty, "prompts are made of something")
        corpus = .tokens(first: first, tokens)
        self.salt = salt
    }

    /// - Parameter perToken: characters of a token, as far as is known.
    package init(text: String, perToken: Double, salt: UInt64) {
        precondition(!text.isEmpty, "prompts are made of something")
        corpus = .characters(Array(text), perToken: perToken)
        self.salt = salt
    }

    /// A prompt of about so many tokens that every run asks for. Numbers that follow one another share no text while there
    /// is enough of it.
    package func usual(_ number: Int, tokens count: Int) -> LoadPrompt { prompt(at: number * count, count, mark: nil) }

    /// A prompt whose beginning nobody has asked for before: no cache can know it.
    package func fresh(_ number: Int, tokens count: Int) -> LoadPrompt {
        // splitmix64's finaliser.
        var hash = salt &+ UInt64(truncatingIfNeeded: number) &* 0x9E37_79B9_7F4A_7C15
        hash = (hash ^ hash >> 30) &* 0xBF58_476D_1CE4_E5B9
        hash = (hash ^ hash >> 27) &* 0x94D0_49BB_1331_11EB
        hash ^= hash >> 31
        return prompt(at: Int(hash >> 33), count, mark: Int(hash & 0xFFFF_FFFF))
    }

    /// - Parameter mark: chooses what stands at the beginning in place of the text's own; nil for nothing.
    private func prompt(at start: Int, _ count: Int, mark: Int?) -> LoadPrompt {
        switch corpus {
        case .tokens(let first, let tokens):
            let length = max(0, count - first.count)
            var ids = first.prefix(count) + (0..<length).map { tokens[(start + $0) % tokens.count] }
            if let mark, length > 0 { ids[first.count] = tokens[mark % tokens.count] }
            return .tokens(Array(ids))
        case .characters(let characters, let perToken):
            let begin = Int(Double(start) * perToken)
            let text = (0..<max(1, Int(Double(count) * perToken))).map { characters[(begin + $0) % characters.count] }
            return .text((mark.map { "// \($0)\n" } ?? "") + String(text))
        }
    }

    /// The first part of a prompt with something else behind it.
    /// - Parameters:
    ///   - kept: tokens of the prompt that stay.
    ///   - count: tokens behind them.
    package func branch(_ prompt: LoadPrompt, keeping kept: Int, _ number: Int, tokens count: Int) -> LoadPrompt {
        switch (prompt, corpus) {
        case (.tokens(let ids), .tokens(_, let tokens)):
            let start = number &* 131
            return .tokens(Array(ids.prefix(kept)) + (0..<count).map { tokens[(start + $0) % tokens.count] })
        case (.text(let text), .characters(_, let perToken)):
            return .text(String(text.prefix(Int(Double(kept) * perToken))) + "\n// \(number)\n")
        default: preconditionFailure("prompts are of the kind that their maker makes")
        }
    }
}
