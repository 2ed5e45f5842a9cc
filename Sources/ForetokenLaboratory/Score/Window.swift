/// One stretch of a text that the model sees at once.
struct Window: Equatable {
    /// Position of the window's first own token in the text.
    let start: Int
    let count: Int
    /// First position inside the window whose row is new.
    let firstNew: Int
    /// Whether the text's first token (BOS) stands before the window's own tokens.
    let repeatsFirst: Bool
    /// Whether the text ends with this window.
    let endsText: Bool

    func tokens(of text: [Int32]) -> [Int32] {
        let own = text[start..<start + count]
        return repeatsFirst ? [text[0]] + own : Array(own)
    }

    /// Position in the text of the window's row `row`.
    func position(ofRow row: Int) -> Int { start + row - (repeatsFirst ? 1 : 0) }

    /// Tokens by which each window goes on.
    static func stride(context: Int) -> Int { max(1, context / 2) }

    /// Windows of at most `context` tokens that cover a text, each moved on by half of that; every window after the
    /// first starts with the text's first token.
    static func cover(_ count: Int, context: Int) -> [Window] {
        let first = min(count, context)
        var windows = [
            Window(start: 0, count: first, firstNew: 0, repeatsFirst: false, endsText: first == count)
        ]
        let step = stride(context: context)
        let own = context - 1
        var end = first
        while end < count {
            let next = min(end + step, count)
            let start = max(1, next - own)
            // Rows from the one that predicts token `end` on are new; row i stands at index i − start + 1.
            windows.append(
                Window(
                    start: start, count: next - start, firstNew: end - start, repeatsFirst: true,
                    endsText: next == count))
            end = next
        }
        return windows
    }
}
