/// What followed an earlier place of a text that ends like it.
package struct LookupMatch: BitwiseCopyable, Equatable {
    /// The token that followed there.
    package let token: Int32
    /// Tokens that the two places have in common, at most `TextLookup.longestMatch`.
    package let length: Int
    /// How often in succession, up to that place, this token has followed (1...7).
    package let timesSeen: Int

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
    private let tokens: UnsafePointer<Int32>
    private let slotCount: Int
    /// Position of what followed the newest such place [level][slot]; 0 where there is none.
    private let followers: UnsafeMutablePointer<Int32>
    /// Five bits of the hash, and in the lower three how often that token has followed [level][slot].
    private let marks: UnsafeMutablePointer<UInt8>
    /// Bits of a hash that count, fewer in tests only.
    private let mask: UInt64
    /// Tokens taken in.
    package private(set) var count = 0
    /// By level, the slot of what ends the text, whose follower is not known yet; negative where there is none.
    private var open: InlineArray<4, Int> = .init(repeating: -1)

    /// - Parameters:
    ///   - tokens: those of the text, at an address that stays.
    ///   - capacity: most tokens it will come to.
    package init(_ tokens: UnsafePointer<Int32>, capacity: Int, mask: UInt64 = .max) {
        self.tokens = tokens
        self.mask = mask
        slotCount = Self.slotCount(capacity)
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
    package static func byteCount(capacity: Int) -> Int { 5 * 4 * slotCount(capacity) }

    /// Forgets the text.
    package func clear() {
        guard count > 0 else { return }
        count = 0
        open = .init(repeating: -1)
        followers.update(repeating: 0, count: 4 * slotCount)
        marks.update(repeating: 0, count: 4 * slotCount)
    }

    /// Takes in the text's tokens up to `end`.
    /// - Parameter observe: told of each of them what had been found for its place, if anything.
    package func grow(to end: Int, observe: (_ found: LookupMatch, _ token: Int32) -> Void = { _, _ in }) {
        while count < end {
            if let found = match(end: count) { observe(found, tokens[count]) }
            settle(follower: count)
            count += 1
            let hashes = hashes(end: count)
            for level in 0..<4 {
                let slot = slot(level, hashes[level], end: count)
                if slot >= 0 && followers[slot] == 0 { marks[slot] = Self.mark(hashes[level]) }
                open[level] = slot
            }
        }
    }

    /// What followed where the text has ended before as its first `end` tokens do, of which those from `count` on are drafts.
    package func match(end: Int) -> LookupMatch? {
        let hashes = end == count ? .init(repeating: 0) : hashes(end: end)
        var level = 3
        while level >= 0 {
            let slot = end == count ? open[level] : slot(level, hashes[level], end: end)
            if slot >= 0 && followers[slot] > 0 {
                let follower = Int(followers[slot])
                return LookupMatch(
                    token: tokens[follower], length: common(follower, end, from: Self.spans[level]),
                    timesSeen: Int(marks[slot] & Self.mostSeen))
            }
            level -= 1
        }
        return nil
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

    /// By level, a hash of the tokens before `end`; of no meaning where there are too few.
    private func hashes(end: Int) -> InlineArray<4, UInt64> {
        var result: InlineArray<4, UInt64> = .init(repeating: 0)
        var hash: UInt64 = 0
        var taken = 0
        for level in 0..<4 where Self.spans[level] <= end {
            while taken < Self.spans[level] {
                taken += 1
                hash = (hash ^ UInt64(UInt32(bitPattern: tokens[end - taken]))) &* 0x9E37_79B9_7F4A_7C15
                hash ^= hash >> 32
            }
            result[level] = (hash &* 0xD6E8_FEB8_6659_FD93) & mask
        }
        return result
    }

    /// The slot of the tokens before `end`, or the empty one that is to be theirs; negative where there are too few tokens
    /// or no slot.
    private func slot(_ level: Int, _ hash: UInt64, end: Int) -> Int {
        let span = Self.spans[level]
        guard end >= span else { return -1 }
        let first = level * slotCount
        let mark = Self.mark(hash)
        var offset = Int(((hash >> 32) &* UInt64(slotCount)) >> 32)
        for _ in 0..<min(Self.longestProbe, slotCount) {
            let slot = first + offset
            if followers[slot] == 0 { return slot }
            if marks[slot] & ~Self.mostSeen == mark && isSame(Int(followers[slot]), end, span) { return slot }
            offset = offset + 1 == slotCount ? 0 : offset + 1
        }
        return -1
    }

    private static func mark(_ hash: UInt64) -> UInt8 { UInt8(truncatingIfNeeded: hash) & ~mostSeen }

    private func isSame(_ one: Int, _ other: Int, _ span: Int) -> Bool {
        for i in 1...span where tokens[one - i] != tokens[other - i] { return false }
        return true
    }

    /// How many tokens before two places are the same, known to be at least `length`; `one` is the earlier.
    private func common(_ one: Int, _ other: Int, from length: Int) -> Int {
        var length = length
        while length < Self.longestMatch && length < one && tokens[one - length - 1] == tokens[other - length - 1] {
            length += 1
        }
        return length
    }
}
