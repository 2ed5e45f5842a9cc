/// Makes masks by walking a vocabulary's trie and an automaton together, and keeps what a state allows whatever lies below it on
/// the stack. Tokens that go on below the frame on top are kept as places of the trie to go on from.
struct MaskMaker {
    /// So many states are kept; then all are forgotten. A mask of 129,280 tokens is 16 KB, if not few are allowed.
    static let mostKept = 1024
    private static let mostWide = 8

    /// What a state allows.
    private struct Kept {
        /// Allowed tokens where they are few, or else `words`.
        var tokens: [Int32] = []
        var words: [UInt64] = []
        var rests: [Rest] = []

        var byteCount: Int {
            MemoryLayout<Self>.stride + tokens.count * 4 + words.count * 8 + rests.count * MemoryLayout<Rest>.stride
        }
    }

    /// A node of the trie whose byte is the first behind the frame.
    private struct Rest {
        let outcome: UInt16
        let node: Int32
    }

    /// How to get back to where a node of the trie was reached.
    private struct Way {
        var place: Automaton.Place
        /// The only height of the stack that the step to this node may have written to, and what stood there before.
        var height: UInt16 = 0
        var old: UInt16 = 0
    }

    private var kept: [UInt32: Kept] = [:]
    private var ways: [Way]
    private var stack: [UInt16]
    private var rests: [Rest] = []
    /// The last keys of states whose masks took long to make: another one may be alike.
    private var wide: [UInt32] = []

    init(longestToken: Int) {
        ways = Array(repeating: Way(place: Automaton.Place(state: 0)), count: longestToken + 1)
        stack = Array(repeating: 0, count: Automaton.deepest + longestToken + 1)
    }

    var count: Int { kept.count }
    /// Bytes that what is kept takes.
    private(set) var keptBytes = 0

    /// Sets the bits of all tokens with bytes that may follow.
    mutating func fill(
        _ words: UnsafeMutablePointer<UInt64>, _ cursor: GrammarCursor, _ automaton: Automaton,
        _ vocabulary: GrammarVocabulary
    ) {
        var place = cursor.place
        automaton.withTables { tables in
            let walk = Walk(tables: tables, vocabulary: vocabulary, words: words)
            while true {
                // Only where levels might run out does it matter how many there are.
                let levels = Automaton.deepest - Int(place.height)
                let isFar = vocabulary.mostOpening + automaton.widestReach <= levels
                let key = Self.key(place, levels: isFar ? nil : levels)
                if kept[key] == nil { keep(key, place, levels: isFar ? nil : levels, tables, vocabulary) }
                if let index = kept.index(forKey: key) { add(index, to: walk, below: place, cursor) }
                // A complete frame may also be left before the first byte.
                let outcome = tables.outcomes[Int(place.state)]
                guard outcome != Automaton.none, place.height > 0 else { return }
                let height = place.height - 1
                let next = tables.stateBehind(cursor.stack[Int(height)], outcome)
                place = Automaton.Place(state: next, height: height)
            }
        }
    }

    /// Keeps what a state allows.
    mutating func prepare(_ state: UInt16, _ automaton: Automaton, _ vocabulary: GrammarVocabulary) {
        let place = Automaton.Place(state: state)
        let key = Self.key(place, levels: nil)
        guard kept[key] == nil else { return }
        automaton.withTables { keep(key, place, levels: nil, $0, vocabulary) }
    }

    private mutating func load(_ cursor: GrammarCursor) {
        for index in 0..<Int(cursor.place.height) { stack[index] = cursor.stack[index] }
    }

    /// Adds what is kept, and the tokens that go on below the frame on top.
    private mutating func add(
        _ index: Dictionary<UInt32, Kept>.Index, to walk: Walk, below place: Automaton.Place, _ cursor: GrammarCursor
    ) {
        let found = kept.values[index]
        for token in found.tokens { walk.words[Int(token >> 6)] |= 1 << UInt64(token & 63) }
        for (index, word) in found.words.enumerated() { walk.words[index] |= word }
        guard place.height > 0, !found.rests.isEmpty else { return }
        load(cursor)
        let height = place.height - 1
        for rest in found.rests {
            let behind = walk.tables.stateBehind(stack[Int(height)], rest.outcome)
            let range = rest.node..<walk.vocabulary.nodes[Int(rest.node)].end
            go(walk, range, from: Automaton.Place(state: behind, height: height), deepest: Automaton.deepest)
        }
    }

    /// Finds what a state allows whatever lies below.
    /// - Parameter levels: how many may follow; nil where there are enough for any token.
    private mutating func keep(
        _ key: UInt32, _ place: Automaton.Place, levels: Int?, _ tables: Automaton.Tables,
        _ vocabulary: GrammarVocabulary
    ) {
        if kept.count >= Self.mostKept {
            kept.removeAll(keepingCapacity: true)
            (wide, keptBytes) = ([], 0)
        }
        let alike =
            place.blanks > 0
            ? nil
            : wide.first {
                $0 & 0xFFFF == key & 0xFFFF
                    && tables.areAlike(UInt16($0 >> 16), place.state, length: vocabulary.longest)
            }
        if let alike, let found = kept[alike] {
            kept[key] = found
            keptBytes += found.byteCount
            return
        }
        let wordCount = (vocabulary.count + 63) / 64
        var words = [UInt64](repeating: 0, count: wordCount)
        rests = []
        let alone = Automaton.Place(state: place.state, blanks: place.blanks)
        words.withUnsafeMutableBufferPointer { words in
            guard let words = words.baseAddress else { return }
            let walk = Walk(tables: tables, vocabulary: vocabulary, words: words)
            go(walk, walk.whole, from: alone, deepest: levels ?? .max, isKeeping: true)
        }
        var found = Kept(rests: rests)
        let allowed = words.reduce(0) { $0 + $1.nonzeroBitCount }
        if allowed * 2 < wordCount {
            for (index, word) in words.enumerated() {
                var bits = word
                while bits != 0 {
                    found.tokens.append(Int32(index << 6 | bits.trailingZeroBitCount))
                    bits &= bits - 1
                }
            }
        } else {
            found.words = words
            if place.blanks == 0 { wide = [key] + wide.prefix(Self.mostWide - 1) }
        }
        kept[key] = found
        keptBytes += found.byteCount
    }

    /// The state in the upper half.
    private static func key(_ place: Automaton.Place, levels: Int?) -> UInt32 {
        UInt32(place.state) << 16 | UInt32(levels ?? 0xFF) << 8 | UInt32(place.blanks)
    }

    /// What a walk reads and writes.
    private struct Walk {
        let tables: Automaton.Tables
        let vocabulary: GrammarVocabulary
        let words: UnsafeMutablePointer<UInt64>

        /// All nodes but the root.
        var whole: Range<Int32> { 1..<Int32(vocabulary.nodes.count - 1) }

        @inline(__always) func mark(_ tokens: Range<Int32>) {
            for index in tokens {
                let token = vocabulary.tokens[Int(index)]
                words[Int(token >> 6)] |= 1 << UInt64(token & 63)
            }
        }
    }

    /// Sets the bits of tokens in a part of the trie, whose first node's parent is at `start`, with `stack` below it.
    /// - Parameters:
    ///   - deepest: the bound on the levels.
    ///   - isKeeping: whether nothing is known of what lies below the frame on top: then `rests` gets the nodes that are reached
    ///     below it, but for those that the very first byte reaches.
    private mutating func go(
        _ walk: Walk, _ range: Range<Int32>, from start: Automaton.Place, deepest: Int, isKeeping: Bool = false
    ) {
        guard !range.isEmpty else { return }
        let isOpenBelow = isKeeping && walk.tables.outcomes[Int(start.state)] != Automaton.none
        walk.vocabulary.nodes.withUnsafeBufferPointer { nodes in
            ways.withUnsafeMutableBufferPointer { ways in
                stack.withUnsafeMutableBufferPointer { stack in
                    guard let stack = stack.baseAddress else { return }
                    let base = nodes[Int(range.lowerBound)].depth - 1
                    ways[Int(base)].place = start
                    var (last, index) = (base, range.lowerBound)
                    while index < range.upperBound {
                        let node = nodes[Int(index)]
                        while last >= node.depth {
                            stack[Int(ways[Int(last)].height)] = ways[Int(last)].old
                            last -= 1
                        }
                        var place = ways[Int(last)].place
                        let before = place.height
                        last = node.depth
                        // Only a byte that begins a value writes, at the height that it finds.
                        ways[Int(last)].height = before
                        ways[Int(last)].old = stack[Int(before)]
                        switch walk.tables.step(node.byte, &place, stack, deepest: deepest) {
                        case .taken:
                            ways[Int(last)].place = place
                            walk.mark(node.firstToken..<nodes[Int(index) + 1].firstToken)
                            index += 1
                        case .below(let outcome):
                            if isKeeping, !(isOpenBelow && node.depth == base + 1) {
                                rests.append(Rest(outcome: outcome, node: index))
                            }
                            index = node.end
                        case .refused: index = node.end
                        }
                    }
                    while last > base {
                        stack[Int(ways[Int(last)].height)] = ways[Int(last)].old
                        last -= 1
                    }
                }
            }
        }
    }
}
