/// A text that another one may go along with.
protocol FollowedText {
    /// Places from here on have no token.
    var count: Int { get }
    /// A token.
    subscript(place: Int) -> Int32 { get }
    /// The last place that one can be at whose own text has so many tokens: no text follows itself at its end.
    func lastPlace(known: Int) -> Int
    /// Tokens before a place that are the same as before `end`.
    func common(_ place: Int, _ end: UnsafePointer<Int32>, known: Int) -> Int
    /// As `TextLookup.place`.
    func place(
        _ end: UnsafePointer<Int32>, known: Int, _ hashes: InlineArray<4, UInt64>, longerThan least: Int
    ) -> TextLookup.Place?
}

extension LookupBase: FollowedText {
    func lastPlace(known: Int) -> Int { count }
}

extension TextLookup: FollowedText {
    subscript(place: Int) -> Int32 { tokens[place] }
    func lastPlace(known: Int) -> Int { min(count, known - 1) }
    func common(_ place: Int, _ end: UnsafePointer<Int32>, known: Int) -> Int {
        common(place, end, known: known, from: 0)
    }
}

/// How far a text has come in one that it goes along with: it is expected to go on with what follows there. Behind a
/// difference it is expected to go on where as many tokens were replaced, and looked for nearby, where two tokens are enough
/// to tell, or wherever the longest match is.
struct FollowedPlace: BitwiseCopyable {
    /// Place of the token that is expected.
    private(set) var next: Int
    /// Tokens before it that both have in common since the last difference, at most `TextLookup.longestMatch`.
    private(set) var length: Int
    /// Whether the texts went along with each other before the last difference.
    private(set) var isResumed = false
    /// Tokens in turn that were not the expected ones.
    private var misses = 0

    /// Tokens in common that make two texts go along with each other.
    private static let leastLength = 5
    /// Tokens in common since a difference that make it forgotten.
    private static let sureLength = 8
    /// What is searched behind a difference, and the least match that counts there.
    private static let behind = 8
    private static let ahead = 32
    private static let shortest = 2
    /// Tokens in turn that may have been replaced.
    private static let mostMisses = 4

    /// Nothing is followed yet.
    static let nowhere = FollowedPlace(next: 0, length: 0)
    /// A text that is expected to begin as the other one does, as though some tokens before were the same.
    static let beginning = FollowedPlace(next: 0, length: leastLength)

    private init(next: Int, length: Int) {
        self.next = next
        self.length = length
    }

    /// Takes the text's next token, the last before `end`, of which `known` are before it.
    /// - Parameter hashes: `TextLookup.hashes` of that place.
    mutating func take(
        _ end: UnsafePointer<Int32>, known: Int, _ hashes: InlineArray<4, UInt64>, in text: some FollowedText
    ) {
        let isFollowing = length > 0 || isResumed
        if isFollowing && next < text.count && text[next] == end[-1] {
            next += 1
            length = min(length + 1, TextLookup.longestMatch)
            misses = 0
        } else if isFollowing {
            pass(end, known: known, in: text)
        }
        if length >= Self.sureLength { isResumed = false }
        guard length < TextLookup.longestMatch else { return }
        if let found = text.place(end, known: known, hashes, longerThan: length), found.length > length {
            (next, length, isResumed, misses) = (found.follower, found.length, false, 0)
        }
    }

    /// Looks for where the text goes on behind a token that was not expected.
    private mutating func pass(_ end: UnsafePointer<Int32>, known: Int, in text: some FollowedText) {
        isResumed = isResumed || length >= Self.leastLength
        let lost = next
        misses = min(misses + 1, Self.mostMisses + 1)
        (next, length) = (misses > Self.mostMisses ? lost : lost + 1, 0)
        let last = min(text.lastPlace(known: known), lost + Self.ahead)
        guard isResumed && last > 0 else { return }
        for place in max(1, min(last, lost - Self.behind))...last where text[place - 1] == end[-1] {
            let common = text.common(place, end, known: known)
            let isAsNear = common == length && abs(place - lost - 1) <= abs(next - lost - 1)
            if common >= Self.shortest && (common > length || isAsNear) { (next, length) = (place, common) }
        }
    }

    /// What is expected, if anything.
    func match(in text: some FollowedText) -> LookupMatch? {
        guard length > 0 || (isResumed && misses <= Self.mostMisses), next < text.count else { return nil }
        var match = LookupMatch(token: text[next], length: length, timesSeen: 1)
        match.isResumed = isResumed
        return match
    }
}
