import ForetokenTokenizer

/// Turns tokens into text that can be shown as it grows: never half a character, nothing of a stop string.
public struct TextStream: Sendable {
    private var detokenizer: StreamingDetokenizer?
    private var stops: StopStrings
    private var shown: [UInt8] = []
    private var isEnded = false

    /// Begins a text; without a tokenizer there is none to show.
    /// - Parameter stopStrings: none of them empty.
    public init(_ tokenizer: Tokenizer?, stopStrings: [String]) {
        detokenizer = tokenizer.map { StreamingDetokenizer($0) }
        stops = StopStrings(stopStrings)
    }

    /// Everything shown so far; nil without a tokenizer.
    public var whole: String? { detokenizer == nil ? nil : String(decoding: shown, as: UTF8.self) }

    /// Takes a token; returns the text to show now and whether a stop string ends it.
    public mutating func push(_ token: Int32) -> (text: [UInt8], isEnd: Bool) {
        guard let bytes = detokenizer?.push(token) else { return ([], false) }
        let text: [UInt8]
        (text, isEnded) = stops.push(bytes)
        shown += text
        return (text, isEnded)
    }

    /// Returns what was held back and proved harmless.
    public mutating func finish() -> [UInt8] {
        guard !isEnded, let bytes = detokenizer?.finish() else { return [] }
        let (text, isEnd) = stops.push(bytes)
        let rest = text + (isEnd ? [] : stops.finish())
        shown += rest
        return rest
    }
}
