/// What followed an earlier place that ends like a text.
package struct LookupMatch: BitwiseCopyable, Equatable {
    /// The token that followed there.
    package let token: Int32
    /// Tokens that the two places have in common, at most `TextLookup.longestMatch`.
    package let length: Int
    /// How often in succession, up to that place, this token has followed (1...7).
    package let timesSeen: Int
    /// Whether the prediction of the answer goes on with this token.
    package var isPredicted = false
    /// Whether both places went along with each other before the last difference, which was `length` tokens ago: then even a
    /// short match, or none, tells something.
    package var isResumed = false

    package init(token: Int32, length: Int, timesSeen: Int) {
        self.token = token
        self.length = length
        self.timesSeen = timesSeen
    }
}

/// Finds where a text has ended before as it ends now: the newest place among those that share the most tokens, of 16, 8, 5
/// or 3. It grows with the text and never forgets, since it is given true tokens only. Growing allocates nothing.
package final class TextLookup {
    /// Tokens that are hashed together, by level.
    private static let spans: InlineArray<4, Int> = [3, 5, 8, 16]
    /// Matches are not followed further back than so many tokens.
    package static let longestMatch = 32
    /// Slots looked through for one hash: far more than chance ever fills, few enough for a text made to collide. What finds
    /// no slot is not kept.
    private static let longestProbe = 256
    private static let mostSeen: UInt8 = 7

    /// The text's tokens [capacity], and drafts behind them; they are somebody else's.
    let tokens: UnsafePointer<Int32>
    private let slotCount: Int
    /// Position of what followed the newest such place [level][slot]; 0 where there is none.
    private let followers: UnsafeMutablePointer<Int32>
    /// Five bits of the hash, and in the lower three how often that token has followed [level][slot].
    private let marks: UnsafeMutablePointer<UInt8>
    /// Bits of a hash that count, fewer in tests only.
    private let mask: UInt64
    /// Tokens taken in.
    package private(set) var count = 0
    /// Where the text begins that is being taken in: several may follow one another.
    private var start = 0
    /// By level, the slot of what ends the text, whose follower is not known yet; negative where there is none.
    private var open: InlineArray<4, Int> = .init(repeating: -1)
    /// By level, the hash of what ends the text.
    private var endHashes: InlineArray<4, UInt64> = .init(repeating: 0)

    /// - Parameters:
    ///   - tokens: those of the text, at an address that stays.
    ///   - capacity: most tokens it will come to.
    package convenience init(_ tokens: UnsafePointer<Int32>, capacity: Int, mask: UInt64 = .max) {
        self.init(tokens, slots: Self.slotCount(capacity), mask: mask)
    }

    /// - Parameter slots: places for each level's hashes, more than there are tokens.
    init(_ tokens: UnsafePointer<Int32>, slots: Int, mask: UInt64 = .max) {
        self.tokens = tokens
        self.mask = mask
        slotCount = slots
        followers = .allocate(capacity: 4 * slotCount)
        marks = .allocate(capacity: 4 * slotCount)
        followers.initialize(repeating: 0, count: 4 * slotCount)
        marks.initialize(repeating: 0, count: 4 * slotCount)
    }

    deinit {
        followers.deallocate()
        marks.deallocate()
    }

    private static func slotCount(_ capacity: Int) -> Int { capacity + capacity / 2 + 1 }

    /// Bytes that it takes for so many tokens.
    package static func byteCount(capacity: Int) -> Int { byteCount(slots: slotCount(capacity)) }

    static func byteCount(slots: Int) -> Int { 5 * 4 * slots }

    /// Forgets the text.
    package func clear() {
        guard count > 0 else { return }
        count = 0
        start = 0
        open = .init(repeating: -1)
        followers.update(repeating: 0, count: 4 * slotCount)
        marks.update(repeating: 0, count: 4 * slotCount)
    }

    /// Takes in the text's tokens up to `end`.
    package func grow(to end: Int) {
        while count < end {
            settle(follower: count)
            count += 1
            endHashes = Self.hashes(tokens + count, known: count - start)
            for level in 0..<4 {
                let slot = slot(level, endHashes[level], tokens + count, known: count - start)
                if slot >= 0 && followers[slot] == 0 { marks[slot] = mark(endHashes[level]) }
                open[level] = slot
            }
        }
    }

    /// Leaves out the next token: another text begins behind it, with which nothing before has anything to do. It must be one
    /// that no text has.
    func beginAnother() {
        count += 1
        start = count
        open = .init(repeating: -1)
    }

    /// What followed where the text has ended before as its first `end` tokens do, of which those from `count` on are drafts.
    package func match(end: Int) -> LookupMatch? { place(end: end, hashes(end: end)).map(match) }

    /// The hashes of a place, known already where the text ends.
    func hashes(end: Int) -> InlineArray<4, UInt64> {
        end == count ? endHashes : Self.hashes(tokens + end, known: end)
    }

    /// The newest place that shares the most tokens, by level, with the text's first `end`.
    /// - Parameter hashes: `hashes(end:)`.
    func place(end: Int, _ hashes: InlineArray<4, UInt64>) -> Place? {
        guard end == count else { return place(tokens + end, known: end, hashes) }
        var level = 3
        while level >= 0 {
            let slot = open[level]
            if slot >= 0 && followers[slot] > 0 { return place(slot, level, tokens + end, known: end) }
            level -= 1
        }
        return nil
    }

    /// A place that ends like another one.
    struct Place: BitwiseCopyable {
        /// Of what followed.
        let follower: Int
        /// Tokens that both have in common.
        let length: Int
        /// As in `LookupMatch`.
        let timesSeen: Int
    }

    func match(_ place: Place) -> LookupMatch {
        LookupMatch(token: tokens[place.follower], length: place.length, timesSeen: place.timesSeen)
    }

    /// The newest place that shares the most tokens with another text's end, by level.
    ///
    /// - Parameters:
    ///   - end: points behind the other text's last token.
    ///   - known: tokens before it.
    ///   - least: matches that are no longer need not be found.
    func place(
        _ end: UnsafePointer<Int32>, known: Int, _ hashes: InlineArray<4, UInt64>, longerThan least: Int = 0
    ) -> Place? {
        // Where not even the fewest tokens that matter are known, no more are.
        var fewest = 0
        while fewest < 3 && Self.spans[fewest + 1] <= least { fewest += 1 }
        let found = slot(fewest, hashes[fewest], end, known: known)
        guard found >= 0 && followers[found] > 0 else { return nil }
        var level = 3
        while level > fewest {
            let slot = slot(level, hashes[level], end, known: known)
            if slot >= 0 && followers[slot] > 0 { return place(slot, level, end, known: known) }
            level -= 1
        }
        return place(found, fewest, end, known: known)
    }

    private func place(_ slot: Int, _ level: Int, _ end: UnsafePointer<Int32>, known: Int) -> Place {
        let follower = Int(followers[slot])
        return Place(
            follower: follower, length: common(follower, end, known: known, from: Self.spans[level]),
            timesSeen: Int(marks[slot] & Self.mostSeen))
    }

    /// Takes note of what follows the text's end.
    private func settle(follower: Int) {
        for level in 0..<4 where open[level] >= 0 {
            let slot = open[level]
            let before = followers[slot]
            followers[slot] = Int32(follower)
            let seen = marks[slot] & Self.mostSeen
            let isSame = before > 0 && tokens[Int(before)] == tokens[follower]
            marks[slot] = marks[slot] & ~Self.mostSeen | (isSame ? min(seen + 1, Self.mostSeen) : 1)
        }
    }

    /// By level, a hash of the tokens before `end`; of no meaning where fewer than that are known.
    static func hashes(_ end: UnsafePointer<Int32>, known: Int) -> InlineArray<4, UInt64> {
        var result: InlineArray<4, UInt64> = .init(repeating: 0)
        var hash: UInt64 = 0
        var taken = 0
        for level in 0..<4 where spans[level] <= known {
            while taken < spans[level] {
                taken += 1
                hash = (hash ^ UInt64(UInt32(bitPattern: end[-taken]))) &* 0x9E37_79B9_7F4A_7C15
                hash ^= hash >> 32
            }
            result[level] = hash &* 0xD6E8_FEB8_6659_FD93
        }
        return result
    }

    /// The slot of the tokens before `end`, or the empty one that is to be theirs; negative where too few are known or there
    /// is no slot.
    private func slot(_ level: Int, _ hash: UInt64, _ end: UnsafePointer<Int32>, known: Int) -> Int {
        let span = Self.spans[level]
        guard known >= span else { return -1 }
        let first = level * slotCount
        let mark = mark(hash)
        var offset = Int((((hash & mask) >> 32) &* UInt64(slotCount)) >> 32)
        for _ in 0..<min(Self.longestProbe, slotCount) {
            let slot = first + offset
            if followers[slot] == 0 { return slot }
            if marks[slot] & ~Self.mostSeen == mark && isSame(Int(followers[slot]), end, span) { return slot }
            offset = offset + 1 == slotCount ? 0 : offset + 1
        }
        return -1
    }

    private func mark(_ hash: UInt64) -> UInt8 { UInt8(truncatingIfNeeded: hash & mask) & ~Self.mostSeen }

    private func isSame(_ place: Int, _ end: UnsafePointer<Int32>, _ span: Int) -> Bool {
        for i in 1...span where tokens[place - i] != end[-i] { return false }
        return true
    }

    /// How many tokens before a place are the same as before `end`, at least `length` being known to be.
    func common(_ place: Int, _ end: UnsafePointer<Int32>, known: Int, from length: Int) -> Int {
        let most = min(Self.longestMatch, place, known)
        var length = length
        while length < most && tokens[place - length - 1] == end[-length - 1] { length += 1 }
        return length
    }
}
