/// Turns ids into UTF-8 as they are generated, and never hands out half a character.
///
/// Bytes that may still become a character are held back until the next token. Bytes that cannot become U+FFFD, one for
/// each longest beginning of a character, as in any lossy decoding of the whole text at once. Special tokens and ids
/// without a token add nothing.
public struct StreamingDetokenizer: Sendable {
    private static let replacement: [UInt8] = [0xEF, 0xBF, 0xBD]

    private let tokenizer: Tokenizer
    /// The beginning of a character, at most three bytes between two calls.
    private var held: [UInt8] = []

    /// Begins a new text.
    public init(_ tokenizer: Tokenizer) { self.tokenizer = tokenizer }

    /// Appends to `output` what is certain after one more token.
    public mutating func push(_ id: Int32, into output: inout [UInt8]) {
        guard !tokenizer.isSpecial(id), let bytes = tokenizer.bytes(of: id) else { return }
        held.append(contentsOf: bytes)
        let kept = held.withUnsafeBufferPointer { held in
            var index = 0
            while index < held.count {
                switch UTF8Step.at(index, of: held) {
                case .scalar(let length):
                    output.append(contentsOf: held[index..<index + length])
                    index += length
                case .invalid(let length):
                    output.append(contentsOf: Self.replacement)
                    index += length
                case .incomplete: return index
                }
            }
            return index
        }
        held.removeFirst(kept)
    }

    /// What is certain after one more token.
    public mutating func push(_ id: Int32) -> [UInt8] {
        var output: [UInt8] = []
        push(id, into: &output)
        return output
    }

    /// Ends the text: U+FFFD if it stops inside a character, else nothing. The next `push` begins a new text.
    public mutating func finish() -> [UInt8] {
        defer { held.removeAll() }
        return held.isEmpty ? [] : Self.replacement
    }
}
