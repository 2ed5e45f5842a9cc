/// How far an answer has come in its prediction: it is expected to go on with what follows there. Where the answer differs,
/// it is looked for again: nearby, where two tokens are enough to tell, or wherever the prediction has the longest match.
struct PredictionPlace: BitwiseCopyable {
    /// Place of the token that is expected.
    private(set) var next = 0
    /// Tokens before it that the answer shares, at most `TextLookup.longestMatch`; 0 while it is lost. An answer is expected
    /// to begin as its prediction does, as though so many tokens before were the same.
    private(set) var length = 5

    /// What is searched for a lost answer, from where it was lost, and the least match that counts there.
    private static let behind = 8
    private static let ahead = 32
    private static let shortest = 2
    /// What matches are counted as at least: the shortest that are looked up elsewhere.
    private static let leastLength = 3

    /// Takes the answer's next token, the last before `end`, of which `known` are before it.
    mutating func take(_ end: UnsafePointer<Int32>, known: Int, in prediction: LookupBase) {
        if length > 0 && next < prediction.count && prediction[next] == end[-1] {
            next += 1
            length = min(length + 1, TextLookup.longestMatch)
            return
        }
        length = 0
        let lost = next
        for place in max(1, lost - Self.behind)...max(1, min(prediction.count, lost + Self.ahead))
        where place <= prediction.count && prediction[place - 1] == end[-1] {
            let common = prediction.common(place, end, known: known)
            let isAsNear = common == length && abs(place - lost - 1) <= abs(next - lost - 1)
            if common >= Self.shortest && (common > length || isAsNear) { (next, length) = (place, common) }
        }
        let hashes = TextLookup.hashes(end, known: known)
        if let found = prediction.place(end, known: known, hashes, longerThan: length), found.length > length {
            (next, length) = (found.follower, found.length)
        }
    }

    /// What is expected, if anything.
    func match(in prediction: LookupBase) -> LookupMatch? {
        guard length > 0 && next < prediction.count else { return nil }
        var match = LookupMatch(token: prediction[next], length: max(length, Self.leastLength), timesSeen: 1)
        match.isPredicted = true
        return match
    }
}
