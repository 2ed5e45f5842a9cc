import ForetokenLaboratory
import ForetokenModel
import ForetokenText
import ForetokenTokenizer
import ForetokenWeights

/// What `prove` proves things on unless told otherwise.
enum ProvePrompts {
    /// Code, prose, and a text of more tokens than one prompt chunk holds; without a tokenizer, ids as good as random.
    static func builtIn(_ open: OpenModel, seed: UInt64) throws -> [ProofPrompt] {
        let vocabulary = Int32(clamping: open.configuration.vocabularySize)
        let texts = try [("code", code), ("prose", prose), ("long", long)].compactMap { name, text -> ProofPrompt? in
            // A tokenizer may know more ids than the model.
            let tokens = try open.tokenizer?.encodePlain(text).filter { $0 < vocabulary }.prefix(longest) ?? []
            return tokens.isEmpty ? nil : ProofPrompt(name: name, tokens: Array(tokens))
        }
        guard texts.isEmpty else { return texts }
        return [24, 40, longest].map { count in
            ProofPrompt(name: "\(count) ids", tokens: ids(count, below: vocabulary, seed: seed))
        }
    }

    /// The user's prompt, and the same over and over until it is longer than a chunk.
    static func given(_ tokens: [Int32]) -> [ProofPrompt] {
        let given = ProofPrompt(name: "given", tokens: tokens)
        guard tokens.count < longest else { return [given] }
        let repeated = (0..<longest).map { tokens[$0 % tokens.count] }
        return [given, ProofPrompt(name: "repeated", tokens: repeated)]
    }

    private static let code = """
        def binary_search(values, target):
            low, high = 0, len(values) - 1
            while low <= high:
                middle = (low + high) // 2
        """

    private static let prose = """
        The lighthouse stood at the end of the island, where the road stopped and the wind began. Every evening the keeper \
        climbed the stairs, and every evening
        """

    /// More than a prompt chunk's tokens, so that two chunks meet.
    private static let longest = Step.chunkRows + 44

    /// More than enough of them, no two lines the same.
    private static let long = (1...48).map { line in
        "Entry \(line): on day \(line * 37 % 365) the harbour counted \(line * line % 91) boats and \(line * 53 % 700) birds.\n"
    }.joined()

    private static func ids(_ count: Int, below vocabulary: Int32, seed: UInt64) -> [Int32] {
        var state = seed &+ UInt64(count)
        return (0..<count).map { _ in
            state = (state &+ 1) &* 0x5851_F42D_4C95_7F2D
            state ^= state >> 33
            return Int32(state >> 33) % vocabulary
        }
    }
}
