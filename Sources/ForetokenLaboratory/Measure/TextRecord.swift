import ForetokenSpeculation

/// Everything drafted along one text.
package struct TextRecord {
    package let domain: String
    /// The whole text, prompt included.
    let tokens: [Int32]
    /// Tokens before the first that the verifier chose; 1 for a given text.
    let promptCount: Int
    /// Whether the text was given: then the verifier's choices are beside it, not in it.
    let isGiven: Bool
    /// Whether the model was made to say a given answer, which counts as its choice.
    let isMadeToSay: Bool
    /// Token count at which generation would have been ended for its length.
    let limit: Int
    /// Drafts of a chain.
    let depth: Int
    /// One for each position from `promptCount` on that has a next token, in order.
    let chains: [Chain]

    package init(
        domain: String, tokens: [Int32], promptCount: Int, isGiven: Bool, isMadeToSay: Bool = false, limit: Int,
        depth: Int, chains: [Chain]
    ) {
        self.domain = domain
        self.tokens = tokens
        self.promptCount = promptCount
        self.isGiven = isGiven
        self.isMadeToSay = isMadeToSay
        self.limit = limit
        self.depth = depth
        self.chains = chains
    }

    /// How draft d (from 1) of the chain went, if that is known: what it had to foresee was on the text's path. For a
    /// generated text the verifier's choice is the text.
    func held(_ chain: Chain, draft d: Int) -> Bool? {
        let index = chain.position + d - 1 - promptCount
        guard index < chains.count else { return nil }
        for earlier in 1..<d where chain.drafts[earlier - 1] != tokens[chain.position + earlier] { return nil }
        return chain.drafts[d - 1] == chains[index].choice
    }

    /// What rounds of a fixed draft length come to on a generated text: chains do not depend on how rounds were cut, so
    /// this is exactly what `Generator` would count with drafts of these sources. Beside it, by draft position: how many drafts behind right ones only
    /// met a verdict; where the text ended on an accepted draft, nobody knows of the next one.
    /// - Throws: `HardwareError` without memory for its tokens.
    func rounds(length: Int, _ sources: DraftSources) throws -> (telemetry: Telemetry, tried: [Int]) {
        let replay = PolicyReplay(
            .fixed(length), .none, isGreedy: true, usesModules: sources.usesModules, looksUp: sources.looksUp)
        try replay.run(self)
        return (replay.telemetry, replay.tried)
    }
}

extension TextRecord {
    /// The same text with wrong drafts wherever `isSpoiled` says so.
    package func spoiled(_ isSpoiled: () -> Bool) -> TextRecord {
        let chains = chains.map { chain in
            var chain = chain
            for d in 0..<depth where isSpoiled() { chain.drafts[d] = -1 }
            return chain
        }
        return TextRecord(
            domain: domain, tokens: tokens, promptCount: promptCount, isGiven: isGiven, isMadeToSay: isMadeToSay,
            limit: limit, depth: depth, chains: chains)
    }
}
