import ForetokenSpeculation
import ForetokenTokenizer

/// Some of an answer's text, whole characters, with one fate: that of the token that completed them.
public struct TextPiece: Sendable, Equatable {
    /// The text in UTF-8.
    public let bytes: [UInt8]
    /// How it came about.
    public let fate: TokenFate

    /// Some text with that fate.
    public init(bytes: [UInt8], fate: TokenFate) {
        self.bytes = bytes
        self.fate = fate
    }
}

extension [TextPiece] {
    /// The text of all pieces.
    public var bytes: [UInt8] { flatMap(\.bytes) }
}

/// Turns tokens into text that can be shown as it grows: never half a character, nothing of a stop string. What is held back
/// for either keeps its fate until it is shown.
public struct TextStream: Sendable {
    private var detokenizer: StreamingDetokenizer?
    private var stops: StopStrings
    private var shown: [UInt8] = []
    private var isEnded = false
    /// Tokens that no stop string is looked for in, and how many tokens have come.
    private let minimum: Int
    /// Tokens without text.
    private let silent: [Int32]
    private var count = 0
    /// Fates of the bytes that are whole characters and not shown yet, in order.
    private var waiting: [(fate: TokenFate, count: Int)] = []
    private var newest = TokenFate.own

    /// Begins a text; without a tokenizer there is none to show.
    /// - Parameters:
    ///   - stopStrings: none of them empty.
    ///   - minimum: so many tokens come before any of them is looked for.
    ///   - silent: tokens whose text is not to be shown.
    public init(_ tokenizer: Tokenizer?, stopStrings: [String], after minimum: Int = 0, silent: [Int32] = []) {
        (self.minimum, self.silent) = (minimum, silent)
        detokenizer = tokenizer.map { StreamingDetokenizer($0) }
        stops = StopStrings(stopStrings)
    }

    /// Everything shown so far; nil without a tokenizer.
    public var whole: String? { detokenizer == nil ? nil : String(decoding: shown, as: UTF8.self) }

    /// The stop string that has ended the text; nil while none has.
    public var stopString: String? { stops.found }

    /// Takes a token; returns the text to show now and whether a stop string ends it.
    public mutating func push(_ token: Int32, _ fate: TokenFate) -> (text: [TextPiece], isEnd: Bool) {
        newest = fate
        count += 1
        guard !silent.contains(token), let bytes = detokenizer?.push(token) else { return ([], false) }
        return take(bytes)
    }

    /// Returns what was held back and proved harmless.
    public mutating func finish() -> [TextPiece] {
        guard !isEnded, let bytes = detokenizer?.finish() else { return [] }
        let (text, isEnd) = take(bytes)
        return text + (isEnd ? [] : show(stops.finish()))
    }

    private mutating func take(_ bytes: [UInt8]) -> (text: [TextPiece], isEnd: Bool) {
        if !bytes.isEmpty { waiting.append((newest, bytes.count)) }
        guard count > minimum else { return (show(bytes), false) }
        let text: [UInt8]
        (text, isEnded) = stops.push(bytes)
        return (show(text), isEnded)
    }

    /// Gives the bytes, which have waited longest, their fates.
    private mutating func show(_ bytes: [UInt8]) -> [TextPiece] {
        shown += bytes
        var pieces: [TextPiece] = []
        var (done, ended) = (0, 0)
        while done < bytes.count {
            let count = min(waiting[ended].count, bytes.count - done)
            pieces.append(TextPiece(bytes: Array(bytes[done..<done + count]), fate: waiting[ended].fate))
            done += count
            waiting[ended].count -= count
            if waiting[ended].count == 0 { ended += 1 }
        }
        waiting.removeFirst(ended)
        return pieces
    }
}
