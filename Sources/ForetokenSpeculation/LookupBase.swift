/// Texts that drafts are looked up in beside the one that is generated: a run's other prompts, a prediction of the answer.
/// Built once; nothing in it changes, so requests and threads may share it. It decides speed alone, never a token.
public final class LookupBase: @unchecked Sendable {
    /// Between two texts: no text has such a token, so no match goes across.
    private static let border: Int32 = -1

    /// All texts' tokens, and borders.
    private let tokens: UnsafeMutablePointer<Int32>
    /// Tokens and borders.
    package let count: Int
    /// The lowest and the highest id; nil without tokens.
    let ids: ClosedRange<Int32>?
    private let index: TextLookup

    /// Takes in texts, of two billion tokens at most, in well under a microsecond a token.
    public init(_ texts: [[Int32]]) {
        count = Self.count(texts.map(\.count))
        precondition(count < Int(Int32.max))
        tokens = .allocate(capacity: max(1, count))
        index = TextLookup(tokens, slots: Self.slotCount(count))
        var end = 0
        var range: ClosedRange<Int32>?
        for text in texts where !text.isEmpty {
            if end > 0 {
                tokens[end] = Self.border
                end += 1
                index.beginAnother()
            }
            (tokens + end).initialize(from: text, count: text.count)
            end += text.count
            index.grow(to: end)
            let (low, high) = (text.min()!, text.max()!)
            range = min(low, range?.lowerBound ?? low)...max(high, range?.upperBound ?? high)
        }
        ids = range
    }

    deinit { tokens.deallocate() }

    private static func count(_ lengths: [Int]) -> Int {
        let filled = lengths.filter { $0 > 0 }
        return filled.reduce(0, +) + max(0, filled.count - 1)
    }

    private static func slotCount(_ count: Int) -> Int { count + count * 3 / 8 + 1 }

    /// Bytes that texts of so many tokens take together: less than 32 a token.
    public static func byteCount(_ lengths: [Int]) -> Int {
        let count = count(lengths)
        return count * MemoryLayout<Int32>.size + TextLookup.byteCount(slots: slotCount(count))
    }

    /// A token.
    subscript(place: Int) -> Int32 { tokens[place] }

    /// What followed where a text ends as another one does before `end`, as `TextLookup.place` says.
    func place(
        _ end: UnsafePointer<Int32>, known: Int, _ hashes: InlineArray<4, UInt64>, longerThan least: Int
    ) -> TextLookup.Place? {
        index.place(end, known: known, hashes, longerThan: least)
    }

    /// Tokens before a place that are the same as before `end`.
    func common(_ place: Int, _ end: UnsafePointer<Int32>, known: Int) -> Int {
        index.common(place, end, known: known, from: 0)
    }

    func match(_ place: TextLookup.Place) -> LookupMatch { index.match(place) }
}
