import ForetokenModel

/// Which tokens may come next in a text, as a grammar has it. A value, so that drafts can be tried and taken back: a copy of
/// it stands behind each.
public protocol TokenMask: Sendable {
    /// Words of a mask: bit `token % 64` of word `token / 64` stands for a token. Tokens without a bit are never allowed.
    var wordCount: Int { get }
    /// Whether the text may end here. It does, without another token, where none is allowed.
    var isComplete: Bool { get }
    /// Sets the bits of the tokens that may come next and clears all others.
    func mask(into words: UnsafeMutablePointer<UInt64>)
    /// Takes the next token.
    /// - Returns: whether it is allowed.
    mutating func advance(_ token: Int32) -> Bool
}

/// Where a text is in its mask, and where the drafts behind it are. What is known of a draft's place stays known if the
/// draft holds, so that each place's mask is made once.
final class MaskedText {
    private let places: any MaskPlaces
    /// [places][wordCount]
    private let words: UnsafeMutablePointer<UInt64>
    private let wordCount: Int
    /// Ids from here on are never drawn.
    private let limit: Int
    /// By place: the token before it, whether its mask is made, and whether nothing is known of it, since its token was
    /// refused.
    private var tokens = InlineArray<17, Int32>(repeating: -1)
    private var isMade = InlineArray<17, Bool>(repeating: false)
    private var isLost = InlineArray<17, Bool>(repeating: false)
    /// Place of the text, places behind it that are known, and how many of them are drafts now.
    private var base = 0
    private var known = 0
    private var depth = 0

    /// The text, and a draft in every other row of a window, and one more.
    private static let placeCount = Step.windowRows + 1

    /// - Parameter limit: ids from here on are never drawn.
    init(_ mask: any TokenMask, limit: Int) {
        precondition(Self.placeCount == tokens.count)
        places = Self.places(mask)
        wordCount = mask.wordCount
        self.limit = limit
        words = .allocate(capacity: max(1, Self.placeCount * wordCount))
        words.initialize(repeating: 0, count: Self.placeCount * wordCount)
    }

    deinit { words.deallocate() }

    private static func places(_ mask: some TokenMask) -> any MaskPlaces { Places(mask, count: placeCount) }

    private func place(_ depth: Int) -> Int { (base + depth) % Self.placeCount }

    // MARK: Tokens

    /// Takes the text's next token.
    func take(_ token: Int32) {
        if known > 0 && tokens[place(1)] == token {
            base = place(1)
            known -= 1
        } else {
            isLost[base] = isLost[base] || !places.advance(base, token)
            isMade[base] = false
            known = 0
        }
    }

    /// Takes a draft behind those that there are.
    func push(_ token: Int32) {
        let (from, to) = (place(depth), place(depth + 1))
        if depth == known || tokens[to] != token {
            places.copy(from, to: to)
            isLost[to] = isLost[from] || !places.advance(to, token)
            isMade[to] = false
            tokens[to] = token
            known = depth + 1
        }
        depth += 1
    }

    /// Takes all drafts back.
    func popAll() { depth = 0 }

    // MARK: What may come next

    /// Mask of the place behind the drafts that there are.
    private var current: UnsafePointer<UInt64> {
        let place = place(depth)
        let words = words + place * wordCount
        if !isMade[place] {
            if isLost[place] {
                words.update(repeating: 0, count: wordCount)
            } else {
                places.fill(place, words)
            }
            isMade[place] = true
        }
        return UnsafePointer(words)
    }

    /// Whether the token may come next.
    func allows(_ token: Int32) -> Bool {
        let id = Int(token)
        guard (0..<min(limit, wordCount * 64)).contains(id) else { return false }
        return current[id / 64] >> UInt64(id % 64) & 1 == 1
    }

    /// Whether the text is complete and no token may come next.
    var isOver: Bool {
        let place = place(depth)
        guard !isLost[place] && places.isComplete(place) else { return false }
        let current = current
        for word in 0..<min(wordCount, (limit + 63) / 64) {
            let beyond = word * 64 + 64 - limit
            let bits = beyond > 0 ? current[word] << UInt64(beyond) : current[word]
            if bits != 0 { return false }
        }
        return true
    }

    /// Copies logits [limit], -infinity where a token may not come next.
    /// - Returns: whether any is left.
    func apply(to logits: UnsafePointer<Float>, into masked: UnsafeMutablePointer<Float>) -> Bool {
        let current = current
        var isAny = false
        for first in stride(from: 0, to: limit, by: 64) {
            let bits = first / 64 < wordCount ? current[first / 64] : 0
            let count = min(64, limit - first)
            if bits == 0 {
                (masked + first).update(repeating: -.infinity, count: count)
                continue
            }
            for i in 0..<count {
                let logit = bits >> UInt64(i) & 1 == 1 ? logits[first + i] : -.infinity
                masked[first + i] = logit
                if logit != -.infinity { isAny = true }
            }
        }
        return isAny
    }
}

/// Masks of one type, side by side.
private protocol MaskPlaces: AnyObject {
    func copy(_ from: Int, to: Int)
    func advance(_ place: Int, _ token: Int32) -> Bool
    func isComplete(_ place: Int) -> Bool
    func fill(_ place: Int, _ words: UnsafeMutablePointer<UInt64>)
}

private final class Places<Mask: TokenMask>: MaskPlaces {
    private var masks: [Mask]

    init(_ mask: Mask, count: Int) { masks = Array(repeating: mask, count: count) }

    func copy(_ from: Int, to: Int) { masks[to] = masks[from] }
    func advance(_ place: Int, _ token: Int32) -> Bool { masks[place].advance(token) }
    func isComplete(_ place: Int) -> Bool { masks[place].isComplete }
    func fill(_ place: Int, _ words: UnsafeMutablePointer<UInt64>) { masks[place].mask(into: words) }
}
